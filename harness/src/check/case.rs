//! One entry of the catalogue: a const record and the function that judges it.

use futures::future::BoxFuture;

use super::right::Right;
use super::{Context, Evidence, Explanation, Fault, Mesh, Path};
use crate::plan::CaseOutline;

/// A part of a cluster that some checks change for a moment and others rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// The injection webhooks of the remote cluster: new pods there rely on them.
    RemoteInjection,
    /// The CA configmaps of the remote cluster.
    RemoteRootCert,
    /// The lock by which istiod leads in the remote cluster.
    RemoteLock,
    /// Requests to the sample workloads: what they may do and how.
    Traffic,
}

/// How a case uses a [`Ground`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Relies on it; others that rely on it may run at the same time.
    Relies(Ground),
    /// Changes it and puts it back; runs alone among those who use it.
    Changes(Ground),
}

/// When a case is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With the mesh installed.
    Installed,
    /// After the guide's clean-up.
    CleanedUp,
}

/// The async function that judges a case.
pub type Judge = for<'a> fn(&'a Context) -> BoxFuture<'a, Result<Evidence, Fault>>;

/// The async function that judges what can be read of a case.
pub type ReadingJudge = for<'a> fn(&'a Mesh) -> BoxFuture<'a, Result<Evidence, Fault>>;

/// What of a case can be judged by reading alone, on clusters that meshproof did not make.
#[derive(Clone, Copy)]
pub enum Reads {
    /// This part of it.
    Part(Reading),
    /// Nothing, and why not, as `it makes pods`.
    Nothing(&'static str),
}

/// The part of a case that only reads.
#[derive(Clone, Copy)]
pub struct Reading {
    /// Judges it. [`Case::judge`] judges that part by the same function, or the same functions.
    pub judge: ReadingJudge,
    /// All that it reads; nothing else is sent.
    pub rights: &'static [Right],
    /// What the whole case asks beyond it, as `whether the gateway answers`; empty where that is nothing.
    pub not_asked: &'static str,
}

/// One behaviour that the guide promises.
#[derive(Clone, Copy)]
pub struct Case {
    /// Stable id: `D0` to `D13` for statements of the guide, `B1` and on for behaviour that follows from them.
    pub id: &'static str,
    /// Short kebab-case name that stays the same across versions.
    pub slug: &'static str,
    /// The ways across the mesh that it proves, if it is about any.
    pub shows: &'static [Path],
    /// One line in the present tense.
    pub title: &'static str,
    /// The section of the guide that says so.
    pub guide: &'static str,
    /// Ids of steps and cases without which this one cannot be asked.
    pub needs: &'static [&'static str],
    /// Clauses that take the blame: where one of them does not hold and this one does not pass, it is Blocked by that
    /// one. Unlike a need it is asked all the same, so it passes where it holds.
    pub blames: &'static [&'static str],
    /// Ids of steps that must have ended, proved or not: before, nothing can be said of what they make.
    pub follows: &'static [&'static str],
    /// What it relies on or changes for a moment.
    pub uses: &'static [Use],
    /// When it is asked.
    pub when: When,
    /// Asks it.
    pub judge: Judge,
    /// What of it can be judged by reading alone.
    pub reads: Reads,
    /// What it tells a person.
    pub explains: Explanation,
}

impl Case {
    /// The part that goes into plans, events and reports.
    pub fn outline(&self) -> CaseOutline {
        CaseOutline {
            id: self.id.to_string(),
            slug: self.slug.to_string(),
            shows: self.shows.to_vec(),
            title: self.title.to_string(),
            guide: self.guide.to_string(),
            needs: self.needs.iter().map(|need| need.to_string()).collect(),
            after_clean_up: self.when == When::CleanedUp,
        }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("id", &self.id).finish_non_exhaustive()
    }
}
