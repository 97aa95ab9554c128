//! What stands between a run and green: clauses that are not as expected, and all that could not be made or told.

use super::open::Kind;
use super::summary::{CaseRun, LabPart, StepRun, Summary};
use super::text;
use crate::check::Verdict;
use crate::event::StepOutcome;
use crate::exit::Standing;

/// One thing that keeps a run from being green.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// What kind of thing it is: `lab`, `install`, `clean-up`, `case` or `run`.
    pub class: &'static str,
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Why: one line first, more below.
    pub cause: String,
    /// What to look at, a line each.
    pub advice: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Trouble {
    /// The class of what is said of the run as a whole.
    pub const RUN: &str = "run";

    /// The id of what ended a run before its end.
    pub const INTERRUPTED: &str = "interrupted";

    /// A trouble of the run as a whole.
    pub fn of_run(id: &str, cause: impl Into<String>) -> Trouble {
        let title = String::new();
        Trouble {
            class: Trouble::RUN,
            id: id.to_string(),
            title,
            cause: cause.into(),
            advice: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Whether it is that somebody or its own deadline ended the run, so that nothing broke.
    pub fn is_interruption(&self) -> bool {
        self.class == Trouble::RUN && self.id == Trouble::INTERRUPTED
    }
}

impl Summary {
    /// Everything that could not be made or could not be told, in the order of a run. Where it was interrupted, what that cut off
    /// comes after it.
    pub fn obstacles(&self) -> Vec<Trouble> {
        let lab = self.lab.iter().filter(|part| part.kind != Kind::Removal);
        let lab = lab.filter_map(|part| Some((part.end.is_none(), self.lab_trouble(part)?)));
        let failed = |step: &StepRun| matches!(step.outcome, Some(StepOutcome::Failed { .. }));
        let steps = self.steps.iter().filter_map(|step| Some((!failed(step), self.step_trouble(step)?)));
        let untold = self.cases.iter().filter(|case| case.standing() == Standing::Untold);
        let told = |case: &CaseRun| matches!(case.verdict, Some(Verdict::Inconclusive { .. }));
        let untold = untold.map(|case| (!told(case), self.case_trouble(case)));
        let strays = self.strays.iter().map(|stray| (false, Trouble::of_run("plan", stray)));
        let (mut cut_off, mut troubles) = (Vec::new(), Vec::new());
        for (by_interruption, trouble) in lab.chain(steps).chain(untold).chain(strays) {
            let cut = by_interruption && self.interrupted.is_some();
            if cut { &mut cut_off } else { &mut troubles }.push(trouble);
        }
        troubles.extend(self.interrupted.iter().map(|by| Trouble::of_run(Trouble::INTERRUPTED, interrupted(by))));
        troubles.extend(cut_off);
        troubles
    }

    /// Everything that keeps the run from being green: clauses that are not as expected, then what could not be made or told,
    /// then what could not be removed.
    pub fn troubles(&self) -> Vec<Trouble> {
        let unexpected = self.cases.iter().filter(|case| case.standing() == Standing::Unexpected);
        let unexpected = unexpected.map(|case| self.case_trouble(case));
        unexpected.chain(self.obstacles()).chain(self.removal_troubles()).collect()
    }

    /// The first clause that is not as expected; where there is none, the first thing that could not be made or told.
    pub fn first_broken(&self) -> Option<Trouble> {
        self.troubles().into_iter().next()
    }

    /// Parts of the lab that could not be removed.
    pub fn removal_troubles(&self) -> Vec<Trouble> {
        self.lab.iter().filter(|part| part.kind == Kind::Removal).filter_map(|part| self.lab_trouble(part)).collect()
    }

    /// Whether a part of the lab could not be removed.
    pub fn left_over(&self) -> bool {
        !self.removal_troubles().is_empty()
    }

    /// Whether a person or the system ended the run; its own deadline is none of these.
    pub fn interrupted_by_signal(&self) -> bool {
        self.interrupted.as_ref().is_some_and(|by| by != "deadline")
    }

    /// Whether enough was judged to speak of a verdict: one clause at least, if the verb judges clauses.
    pub fn judged_enough(&self) -> bool {
        let judged = |case: &CaseRun| matches!(case.verdict, Some(Verdict::Passed { .. } | Verdict::Failed { .. }));
        !self.judges() || self.cases.iter().any(judged)
    }

    /// How many clauses were not asked, on purpose.
    pub fn skipped(&self) -> usize {
        self.cases.iter().filter(|case| case.standing() == Standing::Neutral).count()
    }

    /// Why a case is as it is, in one line; says what was expected where that is not a pass.
    pub fn cause_of(&self, case: &CaseRun) -> String {
        let Some(verdict) = &case.verdict else { return self.why_not_judged() };
        let cause = text::one_line(&verdict.cause());
        if !case.expects_other() {
            return cause;
        }
        let got = match case.standing() {
            Standing::AsExpected => format!("{} as expected", verdict.name()),
            _ => format!("expected {}, got {}", case.expected, verdict.name()),
        };
        if cause.is_empty() { got } else { format!("{got}: {cause}") }
    }

    /// Why cases without a verdict have none.
    pub fn why_not_judged(&self) -> String {
        if let Some(by) = &self.interrupted {
            return format!("{} before this was judged", interrupted(by));
        }
        let why = match (&self.finished, self.open.latest()) {
            (Some(finish), _) => finish.meaning.clone(),
            (None, Some(scope)) => format!("last heard of {}", scope.doing()),
            (None, None) => "nothing was going on".to_string(),
        };
        format!("the run ended before this was judged: {}", text::one_line(&why))
    }

    fn case_trouble(&self, case: &CaseRun) -> Trouble {
        Trouble {
            class: "case",
            id: case.name(),
            title: case.outline.title.clone(),
            cause: self.cause_of(case),
            advice: case.verdict.as_ref().map(Verdict::advice).unwrap_or_default(),
            seconds: case.seconds,
        }
    }

    /// Why a step keeps the run from being green, if it does.
    pub(super) fn step_trouble(&self, step: &StepRun) -> Option<Trouble> {
        let cause = match &step.outcome {
            Some(StepOutcome::Proved { .. }) => return None,
            Some(StepOutcome::Failed { error }) => error.clone(),
            // The step that it needs is in the list already.
            Some(StepOutcome::Blocked { by }) if self.is_unproved(by) => return None,
            Some(StepOutcome::Blocked { by }) => format!("blocked by {by}"),
            None if step.started => self.unended(&step.outline.id),
            None => return None,
        };
        let trouble = Trouble {
            class: Kind::of_phase(step.outline.phase).class(),
            id: step.outline.id.clone(),
            title: step.outline.title.clone(),
            cause,
            advice: Vec::new(),
            seconds: step.seconds,
        };
        (!self.is_expected_to_fail(&step.outline.id)).then_some(trouble)
    }

    /// Why a part of the lab keeps the run from being green, if it does.
    pub(super) fn lab_trouble(&self, part: &LabPart) -> Option<Trouble> {
        let (cause, seconds) = match &part.end {
            Some(end) => (end.error.clone()?, end.seconds),
            None => (self.unended(&part.id), 0.0),
        };
        let (class, id, title) = (part.kind.class(), part.id.clone(), part.title.clone());
        Some(Trouble { class, id, title, cause, advice: Vec::new(), seconds })
    }

    /// The cause line of what began and did not end: what it waited for, if it did.
    fn unended(&self, id: &str) -> String {
        match self.open.find(id).and_then(|scope| scope.wait.as_ref()) {
            Some((what, last)) => format!("did not end; it waited for {what}: {last}"),
            None => "began and did not end".to_string(),
        }
    }

    fn is_unproved(&self, id: &str) -> bool {
        self.step(id)
            .is_some_and(|step| matches!(step.outcome, Some(StepOutcome::Failed { .. } | StepOutcome::Blocked { .. })))
    }

    /// A scenario that expects a case to be blocked, and gets it by this step, expects the step to fail.
    fn is_expected_to_fail(&self, step: &str) -> bool {
        self.cases.iter().any(|case| {
            case.standing() == Standing::AsExpected
                && matches!(&case.verdict, Some(Verdict::Blocked { by, .. }) if by.strip_prefix("step ") == Some(step))
        })
    }
}

fn interrupted(by: &str) -> String {
    if by == "deadline" {
        "the run reached its deadline".to_string()
    } else {
        format!("the run was interrupted by {by}")
    }
}
