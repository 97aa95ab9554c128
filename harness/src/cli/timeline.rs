//! What a scenario does to an installed mesh, moment by moment, and the rounds of checks within it.

use std::collections::BTreeMap;

use super::args::Request;
use crate::check::case::Case;
use crate::check::{Evidence, Verdict};
use crate::context::{Context, told};
use crate::exit::Standing;
use crate::install::{Step, StepError, primary_remote};
use crate::lab::images;
use crate::plan::{CaseOutline, Phase, StepOutline};
use crate::run::Run;
use crate::sabotage::{Act, Breakage, Names, Sabotage};
use crate::scenario::{Moment, Round, Scenario, length, moment_id};
use crate::wait;

/// A round with the cases that it asks, in catalogue order.
pub type Asked<'a> = (&'a Round, Vec<Case>);

/// The rounds of a scenario with their cases.
pub fn rounds<'a>(request: &'a Request, catalogue: &[Case]) -> Vec<Asked<'a>> {
    let cases = request
        .rounds
        .iter()
        .map(|selection| catalogue.iter().filter(|case| selection.contains(case.id)).copied().collect::<Vec<_>>());
    request.scenario().rounds().zip(cases).collect()
}

/// The cases of all rounds as reports tell them.
pub fn outlines(scenario: &Scenario, rounds: &[Asked<'_>]) -> Vec<CaseOutline> {
    rounds.iter().flat_map(|(round, cases)| outlines_of(scenario, &round.name, cases)).collect()
}

/// These cases as reports tell them in a round, or without one: once for each remote.
pub fn outlines_of(scenario: &Scenario, round: &str, cases: &[Case]) -> Vec<CaseOutline> {
    let of = |pair: &Scenario| {
        let further = pair.clusters.further();
        let outlines = cases.iter().map(Case::outline);
        outlines
            .map(|outline| CaseOutline { id: told(round, further.as_deref(), &outline.id), ..outline })
            .collect::<Vec<_>>()
    };
    scenario.pairs().iter().flat_map(of).collect()
}

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
            commands: step.map(|step| step.outline().commands).unwrap_or_default(),
            proof: step.map_or_else(|| "it could be done".to_string(), |step| step.proof.title()),
            after: Vec::new(),
            needs: Vec::new(),
            teaches: Vec::new(),
        }
    };
    scenario.timeline.iter().enumerate().map(outline).collect()
}

/// A timeline under way.
pub struct Timeline<'a> {
    run: &'a Run,
    sabotages: &'a [Sabotage],
    rounds: &'a [Asked<'a>],
    steps: Vec<Step>,
    /// What was broken and not put back, with the id of its sabotage or moment, in order.
    broken: Vec<(String, Breakage<'a>)>,
}

impl<'a> Timeline<'a> {
    /// The timeline of this run's scenario.
    pub fn new(run: &'a Run, sabotages: &'a [Sabotage], rounds: &'a [Asked<'a>]) -> Timeline<'a> {
        let steps = primary_remote::steps(run.context.scenario(), images::WORKLOAD_IN_NODE);
        Timeline { run, sabotages, rounds, steps, broken: Vec::new() }
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
                let (round, cases) = rounds.next().expect("each round has its cases");
                let verdicts = judge(&run.within(&round.name), cases, &[]).await;
                if !run.cancel.is_cancelled() && !are_as_expected(run, cases, round, &verdicts) {
                    surprised(round).await;
                }
                continue;
            }
            let id = moment_id(index);
            // What is given up in its midst is never put back: the lab goes, or is left to a person as it is.
            let done = tokio::select! {
                done = self.moment(moment, &id) => done,
                () = run.cancel.cancelled() => false,
            };
            if !done {
                return false;
            }
        }
        true
    }

    async fn moment(&mut self, moment: &Moment, id: &str) -> bool {
        let run = self.run;
        if let Moment::Step(step) = moment {
            let step = self.steps.iter().find(|one| one.id == *step).expect("the file was read with these steps");
            return run.step(step, id).await.1;
        }
        run.doing(id, async |context| self.act(moment, id, context).await).await
    }

    /// Does what is no round and no step.
    async fn act(&mut self, moment: &Moment, id: &str, context: &Context) -> Result<Evidence, StepError> {
        match moment {
            Moment::Judge(_) | Moment::Step(_) => {}
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

/// The verdicts of the cases of one remote, by their ids.
pub type Verdicts = BTreeMap<String, Verdict>;

/// Asks these cases of each remote, and returns the verdicts of each. `known` are those of earlier cases, on which these may
/// depend; there need be none.
pub async fn judge(run: &Run, cases: &[Case], known: &[Verdicts]) -> Vec<Verdicts> {
    let pairs = run.pairs();
    let judging = pairs.iter().enumerate().map(async |(number, pair)| {
        let known = known.get(number).cloned().unwrap_or_default();
        pair.cases(cases, &known).await
    });
    futures::future::join_all(judging).await
}

fn are_as_expected(run: &Run, cases: &[Case], round: &Round, verdicts: &[Verdicts]) -> bool {
    let scenario = run.context.scenario();
    let is = |pair: &Scenario, verdicts: &Verdicts, case: &Case| {
        let told = told(&round.name, pair.clusters.further().as_deref(), case.id);
        let standing = Standing::of(verdicts.get(case.id), scenario.expected(&told).unwrap_or("passed"));
        matches!(standing, Standing::AsExpected | Standing::Neutral)
    };
    scenario.pairs().iter().zip(verdicts).all(|(pair, verdicts)| cases.iter().all(|case| is(pair, verdicts, case)))
}
