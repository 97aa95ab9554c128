//! `run --contexts --allow-install`: the whole job on clusters that the user brought; and `uninstall --record` for what a run
//! left there.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::args::{Bringing, Request, Verb};
use super::claim::{Base, runs_problem};
use super::interrupt::Interrupt;
use super::rounds;
use super::session::{diagnose_into, folder, green_so_far, pause_for_enter, recorder, skip};
use super::verbs::out;
use crate::brought::ledger::Before;
use crate::brought::open::Opened;
use crate::brought::record::{ClusterRecord, FORM, Record};
use crate::brought::{Ledger, open, preflight, removal, show};
use crate::check::Verdict;
use crate::check::case::{Case, When};
use crate::check::verdict::chain;
use crate::context::Context;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::install::facts::Facts;
use crate::install::{Step, StepError, announced, inventory, primary_remote};
use crate::lab::state::LAB_FORMAT;
use crate::lab::{Ground, Lab, LabFile, images, up};
use crate::per_cluster::PerCluster;
use crate::plan::{Phase, Plan, Target};
use crate::problem::{Problem, Problems};
use crate::reading::{Contexts, KubeconfigFiles};
use crate::report::terminal::{Mode, Terminal};
use crate::report::{self, Summary};
use crate::role::Role;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::stray;
use crate::usage::Usage;
use crate::wait::Wait;

/// Clusters in which nothing stands in the way, and the plan for them.
struct Prepared {
    lab: Lab,
    ledger: Arc<Ledger>,
    steps: Vec<Step>,
    plan: Plan,
    opened: Opened,
}

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
        Ok((recorder(&folder, true)?, folder))
    });
    let (recorder, folder) = made.map_err(|error| runs_problem(&request.runs, &error))?;
    let session = Session { request, recorder, folder: &folder, cases: &cases, prepared: &prepared };
    Ok(Box::pin(session.go()).await)
}

/// Reaches the clusters, asks istioctl what it will make, and finds all that stands in the way.
async fn prepare(
    request: &Request,
    flags: &Bringing,
    contexts: &Contexts,
    cases: &[Case],
    base: Base<'_>,
) -> Result<Prepared, Problems> {
    let silent = Recorder::new(Vec::new());
    let (budgets, scenario) = (&request.budgets, request.scenario());
    let mut problems = Problems::new();
    let files = images::Files { home: base.home, origins: &request.origins, recorder: &silent, budgets };
    let release = images::istio_release(&files, base.root, base.picked).await.map_err(|error| match error {
        images::ImageError::Problems(problems) => problems,
        error => {
            let instead = "have it fetched or built first: `meshproof images build`; or name a mirror: --releases";
            Problem::new("--istio", format!("samples and istioctl are missing: {}", chain(&error)), instead).into()
        }
    });
    let release = problems.keep(release);
    let names = [Role::Primary, Role::Remote].map(|role| scenario.clusters[&role].name.as_str());
    let opened = problems.keep(open::open(contexts, names, base.home, budgets).await);
    let (Some(release), Some(opened)) = (release, opened) else { return Err(problems) };
    let scenario = as_they_are(scenario, &opened);
    let image = flags.workload_image.as_deref().unwrap_or_default();
    let steps = primary_remote::on_brought(primary_remote::steps(&scenario, image));
    let of_clusters = |error: &dyn std::error::Error| Problem::new("--contexts", chain(error), "see what kubectl says");
    let file = lab_file(request, &scenario, &opened, release, image);
    let record = record(&scenario, &steps, &opened).map_err(|error| of_clusters(&error))?;
    let ledger = Arc::new(Ledger::planned(record));
    let lab = Lab::unmade(&opened.home, file, Ground::Brought(Arc::clone(&ledger)));
    opened.clusters.iter().for_each(|cluster| lab.add(cluster.clone()));
    let context = Context::new(lab.clone(), silent, request.budgets);
    let told = announced::of(&context).await.map_err(|StepError(why)| {
        Problem::new(
            "--istioctl or --overlay",
            why,
            "what istioctl can make manifests of: `istioctl manifest generate`",
        )
    })?;
    for (role, announced) in told {
        ledger.announce(role, announced);
    }
    let mut before = Before::new();
    for cluster in &opened.clusters {
        let record = ledger.of(cluster.role);
        let rights = preflight::rights(cluster, &record).await;
        // Who may not make anything may not see everything.
        if !rights.is_empty() {
            problems.take(rights);
            continue;
        }
        let found = inventory::objects(cluster).await.map_err(|error| of_clusters(&error).into());
        if let Some(found) = problems.keep(found) {
            problems.take(preflight::in_the_way(cluster, &record, &found));
            before.insert(cluster.role, found);
        }
    }
    problems.or(())?;
    ledger.found(before);
    let plan = Plan {
        target: Target::Brought {
            scenario: Box::new(scenario.clone()),
            contexts: contexts.names.clone(),
            creates: Role::ALL.map(|role| (role, show::lines(&ledger.of(role), ledger.before(role)))).into(),
        },
        steps: steps.iter().map(Step::outline).collect(),
        cases: rounds::outlines_of(&scenario, "", cases),
        deviations: primary_remote::deviations_on_brought(&scenario),
    };
    Ok(Prepared { lab, ledger, steps, plan, opened })
}

