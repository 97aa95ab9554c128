//! `junit.xml`: one testcase for each planned case, from the first second of a run, and never green by accident.
//!
//! A `<failure>` stands for what makes a run red, an `<error>` for what leaves it without a verdict; a `<skipped>`
//! alone decides nothing. Parts of the lab and steps are testcases too, once they have begun. What none of these tells gets a
//! testcase of its own.

mod testcase;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use junit_report::{Duration, OffsetDateTime, ReportBuilder, TestCase, TestSuite};

use super::open::Kind;
use super::summary::Summary;
use super::text;
use super::trouble::Trouble;
use crate::event::{Event, Record, Reporter};
use crate::exit::Exit;
use crate::plan::Plan;

/// What testcases are called after before the plan is known.
const UNKNOWN: &str = "meshproof";

/// Which testcases belong together: a testsuite in the report of one run, and the last word of their class in every report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Lab,
    Install,
    Timeline,
    Clauses,
    Checks,
    CleanUp,
    /// What is said of the run as a whole.
    Run,
}

impl Group {
    const ALL: [Group; 7] =
        [Group::Lab, Group::Install, Group::Timeline, Group::Clauses, Group::Checks, Group::CleanUp, Group::Run];

    fn name(self) -> &'static str {
        match self {
            Group::Lab => "lab",
            Group::Install => "install",
            Group::Timeline => "timeline",
            Group::Clauses => "clauses",
            Group::Checks => "checks",
            Group::CleanUp => "clean-up",
            Group::Run => "run",
        }
    }

    fn of(kind: Kind) -> Group {
        match kind {
            Kind::Lab | Kind::Removal | Kind::Finding => Group::Lab,
            Kind::Install => Group::Install,
            Kind::Timeline => Group::Timeline,
            Kind::CleanUp => Group::CleanUp,
            Kind::Case => Group::Checks,
        }
    }
}

/// Renders the JUnit file of a run, whole or not: a testsuite for each group that has testcases, and always `lab`, whose
/// output says what the run was about.
pub fn render(records: &[Record]) -> String {
    let summary = Summary::of(records);
    let name = summary.plan.as_ref().map_or(UNKNOWN.to_string(), Plan::name);
    let all = testcases(&summary, &name);
    written(Group::ALL.iter().filter_map(|group| {
        let own = all.iter().filter(|(of, _)| of == group).map(|(_, case)| case.clone());
        let mut suite = of_testcases(&summary, group.name(), own);
        suite.package = attribute(&name);
        if *group == Group::Lab {
            suite.set_system_out(&facts(&summary));
        }
        (*group == Group::Lab || !suite.testcases.is_empty()).then_some(suite)
    }))
}

/// The file of these suites.
pub(crate) fn written(suites: impl IntoIterator<Item = TestSuite>) -> String {
    let mut bytes = Vec::new();
    let report = ReportBuilder::new().add_testsuites(suites).build();
    report.write_xml(&mut bytes).expect("writing into memory does not fail");
    String::from_utf8(bytes).expect("every part of it is UTF-8")
}

/// A run among others, whole or not, under this name: one testsuite, in which classes alone tell the groups.
pub(crate) fn suite(summary: &Summary, name: &str) -> TestSuite {
    let all = testcases(summary, name);
    let in_order = Group::ALL.iter().flat_map(|group| all.iter().filter(move |(of, _)| of == group));
    let mut suite = of_testcases(summary, name, in_order.map(|(_, case)| case.clone()));
    suite.set_system_out(&facts(summary));
    suite
}

/// A run of this name that never began, and why.
pub(crate) fn suite_of_nothing(name: &str, why: &str) -> TestSuite {
    let begun = testcase::of_trouble(&Trouble::of_run("begun", why));
    of_testcases(&Summary::default(), name, [classed(Group::Run, name, begun).1])
}

fn of_testcases(summary: &Summary, name: &str, cases: impl IntoIterator<Item = TestCase>) -> TestSuite {
    let mut suite = TestSuite::new(&attribute(name));
    suite.set_timestamp(started(summary));
    suite.add_testcases(cases);
    suite
}

fn facts(summary: &Summary) -> String {
    cdata(&super::facts::lines(summary).join("\n"))
}

fn started(summary: &Summary) -> OffsetDateTime {
    let seconds = summary.head.as_ref().map_or(0, |head| head.started.as_second());
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Every testcase of a run with its group.
fn testcases(summary: &Summary, name: &str) -> Vec<(Group, TestCase)> {
    let lab = summary.lab.iter().map(|part| (Group::of(part.kind), testcase::of_lab_part(summary, part)));
    let steps = summary
        .steps
        .iter()
        .filter_map(|step| Some((Group::of(Kind::of_phase(step.outline.phase)), testcase::of_step(summary, step)?)));
    let judged: Vec<(Group, TestCase)> = summary
        .cases
        .iter()
        .map(|case| {
            let group = if case.outline.is_clause() { Group::Clauses } else { Group::Checks };
            (group, testcase::of_case(summary, case))
        })
        .collect();
    let told = judged.iter().any(|(_, case)| is_red(case));
    let made: Vec<(Group, TestCase)> = lab.chain(steps).collect();
    let whole = if told { Vec::new() } else { untold(summary, made.iter().any(|(_, case)| is_red(case))) };
    let whole = whole.iter().map(|trouble| (Group::Run, testcase::of_trouble(trouble)));
    made.into_iter().chain(judged).chain(whole).map(|(group, case)| classed(group, name, case)).collect()
}

/// Its class is `<name>.<group>`: readers take what stands before the last dot for a package, and what follows for a class of
/// it, so what belongs together stands together, also among several runs.
fn classed(group: Group, name: &str, mut case: TestCase) -> (Group, TestCase) {
    case.set_classname(&attribute(&format!("{name}.{}", group.name())));
    (group, case)
}

fn is_red(case: &TestCase) -> bool {
    case.is_failure() || case.is_error()
}

/// What keeps the run from being green and is said by no part of the lab, step or case; `told` is whether any of these is red.
fn untold(summary: &Summary, told: bool) -> Vec<Trouble> {
    let exit = Exit::decide(summary);
    let mut troubles = summary.obstacles();
    troubles.retain(|trouble| trouble.class == Trouble::RUN);
    if summary.finished.is_none() {
        troubles.push(Trouble::of_run("finished", summary.why_not_judged()));
    } else if troubles.is_empty() && !told && exit != Exit::Green {
        let cause = summary.first_broken().map_or(exit.meaning().to_string(), |trouble| trouble.cause);
        troubles.push(Trouble::of_run("verdict", cause));
    }
    troubles
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
    matches!(
        event,
        Event::RunStarted { .. }
            | Event::LabReady { .. }
            | Event::MeshFound { .. }
            | Event::LabFinished { .. }
            | Event::StepFinished { .. }
            | Event::CaseFinished { .. }
            | Event::Interrupted { .. }
            | Event::RunFinished { .. }
    )
}

/// Puts the text in the place of the file, so that a reader sees the old one or the new one and never a half.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".junit-").suffix(".tmp");
    // Temporary files are for their owner only; a CI job often publishes the report as another user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
