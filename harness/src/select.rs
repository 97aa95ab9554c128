//! Which cases of the catalogue are asked: `--only` and `--skip`, and what the chosen ones need.

use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::plan::CaseOutline;
use crate::problem::{Problem, Problems, all_of, any_of, nearest};

/// The cases that are asked and those that are not, each with its reason; together the whole catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Cases that are asked, in catalogue order.
    pub cases: Vec<Selected>,
    /// Cases that are not asked, in catalogue order.
    pub left_out: Vec<LeftOut>,
}

/// A case that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// Its id.
    pub id: String,
    /// Why it is asked.
    pub because: Because,
}

/// Why a case is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// The user asked for it, or for everything.
    Asked,
    /// These selected cases cannot be asked without it.
    NeededBy(Vec<String>),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Asked => f.write_str("asked for"),
            Because::NeededBy(ids) => write!(f, "needed by {}", all_of(ids)),
        }
    }
}

/// A case that is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its id.
    pub id: String,
    /// Why not, for reports: `left out by --skip D3`.
    pub reason: String,
}

impl Selection {
    /// Whether the case of this id is asked.
    pub fn contains(&self, id: &str) -> bool {
        self.cases.iter().any(|case| case.id == id)
    }

    /// Why the case of this id is not asked; nothing if it is.
    pub fn reason(&self, id: &str) -> Option<&str> {
        self.left_out.iter().find(|case| case.id == id).map(|case| case.reason.as_str())
    }

    /// Whether the whole catalogue is asked.
    pub fn is_everything(&self) -> bool {
        self.left_out.is_empty()
    }
}

/// Selects from the catalogue by ids, slugs or globs of them: everything if `only` is empty, without what `skip` names,
/// with all that the rest needs.
pub fn select(catalogue: &[CaseOutline], only: &[String], skip: &[String]) -> Result<Selection, Problems> {
    let mut problems = Problems::new();
    let wanted = matches(catalogue, "--only", only, &mut problems);
    let unwanted = matches(catalogue, "--skip", skip, &mut problems);
    problems.or(())?;
    let mut problems = Problems::new();

    let chosen = |index: &usize| (only.is_empty() || wanted[*index].is_some()) && unwanted[*index].is_none();
    let asked: Vec<usize> = (0..catalogue.len()).filter(chosen).collect();
    if asked.is_empty() {
        return Err(nothing(catalogue, only, skip).into());
    }

    let mut running = asked.clone();
    let mut next = 0;
    while let Some(case) = running.get(next).copied() {
        next += 1;
        for need in &catalogue[case].needs {
            let Some(needed) = catalogue.iter().position(|other| other.id == *need) else { continue };
            if let Some(pattern) = &unwanted[needed] {
                let id = &catalogue[case].id;
                let instead = format!("skip {id} as well, or do not skip {need}");
                let problem =
                    Problem::new("--skip", format!("`{pattern}` leaves out {need}, which {id} needs"), instead);
                if !problems.0.contains(&problem) {
                    problems.0.push(problem);
                }
            } else if !running.contains(&needed) {
                running.push(needed);
            }
        }
    }
    problems.or(())?;

    let mut selection = Selection::default();
    for (index, case) in catalogue.iter().enumerate() {
        let id = case.id.clone();
        if asked.contains(&index) {
            selection.cases.push(Selected { id, because: Because::Asked });
        } else if running.contains(&index) {
            let needing = |other: &&CaseOutline| other.needs.contains(&id);
            let running = catalogue.iter().enumerate().filter(|(other, _)| running.contains(other));
            let by = running.map(|(_, other)| other).filter(needing).map(|other| other.id.clone()).collect();
            selection.cases.push(Selected { id, because: Because::NeededBy(by) });
        } else {
            let reason = match &unwanted[index] {
                Some(pattern) => format!("left out by --skip {pattern}"),
                None => format!("not among --only {}", only.join(",")),
            };
            selection.left_out.push(LeftOut { id, reason });
        }
    }
    Ok(selection)
}

/// For each case, the first pattern that matches it.
fn matches(catalogue: &[CaseOutline], flag: &str, patterns: &[String], problems: &mut Problems) -> Vec<Option<String>> {
    let mut matched = vec![None; catalogue.len()];
    for pattern in patterns {
        if let Some(problem) = malformed(flag, pattern) {
            problems.0.push(problem);
            continue;
        }
        let glob = WildMatch::new_case_insensitive(pattern);
        let mut any = false;
        for (case, matched) in catalogue.iter().zip(&mut matched) {
            if glob.matches(&case.id) || glob.matches(&case.slug) {
                any = true;
                matched.get_or_insert_with(|| pattern.clone());
            }
        }
        if !any {
            let ids: Vec<&str> = catalogue.iter().map(|case| case.id.as_str()).collect();
            // Ids are so short that any two look alike: only slugs are worth a guess.
            let meant = nearest(pattern, catalogue.iter().map(|case| case.slug.as_str()));
            let instead = match meant {
                Some(slug) => format!("`{slug}`"),
                None => format!("an id, a slug or a glob of them; the ids are {}", all_of(&ids)),
            };
            problems.push(flag, format!("no check matches `{pattern}`"), instead);
        }
    }
    matched
}

fn malformed(flag: &str, pattern: &str) -> Option<Problem> {
    if pattern.trim().is_empty() {
        return Some(Problem::new(flag, "a pattern is empty", "an id such as D8, or a glob such as `D1*`"));
    }
    let strange = |letter: &char| !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '_' | '*' | '?');
    let letter = pattern.chars().find(strange)?;
    let instead = "letters, digits and `-`, with `*` for any letters and `?` for one; commas between patterns";
    Some(Problem::new(flag, format!("`{pattern}` is not a pattern: it has `{letter}`"), instead))
}

fn nothing(catalogue: &[CaseOutline], only: &[String], skip: &[String]) -> Problem {
    let flags = match (only.is_empty(), skip.is_empty()) {
        (true, _) => "--skip",
        (_, true) => "--only",
        _ => "--only and --skip",
    };
    let ids: Vec<&str> = catalogue.iter().map(|case| case.id.as_str()).collect();
    Problem::new(
        flags,
        "nothing is selected, and a run that asks nothing is not green",
        format!("at least one of {}", any_of(&ids)),
    )
}
