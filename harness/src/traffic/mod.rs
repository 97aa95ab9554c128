//! Steady traffic across clusters while a timeline goes on: in each cluster a caller of the sample calls a Service that
//! pods of both clusters serve, row after row, and each request is accounted for.
//!
//! What a round under traffic adds to its checks is told as one of them, `NAME/traffic`. It is no clause of the guide, so
//! it is not in the catalogue: it judges what a scenario did, from the round before to the end of this one.

mod book;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use book::{Book, Row, Silent};

use crate::check::Path;
use crate::check::{Evidence, Fault};
use crate::context::Context;
use crate::install::StepError;
use crate::lab::probe::{Probe, ProbeError};
use crate::plan::CaseOutline;
use crate::role::Role;
use crate::wait::{self, Look};

/// Its id within a round.
pub const ID: &str = "traffic";

/// Calls of one row, and the milliseconds between them: a row takes a second.
const ROW: [&str; 4] = ["--count", "20", "--interval-ms", "50"];

/// How long a caller that has no ready pod waits for one.
const AGAIN: Duration = Duration::from_millis(200);

/// Who calls, and whom: its pods stay for 10 s when they are told to go, as a workload must that is to lose nothing.
const CALLS: (&str, &str) = ("caller", "moved");

/// How a round under traffic tells it.
pub fn outline(round: &str) -> CaseOutline {
    CaseOutline {
        id: format!("{round}/{ID}"),
        slug: "steady-traffic".to_string(),
        shows: vec![Path::Requests],
        title: "No request of the steady traffic across clusters is lost".to_string(),
        guide: "scenario".to_string(),
        needs: Vec::new(),
        after_clean_up: false,
    }
}

/// Traffic that goes on.
#[derive(Debug)]
pub struct Traffic {
    book: Arc<Mutex<Book>>,
    ended: CancellationToken,
    callers: Vec<JoinHandle<()>>,
    began: Instant,
}

impl Traffic {
    /// Begins it, and returns when the caller of each cluster has been answered by both.
    ///
    /// # Errors
    /// [`StepError`] with what was answered instead.
    pub async fn start(context: &Context) -> Result<Traffic, StepError> {
        let names = Role::ALL.map(|role| context.cluster(role).name.clone());
        let book = Arc::new(Mutex::new(Book::new(&names, &context.scope)));
        let ended = CancellationToken::new();
        let calling = |role| tokio::spawn(row_after_row(context.clone(), role, Arc::clone(&book), ended.clone()));
        let callers = Role::ALL.map(calling).into();
        let traffic = Traffic { callers, book: Arc::clone(&book), ended: ended.clone(), began: Instant::now() };
        let wait = context.wait("the caller of each cluster to be answered by both", context.budgets.converge());
        let begun = wait.until(|| async {
            match locked(&book).silent() {
                None => Look::Yes(()),
                Some(Silent::Caller(why) | Silent::Callee(why)) => Look::NotYet(why),
            }
        });
        begun.await?;
        // What came before that is no steady traffic.
        locked(&book).begin();
        Ok(traffic)
    }

    /// From now on requests belong to this moment.
    pub fn moment(&self, told: &str) {
        locked(&self.book).moment(told);
    }

    /// Waits until what is under way now has ended: a row that hangs is no silence, and what it loses is told with the moment.
    pub async fn settled(&self, context: &Context) {
        let now = Instant::now();
        let wait = context.wait("the requests that are under way", context.budgets.converge());
        let settled = wait.until(|| async {
            match locked(&self.book).unsettled(now) {
                None => Look::Yes(()),
                Some(cluster) => Look::NotYet(format!("a row of {cluster} is under way")),
            }
        });
        // Where it does not end, the account has a gap, which is told then.
        let _ = settled.await;
    }

    /// What came of all requests since it was last judged.
    ///
    /// # Errors
    /// [`Fault`] where a request was lost, or is not accounted for.
    pub fn judged(&self) -> Result<Evidence, Fault> {
        locked(&self.book).judged()
    }

    /// Seconds since it began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Ends it when the rows under way have ended.
    pub async fn end(&mut self) {
        self.ended.cancel();
        for caller in std::mem::take(&mut self.callers) {
            let _ = caller.await;
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

fn locked(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn row_after_row(context: Context, role: Role, book: Arc<Mutex<Book>>, ended: CancellationToken) {
    let cluster = context.cluster(role);
    let (app, service) = CALLS;
    let url = format!("http://{service}.{}:8080/{}/{ID}", cluster.sample, context.nonce);
    let call = [[url.as_str()].as_slice(), &ROW].concat();
    let limit = context.budgets.judged_call();
    while !ended.is_cancelled() {
        let moment = locked(&book).now().to_string();
        // Those of today: callers are made anew too, when their proxies are upgraded.
        let caller = match Probe::find(cluster, &cluster.sample, app, &context.budgets).await {
            Ok(mut callers) => callers.remove(0),
            Err(error) => {
                locked(&book).idle(&cluster.name, &error.to_string());
                wait::pause(AGAIN).await;
                continue;
            }
        };
        let (began, time) = (Instant::now(), jiff::Timestamp::now());
        locked(&book).begun(&cluster.name);
        let calls = caller.call_within(limit, &call).await.map_err(|error: ProbeError| error.to_string());
        let row = Row { caller: caller.object(), cluster: cluster.name.clone(), moment, time, began, calls };
        locked(&book).add(row);
    }
}
