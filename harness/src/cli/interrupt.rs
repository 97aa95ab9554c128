//! Ctrl-C: the first ends the run in order, the second leaves at once and says how to clean up.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::report::github::Job;
use crate::stray;
use crate::usage::Usage;

/// What ends a run that took too long.
const DEADLINE: &str = "deadline";

/// How far a run is from its end.
#[derive(Debug, Default)]
struct End {
    by: Option<&'static str>,
    done: bool,
    finished: bool,
}

impl End {
    /// Takes in what asks the run to end; says whether it counts. A deadline ends nothing that is done or has ended, nothing
    /// takes the place of a signal, and nothing counts after the verdict.
    fn comes(&mut self, by: &'static str) -> bool {
        let counts = match self.by {
            _ if self.finished => false,
            None => by != DEADLINE || !self.done,
            Some(DEADLINE) => by != DEADLINE,
            Some(_) => false,
        };
        if counts {
            self.by = Some(by);
        }
        counts
    }
}

/// Says whether and by what a run was ended early.
#[derive(Debug, Clone)]
pub struct Interrupt {
    /// Cancelled when the run shall end.
    pub cancel: CancellationToken,
    end: Arc<Mutex<End>>,
    recorder: Recorder,
    /// Cancelled when a part of a longer call is over, and hears no more of it.
    over: CancellationToken,
    /// Reports of the part under way; shared with the whole.
    part: Arc<Mutex<Option<Recorder>>>,
}

impl Interrupt {
    fn new(recorder: Recorder) -> Interrupt {
        let (cancel, over) = (CancellationToken::new(), CancellationToken::new());
        Interrupt { cancel, end: Arc::default(), recorder, over, part: Arc::default() }
    }

    /// For a part of this call that has reports of its own: what ends the call ends the part, until that is over.
    pub fn part(&self, recorder: Recorder) -> Interrupt {
        let (whole, mut part) = (self.clone(), Interrupt::new(recorder.clone()));
        part.part = self.part.clone();
        *lock(&self.part) = Some(recorder);
        let told = part.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = whole.cancel.cancelled() => {
                    if let Some(by) = whole.by() {
                        told.end(by);
                    }
                }
                () = told.over.cancelled() => {}
            }
        });
        part
    }

    /// This part of a call is over.
    pub fn over(&self) {
        *lock(&self.part) = None;
        self.over.cancel();
    }

    /// Listens for SIGINT and SIGTERM from now on. The reports hear of it at once, so that they are true even if nothing
    /// else is said. The tools of this process are ended when the second signal comes; `left` then says what to do about
    /// what is left.
    pub fn listen(recorder: Recorder, left: String) -> Interrupt {
        let interrupt = Interrupt::new(recorder);
        let (mut int, mut term) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(int), Ok(term)) => (int, term),
            // Without handlers a signal ends the process as it always does, and `down` finds what is left.
            _ => return interrupt,
        };
        let told = interrupt.clone();
        tokio::spawn(async move {
            loop {
                let by = tokio::select! {
                    _ = int.recv() => "SIGINT",
                    _ = term.recv() => "SIGTERM",
                };
                // Reports of a verdict that is being told must not say two things.
                if told.end(by) || lock(&told.end).finished {
                    continue;
                }
                stray::kill_own();
                let exit = Exit::Interrupted.code();
                let part = lock(&told.part).clone();
                for recorder in [&told.recorder].into_iter().chain(&part) {
                    recorder.emit(Event::Interrupted { by: by.to_string() });
                    let meaning = format!("interrupted twice; {left}");
                    let usage = Usage::of_this_process();
                    recorder.emit(Event::RunFinished { exit, meaning, lab_kept: false, usage });
                }
                if let Some(job) = Job::from_environment() {
                    job.ended(Exit::Interrupted);
                }
                std::process::exit(i32::from(exit));
            }
        });
        interrupt
    }

    /// Ends the run after `limit`, as a signal would, unless its work is done by then.
    pub fn deadline(&self, limit: Duration) {
        let told = self.clone();
        tokio::spawn(async move {
            crate::wait::pause(limit).await;
            told.end(DEADLINE);
        });
    }

    /// All that the deadline could cut off is done.
    pub fn done(&self) {
        lock(&self.end).done = true;
    }

    /// The verdict is made of what was heard until now: nothing counts any more.
    pub fn finished(&self) {
        lock(&self.end).finished = true;
    }

    /// What ended the run, if anything did.
    pub fn by(&self) -> Option<&'static str> {
        lock(&self.end).by
    }

    /// Whether a person or the system ended it.
    pub fn by_signal(&self) -> bool {
        self.by().is_some_and(|by| by != DEADLINE)
    }

    /// Ends the run if that counts; says whether it did. It is told while the end is held, so that a verdict hears of all that
    /// counts.
    fn end(&self, by: &'static str) -> bool {
        let mut end = lock(&self.end);
        let counts = end.comes(by);
        if counts {
            self.recorder.emit(Event::Interrupted { by: by.to_string() });
            self.cancel.cancel();
        }
        counts
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{DEADLINE, End};

    #[rstest]
    #[case::a_signal(&["SIGINT"], &[true], Some("SIGINT"))]
    #[case::a_second_signal_leaves(&["SIGINT", "SIGTERM"], &[true, false], Some("SIGINT"))]
    #[case::a_deadline_after_a_signal(&["SIGTERM", DEADLINE], &[true, false], Some("SIGTERM"))]
    #[case::a_signal_after_the_deadline(&[DEADLINE, "SIGINT", "SIGINT"], &[true, true, false], Some("SIGINT"))]
    #[case::all_after_the_verdict(&["finished", "SIGINT", DEADLINE, "SIGTERM"], &[false, false, false], None)]
    #[case::a_deadline_after_the_work(&["done", DEADLINE, "SIGINT"], &[false, true], Some("SIGINT"))]
    fn the_deadline_never_takes_the_place_of_a_signal(
        #[case] comes: &[&'static str],
        #[case] counts: &[bool],
        #[case] by: Option<&str>,
    ) {
        let mut end = End::default();
        let mut counted = Vec::new();
        for what in comes {
            match *what {
                "done" => end.done = true,
                "finished" => end.finished = true,
                by => counted.push(end.comes(by)),
            }
        }
        assert_eq!((counted.as_slice(), end.by), (counts, by));
    }
}
