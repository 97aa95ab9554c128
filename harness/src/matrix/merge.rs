//! From the folders of several shards to one matrix.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FILE, FORMAT, Matrix, Shard, Suite};
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::report::{Summary, jsonl};

/// Folders within folders are looked into so deep: an artefact of CI is unpacked somewhere below what is named.
const DEEP: usize = 6;

/// The matrix that a call of `matrix` left in its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The folder.
    pub folder: PathBuf,
    /// What it says.
    pub matrix: Matrix,
}

/// Every matrix in these folders or below them.
///
/// # Errors
/// A [`Problem`] for each folder in which there is none, and for each file that cannot be read.
pub fn find(folders: &[PathBuf]) -> Result<Vec<Found>, Problems> {
    let (mut found, mut problems) = (Vec::<Found>::new(), Problems::new());
    for folder in folders {
        let mut files = Vec::new();
        files_named(folder, FILE, DEEP, &mut files);
        if files.is_empty() {
            let message = format!("there is no {FILE} in it or below it");
            problems.push(folder.display().to_string(), message, "the folder of a shard, such as runs/latest");
        }
        for file in files {
            match read(&file) {
                // Archives of CI hold what a link stands for once more.
                Ok(one) if found.iter().any(|other| other.matrix == one.matrix) => {}
                Ok(one) => found.push(one),
                Err(problem) => problems.0.push(problem),
            }
        }
    }
    problems.or(found)
}

fn read(file: &Path) -> Result<Found, Problem> {
    let refused = |message: String| {
        Problem::new(file.display().to_string(), message, "the file as `meshproof matrix` of this version wrote it")
    };
    let text = fs::read_to_string(file).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| refused(format!("is not JSON: {error}")))?;
    if value["format"].as_u64() != Some(u64::from(FORMAT)) {
        let message = format!("has layout {}, and this meshproof reads layout {FORMAT}", value["format"]);
        return Err(refused(message));
    }
    let matrix = serde_json::from_value(value).map_err(|error| refused(format!("is no matrix: {error}")))?;
    Ok(Found { folder: file.parent().unwrap_or(Path::new(".")).to_path_buf(), matrix })
}

/// One matrix of all shards, with a suite for each combination. What no shard ran has no outcome in it.
///
/// # Errors
/// A [`Problem`] for each that is no shard of the same matrix, for each combination that two of them ran, and for events
/// that are missing.
pub fn merge(found: &[Found]) -> Result<(Matrix, Vec<Suite>), Problems> {
    let mut problems = Problems::new();
    let Some(first) = found.first() else {
        return Err(Problem::new("DIR", "there is nothing to merge", "the folders of all shards").into());
    };
    let place = |one: &Found| one.folder.display().to_string();
    let names = |one: &Found| one.matrix.combinations.iter().map(|one| one.name()).collect::<Vec<_>>();
    let parts = |one: &Found| one.matrix.shard.of();
    for other in &found[1..] {
        let instead = format!("only shards of one call: the same flags as {} but for --shard", place(first));
        if names(other) != names(first) {
            problems.push(place(other), "has other combinations", instead);
        } else if parts(other) != parts(first) {
            problems.push(place(other), format!("is one of {} shards, not of {}", parts(other), parts(first)), instead);
        } else if other.matrix.meshproof != first.matrix.meshproof {
            let message = format!("is of meshproof {}, not {}", other.matrix.meshproof, first.matrix.meshproof);
            problems.push(place(other), message, "the same meshproof for all shards");
        }
    }
    if first.matrix.combinations.is_empty() {
        problems.push(place(first), "has no combinations", "the folder of a shard that has some");
    }
    problems.or(())?;
    let mut problems = Problems::new();
    let began = found.iter().map(|one| one.matrix.began).min().unwrap_or(first.matrix.began);
    let mut merged = Matrix { shard: Shard::WHOLE, began, ..first.matrix.clone() };
    let mut suites = Vec::new();
    for (at, one) in merged.combinations.iter_mut().enumerate() {
        let ran: Vec<&Found> = found.iter().filter(|shard| shard.matrix.combinations[at].outcome.is_some()).collect();
        if let [first, second, ..] = ran[..] {
            let message = format!("has a run of {}, as {} has", one.name(), place(first));
            problems.push(place(second), message, "one of the two");
        }
        let shard = ran.first();
        one.clone_from(shard.map_or(&first.matrix.combinations[at], |shard| &shard.matrix.combinations[at]));
        let run = match (shard, &one.outcome) {
            (Some(shard), Some(outcome)) if outcome.seconds > 0.0 => match summary(&shard.folder.join(one.folder())) {
                Ok(summary) if is_of(outcome.exit, Exit::so_far(&summary)) => Ok(summary),
                Ok(summary) => {
                    let (said, seen) = (outcome.exit.name(), Exit::so_far(&summary).name());
                    let message = format!("the run of {} is {said} by {FILE}, and {seen} by its events", one.name());
                    problems.push(place(shard), message, "the whole folder of the shard, as it was left");
                    continue;
                }
                Err(problem) => {
                    problems.0.push(problem);
                    continue;
                }
            },
            (_, Some(outcome)) => Err(outcome.cause.clone()),
            _ => Err("no shard that was merged has run it".to_string()),
        };
        suites.push(Suite { name: one.name(), run });
    }
    problems.or((merged, suites))
}

/// Whether a run that ended so can have events that say so: those of a green one do not know that its reports were lost.
fn is_of(exit: Exit, events: Exit) -> bool {
    exit == events || (exit, events) == (Exit::NoVerdict, Exit::Green)
}

/// What the events of a combination's run come to.
fn summary(folder: &Path) -> Result<Summary, Problem> {
    let mut files = Vec::new();
    files_named(folder, "events.jsonl", 2, &mut files);
    let refused = |message: String| {
        Problem::new(folder.display().to_string(), message, "the whole folder of the shard, as it was left")
    };
    let Some(file) = files.first() else { return Err(refused("there are no events of its run in it".to_string())) };
    let records = jsonl::read(file).map_err(|error| refused(format!("{}: {error}", file.display())))?;
    Ok(Summary::of(&records))
}

/// Files of this name in a folder or at most so deep below it, in order; links are not followed.
fn files_named(folder: &Path, name: &str, deep: usize, found: &mut Vec<PathBuf>) {
    let file = folder.join(name);
    if file.is_file() {
        found.push(file);
        return;
    }
    let mut below: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| deep > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    below.sort();
    below.iter().for_each(|folder| files_named(folder, name, deep - 1, found));
}
