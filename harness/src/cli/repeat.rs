//! `run --repeat`: the whole run again and again, each on a new lab, and what they come to.

use super::args::Request;
use super::claim::Base;
use super::row::Row;
use super::verbs;
use crate::exit::Exit;
use crate::problem::Problems;

/// Runs as often as is asked for; ends at a signal, and with `--until-fail` at the first run that is not green.
///
/// The exit code is that of the worst run: red before no verdict before left over.
///
/// # Errors
/// What keeps a run from beginning.
pub async fn repeat(request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let lab = &request.scenario().lab;
    let mut row = Row::begin(&request.runs, &format!("{lab}-repeat"), lab)?;
    while request.repeat.most.is_none_or(|most| row.history.runs() < most) {
        let (exit, _) = row.run(request, base).await?;
        if let Err(error) = std::fs::write(row.folder.join("history.txt"), row.history.text()) {
            eprintln!("        Note history.txt cannot be written: {error}");
        }
        if let Some(why) = row.ended() {
            if request.repeat.most.is_none_or(|most| row.history.runs() < most) {
                eprintln!("     Stopped repeating: {why}");
            }
            break;
        }
        if request.repeat.until_fail && exit != Exit::Green {
            break;
        }
    }
    verbs::out(&row.history.text());
    Ok(row.history.exit())
}
