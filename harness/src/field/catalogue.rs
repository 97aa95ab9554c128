//! Reads the catalogue, and says everything that is wrong with it at once.

use std::fs;
use std::path::{Path, PathBuf};

use wildmatch::WildMatch;

use crate::cli::scenarios;
use crate::problem::{Problem, Problems, nearest};
use crate::scenario::{Known, Scenario, ScenarioFile};

/// Where the catalogue lies, below the repository.
pub const FOLDER: &str = "suites/scenarios/field";

/// One field issue.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Name of its file without the ending.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// What the file says.
    pub file: ScenarioFile,
}

impl Issue {
    /// The issue of one file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn of(path: PathBuf, known: Known<'_>) -> Result<Issue, Problems> {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = scenarios::read(&path, known)?;
        Ok(Issue { id, path, file })
    }

    /// What is built, done and expected.
    pub fn scenario(&self) -> &Scenario {
        &self.file.scenario
    }

    /// What it is, in one line: the first sentence of its description.
    pub fn what(&self) -> String {
        let description = &self.scenario().description;
        let first = description.split(". ").next().unwrap_or_default().trim_end_matches('.');
        if first.is_empty() { self.scenario().name.clone() } else { first.to_string() }
    }
}

/// All issues, by their ids.
///
/// # Errors
/// Every mistake in their files, each with its place.
pub fn read(root: &Path, known: Known<'_>) -> Result<Vec<Issue>, Problems> {
    let folder = root.join(FOLDER);
    let unreadable = |error: std::io::Error| {
        Problem::new(folder.display().to_string(), format!("cannot be read: {error}"), "the folder of the repository")
    };
    let entries = fs::read_dir(&folder).map_err(unreadable)?.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| is_scenario(path)).collect();
    paths.sort();
    let mut problems = Problems::new();
    let issues = paths.into_iter().filter_map(|path| problems.keep(Issue::of(path, known))).collect();
    problems.or(issues)
}

/// The issues that any of these patterns names: ids, globs such as `f0*`, or scenario files anywhere. All of the catalogue
/// without patterns.
///
/// # Errors
/// Every pattern that names nothing, and every mistake in the files.
pub fn choose(root: &Path, patterns: &[String], known: Known<'_>) -> Result<Vec<Issue>, Problems> {
    let all = read(root, known)?;
    if patterns.is_empty() {
        return Ok(all);
    }
    let mut problems = Problems::new();
    let mut chosen: Vec<Issue> = Vec::new();
    for pattern in patterns.iter().map(|pattern| pattern.trim()) {
        if is_scenario(Path::new(pattern)) {
            chosen.extend(problems.keep(Issue::of(PathBuf::from(pattern), known)));
            continue;
        }
        let glob = WildMatch::new_case_insensitive(pattern);
        let mut named = all.iter().filter(|issue| glob.matches(&issue.id)).peekable();
        if named.peek().is_none() {
            let instead = match nearest(pattern, all.iter().map(|issue| issue.id.as_str())) {
                Some(meant) => format!("`{meant}`"),
                None => "an id of `meshproof field list`, a glob such as `f0*`, or a scenario file".to_string(),
            };
            problems.push("ISSUE", format!("no field issue matches `{pattern}`"), instead);
        }
        let new: Vec<Issue> = named.filter(|issue| chosen.iter().all(|other| other.id != issue.id)).cloned().collect();
        chosen.extend(new);
    }
    problems.or(chosen)
}

fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml")
}
