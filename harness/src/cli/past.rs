//! `diff` and `history`: runs of the past, compared or listed. Nothing is asked but their events.

use std::path::Path;

use super::args::{Diffing, FailOn, Form, Past};
use super::output::{data, out, say};
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::report::diff::{Difference, markdown};
use crate::report::history::link;
use crate::report::{History, Summary, jsonl, replace, runs};

/// Compares two runs, or two rows of runs: exit 1 where something got worse that `--fail-on` names.
///
/// # Errors
/// Everything that is no run.
pub fn diff(args: &Diffing) -> Result<Exit, Problems> {
    let mut problems = Problems::new();
    let [before, after] =
        [("RUN_A", &args.before), ("RUN_B", &args.after)].map(|(place, path)| problems.keep(summaries(place, path)));
    let (Some(before), Some(after)) = (before, after) else { return Err(problems) };
    let difference = Difference::of(&before, &after);
    match args.format {
        Form::Text => out(&difference.to_string()),
        Form::Markdown => data(&markdown(&difference)),
        Form::Json => data(&difference.json()),
    }
    let worse = match args.fail_on {
        FailOn::Verdict => difference.verdict_is_worse(),
        FailOn::Time => difference.time_is_worse(),
        FailOn::Any => difference.verdict_is_worse() || difference.time_is_worse(),
    };
    Ok(if worse { Exit::Red } else { Exit::Green })
}

/// What the run at this path came to, or each of those below it, the newest last.
fn summaries(place: &str, path: &Path) -> Result<Vec<Summary>, Problems> {
    let events = runs::events(path);
    let files = if events.is_file() {
        vec![events]
    } else {
        runs::folders(path).iter().map(|folder| folder.join(runs::EVENTS)).collect()
    };
    let instead = "the folder of a run, such as runs/latest, its events.jsonl, or a folder of several runs";
    let mut problems = Problems::new();
    if files.is_empty() {
        problems.push(place, format!("there is no run in `{}`", path.display()), instead);
    }
    let read = |file: &std::path::PathBuf| {
        let refused = |error| Problem::new(place, crate::check::verdict::chain(&error), instead);
        Ok(Summary::of(&jsonl::read(file).map_err(refused)?))
    };
    let runs =
        files.iter().filter_map(|file| problems.keep(read(file).map_err(|problem: Problem| problem.into()))).collect();
    problems.or(runs)
}

/// Lists the runs of a folder, the newest last, with how often each check passed.
///
/// # Errors
/// A folder without a run, and a page that cannot be written.
pub fn history(args: &Past) -> Result<Exit, Problems> {
    let folders = runs::folders(&args.runs);
    let history = History::of(runs::read(&folders).map(|run| (run.folder.clone(), run.summary())));
    let shown = args.runs.display().to_string();
    if history.is_empty() {
        let message = format!("there is no run that can be read in `{shown}`");
        return Err(Problem::new(
            "--runs",
            message,
            "a folder that has folders of runs in it, with their events.jsonl",
        )
        .into());
    }
    out(&history.to_string());
    if let Some(unread) = folders.len().checked_sub(history.len()).filter(|unread| *unread > 0) {
        say("Note", &format!("{unread} of {} runs cannot be read", folders.len()));
    }
    if let Some(file) = &args.html {
        replace(file, &history.html(|run| link(file, run))).map_err(|error| {
            Problem::new("--html", format!("{}: {error}", file.display()), "a file that you may write")
        })?;
        say("Wrote", &file.display().to_string());
    }
    Ok(Exit::Green)
}
