//! `events.jsonl`: the run itself, one event a line, from which every other report can be made again.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::event::{Event, Record, Reporter};

/// Appends each event as one line of JSON, at once.
#[derive(Debug)]
pub struct Jsonl {
    path: PathBuf,
    file: std::fs::File,
    lost: Option<String>,
}

impl Jsonl {
    /// Opens the file for appending, and makes it if it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Jsonl { path, file, lost: None })
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        // One write a line: a kill in between can tear the last line only.
        self.file.write_all(&line)?;
        self.file.flush()
    }
}

impl Reporter for Jsonl {
    fn on(&mut self, record: &Record, _: &[Record]) {
        // What follows half a line could not be read.
        if self.lost.is_none()
            && let Err(error) = self.append(record)
        {
            // A full disk must not end the run; the other reporters still tell what happened.
            self.lost = Some(format!("{} is not written any more: {error}", self.path.display()));
        }
    }

    fn lost(&self) -> Vec<String> {
        self.lost.iter().cloned().collect()
    }
}

/// Why a recorded run cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no event.
    #[error("{}:{line}: not an event of meshproof", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// There is no event in it.
    #[error("{}: holds no event", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a recorded run.
///
/// A last line that a `kill -9` tore is left out, and a note says so.
///
/// # Errors
/// [`ReadError`] with the number of the line that is no event.
pub fn read(path: &Path) -> Result<Vec<Record>, ReadError> {
    let bytes = std::fs::read(path).map_err(|source| ReadError::File { path: path.to_path_buf(), source })?;
    let mut records: Vec<Record> = Vec::new();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match (serde_json::from_slice(line), records.last()) {
            (Ok(record), _) => records.push(record),
            (Err(_), Some(last)) if !line.ends_with(b"\n") => {
                let note = torn(last, index + 1, line.len());
                records.push(note);
            }
            (Err(source), _) => {
                return Err(ReadError::Line { path: path.to_path_buf(), line: index + 1, source });
            }
        }
    }
    if records.is_empty() { Err(ReadError::Empty { path: path.to_path_buf() }) } else { Ok(records) }
}

fn torn(last: &Record, line: usize, bytes: usize) -> Record {
    let text = format!("line {line} of the events is torn after {bytes} bytes and left out: the run was killed");
    Record { event: Event::Note { text }, ..last.clone() }
}
