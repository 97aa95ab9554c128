//! Runs one after another, each on a new lab: below one folder, and ended by one signal.

use std::path::{Path, PathBuf};

use super::args::Request;
use super::claim::{Base, runs_problem};
use super::interrupt::Interrupt;
use super::output::{refuse, say};
use super::session::{self, Phases};
use super::verbs;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::problem::Problems;
use crate::report::Summary;
use crate::report::github::Job;

/// A series of runs.
pub struct Series {
    /// The folder of all of them.
    pub folder: PathBuf,
    whole: Interrupt,
    exits: Vec<Exit>,
    refused: Problems,
    ended: Option<String>,
    left_out: bool,
}

impl Series {
    /// A series on labs of this name, below a folder that has `name` in its own.
    ///
    /// # Errors
    /// The folder that cannot be made.
    pub fn begin(runs: &Path, name: &str, lab: &str) -> Result<Series, Problems> {
        let folder = session::folder(runs, name).map_err(|error| runs_problem(runs, &error))?;
        let left = format!("what is left of the lab goes with: meshproof down --lab {lab}");
        let whole = Interrupt::listen(Recorder::new(Vec::new()), left);
        Ok(Series { folder, whole, exits: Vec::new(), refused: Problems::new(), ended: None, left_out: false })
    }

    /// One more run, below the folder that the request names.
    ///
    /// # Errors
    /// Why it could not begin, in one line; people were told.
    pub async fn run(&mut self, request: &Request, base: Base<'_>) -> Result<(Exit, Summary), String> {
        let part = |recorder: &Recorder, _: &str| self.whole.part(recorder.clone());
        // On the heap: as a part of every verb it nests deeper than the compiler looks.
        let done = match Box::pin(verbs::session(request, base, Phases::ALL, part)).await {
            Ok((exit, summary)) => {
                self.exits.push(exit);
                Ok((exit, summary))
            }
            Err(problems) => {
                refuse(&problems);
                let each = problems.0.iter().map(|one| format!("{}: {}", one.place, one.message));
                let why = each.collect::<Vec<_>>().join("; ");
                self.refused.take(problems);
                Err(why)
            }
        };
        let lab = &request.scenario().lab;
        if self.whole.by().is_some() {
            self.ended = Some("interrupted".to_string());
        } else if done.is_ok() && base.home.lab(lab).exists() {
            // It is in the way of the next.
            let left_over = self.exits.last() == Some(&Exit::LeftOver);
            let why = if left_over { "could not be removed" } else { "is kept; --keep never goes on" };
            self.ended = Some(format!("lab {lab} {why}"));
        }
        done
    }

    /// Why no other run can follow, if none can.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Says that runs which were asked for do not follow any more.
    pub fn leaves_out(&mut self) {
        self.left_out = true;
    }

    /// How the series ends: as the worst of its runs; one that could not begin, or was left out, has no verdict.
    ///
    /// # Errors
    /// Where not one could begin, what kept them from it.
    pub fn exit(self) -> Result<Exit, Problems> {
        if let Some(job) = Job::from_environment() {
            job.reported(&self.folder);
        }
        if self.exits.is_empty() && !self.refused.is_empty() {
            return Err(self.refused);
        }
        if self.whole.by_signal() {
            return Ok(Exit::Interrupted);
        }
        let without = (self.left_out || !self.refused.is_empty()).then_some(Exit::NoVerdict);
        Ok(Exit::worst(self.exits.into_iter().chain(without)))
    }
}

/// Writes what is known so far into the folder of a series; a file that cannot be written is a note, for the runs go on.
pub fn write<const N: usize>(folder: &Path, files: [(&str, String); N]) {
    for (name, text) in files {
        let path = folder.join(name);
        if let Err(error) = crate::report::replace(&path, &text) {
            say("Note", &format!("{} cannot be written: {error}", path.display()));
        }
    }
}
