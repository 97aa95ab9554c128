//! `summary.json`: what a run came to, for programs. Its form is published as a JSON Schema beside this file
//! (`summary.schema.json`): fields may be added to a form, and none changes its meaning or goes.

mod shape;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

pub use shape::RunSummary;
use shape::{
    Broken, Case, Cluster, Counts, Diagnostics, Images, LabPart, Otherwise, PartTime, Span, Step, Usage, Verdict,
    Versions, Wait,
};

use super::files::FILES;
use super::runs::EVENTS;
use super::summary::{CaseRun, StepRun, Summary};
use super::{times, trouble};
use crate::check;
use crate::event::{ClusterFacts, Record, StepOutcome};
use crate::exit::Exit;

/// The form of the file.
pub const FORM: u32 = 1;

/// Renders the summary of a run, whole or not.
pub fn render(records: &[Record]) -> String {
    let summary = of(&Summary::of(records));
    serde_json::to_string_pretty(&summary).expect("a summary is JSON") + "\n"
}

/// The schema, of draft 2020-12.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = serde_json::to_value(generator.into_root_schema_for::<RunSummary>()).expect("a schema is JSON");
    schema["title"] = json!("Summary of a run of meshproof");
    schema["properties"]["form"] = json!({"description": "The form of this file.", "const": FORM});
    schema
}

/// What a run came to, in the published form.
pub fn of(summary: &Summary) -> RunSummary {
    let scenario = summary.plan.as_ref().and_then(|plan| plan.scenario());
    let exit = Exit::so_far(summary);
    let ready = summary.ready.as_ref();
    RunSummary {
        form: FORM,
        run: summary.head.as_ref().map(|head| head.run.clone()),
        name: summary.plan.as_ref().map(|plan| plan.name()),
        verb: summary.head.as_ref().map(|head| head.verb.clone()),
        started: summary.head.as_ref().map(|head| head.started.to_string()),
        seconds: milliseconds(summary.elapsed),
        verdict: exit,
        exit_code: summary.finished.as_ref().map(|finish| finish.exit),
        meaning: exit.meaning_of(summary),
        interrupted_by: summary.interrupted.clone(),
        lab_kept: summary.finished.as_ref().map(|finish| finish.lab_kept),
        first_broken: summary.first_broken().map(broken),
        versions: Versions {
            meshproof: summary.head.as_ref().map(|head| head.meshproof.clone()),
            istio: scenario.map(|scenario| scenario.istio.clone()),
            kubernetes: scenario.map(|scenario| scenario.kubernetes.clone()),
            data_plane: ready.map(|lab| lab.data_plane.clone()),
        },
        images: ready.map(|lab| Images { source: lab.image_source.clone(), digests: lab.images.clone() }),
        clusters: clusters(summary),
        counts: counts(summary),
        cases: summary.cases.iter().map(|run| case(summary, run)).collect(),
        steps: summary.steps.iter().map(step).collect(),
        lab: summary.lab.iter().map(lab_part).collect(),
        times: summary.times.rows(summary.elapsed).into_iter().map(part_time).collect(),
        critical_path: summary.times.critical_path().iter().map(span).collect(),
        waits: summary.waits.iter().map(|(limit, wait)| Wait::of(limit, wait)).collect(),
        reached: summary.reached.iter().map(|(id, at)| (id.clone(), milliseconds(*at))).collect(),
        diagnostics: summary.diagnosed.iter().map(Diagnostics::of).collect(),
        deviations: super::facts::deviations(summary).into_iter().map(Otherwise::of).collect(),
        notes: summary.notes.clone(),
        usage: summary.finished.as_ref().and_then(|finish| finish.usage).map(Usage::of),
        files: [EVENTS, "junit.xml"]
            .into_iter()
            .chain(FILES.iter().map(|file| file.name))
            .map(str::to_string)
            .collect(),
    }
}

