//! Reads the catalogue, and says everything that is wrong with it at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wildmatch::WildMatch;

use super::{Sabotage, VARIABLES};
use crate::check::Case;
use crate::problem::{Problem, Problems, all_of, any_of, nearest};
use crate::scenario::IstioNamespace;

/// Where the catalogue lies, below the repository.
pub const FOLDER: &str = "fixtures/faults";

/// The sabotages that match any of these patterns, in the order of their layers; all of them without patterns.
///
/// # Errors
/// Every mistake in the catalogue and in the patterns, each with its place.
pub fn choose(root: &Path, only: &[String], cases: &[Case], steps: &[&str]) -> Result<Vec<Sabotage>, Problems> {
    let mut problems = Problems::new();
    let Some(all) = problems.keep(read(&root.join(FOLDER), cases, steps)) else { return Err(problems) };
    let ids: Vec<&str> = all.iter().map(|sabotage| sabotage.id.as_str()).collect();
    let mut globs = Vec::new();
    for pattern in only.iter().map(|pattern| pattern.trim()) {
        let glob = WildMatch::new_case_insensitive(pattern);
        if !ids.iter().any(|id| glob.matches(id)) {
            let instead = match nearest(pattern, ids.iter().copied()) {
                Some(meant) => format!("`{meant}`"),
                None => "an id of `meshproof prove --list`, or a glob such as `route-*`".to_string(),
            };
            problems.push("--only", format!("no sabotage matches `{pattern}`"), instead);
        }
        globs.push(glob);
    }
    problems.or(())?;
    let wanted = |id: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(id));
    Ok(all.into_iter().filter(|sabotage| wanted(&sabotage.id)).collect())
}

fn read(folder: &Path, cases: &[Case], steps: &[&str]) -> Result<Vec<Sabotage>, Problems> {
    let mut problems = Problems::new();
    let unreadable = |error: std::io::Error| {
        Problem::new(folder.display().to_string(), format!("cannot be read: {error}"), "the folder of the repository")
    };
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map_err(unreadable)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let place = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(place, format!("cannot be read: {error}"), "a file that you may read");
                continue;
            }
        };
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let parsed = parse(&text, &id, &place, cases, steps);
        all.extend(problems.keep(parsed.map_err(|problems| problems.quoting(&place, &text))));
    }
    if all.is_empty() && problems.is_empty() {
        problems.push(folder.display().to_string(), "there is no sabotage", "files such as route-lost.yaml");
    }
    all.sort_by(|one, other| (one.layer, &one.id).cmp(&(other.layer, &other.id)));
    problems.or(all)
}

/// One file of the catalogue.
///
/// # Errors
/// Every mistake in it, with its place.
fn parse(text: &str, id: &str, place: &str, cases: &[Case], steps: &[&str]) -> Result<Sabotage, Problems> {
    let document = serde_yaml_ng::Deserializer::from_str(text);
    let parsed: Result<Sabotage, _> = serde_yaml_ng::with::singleton_map_recursive::deserialize(document);
    let mut sabotage = parsed.map_err(|error| {
        let at = error.location().map(|at| format!("{place}:{}:{}", at.line(), at.column()));
        Problem::new(at.unwrap_or_else(|| place.to_string()), error.to_string(), "CONTRIBUTING.md says what it holds")
    })?;
    sabotage.id = id.to_string();
    let mut problems = Problems::new();
    if sabotage.acts.is_empty() && !sabotage.installs() {
        let message =
            "`break`, `without` and `remoteNamespace` are empty, and a sabotage that breaks nothing proves nothing";
        problems.push(place, message, "at least one act, or a step that is left out");
    }
    if !sabotage.acts.is_empty() && sabotage.installs() {
        problems.push(
            place,
            "it has `break` beside `without` or `remoteNamespace`",
            "one of them: acts are kept on the mesh as it was",
        );
    }
    if let Some(Err((message, instead))) = sabotage.remote_namespace.as_deref().map(IstioNamespace::named) {
        problems.push(place, message, instead);
    }
    for step in sabotage.without.iter().filter(|step| !steps.contains(&step.as_str())) {
        problems.push(place, format!("`{step}` is no step of the install"), any_of(steps));
    }
    if sabotage.red.is_empty() && sabotage.untold.is_empty() {
        problems.push(place, "`red` and `untold` are empty", "the clause that must notice");
    }
    if !sabotage.red.is_empty() && (sabotage.cause.is_empty() || sabotage.hint.is_empty()) {
        problems.push(place, "`cause` or `hint` is empty", "words that the first red clause must say");
    }
    let ids: Vec<&str> = cases.iter().filter(|case| case.when == sabotage.after.when()).map(|case| case.id).collect();
    let mut seen = BTreeSet::new();
    for clause in sabotage.red.iter().chain(&sabotage.blocked).chain(&sabotage.untold) {
        if !ids.contains(&clause.as_str()) {
            problems.push(place, format!("`{clause}` is not asked after this phase"), any_of(&ids));
        }
        if !seen.insert(clause) {
            problems.push(place, format!("{clause} is listed twice"), "one of `red`, `blocked` and `untold`");
        }
    }
    for (at, _) in text.match_indices("${") {
        let name = text[at + 2..].split('}').next().unwrap_or_default();
        // A shell on a node has variables of its own, without braces.
        if !VARIABLES.contains(&name) {
            let line = text[..at].lines().count();
            problems.push(format!("{place}:{line}"), format!("`${{{name}}}` is not known"), all_of(&VARIABLES));
        }
    }
    problems.or(sabotage)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::parse;

    const SOUND: &str = "what: x\nlayer: network\nbreak:\n- loseRoutes: {cluster: primary}\nred: []\nuntold: []\ncause: [a]\nhint: [b]\n";

    #[rstest]
    #[case::no_clause(SOUND, "the clause that must notice")]
    #[case::unknown_clause(&SOUND.replace("red: []", "red: [D99]"), "D99")]
    #[case::unknown_field(&format!("{SOUND}colour: red\n"), "colour")]
    #[case::unknown_act(&SOUND.replace("loseRoutes", "explode"), "explode")]
    #[case::unknown_layer(&SOUND.replace("network", "moon"), "moon")]
    #[case::unknown_step(&format!("{SOUND}without: [b-step]\n"), "a-step")]
    #[case::no_namespace(&format!("{SOUND}remoteNamespace: kube-system\n"), "of Kubernetes")]
    #[case::unknown_variable(&SOUND.replace("what: x", "what: ${MOON}"), "${MOON}")]
    fn a_mistake_is_said_with_its_place(#[case] text: &str, #[case] word: &str) {
        let said = parse(text, "x", "faults/x.yaml", &[], &["a-step"]).unwrap_err().to_string();
        assert!(said.contains(word) && said.contains("faults/x.yaml"), "{said}");
    }
}
