//! The run as a person reads it: one line for each thing that ended, what is waited for now, and where the time went.

mod ending;
mod live;
mod manner;
mod style;
mod view;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use self::ending::Around;
use self::live::Live;
pub use self::manner::{Manner, Volume};
use self::style::{Colour, INDENT, line};
pub use self::view::{View, lines};
use super::expected::Expected;
use super::files::Beside;
use super::github::{Groups, Section, harmless};
use super::open::{FIND, Kind, Open, REMOVE};
use super::summary::{CaseRun, Summary};
use super::text::{count, one_line, seconds};
use crate::check::Verdict;
use crate::event::{Event, Record, Reporter, StepOutcome};
use crate::exit::Standing;
use crate::plan::{Plan, StepOutline, Target};
use crate::problem::all_of;
use crate::scenario::Thread;

/// Seconds between two lines about what the same scope waits for, where there is no live line.
const QUIET: f64 = 10.0;

/// Replays a run as plain lines.
pub fn render(records: &[Record]) -> String {
    render_at(records, None)
}

/// The same, where reports have this beside them; without, they are in the folder of the run below `runs`.
pub fn render_at(records: &[Record], beside: Option<&Beside>) -> String {
    let mut terminal = Terminal::new(Vec::new(), Manner::PLAIN);
    terminal.beside = beside.cloned();
    terminal.replay(records);
    if !matches!(records.last().map(|record| &record.event), Some(Event::RunFinished { .. })) {
        terminal.end(records);
    }
    String::from_utf8_lossy(&terminal.out).into_owned()
}

/// What a person can do with what is left after a run: a verb and a command each.
pub type Left = dyn Fn(&Summary) -> Vec<(&'static str, String)> + Send;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It says what is run.
    Head,
    /// Among others of this part of the run.
    Within(Section),
    /// Beside the line before it.
    Here,
    /// It is not as expected, or a person is asked: nothing may hide it.
    Apart,
}

/// Tells a person what happens, like cargo.
pub struct Terminal<W: Write + Send> {
    out: W,
    manner: Manner,
    folder: String,
    beside: Option<Beside>,
    flags: Option<String>,
    left: Option<Box<Left>>,
    live: Option<Live>,
    open: Open,
    steps: BTreeMap<String, StepOutline>,
    cases: BTreeMap<String, CaseRun>,
    last_waits: BTreeMap<String, f64>,
    groups: Groups,
    section: Option<Section>,
    interrupted: bool,
}

impl<W: Write + Send> std::fmt::Debug for Terminal<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl<W: Write + Send> Terminal<W> {
    /// A reporter that writes lines to `out`; its live view goes to standard error.
    pub fn new(out: W, manner: Manner) -> Self {
        let live = manner.live.then(|| Live::new(manner));
        let folder = "runs".to_string();
        Terminal {
            out,
            manner,
            folder,
            beside: None,
            flags: None,
            left: None,
            live,
            open: Open::default(),
            steps: BTreeMap::new(),
            cases: BTreeMap::new(),
            last_waits: BTreeMap::new(),
            groups: Groups::default(),
            section: None,
            interrupted: false,
        }
    }

