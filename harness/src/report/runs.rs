//! Recorded runs: the folders below `runs/`, the oldest first.

use std::path::{Path, PathBuf};

use super::{Summary, jsonl};
use crate::event::Record;

/// Name of the events in the folder of a run.
pub const EVENTS: &str = "events.jsonl";

/// The events of the run that is named by this path: its folder, or the file itself.
pub fn events(run: &Path) -> PathBuf {
    if run.is_dir() { run.join(EVENTS) } else { run.to_path_buf() }
}

/// A recorded run.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its folder.
    pub folder: PathBuf,
    /// Its events.
    pub records: Vec<Record>,
}

impl Recorded {
    /// What it came to.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.records)
    }
}

/// The folders of runs directly below this one, the oldest first; none where it is not there. `latest` and other links are
/// left out, for they name one of the others.
pub fn folders(runs: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join(EVENTS).is_file()).collect();
    // Names begin with the time.
    folders.sort();
    folders
}

/// The runs of these folders that can be read; who wants to know of the others reads them by [`jsonl::read`].
pub fn read(folders: &[PathBuf]) -> impl DoubleEndedIterator<Item = Recorded> + '_ {
    folders.iter().filter_map(|folder| {
        let records = jsonl::read(&folder.join(EVENTS)).ok()?;
        Some(Recorded { folder: folder.clone(), records })
    })
}
