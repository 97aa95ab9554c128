//! `run --contexts --allow-install`: the whole job on clusters that the user brought; and `uninstall --record` for what a run
//! left there.

mod prepared;
mod session;

use std::io::{IsTerminal, Write};
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use self::prepared::prepare;
use self::session::{Session, remove};
use super::args::{Bringing, Request, Verb};
use super::claim::{Base, runs_problem};
use super::interrupt::Interrupt;
use super::output::out;
use super::reporters::{Told, recorder};
use super::session::folder;
use crate::brought::{Ledger, open};
use crate::check::case::Case;
use crate::check::verdict::chain;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::problem::{Problem, Problems, all_of};
use crate::reading::{Contexts, KubeconfigFiles};
use crate::report;
use crate::report::terminal::{Left, Manner, Terminal};
use crate::role::Role;

/// Does the whole job on the clusters of these contexts: shows the plan, asks, installs, judges, and removes what was made.
///
/// # Errors
/// Everything that stands in the way; nothing was created then.
pub async fn run(request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let (Some(contexts), Verb::Run(flags)) = (&request.contexts, &request.verb) else { return Ok(Exit::Usage) };
    let flags = &flags.bringing;
    let cases: Vec<Case> = base.catalogue.iter().filter(|case| request.selection.contains(case.id)).copied().collect();
    // Until something is made, Ctrl-C ends it; what was opened is closed then.
    let agreed = async {
        let prepared = prepare(request, flags, contexts, &cases, base).await?;
        out(&report::plan::render(&prepared.plan));
        Ok::<_, Problems>((consent(flags, contexts).await, prepared))
    };
    let asked_to_end = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} },
            Err(_) => std::future::pending().await,
        }
    };
    let (consent, prepared) = tokio::select! {
        agreed = agreed => agreed?,
        () = asked_to_end => return Ok(Exit::Interrupted),
    };
    if let Err(why) = consent {
        eprintln!("{why}; nothing was created");
        return Ok(Exit::Usage);
    }
    let made = folder(&request.runs, "brought").and_then(|folder| {
        prepared.ledger.begin(&folder)?;
        let command = format!("meshproof uninstall --record {}", prepared.ledger.path().display());
        let left: Box<Left> = Box::new(move |summary| {
            let stays = summary.left_over() || summary.finished.as_ref().is_some_and(|finish| finish.lab_kept);
            if stays { vec![("Remove", command.clone())] } else { Vec::new() }
        });
        Ok((recorder(&folder, Told::of(request).leaving(left))?, folder))
    });
    let (recorder, folder) = made.map_err(|error| runs_problem(&request.runs, &error))?;
    let session = Session { request, recorder, folder: &folder, cases: &cases, prepared: &prepared };
    Ok(Box::pin(session.go()).await)
}

/// Whether the user wants what the plan says; else why it is not done.
async fn consent(flags: &Bringing, contexts: &Contexts) -> Result<(), String> {
    if flags.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err("this is the plan, and nobody is there to be asked; with --yes it is carried out".to_string());
    }
    let names: Vec<&str> = contexts.names.values().map(String::as_str).collect();
    eprint!("Install on {} and remove it again? Type yes: ", names.join(" and "));
    let _ = std::io::stderr().flush();
    let (sender, answer) = tokio::sync::oneshot::channel();
    // Not a task of the runtime: that would wait for an answer at its end, also after Ctrl-C.
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        let _ = sender.send(line);
    });
    match answer.await {
        Ok(line) if line.trim() == "yes" => Ok(()),
        _ => Err("that was no yes".to_string()),
    }
}

/// Removes what the record of a run says, in the clusters that it is of.
///
/// # Errors
/// Everything that is wrong with the record or its contexts; nothing was removed then.
pub async fn uninstall(
    request: &Request,
    record: &Path,
    base: Base<'_>,
    kubeconfig: &KubeconfigFiles,
) -> Result<Exit, Problems> {
    let ledger = Ledger::read(record)?;
    let [primary, remote] = Role::ALL.map(|role| ledger.of(role));
    let written = [primary.context.clone(), remote.context.clone()];
    let namespace = ledger.record().istio_namespace.clone();
    let contexts = Contexts::choose(&written, namespace, kubeconfig)?;
    let opened = open::open(&contexts, [&primary.name, &remote.name], base.home, &request.budgets).await?;
    let mut problems = Problems::new();
    for (facts, record) in opened.facts.iter().zip([&primary, &remote]) {
        if facts.kube_system_uid != record.kube_system_uid {
            let message = format!("context {} is of another cluster than the one of the record", record.context);
            let instead = format!("the kubeconfig in which {} is the cluster at {}", record.context, record.server);
            problems.push("--record", message, instead);
        }
    }
    problems.or(())?;
    let mut problems = Problems::new();
    for cluster in &opened.clusters {
        let anew = ledger.made_anew(cluster).await;
        let anew =
            anew.map_err(|error| Problem::new("--record", chain(&error), "call it again when the cluster answers"))?;
        if !anew.is_empty() {
            let names: Vec<String> = anew.iter().map(ToString::to_string).collect();
            let message = format!("in {} this was made anew by somebody else: {}", cluster.name, all_of(&names));
            let instead = "remove by hand what is left of the record: somebody has installed the like since";
            problems.push("--record", message, instead);
        }
    }
    problems.or(())?;
    let recorder =
        Recorder::new(vec![Box::new(Terminal::new(std::io::stderr(), Manner::detect(request.telling.volume())))]);
    let interrupt = Interrupt::listen(recorder.clone(), "call it again, and it goes on from there".to_string());
    let removed = tokio::select! {
        removed = remove(&recorder, &ledger, &opened, &request.budgets) => removed,
        () = interrupt.cancel.cancelled() => return Ok(Exit::Interrupted),
    };
    Ok(if removed.is_ok() { Exit::Green } else { Exit::LeftOver })
}