    /// Says where the folders of runs are; `runs` if not said.
    pub fn below(mut self, folder: impl Into<String>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Says by which flags the run got its scenario, as they are typed.
    pub fn by(mut self, flags: Option<String>) -> Self {
        self.flags = flags;
        self
    }

    /// Says what a person can do with what is left; asked at the end.
    pub fn leaving(mut self, left: Option<Box<Left>>) -> Self {
        self.left = left;
        self
    }

    /// Prints the summary; done by itself when the run says that it has finished.
    pub fn end(&mut self, so_far: &[Record]) {
        if let Some(live) = &mut self.live {
            live.hide();
        }
        self.section = None;
        let summary = Summary::of(so_far);
        let around = Around {
            runs: &self.folder,
            beside: self.beside.as_ref(),
            flags: self.flags.as_deref(),
            left: self.left.as_ref().map(|left| left(&summary)).unwrap_or_default(),
            width: self.width(),
        };
        for line in ending::lines(&summary, &around, self.manner) {
            self.put(&line);
        }
    }

    /// Characters in a line of the summary: those of the terminal, yet no more than are easily read.
    fn width(&self) -> usize {
        let terminal =
            terminal_size::terminal_size_of(std::io::stderr()).filter(|_| self.manner.colour || self.manner.live);
        terminal.map_or(80, |(width, _)| usize::from(width.0)).clamp(60, 120)
    }

    /// Prints a line above the live view. A terminal that went away must not end the run.
    fn put(&mut self, line: &str) {
        let mut lines = Vec::new();
        if self.manner.github {
            let folded = !self.manner.quiet && !self.interrupted;
            lines = self.groups.turn_to(self.section.filter(|_| folded));
            lines.push(harmless(line));
        } else {
            lines.push(line.to_string());
        }
        let out = &mut self.out;
        let write = || {
            for line in lines {
                let _ = writeln!(out, "{line}");
            }
            let _ = out.flush();
        };
        match &self.live {
            Some(live) => live.aside(write),
            None => write(),
        }
    }

    fn say(&mut self, verb: &str, colour: Colour, text: &str) {
        let line = line(self.manner, verb, colour, &one_line(text));
        self.put(&line);
    }

    fn below_it(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            self.put(&format!("{INDENT}{text}"));
        }
    }

    fn begin(&mut self, run: &str, meshproof: &str, verb: &str, plan: &Plan, so_far: &[Record]) {
        self.say("Running", Colour::Green, &format!("{run}  {verb}, meshproof {meshproof}"));
        let (steps, cases) = (count(plan.steps.len(), "step"), count(plan.cases.len(), "case"));
        let planned = match &plan.target {
            Target::Lab { scenario, .. } => {
                let versions = format!("Istio {} on Kubernetes {}", scenario.istio, scenario.kubernetes);
                format!("{}  {versions}: {steps}, {cases}", scenario.name)
            }
            Target::Brought { scenario, contexts, .. } => {
                let each: Vec<String> = contexts.iter().map(|(role, context)| format!("{context} as {role}")).collect();
                format!("Istio {} on {}: {steps}, {cases}", scenario.istio, all_of(&each))
            }
            Target::Contexts { contexts, .. } => {
                let each: Vec<String> = contexts.iter().map(|(role, context)| format!("{context} as {role}")).collect();
                format!("{}  read only: {cases}", all_of(&each))
            }
            Target::Archives { archives, .. } => {
                let each: Vec<String> = archives.iter().map(|(role, archive)| format!("{archive} as {role}")).collect();
                format!("{}  offline: {cases}", all_of(&each))
            }
        };
        self.say("Planned", Colour::Green, &planned);
        if let Some(scenario) = plan.scenario() {
            if !scenario.description.is_empty() {
                self.below_it(style::lines(&one_line(&scenario.description)));
            }
            self.below_it(scenario.threads.iter().map(Thread::address));
        }
        self.learn(plan, so_far);
    }

    fn learn(&mut self, plan: &Plan, so_far: &[Record]) {
        self.steps = plan.steps.iter().map(|step| (step.id.clone(), step.clone())).collect();
        // The fold knows what is expected of each case.
        self.cases = Summary::of(so_far).cases.into_iter().map(|case| (case.outline.id.clone(), case)).collect();
    }

    fn lab_finished(&mut self, id: &str, detail: &str, error: Option<&str>, took: f64) {
        let (verb, colour) = match (error, Kind::of_lab_part(id)) {
            (Some(_), Kind::Removal) => ("Left over", Colour::Red),
            (Some(_), _) => ("Failed", Colour::Red),
            (None, Kind::Removal) => ("Removed", Colour::Green),
            (None, Kind::Finding) => ("Found", Colour::Green),
            (None, _) => ("Created", Colour::Green),
        };
        self.say(verb, colour, &timed(&one_line(&format!("{}  {detail}", thing(id))), took));
        self.below_it(error.into_iter().flat_map(style::lines));
    }

