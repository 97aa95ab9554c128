//! The report files of a run, in its folder: each a fold over its events, so that any recorded run gives all of them again.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::runs::EVENTS;
use super::{github, html, json, junit, replace, terminal, trace};
use crate::event::{Event, Record, Reporter};

/// A report of a run.
#[derive(Clone, Copy)]
pub struct ReportFile {
    /// Its name in the folder of the run.
    pub name: &'static str,
    /// What stands in it, where this lies beside it.
    pub render: fn(&[Record], &Beside) -> String,
}

/// What lies beside a report.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Their common folder.
    pub folder: PathBuf,
    /// Whether the diagnostics of the run lie in it too: not where its reports were made again elsewhere.
    pub diagnostics: bool,
}

/// Those that are written when the run ends, the one for people first. `junit.xml` is not among them: it is true from the first second on.
pub const FILES: &[ReportFile] = &[
    ReportFile { name: "report.html", render: html::render },
    ReportFile { name: "summary.json", render: |records, _| json::render(records) },
    ReportFile { name: "trace.json", render: |records, _| trace::render(records) },
    ReportFile { name: "summary.md", render: |records, _| github::markdown(records) },
];

/// Writes every report of a run into this folder, with its events, for reports name them; and names the files.
///
/// # Errors
/// [`io::Error`] when one of them cannot be written, and where the folder has the events of another run.
pub fn write(folder: &Path, events: &Path, records: &[Record]) -> io::Result<Vec<PathBuf>> {
    let live = [
        ReportFile { name: "junit.xml", render: |records, _| junit::render(records) },
        ReportFile { name: "terminal.txt", render: |records, beside| terminal::render_at(records, Some(beside)) },
    ];
    let copied = copy(events, &folder.join(EVENTS))?;
    let is_there = |record: &Record| match &record.event {
        Event::Diagnosed { folder: name, .. } => folder.join(name).is_dir(),
        _ => true,
    };
    let beside = Beside { folder: folder.to_path_buf(), diagnostics: records.iter().all(is_there) };
    let files = FILES.iter().chain(&live).map(|file| put(file, records, &beside));
    copied.into_iter().map(Ok).chain(files).collect()
}

/// Copies the events of a run, and names the copy; none where they are there already. What another run left is not replaced: all
/// its reports can be made again, and its events cannot.
fn copy(events: &Path, to: &Path) -> io::Result<Option<PathBuf>> {
    if to.exists() && events.canonicalize()? == to.canonicalize()? {
        return Ok(None);
    }
    let text = fs::read(events)?;
    if to.exists() && !text.starts_with(&fs::read(to)?) {
        let message = format!("{EVENTS} of another run, or more of this one, is there");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    fs::write(to, text)?;
    Ok(Some(to.to_path_buf()))
}

fn put(file: &ReportFile, records: &[Record], beside: &Beside) -> io::Result<PathBuf> {
    let path = beside.folder.join(file.name);
    replace(&path, &(file.render)(records, beside))?;
    Ok(path)
}

/// Writes [`FILES`] when a run ends, and when it is interrupted, for it may be killed next.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
    lost: Vec<String>,
}

impl Folder {
    /// A reporter that writes into this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Folder { folder: folder.into(), lost: Vec::new() }
    }
}

impl Reporter for Folder {
    fn on(&mut self, record: &Record, so_far: &[Record]) {
        if !matches!(record.event, Event::RunFinished { .. } | Event::Interrupted { .. }) {
            return;
        }
        let beside = Beside { folder: self.folder.clone(), diagnostics: true };
        self.lost.clear();
        for file in FILES {
            if let Err(error) = put(file, so_far, &beside) {
                self.lost.push(format!("{} cannot be written: {error}", self.folder.join(file.name).display()));
            }
        }
    }

    fn lost(&self) -> Vec<String> {
        self.lost.clone()
    }
}
