//! `run --repeat`: the whole run again and again, each on a new lab, and what they come to.

use super::args::Request;
use super::claim::Base;
use super::output::{out, say};
use super::series::Series;
use crate::exit::Exit;
use crate::problem::Problems;
use crate::report::{Repeats, Summary, repeats};

/// Runs as often as is asked for; ends at a signal, and with `--until-fail` at the first run that is not green.
///
/// The exit code is that of the worst run: red before no verdict before left over.
///
/// # Errors
/// What keeps a run from beginning.
pub async fn repeat(request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let lab = &request.scenario().lab;
    let mut series = Series::begin(&request.runs, &format!("{lab}-repeat"), lab)?;
    let request = &Request { runs: series.folder.clone(), ..request.clone() };
    let mut repeats = Repeats::default();
    let to_come = |repeats: &Repeats| request.repeat.most.is_none_or(|most| repeats.runs() < most);
    while to_come(&repeats) {
        let done = series.run(request, base).await;
        if done.is_err() && repeats.runs() == 0 {
            break;
        }
        // What the runs before one that cannot begin came to is not lost.
        let begun = done.is_ok();
        let (exit, summary) = done.unwrap_or_else(|_| (Exit::NoVerdict, Summary::default()));
        repeats.add(exit, &summary);
        if let Err(error) = std::fs::write(series.folder.join(repeats::FILE), repeats.text()) {
            say("Note", &format!("{} cannot be written: {error}", repeats::FILE));
        }
        if let Some(why) = series.ended().filter(|_| to_come(&repeats)) {
            say("Stopped", &format!("repeating: {why}"));
            // Those without a number are repeated until somebody ends them.
            if request.repeat.most.is_some() {
                series.leaves_out();
            }
        }
        if !begun || series.ended().is_some() || (request.repeat.until_fail && exit != Exit::Green) {
            break;
        }
    }
    let exit = series.exit()?;
    out(&repeats.text());
    Ok(exit)
}
