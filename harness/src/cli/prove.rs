//! `prove`: breaks a healthy lab in every way of the catalogue, and sees what the suite says of it.

use std::path::PathBuf;
use std::time::Instant;

use super::args::{EngineUse, Request, Verb, remotes};
use super::claim::{Base, Claim, runs_problem};
use super::interrupt::Interrupt;
use super::output::{out, say};
use super::reporters::{Told, recorder};
use super::session::{self, Phases};
use super::verbs;
use crate::check::case::{Case, Ground, Use};
use crate::check::verdict::chain;
use crate::context::Context;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::lab::{Lab, LabFile};
use crate::plan::CaseOutline;
use crate::problem::Problems;
use crate::report::Summary;
use crate::report::github::Job;
use crate::report::terminal::{Manner, Terminal};
use crate::sabotage::{self, After, Breakage, Got, Names, Sabotage, Trial};
use crate::scenario::Scenario;
use crate::select::select;

/// Why a sabotage was not carried out when the process is killed.
const UNDER_WAY: &str = "the proof was under way, and did not end";

/// What these sabotages are, a line each.
pub fn list(request: &Request, sabotages: &[Sabotage]) -> String {
    let names = Names::planned(request.scenario());
    let line = |sabotage: &Sabotage| {
        let what = names.fill(&sabotage.what);
        format!("{:34} {:15} {:4} {what}\n", sabotage.id, sabotage.layer.as_str(), sabotage.first())
    };
    sabotages.iter().map(line).collect()
}

/// Carries out these sabotages in turn.
///
/// # Errors
/// What keeps it from beginning: nothing was broken then.
pub async fn prove(
    request: &Request,
    sabotages: &[Sabotage],
    judge_once: bool,
    base: Base<'_>,
) -> Result<Exit, Problems> {
    let (home, lab) = (base.home, request.scenario().lab.clone());
    let file = home.lab(&lab).join("lab.json");
    let engine = if file.is_file() { EngineUse::Existing } else { request.engine };
    let claim = Claim::take(request, base, engine).await?;
    // Asked again now that nobody else can make or remove it.
    let there = file.is_file();
    let request = if there { claim.existing(request)?.1 } else { request.clone() };
    Problems(remotes::only_one("prove", request.scenario()).into_iter().collect()).or(())?;
    if !there {
        // Somebody else's lab of this name, or half of one, is refused here: whatever is made after this is ours to remove.
        claim.free(&request).await?;
    }
    let folder = session::folder(&request.runs, &lab).map_err(|error| runs_problem(&request.runs, &error))?;
    let recorder =
        Recorder::new(vec![Box::new(Terminal::new(std::io::stderr(), Manner::detect(request.telling.volume())))]);
    let left = format!("lab {lab} may be broken; remove it: meshproof down --lab {lab}");
    let interrupt = Interrupt::listen(recorder.clone(), left);
    let began = jiff::Timestamp::now();
    let proof = Proof { claim, request, judge_once, folder, interrupt, recorder, began };
    let (exit, trials, why) = proof.go(sabotages, there).await;
    let by_signal = exit == Exit::Interrupted;
    if !there && !proof.request.keep.keeps(exit == Exit::Green, by_signal) {
        let removed = verbs::remove(&proof.recorder, &proof.claim.engine, home, &lab, &proof.request.budgets).await;
        if let Err(error) = removed {
            proof.write(sabotages, &trials, &why, Some(&error.to_string()));
            return Ok(if exit == Exit::Green { Exit::LeftOver } else { exit });
        }
    }
    Ok(exit)
}

/// A call of `prove`.
struct Proof<'a> {
    claim: Claim<'a>,
    request: Request,
    /// Whether the mended mesh is judged after the last sabotage alone, as long as all are told as expected.
    judge_once: bool,
    folder: PathBuf,
    interrupt: Interrupt,
    recorder: Recorder,
    began: jiff::Timestamp,
}

