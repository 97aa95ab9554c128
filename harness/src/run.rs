//! Runs steps and cases: each as soon as what it needs is there, in plan order where nothing else decides.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::check::case::{Case, Ground, Use};
use crate::check::verdict::{Fault, decide};
use crate::check::{Evidence, Verdict};
use crate::context::Context;
use crate::event::{Event, StepOutcome};
use crate::install::{Step, StepError, beside, per_remote};
use crate::lab::{Home, LabFile};
use crate::plan::Phase;
use crate::role::Role;
use crate::wait::Hurry;

/// Waits for a person after a step.
pub type Pause = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Runs steps and cases on one lab, and keeps `lab.json` true.
pub struct Run {
    /// What steps and cases are given; a step of a remote after the first is given the context of that remote.
    pub context: Context,
    /// The context for each remote.
    contexts: Vec<Context>,
    /// Cancelled by a signal or the deadline: what is under way is given up.
    pub cancel: CancellationToken,
    home: Home,
    book: Arc<Mutex<Book>>,
}

/// What `lab.json` says, or will say.
struct Book {
    file: LabFile,
    /// Half a lab is not written: a verb that finds one must hear that it was never finished.
    whole: bool,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl Run {
    /// A run on the lab of this context.
    pub fn new(context: Context, home: &Home, cancel: CancellationToken) -> Run {
        let book = Arc::new(Mutex::new(Book { file: context.lab.file.clone(), whole: true }));
        let contexts = context.pairs();
        Run { context, contexts, cancel, home: home.clone(), book }
    }

    /// The same run for each remote: its cases are those of that remote and the primary.
    pub fn pairs(&self) -> Vec<Run> {
        self.contexts.iter().map(|context| self.in_context(context.clone())).collect()
    }

    fn in_context(&self, context: Context) -> Run {
        let contexts = context.pairs();
        Run { context, contexts, cancel: self.cancel.clone(), home: self.home.clone(), book: Arc::clone(&self.book) }
    }

    /// The same run, whose cases are told under the name of a round.
    pub fn within(&self, round: &str) -> Run {
        self.in_context(self.context.within(round))
    }

    /// What `lab.json` says now.
    pub fn file(&self) -> LabFile {
        self.book().file.clone()
    }

    /// Applies and proves these steps; says whether all were proved.
    ///
    /// Where there is a `rest`, the remote clusters are still being made: what acts on them waits for the rest. Where that
    /// never comes, no further step begins.
    pub async fn steps(
        &self,
        steps: &[Step],
        pause: Option<(&str, Pause)>,
        mut rest: Option<BoxFuture<'_, Option<LabFile>>>,
    ) -> bool {
        self.book().whole = rest.is_none();
        let barrier = pause.as_ref().and_then(|(id, _)| steps.iter().position(|step| step.id == *id));
        let mut released = barrier.is_none();
        let mut ended: BTreeMap<&str, bool> = BTreeMap::new();
        let mut started = vec![false; steps.len()];
        let mut running = FuturesUnordered::new();
        loop {
            for (index, step) in steps.iter().enumerate() {
                let beyond = barrier.is_some_and(|barrier| index > barrier) && !released;
                let not_made = rest.is_some() && step.acts_on(Role::Remote);
                if started[index] || beyond || not_made {
                    continue;
                }
                // A step of another phase was proved, or not, before these began.
                let in_plan = |id: &&String| steps.iter().any(|other| other.id == **id);
                let blocker = step.after.iter().filter(in_plan).find(|id| ended.get(id.as_str()) == Some(&false));
                if let Some(blocker) = blocker {
                    started[index] = true;
                    ended.insert(&step.id, false);
                    self.note_step(&step.id, Err(format!("blocked by step {blocker}")));
                    self.context.recorder.emit(Event::StepFinished {
                        id: step.id.to_string(),
                        outcome: StepOutcome::Blocked { by: blocker.to_string() },
                        seconds: 0.0,
                    });
                    continue;
                }
                let proved = step.after.iter().filter(in_plan).all(|id| ended.get(id.as_str()) == Some(&true));
                let followed = step.follows.iter().filter(in_plan).all(|id| ended.contains_key(id.as_str()));
                if proved && followed {
                    started[index] = true;
                    running.push(self.step(step, &step.id));
                }
            }
            if running.is_empty() && rest.is_none() {
                // Everything up to the barrier has ended, or everything has.
                let Some((after, pause)) = pause.as_ref().filter(|_| !released) else { break };
                if !self.wait_for_person(after, pause).await {
                    return false;
                }
                released = true;
                continue;
            }
            let next = tokio::select! {
                next = running.next(), if !running.is_empty() => next,
                whole = async { rest.as_mut().expect("it is awaited").await }, if rest.is_some() => {
                    let Some(whole) = whole else { return false };
                    self.note_whole(whole);
                    rest = None;
                    continue;
                }
                () = self.cancel.cancelled() => return false,
            };
            // In a cluster without its pod network nothing starts: what waits for it would wait in vain.
            let no_lab = |(id, proved): &(&str, bool)| {
                !proved && steps.iter().any(|step| step.id == *id && step.phase == Phase::Lab)
            };
            if next.as_ref().is_some_and(no_lab) {
                return false;
            }
            ended.extend(next);
        }
        ended.values().all(|proved| *proved)
    }

    /// Waits for a person; says whether the run goes on.
    async fn wait_for_person(&self, after: &str, pause: &Pause) -> bool {
        self.context.recorder.emit(Event::Paused { after: after.to_string() });
        let began = Instant::now();
        tokio::select! {
            () = pause() => {}
            () = self.cancel.cancelled() => return false,
        }
        self.context.recorder.emit(Event::Resumed { seconds: began.elapsed().as_secs_f64() });
        true
    }

    /// Applies and proves a step, told under this id; says whether it was proved.
    pub async fn step<'s>(&self, step: &'s Step, told: &str) -> (&'s str, bool) {
        let noted = async |context: &Context| {
            let result = beside::carry_out(step, context).await;
            let told = result.as_ref().map(|_| ()).map_err(|error| first_line(&error.0));
            self.note_step(&step.id, told);
            result
        };
        (&step.id, doing(&self.contexts[step.at], told, noted).await)
    }

