//! Rounds of checks: which cases each of them asks of which pair of clusters, how they are told, and asking them.

use std::collections::BTreeMap;

use super::args::Request;
use crate::check::Verdict;
use crate::check::case::Case;
use crate::context::told;
use crate::exit::Standing;
use crate::plan::CaseOutline;
use crate::run::Run;
use crate::scenario::{Moment, Round, Scenario};
use crate::traffic;

/// A round with the cases that it asks, in catalogue order.
pub type Asked<'a> = (&'a Round, Vec<Case>);

/// The verdicts of the cases of one remote, by their ids.
pub type Verdicts = BTreeMap<String, Verdict>;

/// The rounds of a scenario with their cases.
pub fn rounds<'a>(request: &'a Request, catalogue: &[Case]) -> Vec<Asked<'a>> {
    let cases = request
        .rounds
        .iter()
        .map(|selection| catalogue.iter().filter(|case| selection.contains(case.id)).copied().collect::<Vec<_>>());
    request.scenario().rounds().zip(cases).collect()
}

/// What all rounds judge, as reports tell it.
pub fn outlines(scenario: &Scenario, rounds: &[Asked<'_>]) -> Vec<CaseOutline> {
    let under_traffic = |round: &Round| is_under_traffic(scenario, round).then(|| traffic::outline(&round.name));
    let of = |(round, cases): &Asked<'_>| {
        outlines_of(scenario, &round.name, cases).into_iter().chain(under_traffic(round)).collect::<Vec<_>>()
    };
    rounds.iter().flat_map(of).collect()
}

fn is_under_traffic(scenario: &Scenario, round: &Round) -> bool {
    let at = scenario.timeline.iter().position(|moment| matches!(moment, Moment::Judge(other) if other == round));
    at.is_some_and(|at| scenario.has_traffic(at))
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

/// Asks these cases of each pair, and returns the verdicts of each. `known` are those of earlier cases, on which these may
/// depend; there need be none.
pub async fn judge(pairs: &[Run], cases: &[Case], known: &[Verdicts]) -> Vec<Verdicts> {
    let judging = pairs.iter().enumerate().map(async |(number, pair)| {
        let known = known.get(number).cloned().unwrap_or_default();
        pair.cases(cases, &known).await
    });
    futures::future::join_all(judging).await
}

/// Whether the verdicts of a round are those that the scenario expects.
pub fn are_as_expected(scenario: &Scenario, (round, cases): &Asked<'_>, verdicts: &[Verdicts]) -> bool {
    scenario.pairs().iter().zip(verdicts).all(|(pair, verdicts)| {
        let further = pair.clusters.further();
        cases
            .iter()
            .all(|case| is_expected(scenario, &told(&round.name, further.as_deref(), case.id), verdicts.get(case.id)))
    })
}

/// Whether the verdict of the steady traffic in a round is the one that the scenario expects.
pub fn is_as_expected(scenario: &Scenario, round: &Round, traffic: &Verdict) -> bool {
    is_expected(scenario, &told(&round.name, None, traffic::ID), Some(traffic))
}

fn is_expected(scenario: &Scenario, told: &str, verdict: Option<&Verdict>) -> bool {
    Standing::of(verdict, scenario.expected(told).unwrap_or("passed")).is_fine()
}
