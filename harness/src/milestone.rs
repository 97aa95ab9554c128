//! Moments of a run that people compare runs by. They judge nothing: a clause says what is wrong where one is not
//! reached.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::context::Context;
use crate::event::Event;
use crate::lab::probe::Probe;
use crate::role::Role;
use crate::wait::Look;

/// The moment in which the caller of each cluster has been answered by both clusters: what a person who follows the
/// guide looks for last (<https://istio.io/latest/docs/setup/install/multicluster/verify/>).
pub const FIRST_ANSWERS: &str = "first-answers";

/// How long the checks wait for first answers, which they would take the processor from.
pub const HEAD_START: Duration = Duration::from_millis(500);

/// Calls the sample service of the primary and each remote from both of them until each has heard of both, and says when that
/// was.
pub async fn first_answers(context: &Context) {
    let pairs: Vec<Context> = context.pairs().iter().map(|pair| pair.for_step(FIRST_ANSWERS)).collect();
    let callers = pairs.iter().flat_map(|pair| Role::ALL.map(|role| hears_both(pair, role)));
    if futures::future::join_all(callers).await.into_iter().all(|heard| heard) {
        context.recorder.emit(Event::Reached {
            id: FIRST_ANSWERS.to_string(),
            title: "The caller of each cluster has been answered by both".to_string(),
        });
    }
}

async fn hears_both(context: &Context, role: Role) -> bool {
    let cluster = context.cluster(role);
    let url = format!("http://echo.{}:8080/{}/first-answers/{role}", cluster.sample, context.nonce);
    let wanted: BTreeSet<&str> = Role::ALL.iter().map(|role| context.cluster(*role).name.as_str()).collect();
    let heard = Mutex::new(BTreeSet::new());
    let wait = context.wait(format!("answers of both clusters in {}", cluster.name), context.budgets.converge());
    let look = || async {
        // One caller will do: whether each of several is answered, the clauses judge.
        let asked = match Probe::find(cluster, &cluster.sample, "caller", &context.budgets).await.as_deref() {
            Ok([caller, ..]) => caller.call(&[&url, "--count", "4"]).await.map_err(|error| error.to_string()),
            Ok([]) => Err("there is no caller".to_string()),
            Err(error) => Err(error.to_string()),
        };
        let calls = match asked {
            Ok(calls) => calls,
            Err(error) => return Look::Unable(error),
        };
        let mut heard = heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        heard.extend(calls.by_cluster().into_keys());
        if wanted.iter().all(|name| heard.contains(*name)) {
            return Look::Yes(());
        }
        let names: Vec<&str> = heard.iter().map(String::as_str).collect();
        Look::NotYet(format!("answers of [{}]; {}", names.join(", "), calls.failure_line()))
    };
    wait.every(Duration::from_millis(50)).until(look).await.is_ok()
}