    /// Does something between the two events of a step; says whether that could be done.
    pub async fn doing(&self, told: &str, work: impl AsyncFnOnce(&Context) -> Result<Evidence, StepError>) -> bool {
        doing(&self.context, told, work).await
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn note_whole(&self, whole: LabFile) {
        let mut book = self.book();
        book.file = book.file.progress_on(whole);
        book.whole = true;
        self.write(&book);
    }

    /// Notes that a step is left out on purpose: what it would have made can be judged, and is not there.
    pub fn leave_out(&self, id: &str) {
        self.note_step(id, Err("left out".to_string()));
    }

    fn note_step(&self, id: &str, result: Result<(), String>) {
        let mut book = self.book();
        let file = &mut book.file;
        file.facts = self.context.facts.clone();
        file.proved.retain(|other| other != id);
        file.failed.remove(id);
        match result {
            Ok(()) => file.proved.push(id.to_string()),
            Err(why) => {
                file.failed.insert(id.to_string(), why);
            }
        }
        self.write(&book);
    }

    fn write(&self, book: &Book) {
        if book.whole
            && let Err(error) = book.file.write(&self.home)
        {
            self.context.recorder.note(format!("lab.json cannot be written: {error}"));
        }
    }

    /// Asks these cases and returns every verdict.
    ///
    /// `known` holds verdicts of earlier cases of this run, on which these may depend.
    pub async fn cases(&self, cases: &[Case], known: &BTreeMap<String, Verdict>) -> BTreeMap<String, Verdict> {
        let mut verdicts = known.clone();
        let mut waiting: Vec<&Case> = cases.iter().collect();
        let mut in_use: Vec<(&str, Use)> = Vec::new();
        let mut running = FuturesUnordered::new();
        // Judged, but not told: another may have to take the blame.
        let mut held: Vec<Judged<'_>> = Vec::new();
        let mut hurries: Vec<(&Case, Hurry)> = Vec::new();
        // What an interrupted step left unproved would block clauses that nobody asks any more.
        while !self.cancel.is_cancelled() {
            let mut index = 0;
            while index < waiting.len() {
                let case = waiting[index];
                match self.readiness(case, cases, &verdicts) {
                    Readiness::Blocked(verdict) => {
                        waiting.remove(index);
                        self.context.recorder.emit(Event::CaseFinished {
                            id: self.context.told(case.id),
                            verdict: verdict.clone(),
                            failed_attempts: Vec::new(),
                            seconds: 0.0,
                        });
                        verdicts.insert(case.id.to_string(), verdict);
                        // What stood before it may be blocked by it.
                        index = 0;
                        continue;
                    }
                    Readiness::Ready if case.uses.iter().all(|wish| is_free(*wish, &in_use)) => {
                        waiting.remove(index);
                        in_use.extend(case.uses.iter().map(|wish| (case.id, *wish)));
                        let hurry = Hurry::default();
                        hurries.push((case, hurry.clone()));
                        running.push(self.attempt(case, hurry, Instant::now(), Vec::new()));
                        continue;
                    }
                    _ => {}
                }
                index += 1;
            }
            // What is told of one may be what another waits or is held for.
            if let Some(index) = held.iter().position(|judged| may_be_told(judged, cases, &verdicts)) {
                self.tell(held.remove(index), &mut verdicts);
                continue;
            }
            // Nobody waits long for what is blocked unless it passes.
            for (case, hurry) in &hurries {
                if taking_blame(case, &verdicts).is_some() {
                    hurry.up();
                }
            }
            let next = tokio::select! {
                next = running.next() => next,
                () = self.cancel.cancelled() => break,
            };
            let Some(mut judged) = next else {
                debug_assert!(held.is_empty(), "no clause is blamed by one that it blames");
                break;
            };
            // A check that could not tell is asked once more, unless another takes the blame; one that found the mesh wrong is
            // not.
            let untold = matches!(judged.verdict, Verdict::Inconclusive { .. });
            if untold && judged.failed_attempts.is_empty() && taking_blame(judged.case, &verdicts).is_none() {
                judged.failed_attempts.push(judged.verdict.cause());
                let hurry = Hurry::default();
                hurries.push((judged.case, hurry.clone()));
                running.push(self.attempt(judged.case, hurry, judged.began, judged.failed_attempts));
                continue;
            }
            in_use.retain(|(user, _)| *user != judged.case.id);
            held.push(judged);
        }
        // Where the run is given up, what could have taken the blame is never known.
        for judged in held {
            self.tell(judged, &mut verdicts);
        }
        verdicts
    }

    fn tell(&self, judged: Judged<'_>, verdicts: &mut BTreeMap<String, Verdict>) {
        let Judged { case, verdict, failed_attempts, seconds, .. } = judged;
        let verdict = self.context.symptoms.noted(case.id, blamed(case, verdict, verdicts));
        verdicts.insert(case.id.to_string(), verdict.clone());
        let id = self.context.told(case.id);
        self.context.recorder.emit(Event::CaseFinished { id, verdict, failed_attempts, seconds });
    }

    fn readiness(&self, case: &Case, cases: &[Case], verdicts: &BTreeMap<String, Verdict>) -> Readiness {
        let file = &self.book().file;
        let mut readiness = Readiness::Ready;
        // Of several remotes each has its own steps.
        let further = self.context.scenario().clusters.further();
        let own = |step: &str| per_remote::id(step, further.as_deref());
        let ended = |step: &str| file.proved.iter().any(|proved| proved == step) || file.failed.contains_key(step);
        if let Some(step) = case.follows.iter().map(|step| own(step)).find(|step| !ended(step)) {
            return Readiness::Blocked(Verdict::Blocked { by: format!("step {step}"), reason: UNPROVED.to_string() });
        }
        for need in case.needs {
            if let Some(verdict) = verdicts.get(*need) {
                if !verdict.is_passed() {
                    return Readiness::Blocked(Verdict::Blocked { by: need.to_string(), reason: verdict.cause() });
                }
            } else if cases.iter().any(|other| other.id == *need) {
                readiness = Readiness::Waits;
            } else if !file.proved.contains(&own(need)) {
                let step = own(need);
                let reason = file.failed.get(&step).cloned().unwrap_or_else(|| UNPROVED.to_string());
                return Readiness::Blocked(Verdict::Blocked { by: format!("step {step}"), reason });
            }
        }
        readiness
    }

    /// Asks a case that was first asked when it `began`, and could not tell at these attempts.
    async fn attempt<'c>(
        &self,
        case: &'c Case,
        hurry: Hurry,
        began: Instant,
        failed_attempts: Vec<String>,
    ) -> Judged<'c> {
        let attempt = 1 + failed_attempts.len() as u32;
        let mut context = self.context.scoped(case.id);
        context.mesh.hurry = hurry;
        if attempt > 1 {
            // The logs still hold the calls of the first.
            context.nonce = format!("{}-{attempt}", context.nonce);
        }
        let limit = Duration::from_secs_f64(240.0 * context.budgets.slow);
        context.recorder.emit(Event::CaseStarted { id: context.scope.clone(), attempt });
        let judged = AssertUnwindSafe(tokio::time::timeout(limit, (case.judge)(&context))).catch_unwind().await;
        let result = match judged {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Fault::Unknown(format!("the check did not end within {} s", limit.as_secs()))),
            Err(_) => Err(Fault::Unknown("the check panicked; this is a defect of meshproof".to_string())),
        };
        Judged { case, verdict: decide(result), failed_attempts, began, seconds: began.elapsed().as_secs_f64() }
    }
}

