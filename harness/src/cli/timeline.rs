//! What a scenario does to an installed mesh, moment by moment, and the rounds of checks within it.

use super::rounds::{self, Asked};
use crate::check::verdict::decide;
use crate::check::{Evidence, Verdict};
use crate::context::Context;
use crate::event::Event;
use crate::install::{Step, StepError, primary_remote, revision, tag};
use crate::lab::{Revision, images};
use crate::plan::{Phase, StepOutline};
use crate::run::Run;
use crate::sabotage::{Act, Breakage, Names, Sabotage};
use crate::scenario::{Moment, Round, Scenario, TrafficWish, length, moment_id};
use crate::traffic::{self, Traffic};
use crate::wait;

/// The moments as plans and reports show them.
pub fn moments(scenario: &Scenario) -> Vec<StepOutline> {
    let names = Names::planned(scenario);
    let steps = primary_remote::steps(scenario, images::WORKLOAD_IN_NODE);
    let outline = |(index, moment): (usize, &Moment)| {
        let step = match moment {
            Moment::Step(id) => steps.iter().find(|step| step.id == *id),
            _ => None,
        };
        StepOutline {
            id: moment_id(index),
            title: step.map_or_else(|| names.fill(&moment.title()), |step| step.title.clone()),
            guide: step.map_or("scenario", |step| step.guide).to_string(),
            role: step.map_or(moment.role(), |step| step.role),
            phase: Phase::Timeline,
            commands: step.map_or_else(|| commands(scenario, moment), |step| step.outline().commands),
            proof: step.map_or_else(|| "it could be done".to_string(), |step| step.proof.title()),
            after: Vec::new(),
            needs: Vec::new(),
            teaches: Vec::new(),
        }
    };
    scenario.timeline.iter().enumerate().map(outline).collect()
}

/// The commands of what is no step, as a person would type them.
fn commands(scenario: &Scenario, moment: &Moment) -> Vec<String> {
    match moment {
        Moment::Istiod(wish) => revision::install_commands(scenario, wish),
        Moment::Tag(wish) => tag::commands(scenario, wish),
        Moment::EastWestGateway(to) => revision::gateway_commands(scenario, &Revision::named(to)),
        Moment::Uninstall(of) => revision::uninstall_commands(scenario, &Revision::named(of)),
        _ => Vec::new(),
    }
}

/// A timeline under way.
pub struct Timeline<'a> {
    run: &'a Run,
    sabotages: &'a [Sabotage],
    rounds: &'a [Asked<'a>],
    steps: Vec<Step>,
    /// What was broken and not put back, with the id of its sabotage or moment, in order.
    broken: Vec<(String, Breakage<'a>)>,
    /// The steady traffic, while there is one.
    traffic: Option<Traffic>,
}

