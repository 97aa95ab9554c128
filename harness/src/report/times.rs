//! Where the time of a run went: wall-clock spans, in which what ran side by side counts once.

use super::open::{Kind, Scope};

/// A part of a run that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Engine, images, network, clusters.
    Lab,
    /// The guide's install.
    Install,
    /// What the scenario does to the installed mesh.
    Timeline,
    /// The cases.
    Checks,
    /// The guide's clean-up.
    CleanUp,
    /// Collecting diagnostics.
    Diagnostics,
    /// Waiting for a person.
    Paused,
    /// Taking the lab away.
    Removal,
    /// None of the others.
    Other,
}

impl Part {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Part::Lab => "lab",
            Part::Install => "install",
            Part::Timeline => "timeline",
            Part::Checks => "checks",
            Part::CleanUp => "clean-up",
            Part::Diagnostics => "diagnostics",
            Part::Paused => "paused",
            Part::Removal => "removal",
            Part::Other => "other",
        }
    }
}

impl From<Kind> for Part {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Lab => Part::Lab,
            Kind::Finding => Part::Other,
            Kind::Removal => Part::Removal,
            Kind::Install => Part::Install,
            Kind::Timeline => Part::Timeline,
            Kind::CleanUp => Part::CleanUp,
            Kind::Case => Part::Checks,
        }
    }
}

/// One thing that took time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Id of the lab part, step or case; empty for what has none.
    pub id: String,
    /// The part of the run that it belongs to.
    pub part: Part,
    /// When it began, in seconds of the run.
    pub from: f64,
    /// When it ended, in seconds of the run.
    pub to: f64,
}

impl Span {
    /// Seconds that it took.
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }
}

/// The spans of time of a run, in the order in which they ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    spans: Vec<Span>,
}

/// What begins this soon after something ended, in seconds, was waiting for it.
const AT_ONCE: f64 = 0.05;

impl Times {
    /// Adds a span.
    pub fn add(&mut self, id: &str, part: Part, from: f64, to: f64) {
        if to > from {
            self.spans.push(Span { id: id.to_string(), part, from: from.max(0.0), to });
        }
    }

    /// Adds the span of a scope that ends now.
    pub fn close(&mut self, scope: &Scope, now: f64) {
        self.add(&scope.id, scope.kind.into(), scope.since, now);
    }

    /// The chain of things that decided how long the run took, first to last: to make anything else faster gains nothing.
    ///
    /// Found from its end: before each thing stands the one that ended last before it began. The scheduler starts what
    /// it can at once, so that is the one it waited for.
    pub fn critical_path(&self) -> Vec<Span> {
        let latest = |spans: &mut dyn Iterator<Item = &Span>| spans.max_by(|a, b| a.to.total_cmp(&b.to)).cloned();
        let mut path = Vec::new();
        let mut next = latest(&mut self.spans.iter());
        while let Some(span) = next {
            // Strictly earlier on both sides, so that this ends.
            next = latest(
                &mut self
                    .spans
                    .iter()
                    .filter(|one| one.to <= span.from + AT_ONCE && one.from < span.from && one.to < span.to),
            );
            path.push(span);
        }
        path.reverse();
        path
    }

    /// All spans, in the order in which they ended.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Wall-clock seconds of a part.
    pub fn seconds(&self, part: Part) -> f64 {
        union(self.spans.iter().filter(|span| span.part == part))
    }

    /// Each part that took time with its wall-clock seconds, in the order of a run; what no part explains comes last.
    ///
    /// Parts may overlap, so the rows can add up to more than `total`.
    pub fn rows(&self, total: f64) -> Vec<(Part, f64)> {
        let parts = [
            Part::Lab,
            Part::Install,
            Part::Timeline,
            Part::Checks,
            Part::CleanUp,
            Part::Diagnostics,
            Part::Paused,
            Part::Removal,
        ];
        let other = (Part::Other, total - union(self.spans.iter()));
        parts.map(|part| (part, self.seconds(part))).into_iter().chain([other]).filter(|row| row.1 >= 0.05).collect()
    }
}

/// The length of the union of spans.
fn union<'a>(spans: impl Iterator<Item = &'a Span>) -> f64 {
    let mut spans: Vec<&Span> = spans.collect();
    spans.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut covered = 0.0;
    let mut end = f64::NEG_INFINITY;
    for span in spans {
        covered += (span.to - span.from.max(end)).max(0.0);
        end = end.max(span.to);
    }
    covered
}