/// Does something between the two events of a step, told under this id; says whether that could be done.
async fn doing(context: &Context, told: &str, work: impl AsyncFnOnce(&Context) -> Result<Evidence, StepError>) -> bool {
    let context = context.for_step(told);
    let began = Instant::now();
    context.recorder.emit(Event::StepStarted { id: told.to_string() });
    let outcome = match work(&context).await {
        Ok(evidence) => StepOutcome::Proved { evidence },
        Err(StepError(error)) => StepOutcome::Failed { error },
    };
    let proved = matches!(outcome, StepOutcome::Proved { .. });
    let seconds = began.elapsed().as_secs_f64();
    context.recorder.emit(Event::StepFinished { id: told.to_string(), outcome, seconds });
    proved
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}

/// A case that was asked.
struct Judged<'c> {
    case: &'c Case,
    verdict: Verdict,
    failed_attempts: Vec<String>,
    began: Instant,
    seconds: f64,
}

/// Whether nothing that is still to come could take the blame.
fn may_be_told(judged: &Judged<'_>, cases: &[Case], verdicts: &BTreeMap<String, Verdict>) -> bool {
    let to_come = |id: &&str| !verdicts.contains_key(*id) && cases.iter().any(|case| case.id == *id);
    judged.verdict.is_passed() || !judged.case.blames.iter().any(to_come)
}