/// The scenario as these clusters are: their version, and how many of their nodes take pods.
fn as_they_are(scenario: &Scenario, opened: &Opened) -> Scenario {
    let mut scenario = Scenario { lab: opened.lab.clone(), ..scenario.clone() };
    scenario.kubernetes.clone_from(&opened.facts[0].kubernetes);
    for cluster in &opened.clusters {
        scenario.clusters[&cluster.role].nodes = u32::try_from(cluster.nodes.len()).unwrap_or(u32::MAX);
    }
    scenario
}

fn lab_file(
    request: &Request,
    scenario: &Scenario,
    opened: &Opened,
    release: std::path::PathBuf,
    workload_image: &str,
) -> LabFile {
    let candidate = &request.scenario().candidate;
    let hub_and_tag = candidate.hub.clone().zip(candidate.tag.clone());
    let images = match &hub_and_tag {
        Some((hub, tag)) => format!("Istio's from {hub}, {tag}"),
        None => "Istio's as its istioctl has them".to_string(),
    };
    let [primary, remote] = opened.facts.clone();
    LabFile {
        format: LAB_FORMAT,
        meshproof: crate::version().to_string(),
        scenario: scenario.clone(),
        topology: None,
        clusters: PerCluster::new(primary, vec![remote]),
        routes: Vec::new(),
        images: BTreeMap::new(),
        image_source: format!("pulled by the clusters; {images}"),
        data_plane: "what proxyv2 of these images has".to_string(),
        workload_image: workload_image.to_string(),
        release,
        further: BTreeMap::new(),
        istioctl: candidate.istioctl.clone().map(|path| std::path::absolute(&path).unwrap_or(path)),
        hub_and_tag,
        facts: Facts::default(),
        proved: Vec::new(),
        failed: BTreeMap::new(),
    }
}

/// What is known of what will be made before istioctl is asked.
fn record(scenario: &Scenario, steps: &[Step], opened: &Opened) -> Result<Record, StepError> {
    let of = |(cluster, facts): (&crate::lab::Cluster, &crate::event::ClusterFacts)| {
        let actions = steps.iter().filter(|step| step.role == cluster.role).map(|step| &step.action);
        let announced = announced::of_harness(actions)?;
        let mut namespaces = vec![cluster.istio_namespace.to_string()];
        namespaces.extend(announced.iter().filter(|entry| entry.kind == "Namespace").map(|entry| entry.name.clone()));
        let record = ClusterRecord {
            name: facts.name.clone(),
            context: facts.context.clone(),
            server: cluster.server()?,
            kube_system_uid: facts.kube_system_uid.clone(),
            namespaces,
            announced,
            created: Vec::new(),
        };
        Ok::<_, StepError>((cluster.role, record))
    };
    let clusters = opened.clusters.iter().zip(&opened.facts).map(of).collect::<Result<_, _>>()?;
    Ok(Record {
        form: FORM,
        meshproof: crate::version().to_string(),
        started: jiff::Timestamp::now(),
        istio_namespace: scenario.istio_namespace.clone(),
        clusters,
    })
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

/// One run on the clusters.
struct Session<'a> {
    request: &'a Request,
    recorder: Recorder,
    folder: &'a Path,
    cases: &'a [Case],
    prepared: &'a Prepared,
}

