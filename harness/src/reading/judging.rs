//! Judges by reading alone: every check at once, for none changes anything that another relies on.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
pub use tokio_util::sync::CancellationToken;

use super::client::limited;
use crate::check::case::{Case, Reading, Reads};
use crate::check::verdict::{Fault, decide};
use crate::check::{Evidence, Verdict};
use crate::event::Event;
use crate::lab::{Cluster, Clusters};
use crate::mesh::Mesh;

/// A case that was asked.
struct Judged<'c> {
    case: &'c Case,
    verdict: Verdict,
    failed_attempts: Vec<String>,
    seconds: f64,
}

/// Judges these cases on a mesh, as far as reading can tell; the events say what came of each.
pub async fn judge(mesh: &Mesh, cases: &[Case], cancel: &CancellationToken) {
    let mut verdicts: BTreeMap<&str, Verdict> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    for case in cases {
        match case.reads {
            Reads::Part(reading) => match not_written_down(mesh, reading) {
                None => running.push(ask(mesh, case, reading)),
                Some(reason) => skip(mesh, case, reason, &mut verdicts),
            },
            Reads::Nothing(why) => skip(mesh, case, format!("reading alone cannot tell: {why}"), &mut verdicts),
        }
    }
    let mut held: Vec<Judged<'_>> = Vec::new();
    loop {
        // What another may take the blame for waits for that one.
        let may_be_told = |Judged { case, verdict, .. }: &Judged<'_>| {
            let to_come = |id: &&str| !verdicts.contains_key(*id) && cases.iter().any(|other| other.id == *id);
            verdict.is_passed() || !case.needs.iter().chain(case.blames).any(to_come)
        };
        if let Some(index) = held.iter().position(may_be_told) {
            tell(mesh, held.remove(index), &mut verdicts);
            continue;
        }
        let next = tokio::select! {
            next = running.next() => next,
            () = cancel.cancelled() => return,
        };
        match next {
            Some(judged) => held.push(judged),
            None => {
                debug_assert!(held.is_empty(), "no clause is blamed by one that it blames");
                return;
            }
        }
    }
}

/// Blocked by the first clause without which it could not hold, or which takes the blame, and which does not hold itself.
///
/// What passes has been seen to hold, whatever else does not.
fn blamed(case: &Case, verdict: Verdict, verdicts: &BTreeMap<&str, Verdict>) -> Verdict {
    let broken = |id: &&str| matches!(verdicts.get(*id), Some(Verdict::Failed { .. } | Verdict::Blocked { .. }));
    match case.needs.iter().chain(case.blames).copied().find(broken) {
        Some(by) if !verdict.is_passed() => {
            let reason = format!("{}; so {}", verdicts[by].cause(), verdict.cause());
            Verdict::Blocked { by: by.to_string(), reason }
        }
        _ => verdict,
    }
}

fn skip<'c>(mesh: &Mesh, case: &'c Case, reason: String, verdicts: &mut BTreeMap<&'c str, Verdict>) {
    let verdict = Verdict::Skipped { reason };
    tell(mesh, Judged { case, verdict, failed_attempts: Vec::new(), seconds: 0.0 }, verdicts);
}

/// Why a check cannot be asked of clusters that were only written down; none where it can be.
fn not_written_down(mesh: &Mesh, reading: Reading) -> Option<String> {
    let asks_pages = reading.rights.iter().filter(|right| right.resource == "pods/portforward");
    let without = asks_pages.map(|right| mesh.cluster(right.role)).find(|cluster| {
        // Only pages that were written down can be missing.
        cluster.pages.as_ref().is_some_and(|pages| pages.is_empty())
    })?;
    Some(format!(
        "{} has no debug pages of istiod: `istioctl bug-report` drops all of them where one fails, as 1.31.1 does",
        without.context
    ))
}

fn tell<'c>(mesh: &Mesh, judged: Judged<'c>, verdicts: &mut BTreeMap<&'c str, Verdict>) {
    let Judged { case, verdict, failed_attempts, seconds } = judged;
    let verdict = mesh.symptoms.noted(case.id, blamed(case, verdict, verdicts));
    verdicts.insert(case.id, verdict.clone());
    mesh.recorder.emit(Event::CaseFinished { id: case.id.to_string(), verdict, failed_attempts, seconds });
}

/// Asks a case; once more where it could not tell, as on a lab.
async fn ask<'c>(mesh: &Mesh, case: &'c Case, reading: Reading) -> Judged<'c> {
    let began = Instant::now();
    let mut failed_attempts = Vec::new();
    let mut verdict = attempt(mesh, case, reading, 1).await;
    if matches!(verdict, Verdict::Inconclusive { .. }) {
        failed_attempts.push(verdict.cause());
        verdict = attempt(mesh, case, reading, 2).await;
    }
    Judged { case, verdict, failed_attempts, seconds: began.elapsed().as_secs_f64() }
}

async fn attempt(mesh: &Mesh, case: &Case, reading: Reading, attempt: u32) -> Verdict {
    mesh.recorder.emit(Event::CaseStarted { id: case.id.to_string(), attempt });
    let mesh = with_rights_of(mesh, case.id, reading);
    let limit = *mesh.budgets.case();
    let judged = AssertUnwindSafe(tokio::time::timeout(limit, (reading.judge)(&mesh))).catch_unwind().await;
    let result = match judged {
        Ok(Ok(result)) => noted(result, reading),
        Ok(Err(_)) => Err(Fault::Unknown(format!("the check did not end within {} s", limit.as_secs()))),
        Err(_) => Err(Fault::Unknown("the check panicked; this is a defect of meshproof".to_string())),
    };
    decide(result)
}

/// The same mesh, of which nothing can be read but what the check says that it reads.
fn with_rights_of(mesh: &Mesh, scope: &str, reading: Reading) -> Mesh {
    let clusters = Clusters::default();
    for (role, cluster) in mesh.clusters.iter() {
        let rights = reading.rights.iter().copied().filter(|right| right.role == role);
        let client = limited(cluster.client.clone(), rights, &cluster.istio_namespace);
        clusters.add(Cluster { client, ..cluster.clone() });
    }
    Mesh { clusters, scope: scope.to_string(), ..mesh.clone() }
}

/// Says in the evidence that it comes from reading alone, and what was not asked.
fn noted(result: Result<Evidence, Fault>, reading: Reading) -> Result<Evidence, Fault> {
    let note = match reading.not_asked {
        "" => "judged by reading only, which is all that this clause takes".to_string(),
        rest => format!("judged by reading only; not asked: {rest}"),
    };
    match result {
        Ok(mut evidence) => {
            // A pass without evidence is none, with or without a note.
            evidence.note(note);
            Ok(evidence)
        }
        Err(Fault::Refuted(mut finding)) => {
            finding.evidence.note(note);
            Err(Fault::Refuted(finding))
        }
        unknown => unknown,
    }
}
