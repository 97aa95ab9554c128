//! One testcase: of a part of the lab, a step, a case, or of what no other says.

use junit_report::{TestCase, TestResult};

use super::{attribute, cdata, duration};
use crate::check::evidence::Item;
use crate::check::{Evidence, Finding, Verdict};
use crate::event::StepOutcome;
use crate::exit::Standing;
use crate::report::summary::{CaseRun, LabPart, StepRun, Summary};
use crate::report::text;
use crate::report::trouble::Trouble;

/// What keeps a run from being green.
pub(super) fn of_trouble(trouble: &Trouble) -> TestCase {
    let mut case = TestCase::success(&attribute(&trouble.id), duration(trouble.seconds));
    let first = trouble.cause.lines().next().unwrap_or_default();
    case.result = error("not-made", first, &format!("{}\n{}", trouble.title, trouble.cause));
    case
}

/// A part of the lab that has begun.
pub(super) fn of_lab_part(summary: &Summary, part: &LabPart) -> TestCase {
    if let Some(trouble) = summary.lab_trouble(part) {
        return of_trouble(&trouble);
    }
    let (seconds, detail) = part.end.as_ref().map_or((0.0, ""), |end| (end.seconds, &end.detail));
    success(&part.id, seconds, &[part.title.clone(), detail.to_string()])
}

/// A step that has begun or could not; none of one that was not tried.
pub(super) fn of_step(summary: &Summary, step: &StepRun) -> Option<TestCase> {
    if let Some(trouble) = summary.step_trouble(step) {
        return Some(of_trouble(&trouble));
    }
    let outline = &step.outline;
    let about = [outline.title.clone(), format!("guide: {}", outline.guide)];
    let told = |lines: Vec<String>| success(&outline.id, step.seconds, &[about.to_vec(), lines].concat());
    Some(match &step.outcome {
        Some(StepOutcome::Proved { evidence }) => told(evidence_lines(evidence)),
        // What the scenario expects is no error, however it came.
        Some(StepOutcome::Failed { error }) => told(vec![format!("failed as expected: {error}")]),
        Some(StepOutcome::Blocked { by }) => {
            let mut case = TestCase::success(&attribute(&outline.id), duration(step.seconds));
            case.result = skipped("blocked", &format!("blocked by {by}"), &about.join("\n"));
            case
        }
        None if step.started => told(vec!["did not end, as expected".to_string()]),
        None => return None,
    })
}

/// A planned case, judged or not.
pub(super) fn of_case(summary: &Summary, run: &CaseRun) -> TestCase {
    let mut case = success(&run.name(), run.seconds, &system_out(summary, run));
    case.result = result(summary, run);
    case
}

fn success(name: &str, seconds: f64, lines: &[String]) -> TestCase {
    let mut case = TestCase::success(&attribute(name), duration(seconds));
    let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    if !lines.is_empty() {
        case.set_system_out(&cdata(&lines.join("\n")));
    }
    case
}

/// The one place that turns a verdict and its standing into a JUnit element.
fn result(summary: &Summary, run: &CaseRun) -> TestResult {
    let message = summary.cause_of(run);
    let body = body(run);
    match (run.standing(), &run.verdict) {
        (Standing::AsExpected, Some(Verdict::Blocked { .. })) => skipped("blocked", &message, &body),
        (Standing::AsExpected, _) => TestResult::Success,
        (Standing::Unexpected, Some(Verdict::Failed { .. })) => failure("refuted", &message, &body),
        (Standing::Unexpected, _) => failure("unexpected", &message, &body),
        (Standing::Neutral, _) => skipped("skipped", &message, &body),
        (Standing::Untold, Some(Verdict::Blocked { .. })) if run.expects_other() => error("blocked", &message, &body),
        (Standing::Untold, Some(Verdict::Blocked { .. })) => skipped("blocked", &message, &body),
        (Standing::Untold, Some(_)) => error("inconclusive", &message, &body),
        (Standing::Untold, None) => error("not-judged", &message, &body),
    }
}

/// All that a verdict other than passed has to say.
fn body(run: &CaseRun) -> String {
    let mut lines = vec![run.outline.title.clone(), format!("guide: {}", run.outline.guide)];
    match &run.verdict {
        Some(Verdict::Failed { finding }) => lines.extend(finding_lines(finding)),
        Some(verdict) => lines.push(verdict.cause()),
        None => {}
    }
    lines.extend(run.failed_attempts.iter().map(|cause| format!("earlier attempt: {}", text::one_line(cause))));
    lines.join("\n")
}

fn finding_lines(finding: &Finding) -> Vec<String> {
    let mut lines = vec![finding.cause.clone()];
    let parts = [("expected", &finding.expected), ("got", &finding.got)];
    lines.extend(parts.iter().filter(|(_, said)| !said.is_empty()).map(|(name, said)| format!("{name}: {said}")));
    lines.extend(finding.advice());
    lines.extend(evidence_lines(&finding.evidence));
    lines
}

fn system_out(summary: &Summary, run: &CaseRun) -> Vec<String> {
    let mut lines = Vec::new();
    if run.flaky() {
        let attempts = text::count(run.failed_attempts.len(), "failed attempt");
        let causes: Vec<String> = run.failed_attempts.iter().map(|cause| text::one_line(cause)).collect();
        lines.push(format!("flaky: passed after {attempts}: {}", causes.join("; ")));
    }
    match &run.verdict {
        // A testcase without an element is a pass to every reader, so what was expected stands here.
        Some(verdict) if !verdict.is_passed() && run.standing() == Standing::AsExpected => {
            lines.push(summary.cause_of(run));
            lines.push(body(run));
        }
        verdict => {
            lines.push(format!("guide: {}", run.outline.guide));
            if let Some(Verdict::Passed { evidence }) = verdict {
                lines.extend(evidence_lines(evidence));
            }
        }
    }
    lines
}

fn evidence_lines(evidence: &Evidence) -> Vec<String> {
    let item = |item: &Item| text::one_line(&item.to_string());
    let notes = evidence.notes.iter().map(|note| text::one_line(&format!("note: {note}")));
    evidence.items.iter().map(item).chain(notes).collect()
}

fn failure(kind: &str, message: &str, body: &str) -> TestResult {
    TestResult::Failure { type_: kind.to_string(), message: attribute(message), cause: Some(cdata(body)) }
}

fn error(kind: &str, message: &str, body: &str) -> TestResult {
    TestResult::Error { type_: kind.to_string(), message: attribute(message), cause: Some(cdata(body)) }
}

fn skipped(kind: &str, message: &str, body: &str) -> TestResult {
    TestResult::SkippedWithCause { type_: kind.to_string(), message: attribute(message), cause: Some(cdata(body)) }
}
