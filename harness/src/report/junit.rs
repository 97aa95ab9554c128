//! `junit.xml`: one testcase for each planned case, from the first second of a run, and never green by accident.
//!
//! A `<failure>` stands for what makes a run red, an `<error>` for what leaves it without a verdict; a `<skipped>`
//! alone decides nothing. Parts of the lab and steps are testcases too, once they have begun. What none of these tells gets a
//! testcase of its own.

mod testcase;

use std::path::PathBuf;

use junit_report::{Duration, OffsetDateTime, ReportBuilder, TestCase, TestSuite};

use super::open::Kind;
use super::replace;
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
    in_milliseconds(&String::from_utf8(bytes).expect("every part of it is UTF-8"))
}

/// The file with times as the schemas of readers have them, of three decimals at most: junit-report adds seconds to
/// nanoseconds as floats, and writes all digits that come of it, as in `1.6320000000000001`.
fn in_milliseconds(xml: &str) -> String {
    const BEGIN: &str = "<![CDATA[";
    let mut parts = xml.split(BEGIN);
    let mut text = parts.next().map(tags_in_milliseconds).unwrap_or_default();
    for part in parts {
        text.push_str(BEGIN);
        // Inside, the same mark is only text: such a part has no end.
        match part.split_once("]]>") {
            Some((inside, tags)) => text += &format!("{inside}]]>{}", tags_in_milliseconds(tags)),
            None => text.push_str(part),
        }
    }
    text
}

fn tags_in_milliseconds(tags: &str) -> String {
    // A quote inside of a value is escaped, so this is an attribute.
    const TIME: &str = " time=\"";
    let mut parts = tags.split(TIME);
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap_or((part, ""));
        let time = time.parse::<f64>().map_or(time.to_string(), |seconds| format!("{seconds:.3}"));
        text += &format!("{TIME}{time}\"{rest}");
    }
    text
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
    suite.package.clear();
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
    let lab = summary.lab.iter().enumerate().map(|(at, part)| {
        let mut case = testcase::of_lab_part(summary, part);
        let before = summary.lab[..at].iter().filter(|other| other.id == part.id).count();
        // Readers drop the second of a name: images are looked for again where another run was making them.
        if before > 0 {
            case.name = format!("{} {}", case.name, before + 1);
        }
        (Group::of(part.kind), case)
    });
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
    lost: Option<String>,
}

impl File {
    /// A reporter that writes this file.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        File { path: path.into(), lost: None }
    }
}

impl Reporter for File {
    fn on(&mut self, record: &Record, so_far: &[Record]) {
        if changes_the_file(&record.event) {
            let written = replace(&self.path, &render(so_far));
            // A later one may be written again.
            self.lost = written.err().map(|error| format!("{} cannot be written: {error}", self.path.display()));
        }
    }

    fn lost(&self) -> Vec<String> {
        self.lost.iter().cloned().collect()
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::in_milliseconds;

    #[rstest]
    #[case::long(r#"<a time="1.6320000000000001"/>"#, r#"<a time="1.632"/>"#)]
    #[case::whole(r#"<a time="3" b=""/>"#, r#"<a time="3.000" b=""/>"#)]
    #[case::in_text(r#"<![CDATA[ time="0.12345"]]>"#, r#"<![CDATA[ time="0.12345"]]>"#)]
    #[case::after_text(r#"<![CDATA[x]]><a time="0.12345"/>"#, r#"<![CDATA[x]]><a time="0.123"/>"#)]
    #[case::after_a_mark_in_text(
        r#"<![CDATA[]]]]><![CDATA[><![CDATA[ time="0.12345"]]><a time="0.12345"/>"#,
        r#"<![CDATA[]]]]><![CDATA[><![CDATA[ time="0.12345"]]><a time="0.123"/>"#
    )]
    #[case::in_a_value(r#"<a b=" time=&quot;0.12345&quot;"/>"#, r#"<a b=" time=&quot;0.12345&quot;"/>"#)]
    fn times_of_tags_are_in_milliseconds_and_text_stays(#[case] xml: &str, #[case] expected: &str) {
        assert_eq!(in_milliseconds(xml), expected);
    }
}
