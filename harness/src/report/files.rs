//! The report files of a run, in its folder: each a fold over its events, so that any recorded run gives all of them again.

use std::io;
use std::path::{Path, PathBuf};

use super::{github, html, json, junit, replace, trace};
use crate::event::{Event, Record, Reporter};

/// A report of a run.
#[derive(Clone, Copy)]
pub struct ReportFile {
    /// Its name in the folder of the run.
    pub name: &'static str,
    /// What stands in it.
    pub render: fn(&[Record]) -> String,
}

/// Those that are written when the run ends, the one for people first. `junit.xml` is not among them: it is true from the first second on.
pub const FILES: &[ReportFile] = &[
    ReportFile { name: "report.html", render: html::render },
    ReportFile { name: "summary.json", render: json::render },
    ReportFile { name: "trace.json", render: trace::render },
    ReportFile { name: "summary.md", render: github::markdown },
];

/// Writes every report of a run into this folder, and names the files.
///
/// # Errors
/// [`io::Error`] when one of them cannot be written.
pub fn write(folder: &Path, records: &[Record]) -> io::Result<Vec<PathBuf>> {
    let live = [
        ReportFile { name: "junit.xml", render: junit::render },
        ReportFile { name: "terminal.txt", render: super::terminal::render },
    ];
    FILES.iter().chain(&live).map(|file| put(folder, file, records)).collect()
}

fn put(folder: &Path, file: &ReportFile, records: &[Record]) -> io::Result<PathBuf> {
    let path = folder.join(file.name);
    replace(&path, &(file.render)(records))?;
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
        self.lost.clear();
        for file in FILES {
            if let Err(error) = put(&self.folder, file, so_far) {
                self.lost.push(format!("{} cannot be written: {error}", self.folder.join(file.name).display()));
            }
        }
    }

    fn lost(&self) -> Vec<String> {
        self.lost.clone()
    }
}