impl<'a> Timeline<'a> {
    /// The timeline of this run's scenario.
    pub fn new(run: &'a Run, sabotages: &'a [Sabotage], rounds: &'a [Asked<'a>]) -> Timeline<'a> {
        let steps = primary_remote::steps(run.context.scenario(), images::WORKLOAD_IN_NODE);
        Timeline { run, sabotages, rounds, steps, broken: Vec::new(), traffic: None }
    }

    /// Goes through all moments, until one cannot be done or the run is cancelled; says whether all were done. `surprised`
    /// is told of each round in which a verdict is not the expected one, before anything else is done.
    pub async fn go(&mut self, surprised: impl AsyncFn(&Round)) -> bool {
        let (run, mut rounds) = (self.run, self.rounds.iter());
        for (index, moment) in run.context.scenario().timeline.iter().enumerate() {
            if run.cancel.is_cancelled() {
                return false;
            }
            if let Moment::Judge(_) = moment {
                let asked = rounds.next().expect("each round has its cases");
                if !self.judge(index, asked).await && !run.cancel.is_cancelled() {
                    surprised(asked.0).await;
                }
                continue;
            }
            let id = moment_id(index);
            if let Some(traffic) = &self.traffic {
                traffic.moment(&format!("{id} ({})", moment.title()));
            }
            // What is given up in its midst is never put back: the lab goes, or is left to a person as it is.
            let done = tokio::select! {
                done = self.moment(moment, index, &id) => done,
                () = run.cancel.cancelled() => false,
            };
            if !done {
                return false;
            }
        }
        true
    }

    /// Asks the cases of a round, and then what became of the traffic since the round before; says whether all of it is as
    /// the scenario expects.
    async fn judge(&mut self, index: usize, asked: &Asked<'_>) -> bool {
        let (run, (round, cases)) = (self.run, asked);
        let scenario = run.context.scenario();
        if let Some(traffic) = &self.traffic {
            traffic.moment(&format!("round {}", round.name));
        }
        let control_planes = scenario.control_planes(index);
        let own = scenario.install.revision();
        let revision = round.revision.as_deref().unwrap_or(own.name());
        let mut pairs = run.within(&round.name).pairs();
        for pair in &mut pairs {
            pair.context.mesh = pair.context.mesh.judged_by(revision, &control_planes);
        }
        let verdicts = rounds::judge(&pairs, cases, &[]).await;
        let is_as_expected = rounds::are_as_expected(scenario, asked, &verdicts);
        // A round that was given up says nothing of what is still under way.
        let Some(mut traffic) = self.traffic.take_if(|_| !run.cancel.is_cancelled()) else { return is_as_expected };
        let ends = scenario.timeline.get(index + 1) == Some(&Moment::Traffic(TrafficWish::Stop));
        let verdict = judge_traffic(run, round, &mut traffic, ends).await;
        self.traffic = (!ends).then_some(traffic);
        is_as_expected && rounds::is_as_expected(scenario, round, &verdict)
    }

    async fn moment(&mut self, moment: &Moment, index: usize, id: &str) -> bool {
        let run = self.run;
        if let Moment::Step(step) = moment {
            let step = self.steps.iter().find(|one| one.id == *step).expect("the file was read with these steps");
            return run.step(step, id).await.1;
        }
        run.doing(id, async |context| self.act(moment, index, id, context).await).await
    }

    /// Does what is no round and no step.
    async fn act(&mut self, moment: &Moment, index: usize, id: &str, context: &Context) -> Result<Evidence, StepError> {
        let control_planes = context.scenario().control_planes(index);
        let istio = |revision: &str| control_planes.get(revision).map(String::as_str).unwrap_or_default();
        match moment {
            Moment::Judge(_) | Moment::Step(_) => {}
            Moment::Istiod(wish) => return revision::install(context, wish).await,
            Moment::Tag(wish) => return tag::set(context, wish, istio(&wish.revision)).await,
            Moment::EastWestGateway(to) => {
                return revision::gateway(context, &Revision::named(to), istio(to)).await;
            }
            Moment::Uninstall(of) => return revision::uninstall(context, &Revision::named(of), istio(of)).await,
            Moment::Traffic(TrafficWish::Start) => {
                let traffic = Traffic::start(context).await?;
                traffic.moment(&format!("{id} ({})", moment.title()));
                self.traffic = Some(traffic);
            }
            // It ended with the round before.
            Moment::Traffic(TrafficWish::Stop) => {}
            Moment::Pause(text) => {
                wait::pause(length(text).map_err(|(message, _)| StepError(message))?).await;
            }
            Moment::Sabotage(sabotage) => {
                let sabotage = self.sabotage(sabotage)?;
                self.inflict(&sabotage.id, &sabotage.acts, context).await?;
            }
            Moment::PutBack(sabotage) => {
                let sabotage = self.sabotage(sabotage)?;
                let names = Names::of(context).await?;
                let at = self.broken.iter().position(|(id, _)| *id == sabotage.id);
                let at = at.ok_or_else(|| StepError(format!("{} is not broken", sabotage.id)))?;
                let failed = self.broken.remove(at).1.mend(sabotage, &names).await;
                if !failed.is_empty() {
                    return Err(StepError(failed.join("\n")));
                }
            }
            Moment::Act(act) => self.inflict(id, std::slice::from_ref(act), context).await?,
        }
        let mut evidence = Evidence::new();
        evidence.saw(id, "scenario", moment.title());
        Ok(evidence)
    }

    async fn inflict(&mut self, id: &str, acts: &[Act], context: &Context) -> Result<(), StepError> {
        let names = Names::of(context).await?;
        // Kept whether or not it succeeds: what was done of it is put back before the clean-up.
        self.broken.push((id.to_string(), Breakage::of(&self.run.context)));
        let (_, breakage) = self.broken.last_mut().expect("it was just added");
        Ok(breakage.inflict(acts, &names, &self.run.cancel).await?)
    }

    fn sabotage(&self, id: &str) -> Result<&'a Sabotage, StepError> {
        let found = self.sabotages.iter().find(|sabotage| sabotage.id == id);
        found.ok_or_else(|| StepError(format!("there is no sabotage {id}")))
    }

    /// Puts back what is still broken, the last first, so that the guide's clean-up finds what the guide made; returns what
    /// could not be put back.
    pub async fn put_back(self) -> Vec<String> {
        let mut failed = Vec::new();
        for (id, mut breakage) in self.broken.into_iter().rev() {
            failed.extend(breakage.put_back().await.into_iter().map(|why| format!("{id} is not put back: {why}")));
        }
        failed
    }
}

/// Tells what became of the traffic, as a check of this round. Where it ends, its last requests are judged too: nothing else
/// would tell of them.
async fn judge_traffic(run: &Run, round: &Round, traffic: &mut Traffic, ends: bool) -> Verdict {
    let recorder = &run.context.recorder;
    let id = traffic::outline(&round.name).id;
    recorder.emit(Event::CaseStarted { id: id.clone(), attempt: 1 });
    match ends {
        true => traffic.end().await,
        false => traffic.settled(&run.context).await,
    }
    let (verdict, seconds) = (decide(traffic.judged()), traffic.seconds());
    let told = verdict.clone();
    recorder.emit(Event::CaseFinished { id, verdict: told, failed_attempts: Vec::new(), seconds });
    verdict
}