impl Session<'_> {
    async fn go(&self) -> Exit {
        let Prepared { lab, ledger, plan, opened, .. } = self.prepared;
        let by_hand = format!("what was made goes with: meshproof uninstall --record {}", ledger.path().display());
        let interrupt = Interrupt::listen(self.recorder.clone(), by_hand.clone());
        self.recorder.emit(Event::RunStarted {
            run: self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            meshproof: crate::version().to_string(),
            verb: self.request.verb.name().to_string(),
            plan: Box::new(plan.clone()),
        });
        self.recorder.emit(Event::LabReady {
            clusters: lab.file.clusters.clone(),
            images: BTreeMap::new(),
            image_source: lab.file.image_source.clone(),
            data_plane: lab.file.data_plane.clone(),
            deviations: Vec::new(),
        });
        interrupt.deadline(self.request.deadline.unwrap_or(*self.request.budgets.run()));
        let context = Context::new(lab.clone(), self.recorder.clone(), self.request.budgets);
        let context = context.knowing(&self.request.symptoms);
        let kept = self.with(&Run::new(context, &opened.home, interrupt.cancel.clone()), &interrupt).await;
        interrupt.done();
        let mut left = kept;
        if !kept {
            left = remove(&self.recorder, ledger, opened, &self.request.budgets).await.is_err();
        }
        let summary = Summary::of(&self.recorder.records());
        let exit = Exit::decide(&summary);
        let meaning = exit.meaning_of(&summary).to_string();
        let usage = Usage::of_this_process();
        self.recorder.emit(Event::RunFinished { exit: exit.code(), meaning, lab_kept: kept, usage });
        interrupt.over();
        if left {
            eprintln!("  {by_hand}");
        }
        exit
    }

    /// Installs, judges, and follows the guide's clean-up; says whether what was made stays.
    async fn with(&self, run: &Run, interrupt: &Interrupt) -> bool {
        let scenario = run.context.scenario();
        let of =
            |phase| self.prepared.steps.iter().filter(move |step| step.phase == phase).cloned().collect::<Vec<_>>();
        let when = |when| self.cases.iter().filter(|case| case.when == when).copied().collect::<Vec<_>>();
        // D12 asks for it after the clean-up.
        for cluster in &self.prepared.opened.clusters {
            let before: Vec<_> =
                self.prepared.ledger.before(cluster.role).iter().map(|found| found.entry.clone()).collect();
            let path = run.context.lab.home.inventory(&scenario.lab, cluster.member.clone());
            if let Err(error) =
                serde_json::to_vec(&before).map_err(Into::into).and_then(|text| std::fs::write(path, text))
            {
                self.recorder.note(format!("what was there before cannot be kept for D12: {error}"));
            }
        }
        let pause = self.request.pause_after.as_deref().map(|id| (id, pause_for_enter()));
        let proved = run.steps(&of(Phase::Install), pause, None).await;
        self.note().await;
        let mut verdicts = Vec::new();
        if !run.cancel.is_cancelled() {
            verdicts = rounds::judge(&run.pairs(), &when(When::Installed), &[]).await;
        }
        if interrupt.by().is_some() || !proved {
            self.end_tools().await;
        }
        let fine = |verdict: &Verdict| matches!(verdict, Verdict::Passed { .. } | Verdict::Skipped { .. });
        let troubled = !proved || !verdicts.iter().flat_map(BTreeMap::values).all(fine);
        if troubled || interrupt.by().is_some() {
            diagnose_into(&run.context, self.folder, "diagnostics").await;
        }
        let cleaned_up = when(When::CleanedUp);
        if self.request.keep.keeps(green_so_far(&self.recorder), interrupt.by_signal()) {
            self.note().await;
            skip(&self.recorder, scenario, &cleaned_up, "what was made is kept");
            return true;
        }
        if interrupt.by().is_some() {
            return false;
        }
        match self.in_the_way().await {
            Ok(others) if others.is_empty() => {
                run.steps(&of(Phase::CleanUp), None, None).await;
                rounds::judge(&run.pairs(), &cleaned_up, &verdicts).await;
                if interrupt.by().is_some() {
                    self.end_tools().await;
                }
            }
            Ok(others) => {
                let why = format!("the guide's clean-up would take along what others made: {}", others.join(", "));
                self.recorder.note(format!("{why}; only what was made is removed, one by one"));
                skip(&self.recorder, scenario, &cleaned_up, &why);
            }
            Err(error) => {
                skip(
                    &self.recorder,
                    scenario,
                    &cleaned_up,
                    &format!("what others made is not known: {}", chain(&error)),
                );
            }
        }
        false
    }

    /// Writes down what was made so far.
    async fn note(&self) {
        for cluster in &self.prepared.opened.clusters {
            if let Err(error) = self.prepared.ledger.look(cluster).await {
                self.recorder.note(format!("what was made is not written down yet: {}", chain(&error)));
            }
        }
    }

    /// What others made meanwhile that the guide's clean-up would delete.
    async fn in_the_way(&self) -> Result<Vec<String>, crate::lab::cluster::ClusterError> {
        let mut names = Vec::new();
        for cluster in &self.prepared.opened.clusters {
            let record = self.prepared.ledger.of(cluster.role);
            let new = self.prepared.ledger.look(cluster).await?;
            let others = new.theirs.into_iter().filter(|found| record.would_go(found));
            names.extend(others.map(|found| format!("{} {}", cluster.name, found.entry)));
        }
        Ok(names)
    }

    /// Ends tools whose calls were given up: they may still be at it.
    async fn end_tools(&self) {
        let opened = &self.prepared.opened;
        stray::end(&opened.home.lab(&opened.lab)).await;
    }
}

