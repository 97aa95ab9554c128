//! One run on clusters that the user brought: install, checks, the guide's clean-up, and the removal of what was made.

use std::collections::BTreeMap;
use std::path::Path;

use super::prepared::Prepared;
use crate::brought::open::Opened;
use crate::brought::{Ledger, removal};
use crate::budget::Budgets;
use crate::check::Verdict;
use crate::check::case::{Case, When};
use crate::check::verdict::chain;
use crate::cli::args::Request;
use crate::cli::interrupt::Interrupt;
use crate::cli::rounds;
use crate::cli::session::{diagnose_into, green_so_far, pause_for_enter, skip};
use crate::cli::verdict;
use crate::context::Context;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::lab::cluster::ClusterError;
use crate::lab::up;
use crate::plan::Phase;
use crate::run::Run;
use crate::stray;
use crate::wait::Wait;

/// One run on the clusters.
pub struct Session<'a> {
    /// What is asked for.
    pub request: &'a Request,
    /// Where events go.
    pub recorder: Recorder,
    /// The folder of this run.
    pub folder: &'a Path,
    /// The checks that are asked.
    pub cases: &'a [Case],
    /// The clusters, and what is to be done.
    pub prepared: &'a Prepared,
}

impl Session<'_> {
    /// Goes through all of it and says how it ended.
    pub async fn go(&self) -> Exit {
        let Prepared { lab, ledger, plan, opened, .. } = self.prepared;
        let by_hand = format!("what was made goes with: meshproof uninstall --record {}", ledger.path().display());
        let interrupt = Interrupt::listen(self.recorder.clone(), by_hand);
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
        // A person who looks around is in no hurry, unless a deadline was asked for.
        if self.request.pause_after.is_none() || self.request.deadline.is_some() {
            interrupt.deadline(self.request.deadline.unwrap_or(*self.request.budgets.run()));
        }
        let context = Context::new(lab.clone(), self.recorder.clone(), self.request.budgets);
        let context = context.knowing(&self.request.symptoms);
        let kept = self.with(&Run::new(context, &opened.home, interrupt.cancel.clone()), &interrupt).await;
        interrupt.done();
        if !kept {
            // What is left of it, the events say.
            let _ = remove(&self.recorder, ledger, opened, &self.request.budgets).await;
        }
        let exit = verdict::tell(&self.recorder, &interrupt, kept);
        interrupt.over();
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
            self.prepared.ledger.installed();
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
    async fn in_the_way(&self) -> Result<Vec<String>, ClusterError> {
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
///
/// # Errors
/// [`removal::RemovalError`], which the events say too.
pub async fn remove(
    recorder: &Recorder,
    ledger: &Ledger,
    opened: &Opened,
    budgets: &Budgets,
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