/// What ends the whole call.
enum Ended {
    /// A signal.
    Interrupted,
    /// Something without which no sabotage says anything, in one line.
    Unable(String),
}

impl Proof<'_> {
    /// Carries them out; returns how that ended, what each came to, and why others were not carried out.
    async fn go(&self, sabotages: &[Sabotage], there: bool) -> (Exit, Vec<Trial>, String) {
        let mut trials = Vec::new();
        // A proof that is killed before its first trial is not green either.
        self.write(sabotages, &trials, UNDER_WAY, None);
        let ended = self.all(sabotages, there, &mut trials).await;
        let why = match &ended {
            Ok(()) => String::new(),
            Err(Ended::Interrupted) => "interrupted".to_string(),
            Err(Ended::Unable(why)) => why.clone(),
        };
        self.write(sabotages, &trials, &why, None);
        if !trials.is_empty() {
            out(&sabotage::text(&trials));
        }
        say("Reports", &self.folder.display().to_string());
        if let Some(job) = Job::from_environment() {
            job.reported(&self.folder);
        }
        let exit = match ended {
            Err(Ended::Interrupted) => Exit::Interrupted,
            Err(Ended::Unable(why)) => {
                say("Unable", &why);
                Exit::NoVerdict
            }
            // It came after the last of them was judged.
            Ok(()) if self.interrupt.by_signal() => Exit::Interrupted,
            Ok(()) if trials.iter().all(Trial::is_as_expected) => Exit::Green,
            Ok(()) => Exit::Red,
        };
        (exit, trials, why)
    }

    async fn all(&self, sabotages: &[Sabotage], there: bool, trials: &mut Vec<Trial>) -> Result<(), Ended> {
        let lab = &self.request.scenario().lab;
        self.progress("Proving", &format!("{} sabotages on lab {lab}", sabotages.len()));
        if !there {
            self.make("lab").await?;
        }
        let began = Instant::now();
        let healthy = self.check("healthy").await?;
        match healthy.not_green().first() {
            None => {
                self.progress("Healthy", &format!("every clause passes before anything is broken  ({})", took(began)))
            }
            Some(why) => {
                return Err(Ended::Unable(format!("lab {lab} is not healthy before anything is broken: {why}")));
            }
        }
        // Sabotages that were taken back since the mesh was last judged whole.
        let mut unjudged: Vec<&str> = Vec::new();
        for (number, sabotage) in sabotages.iter().enumerate() {
            let mut trial = self.trial(sabotage).await?;
            let last = number + 1 == sabotages.len();
            let after = if last || !self.judge_once || !trial.is_as_expected() {
                let judged = self.judge_mended(&mut trial, &unjudged).await;
                unjudged.clear();
                judged
            } else {
                self.progress("Mended", &format!("{}  everything is put back, and judged later", trial.id));
                unjudged.push(&sabotage.id);
                self.settle(&trial.id).await
            };
            let mended = trial.unmended.is_empty();
            trials.push(trial);
            self.write(sabotages, trials, UNDER_WAY, None);
            // What was told of this one is kept, whatever ended the others.
            after?;
            if !mended && there {
                let id = &sabotage.id;
                return Err(Ended::Unable(format!(
                    "lab {lab} is not as it was before {id}; it is left as it is, for it was there before. Make it again: \
                     meshproof down --lab {lab}"
                )));
            }
            if !mended && !last {
                self.progress("Making", "the lab anew, for it could not be mended");
                let removed =
                    verbs::remove(&self.recorder, &self.claim.engine, self.claim.base.home, lab, &self.request.budgets);
                removed.await.map_err(|error| Ended::Unable(error.to_string()))?;
                self.make(&format!("lab-after-{}", sabotage.id)).await?;
            }
        }
        Ok(())
    }

    /// Breaks, judges and mends.
    async fn trial(&self, sabotage: &Sabotage) -> Result<Trial, Ended> {
        let context = self.context().await?;
        let names = Names::of(&context).await.map_err(|error| Ended::Unable(chain(&error)))?;
        let fill = |text: &str| names.fill(text);
        self.progress("Breaking", &format!("{}  {}", sabotage.id, fill(&sabotage.what)));
        let began = Instant::now();
        let mut breakage = Breakage::of(&context);
        let (installs, made) = (sabotage.installs(), context.scenario());
        let without = if installs {
            let scenario = sabotage.scenario(made);
            self.anew(&format!("{}/without", sabotage.id), &sabotage.without, &scenario).await.map(|_| ())
        } else {
            Ok(())
        };
        // A signal counts between two acts: one that was given up could still happen after it was taken back.
        let broken = breakage.inflict(&sabotage.acts, &names, &self.interrupt.cancel).await;
        let judged = match &broken {
            Ok(()) if !self.interrupt.cancel.is_cancelled() => match without {
                Ok(()) => self.judge(sabotage).await,
                Err(ended) => Err(ended),
            },
            _ => Ok(Got::default()),
        };
        let to_verdict = began.elapsed().as_secs_f64();
        // Whatever happened: the lab is put back.
        let mut unmended = breakage.mend(sabotage, &names).await;
        let again = match (installs, sabotage.after) {
            (true, _) => self.anew(&format!("{}/again", sabotage.id), &[], made).await,
            (false, After::CleanUp) => self.install(&format!("{}/again", sabotage.id), &[], made).await,
            (false, After::Install) => Ok(Vec::new()),
        };
        let lab = &self.request.scenario().lab;
        // After a namespace of its own lab.json may still say that one.
        let mend = if sabotage.remote_namespace.is_some() { "down" } else { "install" };
        let not_again = |why: &str| format!("the mesh is not installed again: {why}; meshproof {mend} --lab {lab}");
        unmended.extend(match again {
            Ok(troubles) => troubles.first().map(|why| not_again(why)),
            Err(Ended::Interrupted) => Some(not_again("interrupted")),
            Err(Ended::Unable(why)) => Some(not_again(&why)),
        });
        // At once: a signal or an error below may be the last that is heard.
        for line in &unmended {
            say("Unmended", &format!("{}  {line}", sabotage.id));
        }
        let mut trial = match (broken, judged) {
            _ if self.interrupt.cancel.is_cancelled() => return Err(Ended::Interrupted),
            (_, Err(ended)) => return Err(ended),
            (Err(error), _) => {
                let mut trial = Trial::judge(sabotage, Got::default(), fill);
                trial.misses = vec![format!("it could not be broken: {}", chain(&error))];
                trial
            }
            (Ok(()), Ok(got)) => Trial::judge(sabotage, got, fill),
        };
        trial.to_verdict = to_verdict;
        trial.seconds = began.elapsed().as_secs_f64();
        trial.unmended = unmended;
        self.tell(&trial);
        Ok(trial)
    }

    /// Asks every clause of the mended mesh, and notes in the trial what is not green; it may be of one of these sabotages,
    /// too, after which nobody asked.
    async fn judge_mended(&self, trial: &mut Trial, unjudged: &[&str]) -> Result<(), Ended> {
        let began = Instant::now();
        let mut found = match self.check(&format!("{}/mended", trial.id)).await {
            Ok(got) => got.not_green(),
            Err(Ended::Unable(why)) => vec![why],
            Err(ended) => return Err(ended),
        };
        if !found.is_empty() && !unjudged.is_empty() {
            found.push(format!("or it is of {}, after which the mesh was not judged", unjudged.join(", ")));
        }
        for line in &found {
            say("Unmended", &format!("{}  {line}", trial.id));
        }
        trial.unmended.extend(found);
        if trial.unmended.is_empty() {
            self.progress("Mended", &format!("{}  every clause passes again  ({})", trial.id, took(began)));
        }
        trial.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }

    /// Waits until istiod leads in the remote cluster again, which takes longest of all: the lock of one that was killed or cut
    /// off runs out first. The next sabotage would be told together with that else.
    async fn settle(&self, id: &str) -> Result<(), Ended> {
        let catalogue = self.claim.base.catalogue;
        let by_lock = |case: &&Case| case.uses.contains(&Use::Relies(Ground::RemoteLock)) && case.outline().is_clause();
        let only: Vec<String> = catalogue.iter().filter(by_lock).map(|case| case.id.to_string()).collect();
        let outlines: Vec<CaseOutline> = catalogue.iter().map(Case::outline).collect();
        let selection = select(&outlines, &only, &[]).map_err(|problems| Ended::Unable(problems.to_string()))?;
        let request = Request { selection, ..self.request.clone() };
        let phases = Phases { check: true, ..Phases::default() };
        self.session_of(request, &format!("{id}/settled"), Verb::Check(Default::default()), phases).await.map(|_| ())
    }

    async fn context(&self) -> Result<Context, Ended> {
        let lab = &self.request.scenario().lab;
        let file = LabFile::read(self.claim.base.home, lab).map_err(|problem| Ended::Unable(problem.to_string()))?;
        let opened = Lab::open(self.claim.base.home, file, self.claim.engine.clone()).await;
        let opened = opened.map_err(|error| Ended::Unable(error.to_string()))?;
        Ok(Context::new(opened, self.recorder.clone(), self.request.budgets).scoped("prove"))
    }

    /// What the suite says of the broken lab.
    async fn judge(&self, sabotage: &Sabotage) -> Result<Got, Ended> {
        let folder = format!("{}/broken", sabotage.id);
        match sabotage.after {
            After::Install => self.check(&folder).await,
            After::CleanUp => {
                let phases = Phases { clean_up: true, ..Phases::default() };
                let summary = self.session(&folder, Verb::Uninstall(Default::default()), phases, &[]).await?;
                Ok(Got::of(&summary))
            }
        }
    }

    /// Follows the guide's clean-up, and then the guide without these steps as a scenario says; returns what failed on
    /// the way.
    async fn anew(&self, folder: &str, without: &[String], scenario: &Scenario) -> Result<Vec<String>, Ended> {
        let phases = Phases { clean_up: true, ..Phases::default() };
        self.session(&format!("{folder}-clean-up"), Verb::Uninstall(Default::default()), phases, &[]).await?;
        self.install(folder, without, scenario).await
    }

    /// Follows the guide without these steps on a lab that is clean, which is one of this scenario from then on; returns
    /// what failed on the way.
    async fn install(&self, folder: &str, without: &[String], scenario: &Scenario) -> Result<Vec<String>, Ended> {
        let (home, lab) = (self.claim.base.home, &self.request.scenario().lab);
        let mut file = LabFile::read(home, lab).map_err(|problem| Ended::Unable(problem.to_string()))?;
        file.scenario = scenario.clone();
        file.write(home).map_err(|error| Ended::Unable(format!("lab.json cannot be written: {error}")))?;
        let phases = Phases { install: true, ..Phases::default() };
        let summary = self.session(folder, Verb::Install(Default::default()), phases, without).await?;
        Ok(summary.obstacles().into_iter().map(|trouble| trouble.cause).collect())
    }

    /// Asks every clause of the lab as it is now.
    async fn check(&self, folder: &str) -> Result<Got, Ended> {
        let phases = Phases { check: true, ..Phases::default() };
        let summary = self.session(folder, Verb::Check(Default::default()), phases, &[]).await?;
        match summary.obstacles().into_iter().find(|trouble| trouble.class == "lab") {
            Some(trouble) => Err(Ended::Unable(trouble.cause)),
            None => Ok(Got::of(&summary)),
        }
    }

    /// Makes the lab, with the mesh installed.
    async fn make(&self, folder: &str) -> Result<(), Ended> {
        let began = Instant::now();
        self.progress("Making", &format!("lab {}", self.request.scenario().lab));
        let phases = Phases { up: true, install: true, ..Phases::default() };
        let summary = self.session(folder, Verb::Up(Default::default()), phases, &[]).await?;
        whole(&summary, "the lab could not be made")?;
        self.progress("Made", &format!("the lab, with the mesh installed  ({})", took(began)));
        Ok(())
    }

    async fn session(&self, name: &str, verb: Verb, phases: Phases, without: &[String]) -> Result<Summary, Ended> {
        let request = Request { without: without.to_vec(), ..self.request.clone() };
        self.session_of(request, name, verb, phases).await
    }

    /// The part of this that a request of its own asks for.
    async fn session_of(&self, request: Request, name: &str, verb: Verb, phases: Phases) -> Result<Summary, Ended> {
        let unable = |error: &dyn std::fmt::Display| Ended::Unable(error.to_string());
        let request = Request { verb, ..request };
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| unable(&error))?;
        let told = if request.telling.verbose > 0 { Told::of(&request).apart_from_job() } else { Told::default() };
        let recorder = recorder(&folder, told).map_err(|error| unable(&error))?;
        let (request, topology, existing) =
            self.claim.lab(&request, phases.up).await.map_err(|problems| unable(&problems))?;
        let interrupt = self.interrupt.part(recorder.clone());
        let session = self.claim.session(&request, interrupt.clone(), recorder.clone(), folder);
        // On the heap: as a part of every verb it nests deeper than the compiler looks.
        let exit = Box::pin(session.go(phases, self.claim.base.picked, &topology, existing)).await;
        interrupt.over();
        if exit == Exit::Interrupted {
            return Err(Ended::Interrupted);
        }
        Ok(Summary::of(&recorder.records()))
    }

    /// Writes what is known so far, and `why` the rest is not: a proof that is killed leaves what it had. `left` is why the lab is
    /// still there.
    fn write(&self, sabotages: &[Sabotage], trials: &[Trial], why: &str, left: Option<&str>) {
        let planned: Vec<_> = sabotages.iter().map(|sabotage| (sabotage.id.as_str(), sabotage.layer)).collect();
        let lines = trials.iter().map(|trial| serde_json::to_string(trial).unwrap_or_default() + "\n");
        for (name, text) in [
            ("trials.jsonl", lines.collect()),
            ("table.txt", sabotage::text(trials)),
            ("table.md", sabotage::markdown(trials)),
            ("junit.xml", sabotage::junit(&planned, trials, why, left, self.began)),
        ] {
            let path = self.folder.join(name);
            if let Err(error) = crate::report::replace(&path, &text) {
                self.recorder.emit(Event::Note { text: format!("{} cannot be written: {error}", path.display()) });
            }
        }
    }

    /// One line of what goes as it should.
    fn progress(&self, verb: &str, text: &str) {
        if !self.request.telling.quiet {
            say(verb, text);
        }
    }

    fn tell(&self, trial: &Trial) {
        let seconds = format!("({:.1} s to the verdict)", trial.to_verdict);
        let cause = trial.cause();
        if trial.misses.is_empty() {
            self.progress("Detected", &format!("{}  {}: {cause}  {seconds}", trial.id, trial.first));
            return;
        }
        say("Missed", &format!("{}  {seconds}", trial.id));
        for miss in &trial.misses {
            say("", miss);
        }
    }
}

/// Whether all that a session made is there.
fn whole(summary: &Summary, otherwise: &str) -> Result<(), Ended> {
    match summary.obstacles().into_iter().next() {
        None => Ok(()),
        Some(trouble) => Err(Ended::Unable(format!("{otherwise}: {}", trouble.cause))),
    }
}

fn took(began: Instant) -> String {
    crate::report::text::seconds(began.elapsed().as_secs_f64())
}