/// Removes what the record says, between two events.
async fn remove(
    recorder: &Recorder,
    ledger: &Ledger,
    opened: &Opened,
    budgets: &crate::budget::Budgets,
) -> Result<(), removal::RemovalError> {
    let wait = |what: String| Wait::new(what, budgets.cleanup()).shown(recorder, REMOVAL);
    let work = async {
        let removed = removal::remove(ledger, &opened.clusters, &wait).await?;
        let detail = format!("{} objects; all other {} are as they were", removed.objects, removed.unchanged);
        Ok::<_, removal::RemovalError>((removed, detail))
    };
    let removed = up::part(recorder, REMOVAL, "What was made is removed", work).await?;
    if !removed.lost.is_empty() {
        recorder.note(format!("gone meanwhile, and not by the record: {}", removed.lost.join(", ")));
    }
    Ok(())
}

/// The id of the events of a removal.
const REMOVAL: &str = "remove-created";

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
    let recorder = Recorder::new(vec![Box::new(Terminal::new(std::io::stderr(), Mode::detect()))]);
    let interrupt = Interrupt::listen(recorder.clone(), "call it again, and it goes on from there".to_string());
    let removed = tokio::select! {
        removed = remove(&recorder, &ledger, &opened, &request.budgets) => removed,
        () = interrupt.cancel.cancelled() => return Ok(Exit::Interrupted),
    };
    Ok(if removed.is_ok() { Exit::Green } else { Exit::LeftOver })
}