/// Seconds to the millisecond: no reader wants more, and no figure is as exact.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn clusters(summary: &Summary) -> Vec<Cluster> {
    let of = |member: String, facts: &ClusterFacts| Cluster {
        member,
        name: facts.name.clone(),
        kubernetes: facts.kubernetes.clone(),
        kube_system_uid: facts.kube_system_uid.clone(),
        context: facts.context.clone(),
        nodes: facts.nodes.clone(),
    };
    let ready =
        summary.ready.iter().flat_map(|lab| lab.clusters.iter().map(|(member, facts)| of(member.to_string(), facts)));
    let found =
        summary.found.iter().flat_map(|mesh| mesh.clusters.iter().map(|(role, facts)| of(role.to_string(), facts)));
    ready.chain(found).collect()
}

fn counts(summary: &Summary) -> Counts {
    let of = |verdict: Verdict| summary.cases.iter().filter(|case| Verdict::of(case) == verdict).count();
    Counts {
        passed: of(Verdict::Passed),
        failed: of(Verdict::Failed),
        inconclusive: of(Verdict::Inconclusive),
        blocked: of(Verdict::Blocked),
        skipped: of(Verdict::Skipped),
        not_judged: of(Verdict::NotJudged),
        flaky: summary.cases.iter().filter(|case| case.flaky()).count(),
    }
}

fn case(summary: &Summary, run: &CaseRun) -> Case {
    let (hint, like) = match &run.verdict {
        Some(check::Verdict::Failed { finding }) => {
            (finding.hint.clone(), finding.like.iter().map(|like| like.issue.clone()).collect())
        }
        _ => (None, Vec::new()),
    };
    let evidence = run.verdict.as_ref().and_then(check::Verdict::evidence).map_or(0, |seen| seen.items.len());
    let blocked_by = match &run.verdict {
        Some(check::Verdict::Blocked { by, .. }) => Some(by.clone()),
        _ => None,
    };
    Case {
        id: run.outline.id.clone(),
        slug: run.outline.slug.clone(),
        title: run.outline.title.clone(),
        is_clause: run.outline.is_clause(),
        guide: run.outline.guide.clone(),
        verdict: Verdict::of(run),
        expected: run.expected.clone(),
        standing: run.standing(),
        seconds: milliseconds(run.seconds),
        attempts: run.attempts,
        flaky: run.flaky(),
        failed_attempts: run.failed_attempts.clone(),
        cause: Some(summary.cause_of(run)).filter(|cause| !cause.is_empty()),
        blocked_by,
        hint,
        like,
        evidence,
    }
}

fn step(run: &StepRun) -> Step {
    let (outcome, cause, evidence) = match &run.outcome {
        Some(StepOutcome::Proved { evidence }) => ("proved", None, evidence.items.len()),
        Some(StepOutcome::Failed { error }) => ("failed", Some(error.clone()), 0),
        Some(StepOutcome::Blocked { by }) => ("blocked", Some(format!("blocked by {by}")), 0),
        None if run.started => ("unended", None, 0),
        None => ("not-tried", None, 0),
    };
    Step {
        id: run.outline.id.clone(),
        title: run.outline.title.clone(),
        phase: run.outline.phase,
        role: run.outline.role,
        guide: run.outline.guide.clone(),
        outcome: outcome.to_string(),
        cause,
        seconds: milliseconds(run.seconds),
        evidence,
    }
}

fn lab_part(part: &super::summary::LabPart) -> LabPart {
    let (id, title) = (part.id.clone(), part.title.clone());
    match &part.end {
        None => LabPart { id, title, outcome: "unended".into(), detail: String::new(), cause: None, seconds: 0.0 },
        Some(end) => {
            let outcome = if end.error.is_some() { "failed" } else { "done" }.to_string();
            let (detail, cause, seconds) = (end.detail.clone(), end.error.clone(), milliseconds(end.seconds));
            LabPart { id, title, outcome, detail, cause, seconds }
        }
    }
}

fn part_time((part, seconds): (times::Part, f64)) -> PartTime {
    PartTime { part: part.name().to_string(), seconds: milliseconds(seconds) }
}

fn span(span: &times::Span) -> Span {
    let (from, to) = (milliseconds(span.from), milliseconds(span.to));
    Span { id: span.id.clone(), part: span.part.name().to_string(), from, to }
}

fn broken(trouble: trouble::Trouble) -> Broken {
    let trouble::Trouble { class, id, title, cause, advice, .. } = trouble;
    Broken { class: class.to_string(), id, title, cause, advice }
}