    fn step_finished(&mut self, id: &str, outcome: &StepOutcome, took: f64) {
        let title = self.steps.get(id).map_or("", |step| step.title.as_str());
        let what = one_line(&format!("{id}  {title}"));
        match outcome {
            StepOutcome::Proved { .. } => self.say("Proved", Colour::Green, &timed(&what, took)),
            StepOutcome::Failed { error } => {
                self.say("Failed", Colour::Red, &timed(&what, took));
                self.below_it(style::lines(error));
            }
            StepOutcome::Blocked { by } => self.say("Blocked", Colour::Yellow, &format!("{what}  by {by}")),
        }
    }

    fn case_finished(&mut self, id: &str, verdict: &Verdict, failed_attempts: &[String], took: f64) {
        let known = self.cases.get(id);
        let name = known.map_or(id.to_string(), |case| format!("{}  {}", case.name(), case.outline.title));
        let expected = known.map_or("passed", |case| case.expected.as_str());
        let mark = match Standing::of(Some(verdict), expected) {
            Standing::AsExpected if verdict.is_passed() && !failed_attempts.is_empty() => "  flaky",
            Standing::AsExpected if !verdict.is_passed() => "  as expected",
            _ => "",
        };
        let mark = match (mark, expected) {
            ("", "passed") | ("  flaky", _) | ("  as expected", _) => mark.to_string(),
            _ => format!("  expected {expected}"),
        };
        let (verb, colour) = style::of_verdict(verdict, expected);
        self.say(verb, colour, &timed(&one_line(&format!("{name}{mark}")), took));
        let causes = failed_attempts.iter().map(|cause| format!("earlier attempt: {}", one_line(cause)));
        self.below_it(causes.chain(style::why(verdict)));
    }

    fn diagnosed(&mut self, folder: &str, files: usize, missing: &[String], hints: &[String], took: f64) {
        self.say("Diagnosed", Colour::Cyan, &timed(&format!("{folder}  {}", count(files, "file")), took));
        let missing = missing.iter().map(|what| format!("missing: {}", one_line(what)));
        let hints = hints.iter().map(|hint| format!("hint: {}", one_line(hint)));
        self.below_it(missing.chain(hints));
    }

    /// Without a live line, says what is waited for, yet not so often that it hides the rest.
    fn waiting(&mut self, at: f64, scope: &str, what: &str, last: &str) {
        let due = self.last_waits.get(scope).is_none_or(|before| at - before >= QUIET);
        if !self.manner.live && due {
            self.last_waits.insert(scope.to_string(), at);
            self.say("Waiting", Colour::Cyan, &format!("{scope}  for {what}: {last}"));
        }
    }

    /// Where the lines of this event stand.
    fn place(&self, event: &Event) -> Place {
        let of_kind = |kind: Kind| match kind {
            Kind::Lab | Kind::Finding | Kind::Install => Place::Within(Section::Install),
            Kind::Timeline | Kind::Case => Place::Within(Section::Checks),
            Kind::CleanUp | Kind::Removal => Place::Within(Section::CleanUp),
        };
        match event {
            Event::RunStarted { .. } => Place::Head,
            Event::LabStarted { id, .. } | Event::LabFinished { id, error: None, .. } => of_kind(Kind::of_lab_part(id)),
            Event::LabReady { .. } | Event::MeshFound { .. } => Place::Within(Section::Install),
            Event::StepFinished { id, outcome: StepOutcome::Proved { .. }, .. } => {
                of_kind(self.steps.get(id).map_or(Kind::Install, |step| Kind::of_phase(step.phase)))
            }
            Event::CaseFinished { id, verdict, .. } => match self.cases.get(id) {
                Some(case) if !Standing::of(Some(verdict), &case.expected).is_fine() => Place::Apart,
                Some(case) if case.outline.after_clean_up => Place::Within(Section::CleanUp),
                Some(_) => Place::Within(Section::Checks),
                None => Place::Apart,
            },
            Event::Waiting { scope, .. } => self.open.find(scope).map_or(Place::Here, |scope| of_kind(scope.kind)),
            Event::Reached { .. } | Event::Note { .. } => Place::Here,
            _ => Place::Apart,
        }
    }