/// The first clause that takes the blame for this one.
fn taking_blame(case: &Case, verdicts: &BTreeMap<String, Verdict>) -> Option<&'static str> {
    let broken = |id: &&str| matches!(verdicts.get(*id), Some(Verdict::Failed { .. } | Verdict::Blocked { .. }));
    case.blames.iter().copied().find(broken)
}

/// The verdict as it is told: blocked by the first clause that takes the blame.
fn blamed(case: &Case, verdict: Verdict, verdicts: &BTreeMap<String, Verdict>) -> Verdict {
    if verdict.is_passed() {
        return verdict;
    }
    match taking_blame(case, verdicts) {
        Some(by) => {
            let reason = format!("{}; so {}", verdicts[by].cause(), verdict.cause());
            Verdict::Blocked { by: by.to_string(), reason }
        }
        None => verdict,
    }
}

/// Why a clause is blocked by a step of which `lab.json` says nothing: it was never begun, or the run was killed in it.
const UNPROVED: &str = "it was never proved on this lab; `meshproof install` goes on from there";

enum Readiness {
    Ready,
    Waits,
    Blocked(Verdict),
}

fn is_free(wish: Use, in_use: &[(&str, Use)]) -> bool {
    let clash = |ground: Ground, changes: bool, other: Use| match other {
        Use::Changes(taken) => taken == ground,
        Use::Relies(taken) => changes && taken == ground,
    };
    match wish {
        Use::Changes(ground) => !in_use.iter().any(|(_, other)| clash(ground, true, *other)),
        Use::Relies(ground) => !in_use.iter().any(|(_, other)| clash(ground, false, *other)),
    }
}
