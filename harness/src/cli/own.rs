//! `check` on clusters that meshproof did not make: they are read, and nothing is written.

use std::sync::Arc;

use super::args::Request;
use super::claim::runs_problem;
use super::interrupt::Interrupt;
use super::reporters::Told;
use super::{output, reporters, session, verdict};
use crate::check::Case;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::mesh::Mesh;
use crate::plan::{Plan, Target};
use crate::problem::Problems;
use crate::reading::find::FindError;
use crate::reading::{Contexts, find, judging, rbac};

/// Prints the rights that reading takes, or judges by reading.
///
/// # Errors
/// What keeps it from beginning.
pub async fn check(request: &Request, cases: &[Case]) -> Result<Exit, Problems> {
    if let Some(asked) = &request.rbac {
        output::data(&rbac::manifest(cases, asked.role, &asked.istio_namespace, &asked.subject));
        return Ok(Exit::Green);
    }
    match &request.contexts {
        Some(contexts) => judge(request, contexts, cases).await,
        None => Ok(Exit::Usage),
    }
}

async fn judge(request: &Request, contexts: &Contexts, cases: &[Case]) -> Result<Exit, Problems> {
    let target =
        Target::Contexts { contexts: contexts.names.clone(), istio_namespace: contexts.istio_namespace.clone() };
    let rights = rbac::all(cases);
    let found = async |recorder: &Recorder| find::find(contexts, &rights, recorder, request.budgets).await;
    judged(request, "read-only", target, cases, found).await
}

/// Judges by reading alone the mesh that is `found`, and reports as any run does.
///
/// # Errors
/// A folder of runs that cannot be made.
pub async fn judged(
    request: &Request,
    name: &str,
    target: Target,
    cases: &[Case],
    found: impl AsyncFnOnce(&Recorder) -> Result<Mesh, FindError>,
) -> Result<Exit, Problems> {
    let made = session::folder(&request.runs, name).and_then(|folder| {
        let recorder = reporters::recorder(&folder, Told::of(request))?;
        Ok((recorder, folder))
    });
    let (recorder, folder) = made.map_err(|error| runs_problem(&request.runs, &error))?;
    let interrupt = Interrupt::listen(recorder.clone(), "nothing was written to the clusters".to_string());
    recorder.emit(Event::RunStarted {
        run: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        meshproof: crate::version().to_string(),
        verb: request.verb.name().to_string(),
        plan: Box::new(Plan {
            target,
            steps: Vec::new(),
            cases: cases.iter().map(Case::outline).collect(),
            deviations: Vec::new(),
        }),
    });
    let work = async {
        // What is wrong with the clusters is told as it is found.
        if let Ok(mesh) = found(&recorder).await {
            let mesh = Mesh { symptoms: Arc::new(request.symptoms.clone()), ..mesh };
            judging::judge(&mesh, cases, &interrupt.cancel).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = interrupt.cancel.cancelled() => {}
    }
    interrupt.done();
    let exit = verdict::tell(&recorder, &interrupt, false);
    interrupt.over();
    Ok(exit)
}
