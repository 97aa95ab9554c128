//! Ctrl-C: the first ends the run in order, the second leaves at once and says how to clean up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Says whether and by what a run was ended early.
#[derive(Debug, Clone)]
pub struct Interrupt {
    /// Cancelled when the run shall end.
    pub cancel: CancellationToken,
    by: Arc<Mutex<Option<&'static str>>>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on.
    pub fn listen(lab: String) -> Interrupt {
        let interrupt = Interrupt { cancel: CancellationToken::new(), by: Arc::default() };
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
                if told.cancel.is_cancelled() {
                    eprintln!("\nleaving at once; what is left of the lab goes with: meshproof down --lab {lab}");
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
                eprintln!("\n{by}: closing the reports and removing the lab; once more leaves at once");
                told.end(by);
            }
        });
        interrupt
    }

    /// Ends the run after `limit`, as a signal would.
    pub fn deadline(&self, limit: Duration) {
        let told = self.clone();
        tokio::spawn(async move {
            crate::wait::pause(limit).await;
            told.end("deadline");
        });
    }

    /// What ended the run, if anything did.
    pub fn by(&self) -> Option<&'static str> {
        *self.by.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn end(&self, by: &'static str) {
        self.by.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(by);
        self.cancel.cancel();
    }
}
