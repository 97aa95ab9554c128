//! `junit.xml`: one testcase for each planned case, from the first second of a run, and never green by accident.
//!
//! A `<failure>` stands for what makes a run red, an `<error>` for what leaves it without a verdict; a `<skipped>`
//! alone decides nothing. What the cases do not tell, such as a step that failed, gets a testcase of its own.

use std::path::PathBuf;

use junit_report::{Duration, OffsetDateTime, ReportBuilder, TestCase, TestResult, TestSuite};

use super::replace;
use super::summary::{CaseRun, Summary};
use super::text;
use super::trouble::Trouble;
use crate::check::evidence::Item;
use crate::check::{Evidence, Finding, Verdict};
use crate::event::{Event, Record, Reporter, StepOutcome};
use crate::exit::{Exit, Standing};
use crate::plan::Plan;

/// Name of the suite and class of its cases before the plan is known.
const UNKNOWN: &str = "meshproof";

/// Renders the JUnit file of a run, whole or not.
pub fn render(records: &[Record]) -> String {
    let summary = Summary::of(records);
    let name = summary.plan.as_ref().map_or(UNKNOWN.to_string(), Plan::name);
    written([suite(&summary, &name)])
}

/// The file of these suites.
pub(crate) fn written(suites: impl IntoIterator<Item = TestSuite>) -> String {
    let mut bytes = Vec::new();
    let report = ReportBuilder::new().add_testsuites(suites).build();
    report.write_xml(&mut bytes).expect("writing into memory does not fail");
    String::from_utf8(bytes).expect("every part of it is UTF-8")
}

/// A run, whole or not, under this name.
pub(crate) fn suite(summary: &Summary, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(&attribute(name));
    suite.set_timestamp(started(summary));
    suite.add_testcases(summary.cases.iter().map(|case| testcase(summary, case, name)));
    if !suite.testcases.iter().any(is_red) {
        suite.add_testcases(untold(summary).iter().map(synthetic));
    }
    suite.set_system_out(&cdata(&super::facts::lines(summary).join("\n")));
    suite
}

/// A run of this name that never began, and why.
pub(crate) fn suite_of_nothing(name: &str, why: &str) -> TestSuite {
    let mut suite = TestSuite::new(&attribute(name));
    suite.set_timestamp(OffsetDateTime::UNIX_EPOCH);
    suite.add_testcase(synthetic(&Trouble::of_run("begun", why)));
    suite
}

fn started(summary: &Summary) -> OffsetDateTime {
    let seconds = summary.head.as_ref().map_or(0, |head| head.started.as_second());
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn is_red(case: &TestCase) -> bool {
    case.is_failure() || case.is_error()
}

/// What keeps the run from being green where no planned case says so.
fn untold(summary: &Summary) -> Vec<Trouble> {
    let exit = Exit::decide(summary);
    let mut troubles = summary.obstacles();
    // Cases speak for themselves.
    troubles.retain(|trouble| trouble.class != "case");
    troubles.extend(summary.removal_troubles());
    if summary.finished.is_none() {
        troubles.push(Trouble::of_run("finished", summary.why_not_judged()));
    } else if troubles.is_empty() && exit != Exit::Green {
        let cause = summary.first_broken().map_or(exit.meaning().to_string(), |trouble| trouble.cause);
        troubles.push(Trouble::of_run("verdict", cause));
    }
    troubles
}

fn synthetic(trouble: &Trouble) -> TestCase {
    let mut case = TestCase::success(&attribute(&trouble.id), duration(trouble.seconds));
    case.set_classname(trouble.class);
    let first = trouble.cause.lines().next().unwrap_or_default();
    case.result = error("not-made", first, &format!("{}\n{}", trouble.title, trouble.cause));
    case
}

fn testcase(summary: &Summary, run: &CaseRun, class: &str) -> TestCase {
    let mut case = TestCase::success(&attribute(&run.name()), duration(run.seconds));
    case.set_classname(&attribute(class));
    case.result = result(summary, run);
    let out = system_out(summary, run);
    if !out.is_empty() {
        case.set_system_out(&cdata(&out));
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

fn system_out(summary: &Summary, run: &CaseRun) -> String {
    let mut lines = Vec::new();
    if run.flaky() {
        let attempts = text::count(run.failed_attempts.len(), "failed attempt");
        let causes: Vec<String> = run.failed_attempts.iter().map(|cause| text::one_line(cause)).collect();
        lines.push(format!("flaky: passed after {attempts}: {}", causes.join("; ")));
    }
    match &run.verdict {
        Some(Verdict::Passed { evidence }) => lines.extend(evidence_lines(evidence)),
        // A testcase without an element is a pass to every reader, so what was expected stands here.
        Some(_) if run.standing() == Standing::AsExpected => {
            lines.push(summary.cause_of(run));
            lines.push(body(run));
        }
        _ => {}
    }
    lines.join("\n")
}

fn evidence_lines(evidence: &Evidence) -> Vec<String> {
    let item = |item: &Item| text::one_line(&format!("{} | {} = {}", item.object, item.field, item.value));
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

/// junit-report escapes attributes but writes what XML cannot carry as it is.
pub(crate) fn attribute(text: &str) -> String {
    text::one_line(text)
}

/// junit-report writes CDATA raw, so its end mark is split over two sections here.
pub(crate) fn cdata(text: &str) -> String {
    text::printable(text).replace("]]>", "]]]]><![CDATA[>")
}

pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::milliseconds((seconds.max(0.0) * 1000.0).round() as i64)
}

/// Keeps `junit.xml` true to the run at every moment.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    records: Vec<Record>,
}

impl File {
    /// A reporter that writes this file.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        File { path: path.into(), records: Vec::new() }
    }
}

impl Reporter for File {
    fn on(&mut self, record: &Record) {
        self.records.push(record.clone());
        if changes_the_file(&record.event)
            && let Err(error) = replace(&self.path, &render(&self.records))
        {
            tracing::warn!(file = %self.path.display(), "JUnit could not be written: {error}");
        }
    }
}

fn changes_the_file(event: &Event) -> bool {
    match event {
        Event::RunStarted { .. }
        | Event::LabReady { .. }
        | Event::MeshFound { .. }
        | Event::CaseFinished { .. }
        | Event::Interrupted { .. }
        | Event::RunFinished { .. } => true,
        Event::LabFinished { error, .. } => error.is_some(),
        Event::StepFinished { outcome, .. } => !matches!(outcome, StepOutcome::Proved { .. }),
        _ => false,
    }
}
