//! One call of a verb that acts on a lab: its folder below `runs/`, its events, and the phases in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::args::Request;
use super::interrupt::Interrupt;
use super::rounds::{self, Asked};
use super::timeline::{self, Timeline};
use super::verdict;
use crate::check::Verdict;
use crate::check::case::{Case, When};
use crate::context::Context;
use crate::diagnose;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::install::{Step, primary_remote};
use crate::lab::cluster::ClusterError;
use crate::lab::host::Host;
use crate::lab::{Engine, Home, Lab, LabFile, health, images, up};
use crate::milestone;
use crate::plan::{Phase, Plan, Target};
use crate::report::Summary;
use crate::role::Role;
use crate::run::{Pause, Run};
use crate::scenario::{ImageSource, Round, Scenario};
use crate::stray;
use crate::topology::Topology;
use crate::versions::Picked;

/// Which phases a verb goes through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Make the lab.
    pub up: bool,
    /// Follow the guide.
    pub install: bool,
    /// Go through the scenario's timeline.
    pub timeline: bool,
    /// Judge it.
    pub check: bool,
    /// Follow the guide's clean-up, and judge that.
    pub clean_up: bool,
    /// Remove the lab.
    pub down: bool,
}

impl Phases {
    /// All of them, as `run` goes.
    pub const ALL: Phases = Phases { up: true, install: true, timeline: true, check: true, clean_up: true, down: true };
}

/// A lab that cannot be used any more.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Health(#[from] health::HealthError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// One call.
pub struct Session<'a> {
    /// What is asked for.
    pub request: &'a Request,
    /// The catalogue.
    pub catalogue: &'a [Case],
    /// Where labs are remembered.
    pub home: &'a Home,
    /// The repository.
    pub root: &'a Path,
    /// The engine.
    pub engine: &'a Engine,
    /// What the host allows.
    pub host: &'a Host,
    /// Signals.
    pub interrupt: Interrupt,
    /// Where events go.
    pub recorder: Recorder,
    /// The folder of this run.
    pub folder: PathBuf,
}

/// The plan for a request on a topology, with the rounds of checks of a timeline that is gone through.
pub fn plan(request: &Request, topology: &Topology, cases: &[Case], rounds: Option<&[Asked<'_>]>) -> Plan {
    let scenario = request.scenario();
    let steps = primary_remote::steps(scenario, images::WORKLOAD_IN_NODE);
    let of = |clean_up: bool| steps.iter().filter(move |step| (step.phase == Phase::CleanUp) == clean_up);
    let moments = rounds.map(|_| timeline::moments(scenario)).unwrap_or_default();
    let in_rounds = rounds.map(|rounds| rounds::outlines(scenario, rounds)).unwrap_or_default();
    Plan {
        target: Target::Lab { scenario: Box::new(scenario.clone()), topology: topology.clone() },
        steps: of(false).map(Step::outline).chain(moments).chain(of(true).map(Step::outline)).collect(),
        cases: in_rounds.into_iter().chain(rounds::outlines_of(scenario, "", cases)).collect(),
        // Of official images, their own proxy tells once they are there.
        deviations: [
            primary_remote::deviations(scenario),
            primary_remote::data_plane_deviations(scenario.images == ImageSource::Local),
            request.not_rebuilt.clone(),
        ]
        .concat(),
    }
}

/// Makes the folder of a run below `runs`, and points `latest` at it.
///
/// # Errors
/// [`std::io::Error`] when the folder cannot be made.
pub fn folder(runs: &Path, lab: &str) -> std::io::Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    std::fs::create_dir_all(runs)?;
    let mut folder = runs.join(format!("{now}-{lab}"));
    let mut number = 2;
    while let Err(error) = std::fs::create_dir(&folder) {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        folder = runs.join(format!("{now}-{lab}-{number}"));
        number += 1;
    }
    let latest = runs.join("latest");
    // Only a convenience for people: a folder of that name is left alone.
    if latest.is_symlink() {
        let _ = std::fs::remove_file(&latest);
    }
    let _ = std::os::unix::fs::symlink(folder.file_name().unwrap_or_default(), &latest);
    Ok(folder)
}

