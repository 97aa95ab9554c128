//! `run --repeat`: the whole run again and again, each on a new lab, and what they come to.

use super::args::Request;
use super::claim::{Base, runs_problem};
use super::interrupt::Interrupt;
use super::session::{self, Phases};
use super::verbs;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::problem::Problems;
use crate::report::{History, Summary};

/// Runs as often as is asked for; ends at a signal, and with `--until-fail` at the first run that is not green.
///
/// The exit code is that of the worst run: red before no verdict before left over.
///
/// # Errors
/// What keeps a run from beginning.
pub async fn repeat(request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let lab = &request.scenario().lab;
    let folder = session::folder(&request.runs, &format!("{lab}-repeat"));
    let folder = folder.map_err(|error| runs_problem(&request.runs, &error))?;
    let mut request = request.clone();
    request.runs.clone_from(&folder);
    let left = format!("what is left of the lab goes with: meshproof down --lab {lab}");
    let whole = Interrupt::listen(Recorder::new(Vec::new()), left);
    let mut history = History::default();
    while request.repeat.most.is_none_or(|most| history.runs() < most) {
        let part = |recorder: &Recorder, _: &str| whole.part(recorder.clone());
        let done = verbs::session(&request, base, Phases::ALL, part).await;
        let (exit, summary) = match done {
            Ok(done) => done,
            Err(problems) if history.runs() == 0 => return Err(problems),
            // What the runs before it came to is not lost.
            Err(problems) => {
                eprintln!("{problems}");
                history.add(Exit::NoVerdict, &Summary::default());
                break;
            }
        };
        history.add(exit, &summary);
        if let Err(error) = std::fs::write(folder.join("history.txt"), history.text()) {
            eprintln!("        Note history.txt cannot be written: {error}");
        }
        // A lab that is kept to look at is in the way of the next.
        let kept = base.home.lab(lab).exists();
        if kept && request.repeat.most.is_none_or(|most| history.runs() < most) {
            let why = if exit == Exit::LeftOver { "could not be removed" } else { "is kept; --keep never goes on" };
            eprintln!("     Stopped repeating: lab {lab} {why}");
        }
        if whole.by().is_some() || kept || (request.repeat.until_fail && exit != Exit::Green) {
            break;
        }
    }
    verbs::out(&history.text());
    Ok(history.exit())
}
