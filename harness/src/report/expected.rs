//! How long a run may take: as long as the last green ones of its kind did.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::likeness::Likeness;
use super::runs;
use crate::event::{Event, Record};
use crate::exit::Exit;
use crate::plan::Plan;

/// So many green runs tell it at most.
const RUNS: usize = 5;

/// So many folders are looked at: a run begins at once, also beside a thousand others.
const FOLDERS: usize = 50;

/// Bytes from the end of a file in which its last line lies.
const LAST: u64 = 16 * 1024;

/// How long it may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Seconds: the median.
    pub seconds: f64,
    /// Of so many runs.
    pub runs: usize,
}

impl Expected {
    /// By the runs below this folder that were green and can be compared; none where there are none.
    pub fn of(folder: &Path, verb: &str, plan: &Plan) -> Option<Expected> {
        let folders = runs::folders(folder);
        let ends = folders.iter().rev().take(FOLDERS).filter_map(|folder| ends(&folder.join(runs::EVENTS)));
        let likeness = Likeness::of(verb, plan);
        let alike = ends.filter(|(first, _)| is_alike(&first.event, &likeness));
        let green = alike.filter_map(|(_, last)| match last.event {
            Event::RunFinished { exit, .. } if exit == Exit::Green.code() => Some(last.at),
            _ => None,
        });
        Expected::median(green.take(RUNS).collect())
    }

    /// By these times, in seconds.
    pub fn median(mut times: Vec<f64>) -> Option<Expected> {
        times.sort_by(f64::total_cmp);
        let runs = times.len();
        let (upper, lower) = (times.get(runs / 2)?, times.get(runs.checked_sub(1)? / 2)?);
        Some(Expected { seconds: (upper + lower) / 2.0, runs })
    }
}

fn is_alike(first: &Event, likeness: &Likeness) -> bool {
    matches!(first, Event::RunStarted { verb, plan, .. } if Likeness::of(verb, plan) == *likeness)
}

/// The first and the last event of a file, without reading what lies between.
fn ends(events: &Path) -> Option<(Record, Record)> {
    let mut file = File::open(events).ok()?;
    let mut first = String::new();
    BufReader::new(&file).read_line(&mut first).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let last = String::from_utf8_lossy(&tail).lines().last()?.to_string();
    Some((serde_json::from_str(&first).ok()?, serde_json::from_str(&last).ok()?))
}
