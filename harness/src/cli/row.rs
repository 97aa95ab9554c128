//! Runs in a row, each on a new lab: below one folder, ended by one signal, and summed up.

use std::path::{Path, PathBuf};

use super::args::Request;
use super::claim::{Base, runs_problem};
use super::interrupt::Interrupt;
use super::session::{self, Phases};
use super::verbs;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::problem::Problems;
use crate::report::{History, Summary};

/// Runs in a row.
pub struct Row {
    /// The folder of all of them.
    pub folder: PathBuf,
    /// What those so far came to.
    pub history: History,
    whole: Interrupt,
    ended: Option<String>,
}

impl Row {
    /// A row of runs on labs of this name, below a folder that has `name` in its own.
    ///
    /// # Errors
    /// The folder that cannot be made.
    pub fn begin(runs: &Path, name: &str, lab: &str) -> Result<Row, Problems> {
        let folder = session::folder(runs, name).map_err(|error| runs_problem(runs, &error))?;
        let left = format!("what is left of the lab goes with: meshproof down --lab {lab}");
        let whole = Interrupt::listen(Recorder::new(Vec::new()), left);
        Ok(Row { folder, history: History::default(), whole, ended: None })
    }

    /// One more run. One that cannot begin ends the row: what the runs before it came to is not lost.
    ///
    /// # Errors
    /// What keeps the first from beginning.
    pub async fn run(&mut self, request: &Request, base: Base<'_>) -> Result<(Exit, Summary), Problems> {
        let request = &Request { runs: self.folder.clone(), ..request.clone() };
        let part = |recorder: &Recorder, _: &str| self.whole.part(recorder.clone());
        let (exit, summary) = match verbs::session(request, base, Phases::ALL, part).await {
            Ok(done) => done,
            Err(problems) if self.history.runs() == 0 => return Err(problems),
            Err(problems) => {
                eprintln!("{problems}");
                self.ended = Some("a run could not begin".to_string());
                (Exit::NoVerdict, Summary::default())
            }
        };
        self.history.add(exit, &summary);
        let lab = &request.scenario().lab;
        if self.whole.by().is_some() {
            self.ended = Some("interrupted".to_string());
        } else if base.home.lab(lab).exists() {
            // It is in the way of the next.
            let why = if exit == Exit::LeftOver { "could not be removed" } else { "is kept; --keep never goes on" };
            self.ended = Some(format!("lab {lab} {why}"));
        }
        Ok((exit, summary))
    }

    /// Why no other run can follow, if none can.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }
}
