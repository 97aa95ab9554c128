//! Ctrl-C: the first ends the run in order, the second leaves at once and says how to clean up.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::stray;
use crate::usage::Usage;

/// What ends a run that took too long.
const DEADLINE: &str = "deadline";

/// Says whether and by what a run was ended early.
#[derive(Debug, Clone)]
pub struct Interrupt {
    /// Cancelled when the run shall end.
    pub cancel: CancellationToken,
    by: Arc<Mutex<Option<&'static str>>>,
    done: Arc<AtomicBool>,
    recorder: Recorder,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on. The reports hear of it at once, so that they are true even if nothing
    /// else is said. Tools that work for these folders are ended when the second signal comes; `left` then says what to
    /// do about what is left.
    pub fn listen(recorder: Recorder, folders: Vec<PathBuf>, left: String) -> Interrupt {
        let interrupt =
            Interrupt { cancel: CancellationToken::new(), by: Arc::default(), done: Arc::default(), recorder };
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
                if told.by_signal() {
                    for folder in &folders {
                        stray::kill(folder);
                    }
                    let exit = Exit::Interrupted.code();
                    told.recorder.emit(Event::Interrupted { by: by.to_string() });
                    let meaning = format!("interrupted twice; {left}");
                    told.recorder.emit(Event::RunFinished {
                        exit,
                        meaning,
                        lab_kept: false,
                        usage: Usage::of_this_process(),
                    });
                    std::process::exit(i32::from(exit));
                }
                told.end(by);
            }
        });
        interrupt
    }

    /// Ends the run after `limit`, as a signal would, unless its work is done by then.
    pub fn deadline(&self, limit: Duration) {
        let told = self.clone();
        tokio::spawn(async move {
            crate::wait::pause(limit).await;
            if told.by().is_none() && !told.done.load(Ordering::Relaxed) {
                told.end(DEADLINE);
            }
        });
    }

    /// All that the deadline could cut off is done.
    pub fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// What ended the run, if anything did.
    pub fn by(&self) -> Option<&'static str> {
        *self.by.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether a person or the system ended it.
    pub fn by_signal(&self) -> bool {
        self.by().is_some_and(|by| by != DEADLINE)
    }

    fn end(&self, by: &'static str) {
        *self.by.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(by);
        self.recorder.emit(Event::Interrupted { by: by.to_string() });
        self.cancel.cancel();
    }
}
