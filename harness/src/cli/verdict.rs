//! The end of a run: its verdict, told once.

use super::interrupt::Interrupt;
use super::output::say;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::report::Summary;
use crate::usage::Usage;

/// Tells how a run ended, and returns that. A green run of which a report could not be written has no verdict: whoever reads
/// that report would be told something else.
pub fn tell(recorder: &Recorder, interrupt: &Interrupt, lab_kept: bool) -> Exit {
    interrupt.finished();
    let summary = Summary::of(&recorder.records());
    let exit = Exit::decide(&summary);
    let meaning = exit.meaning_of(&summary);
    recorder.emit(Event::RunFinished { exit: exit.code(), meaning, lab_kept, usage: Usage::of_this_process() });
    let lost = recorder.lost();
    for what in &lost {
        say("Note", what);
    }
    if exit != Exit::Green || lost.is_empty() {
        return exit;
    }
    let without = Exit::NoVerdict;
    say("Finished", &format!("exit {}: {}", without.code(), without.meaning()));
    without
}
