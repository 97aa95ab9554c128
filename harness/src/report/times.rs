//! Where the time of a run went: wall-clock spans, in which what ran side by side counts once.

use super::open::{Kind, Scope};

/// A part of a run that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Engine, images, network, clusters.
    Lab,
    /// The guide's install.
    Install,
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
            Kind::Removal => Part::Removal,
            Kind::Install => Part::Install,
            Kind::CleanUp => Part::CleanUp,
            Kind::Case => Part::Checks,
        }
    }
}

/// The spans of time of each part, in seconds of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    spans: Vec<(Part, f64, f64)>,
}

impl Times {
    /// Adds a span.
    pub fn add(&mut self, part: Part, from: f64, to: f64) {
        if to > from {
            self.spans.push((part, from.max(0.0), to));
        }
    }

    /// Adds the span of a scope that ends now.
    pub fn close(&mut self, scope: &Scope, now: f64) {
        self.add(scope.kind.into(), scope.since, now);
    }

    /// Wall-clock seconds of a part.
    pub fn seconds(&self, part: Part) -> f64 {
        union(self.spans.iter().filter(|span| span.0 == part))
    }

    /// Each part that took time with its wall-clock seconds, in the order of a run; what no part explains comes last.
    ///
    /// Parts may overlap, so the rows can add up to more than `total`.
    pub fn rows(&self, total: f64) -> Vec<(Part, f64)> {
        let parts =
            [Part::Lab, Part::Install, Part::Checks, Part::CleanUp, Part::Diagnostics, Part::Paused, Part::Removal];
        let other = (Part::Other, total - union(self.spans.iter()));
        parts.map(|part| (part, self.seconds(part))).into_iter().chain([other]).filter(|row| row.1 >= 0.05).collect()
    }
}

/// The length of the union of spans.
fn union<'a>(spans: impl Iterator<Item = &'a (Part, f64, f64)>) -> f64 {
    let mut spans: Vec<(f64, f64)> = spans.map(|(_, from, to)| (*from, *to)).collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut covered = 0.0;
    let mut end = f64::NEG_INFINITY;
    for (from, to) in spans {
        covered += (to - from.max(end)).max(0.0);
        end = end.max(to);
    }
    covered
}
