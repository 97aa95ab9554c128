//! A run as a step of a job: its summary, its outputs and its annotations, where GitHub asks for them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf, absolute};

use super::{annotations, markdown};
use crate::event::{Event, Record, Reporter};
use crate::exit::Exit;
use crate::report::text::one_line;
use crate::report::{Summary, repeats};

/// Bytes of the summary of a step. GitHub takes 1 MiB, and the step may have something to add:
/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions#step-isolation-and-limits>.
const MOST: usize = 1_000_000;

/// Stands in the place of all that there is no room for.
const NO_ROOM: &str =
    "\nGitHub takes no more of a step. The summaries of all further runs are in their folders, as `summary.md`.\n";

/// Files that the runner reads after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Takes Markdown (`GITHUB_STEP_SUMMARY`).
    pub summary: Option<PathBuf>,
    /// Takes `name=value` lines (`GITHUB_OUTPUT`).
    pub output: Option<PathBuf>,
}

impl Job {
    /// The job that this process is a step of; none outside of GitHub.
    pub fn from_environment() -> Option<Job> {
        Job::of(|name| std::env::var(name).ok())
    }

    /// The job of these variables.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Job> {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let runs = variable("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        runs.then(|| Job { summary: path("GITHUB_STEP_SUMMARY"), output: path("GITHUB_OUTPUT") })
    }

    /// Says how the step ended: outputs `verdict` and `exit`.
    pub fn ended(&self, exit: Exit) {
        self.put_out(&[("verdict", exit.name().to_string()), ("exit", exit.code().to_string())]);
    }

    /// Says where the reports are: outputs `run`, `report` and `junit`. What is not there is an empty output.
    pub fn reported(&self, folder: &Path) {
        let there = |names: &[&str]| {
            let paths = names.iter().map(|name| folder.join(name));
            paths.filter(|path| path.is_file()).map(|path| shown(&path)).next().unwrap_or_default()
        };
        let report = there(&["report.html", "table.md", repeats::FILE]);
        self.put_out(&[("run", shown(folder)), ("report", report), ("junit", there(&["junit.xml"]))]);
    }

    /// Adds the summary of a run, as long as the runner takes it with all before it: of a file that is larger than it
    /// takes, it shows nothing.
    fn summarise(&self, text: &str) {
        let before = self.summary.as_ref().and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
        if before.ends_with(NO_ROOM.as_bytes()) {
            return;
        }
        let fits = before.len() + text.len() + NO_ROOM.len() <= MOST;
        append(self.summary.as_deref(), if fits { text } else { NO_ROOM });
    }

    fn put_out(&self, outputs: &[(&str, String)]) {
        // A line break in a value would be another output.
        let lines = outputs.iter().map(|(name, value)| format!("{name}={}\n", one_line(value)));
        append(self.output.as_deref(), &lines.collect::<String>());
    }
}

/// A path that means the same in every step.
fn shown(path: &Path) -> String {
    absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

fn append(file: Option<&Path>, text: &str) {
    let Some(path) = file else { return };
    let opened = OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        eprintln!("        Note {} cannot be written: {error}", path.display());
    }
}

/// Tells the job of one run when it ends. It comes after the reporters whose files it names.
#[derive(Debug)]
pub struct Step {
    job: Job,
    folder: PathBuf,
}

impl Step {
    /// A reporter of the run in this folder.
    pub fn new(job: Job, folder: impl Into<PathBuf>) -> Step {
        Step { job, folder: folder.into() }
    }
}

impl Reporter for Step {
    fn on(&mut self, record: &Record, so_far: &[Record]) {
        if !matches!(record.event, Event::RunFinished { .. }) {
            return;
        }
        self.job.summarise(&markdown(so_far));
        self.job.reported(&self.folder);
        for line in annotations(&Summary::of(so_far)) {
            eprintln!("{line}");
        }
    }
}