    fn tell(&mut self, record: &Record, so_far: &[Record]) {
        let place = self.place(&record.event);
        if self.manner.quiet && place != Place::Apart {
            if let Event::RunStarted { plan, .. } = &record.event {
                self.learn(plan, so_far);
            }
            return;
        }
        match place {
            Place::Within(section) => self.section = Some(section),
            Place::Head | Place::Apart => self.section = None,
            Place::Here => {}
        }
        match &record.event {
            Event::RunStarted { run, meshproof, verb, plan } => self.begin(run, meshproof, verb, plan, so_far),
            // A part of the lab can take minutes and say nothing; steps and cases are short or say what they wait for.
            Event::LabStarted { id, title } if !self.manner.live => {
                self.say(Kind::of_lab_part(id).verb(), Colour::Cyan, &format!("{}  {title}", thing(id)));
            }
            Event::LabFinished { id, detail, error, seconds } => {
                self.lab_finished(id, detail, error.as_deref(), *seconds);
            }
            Event::LabReady { clusters, data_plane, image_source, .. } => {
                for cluster in clusters.values() {
                    self.say("Answers", Colour::Green, &format!("{}  Kubernetes {}", cluster.name, cluster.kubernetes));
                }
                if !image_source.is_empty() {
                    self.say("Uses", Colour::Green, &format!("images  {image_source}"));
                }
                self.say("Uses", Colour::Green, &format!("data plane  {data_plane}"));
            }
            Event::MeshFound { clusters, facts } => {
                for cluster in clusters.values() {
                    let what =
                        format!("{}  Kubernetes {}, context {}", cluster.name, cluster.kubernetes, cluster.context);
                    self.say("Answers", Colour::Green, &what);
                }
                let facts: Vec<String> = facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
                self.say("Found", Colour::Green, &format!("mesh  {}", facts.join(", ")));
            }
            Event::StepFinished { id, outcome, seconds } => self.step_finished(id, outcome, *seconds),
            Event::CaseFinished { id, verdict, failed_attempts, seconds } => {
                self.case_finished(id, verdict, failed_attempts, *seconds);
            }
            Event::Waiting { scope, what, last } => self.waiting(record.at, scope, what, last),
            Event::Paused { after } => self.say("Paused", Colour::Yellow, &format!("after {after}")),
            Event::Resumed { seconds: took } => {
                self.say("Resumed", Colour::Green, &format!("after {}", seconds(*took)));
            }
            Event::Diagnosed { folder, files, missing, hints, seconds } => {
                self.diagnosed(folder, *files, missing, hints, *seconds);
            }
            Event::Interrupted { by } => {
                let more = if by == "deadline" { "" } else { "; closing the reports, once more leaves at once" };
                self.say("Interrupted", Colour::Red, &format!("by {by}{more}"));
                // What may be killed at any moment leaves no group open.
                self.interrupted = true;
            }
            Event::Reached { id, title } => {
                let text = format!("{id}  {title}  ({} of the run)", seconds(record.at));
                self.say("Reached", Colour::Green, &text);
            }
            Event::Note { text } => self.say("Note", Colour::Cyan, text),
            Event::RunFinished { .. } => self.end(so_far),
            Event::LabStarted { .. } | Event::StepStarted { .. } | Event::CaseStarted { .. } | Event::Waited { .. } => {
            }
        }
    }

    fn show(&mut self, record: &Record) {
        let Some(live) = &mut self.live else { return };
        if let Event::RunStarted { verb, plan, .. } = &record.event {
            live.expects(Expected::of(Path::new(&self.folder), verb, plan));
        }
        live.on(record);
    }
}

impl<W: Write + Send> Reporter for Terminal<W> {
    fn on(&mut self, record: &Record, so_far: &[Record]) {
        self.open.on(record);
        self.tell(record, so_far);
        self.show(record);
    }
}

/// What a lab part is about; its verb says whether it comes, goes or is found.
fn thing(id: &str) -> &str {
    id.strip_prefix(REMOVE).or(id.strip_prefix(FIND)).unwrap_or(id)
}

fn timed(what: &str, took: f64) -> String {
    if took < 0.05 { what.to_string() } else { format!("{what}  ({})", seconds(took)) }
}
