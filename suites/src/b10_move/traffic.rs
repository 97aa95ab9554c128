//! Calls that go on, row after row, while something else happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use harness::check::{Context, Fault};
use harness::lab::probe::{Calls, Probe};
use harness::wait::{Look, Timeout};

/// One row of calls: a fifth of a second at this pace.
const ROW: [&str; 4] = ["--count", "10", "--interval-ms", "20"];

/// How often it is looked whether a row has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls of one address by several callers, until they are told to end.
pub struct Traffic<'a> {
    context: &'a Context,
    url: String,
    going: AtomicBool,
    /// Each caller, with the rows that it has ended.
    callers: Vec<(&'a Probe, AtomicUsize)>,
}

impl<'a> Traffic<'a> {
    /// By these callers.
    pub fn of(context: &'a Context, url: String, callers: &'a [Probe]) -> Traffic<'a> {
        let callers = callers.iter().map(|caller| (caller, AtomicUsize::new(0))).collect();
        Traffic { context, url, going: AtomicBool::new(true), callers }
    }

    /// Calls until the end is told; returns what came of it, caller by caller.
    ///
    /// # Errors
    /// [`Fault`] where a row could not be made.
    pub async fn row_after_row(&self) -> Result<Vec<Calls>, Fault> {
        let call = [[self.url.as_str()].as_slice(), &ROW].concat();
        let limit = self.context.budgets.judged_call();
        let each = join_all(self.callers.iter().map(|(caller, ended)| {
            let call = &call;
            async move {
                let mut all = Calls::default();
                while self.going.load(Ordering::Relaxed) {
                    all.add(caller.call_within(limit, call).await?);
                    ended.fetch_add(1, Ordering::Relaxed);
                }
                Ok(all)
            }
        }));
        each.await.into_iter().collect()
    }

    /// Tells each caller to end after its row.
    pub fn end(&self) {
        self.going.store(false, Ordering::Relaxed);
    }

    /// Waits until each caller has ended the row that is under way and made a whole one.
    ///
    /// # Errors
    /// [`Timeout`] where one makes none.
    pub async fn goes_on(&self) -> Result<(), Timeout> {
        let ended = || self.callers.iter().map(|(_, ended)| ended.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = ended();
        let wait = self.context.wait("another row of calls of each caller", self.context.budgets.converge());
        wait.every(PAUSE)
            .until(|| async {
                let rows: Vec<usize> = ended().iter().zip(&before).map(|(now, before)| now - before).collect();
                if rows.iter().all(|rows| *rows >= 2) { Look::Yes(()) } else { Look::NotYet(format!("{rows:?}")) }
            })
            .await
    }
}