impl Session<'_> {
    /// Goes through the phases of a verb and says how it ended.
    pub async fn go(&self, phases: Phases, picked: &Picked, topology: &Topology, existing: Option<LabFile>) -> Exit {
        let rounds = phases.timeline.then(|| rounds::rounds(self.request, self.catalogue));
        let cases: Vec<Case> = self
            .catalogue
            .iter()
            .filter(|case| self.request.selection.contains(case.id))
            .filter(|case| phases.check || (phases.clean_up && case.when == When::CleanedUp))
            .copied()
            .collect();
        self.recorder.emit(Event::RunStarted {
            run: self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            meshproof: crate::version().to_string(),
            verb: self.request.verb.name().to_string(),
            plan: Box::new(plan(self.request, topology, &cases, rounds.as_deref())),
        });
        if let Some(limit) = self.request.deadline {
            self.interrupt.deadline(limit);
        }
        // What is told by: all clusters are there, and the steps on them are ended as any others.
        let whole = CancellationToken::new();
        let given_up = async {
            self.interrupt.cancel.cancelled().await;
            if whole.is_cancelled() {
                std::future::pending::<()>().await;
            }
        };
        let lab = tokio::select! {
            lab = self.lab(phases, picked, topology, existing, &whole) => lab,
            () = given_up => None,
        };
        let kept = match lab {
            Some((lab, proved)) => {
                Box::pin(self.with_lab(phases, lab, proved, &cases, rounds.as_deref().unwrap_or_default())).await
            }
            None => self.without_lab(phases).await,
        };
        self.interrupt.done();
        if !kept && (phases.down || phases.up) {
            self.remove().await;
        }
        verdict::tell(&self.recorder, &self.interrupt, kept)
    }

    /// The lab, made or opened, with its steps up to the install, and whether all of them were proved; none where there
    /// is no lab, which the events say.
    async fn lab(
        &self,
        phases: Phases,
        picked: &Picked,
        topology: &Topology,
        existing: Option<LabFile>,
        whole: &CancellationToken,
    ) -> Option<(Lab, bool)> {
        let budgets = &self.request.budgets;
        let deadline = || {
            // A person who looks around is in no hurry, unless a deadline was asked for.
            if self.request.pause_after.is_none() && self.request.deadline.is_none() {
                self.interrupt.deadline(*budgets.run());
            }
        };
        if let Some(file) = existing {
            deadline();
            let opened = async {
                health::nodes_run(self.engine, &file).await?;
                let lab = Lab::open(self.home, file, self.engine.clone()).await?;
                Ok::<_, OpenError>((lab, String::new()))
            };
            let mut lab = up::part(&self.recorder, "open", "The lab is opened", opened).await.ok()?;
            whole.cancel();
            self.ready(&lab.file);
            let (proved, file) = self.steps(phases, lab.clone(), None).await;
            lab.file = file;
            return Some((lab, proved));
        }
        debug_assert!(phases.up, "a verb either makes its lab or is given one");
        let images = images::Site {
            home: self.home,
            root: self.root,
            picked,
            engine: self.engine,
            host: self.host,
            source: self.request.scenario().images,
            candidate: &self.request.scenario().candidate,
            origins: &self.request.origins,
            recorder: &self.recorder,
            budgets,
        };
        let built = images::ensure(&images).await.ok()?;
        deadline();
        let site = up::Site {
            engine: self.engine,
            home: self.home,
            root: self.root,
            host: self.host,
            built: &built,
            recorder: &self.recorder,
            budgets,
        };
        let begin = async |lab: Lab, rest: oneshot::Receiver<LabFile>| {
            let rest = async {
                let file = rest.await.ok()?;
                whole.cancel();
                self.ready(&file);
                Some(file)
            };
            self.steps(phases, lab, Some(rest.boxed())).await
        };
        let (mut lab, (proved, told)) = up::up(site, self.request.scenario(), topology, begin).await.ok()?;
        lab.file = told.progress_on(lab.file);
        // A step of the lab failed while the rest was made, so nobody heard of that, nor wrote down what came of the step.
        if !whole.is_cancelled() {
            whole.cancel();
            self.ready(&lab.file);
            if let Err(error) = lab.file.write(self.home) {
                self.recorder.note(format!("lab.json cannot be written: {error}"));
            }
        }
        Some((lab, proved))
    }

    fn ready(&self, file: &LabFile) {
        self.recorder.emit(Event::LabReady {
            clusters: file.clusters.clone(),
            images: file.images.clone(),
            image_source: file.image_source.clone(),
            deviations: primary_remote::data_plane_deviations(primary_remote::is_upstream_envoy(&file.data_plane)),
            data_plane: file.data_plane.clone(),
        });
    }

    /// Follows the steps of a verb up to the install; says whether all were proved, and what `lab.json` says then.
    async fn steps(&self, phases: Phases, lab: Lab, rest: Option<BoxFuture<'_, Option<LabFile>>>) -> (bool, LabFile) {
        let run = Run::new(self.context(lab), self.home, self.interrupt.cancel.clone());
        let mut proved = true;
        if phases.up || phases.install {
            // A lab whose run was killed may lack its last steps.
            let missing = |step: &Step| !run.context.lab.file.proved.contains(&step.id);
            let mut wanted = self.steps_of(Phase::Lab);
            wanted.retain(missing);
            if phases.install {
                wanted.extend(self.steps_of(Phase::Install));
            }
            let of_scenario = &self.request.scenario().install.without;
            let left_out = |step: &Step| self.request.without.iter().chain(of_scenario).any(|id| *id == step.id);
            for step in wanted.extract_if(.., |step| left_out(step)) {
                run.leave_out(&step.id);
            }
            let pause = self.request.pause_after.as_deref().map(|id| (id, pause_for_enter()));
            proved = run.steps(&wanted, pause, rest).await;
        }
        (proved, run.file())
    }

    fn steps_of(&self, phase: Phase) -> Vec<Step> {
        let all = primary_remote::steps(self.request.scenario(), images::WORKLOAD_IN_NODE);
        all.into_iter().filter(|step| step.phase == phase).collect()
    }

    fn context(&self, lab: Lab) -> Context {
        Context::new(lab, self.recorder.clone(), self.request.budgets).knowing(&self.request.symptoms)
    }

    /// What is left to do where there is no lab; says whether something of it stays.
    async fn without_lab(&self, phases: Phases) -> bool {
        let lab = &self.request.scenario().lab;
        if !phases.up {
            return true;
        }
        self.end_tools().await;
        if !self.home.lab(lab).exists() {
            return false;
        }
        if !self.interrupt.by_signal() {
            let began = Instant::now();
            let istio_namespace = self.request.scenario().istio_namespace_of(Role::Primary);
            let site = diagnose::Unfinished { engine: self.engine, home: self.home, lab, istio_namespace };
            let folder = self.folder.join("diagnostics");
            let records = self.recorder.records();
            let collected = diagnose::collect_unfinished(site, &records, &self.request.budgets, &folder).await;
            self.diagnosed(began, "diagnostics", collected);
        }
        phases.down && self.stays_unless_green(false)
    }

    /// Ends tools whose calls were given up: they may still be at it.
    async fn end_tools(&self) {
        images::end_strays(self.home).await;
        stray::end(&self.home.lab(&self.request.scenario().lab)).await;
    }

    /// Whether the lab stays after a run that was green or not.
    fn stays_unless_green(&self, green: bool) -> bool {
        self.request.keep.keeps(green, self.interrupt.by_signal())
    }

    /// Everything that happens after the install on a lab that is up; says whether the lab stays.
    async fn with_lab(&self, phases: Phases, lab: Lab, proved: bool, cases: &[Case], rounds: &[Asked<'_>]) -> bool {
        let run = Run::new(self.context(lab), self.home, self.interrupt.cancel.clone());
        let pairs = run.pairs();
        let of = |when| cases.iter().filter(|case| case.when == when).copied().collect::<Vec<_>>();
        let mut verdicts: Vec<rounds::Verdicts> = Vec::new();
        let mut timeline = Timeline::new(&run, &self.request.sabotages, rounds);
        // Where the install failed, the checks tell why; what the timeline would have changed is not what they look at.
        let done =
            !phases.timeline || !proved || timeline.go(async |round| self.surprised(&run.context, round).await).await;
        if phases.check && done && !self.interrupt.cancel.is_cancelled() {
            let cases = of(When::Installed);
            let judging = rounds::judge(&pairs, &cases, &[]);
            verdicts = if phases.install && proved && rounds.is_empty() {
                // It never decides how long the checks take: after a head start, in which a healthy mesh answers, they go
                // on beside it, and where there are no answers, they are done first.
                let mut judging = std::pin::pin!(judging);
                let mut answers = std::pin::pin!(milestone::first_answers(&run.context));
                match tokio::time::timeout(milestone::HEAD_START, answers.as_mut()).await {
                    Ok(()) => judging.await,
                    Err(_) => match futures::future::select(judging.as_mut(), answers).await {
                        Either::Left((verdicts, _)) => verdicts,
                        Either::Right(((), judging)) => judging.await,
                    },
                }
            } else {
                judging.await
            };
        }
        // What was given up may still be at it: after a signal, and where a step of the lab failed.
        if !proved || self.interrupt.by().is_some() {
            self.end_tools().await;
        }
        let troubled =
            !proved || !done || verdicts.iter().flat_map(BTreeMap::values).any(|verdict| !verdict.is_passed());
        if troubled || self.interrupt.by().is_some() {
            self.diagnose(&run.context).await;
        }
        // A lab that `up` could not finish goes as one of which it could make nothing.
        let unfinished = phases.up && !phases.install && !proved;
        let stays = if phases.down { self.stays_unless_green(self.green_so_far()) } else { !unfinished };
        if phases.clean_up && !(phases.down && stays) && self.interrupt.by().is_none() {
            for what in timeline.put_back().await {
                self.recorder.note(what);
            }
            run.steps(&self.steps_of(Phase::CleanUp), None, None).await;
            let cases = of(When::CleanedUp);
            let after = rounds::judge(&pairs, &cases, &verdicts).await;
            if self.interrupt.by().is_some() {
                self.end_tools().await;
            }
            let fine = |verdicts: &rounds::Verdicts, case: &Case| verdicts.get(case.id).is_some_and(Verdict::is_passed);
            let new_trouble = after.iter().any(|verdicts| !cases.iter().all(|case| fine(verdicts, case)));
            if new_trouble && !troubled {
                self.diagnose(&run.context).await;
            }
        } else if phases.check && self.interrupt.by().is_none() {
            self.skip(&of(When::CleanedUp), if phases.down { "the lab is kept" } else { "the mesh stays installed" });
        }
        stays
    }

    /// Whether what was judged so far is as expected; what clean-up would judge does not count yet.
    fn green_so_far(&self) -> bool {
        green_so_far(&self.recorder)
    }

    fn skip(&self, cases: &[Case], reason: &str) {
        skip(&self.recorder, self.request.scenario(), cases, reason);
    }

    async fn diagnose(&self, context: &Context) {
        self.diagnose_into(context, "diagnostics").await;
    }

    /// Looks at all clusters as they are when a round of the timeline came out otherwise than expected.
    async fn surprised(&self, context: &Context, round: &Round) {
        self.diagnose_into(context, &format!("diagnostics-{}", round.name)).await;
    }

    async fn diagnose_into(&self, context: &Context, folder: &str) {
        diagnose_into(context, &self.folder, folder).await;
    }

    fn diagnosed(&self, began: Instant, folder: &str, collected: diagnose::Collected) {
        diagnosed(&self.recorder, began, folder, collected);
    }

    /// Removes the lab, on its own deadline.
    async fn remove(&self) {
        let lab = &self.request.scenario().lab;
        let _ = super::verbs::remove(&self.recorder, self.engine, self.home, lab, &self.request.budgets).await;
    }
}

/// Whether what was judged so far is as expected; what clean-up would judge does not count yet.
pub fn green_so_far(recorder: &Recorder) -> bool {
    let mut summary = Summary::of(&recorder.records());
    summary.cases.retain(|case| !case.outline.after_clean_up);
    summary.obstacles().is_empty() && summary.cases.iter().all(|case| case.standing().is_fine())
}

/// Tells that cases are not asked, and why.
pub fn skip(recorder: &Recorder, scenario: &Scenario, cases: &[Case], reason: &str) {
    for outline in rounds::outlines_of(scenario, "", cases) {
        recorder.emit(Event::CaseFinished {
            id: outline.id,
            verdict: Verdict::Skipped { reason: reason.to_string() },
            failed_attempts: Vec::new(),
            seconds: 0.0,
        });
    }
}

/// Looks at all clusters as they are, and writes that into a folder of this name in the folder of the run.
pub async fn diagnose_into(context: &Context, run: &Path, folder: &str) {
    let began = Instant::now();
    let collected = diagnose::collect(&context.scoped("diagnostics"), &run.join(folder)).await;
    diagnosed(&context.recorder, began, folder, collected);
}

fn diagnosed(recorder: &Recorder, began: Instant, folder: &str, collected: diagnose::Collected) {
    recorder.emit(Event::Diagnosed {
        folder: folder.to_string(),
        files: collected.files,
        missing: collected.missing,
        hints: collected.hints,
        seconds: began.elapsed().as_secs_f64(),
    });
}

/// Waits for a line on standard input.
pub fn pause_for_enter() -> Pause {
    Arc::new(|| {
        Box::pin(async {
            eprintln!("      Paused  look or break something by hand, then press Enter");
            let (sender, entered) = tokio::sync::oneshot::channel();
            // Not a task of the runtime: that would wait for Enter at its end, also after Ctrl-C.
            std::thread::spawn(move || {
                let _ = std::io::stdin().read_line(&mut String::new());
                let _ = sender.send(());
            });
            let _ = entered.await;
        })
    })
}
