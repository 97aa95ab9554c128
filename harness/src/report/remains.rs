//! What is left of a lab when its run is over, as far as the events tell.

use super::open::Kind;
use super::summary::{LabEnd, Summary};
use crate::plan::Target;

/// Verbs that make a lab; the others take one that is there, and leave it there.
const MAKE: [&str; 2] = ["run", "up"];

/// What is left of the lab of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing, or there never was one.
    Nothing,
    /// All of it.
    Lab,
    /// What could not be removed.
    Parts,
    /// The run ended before anybody could say.
    Unknown,
}

impl Summary {
    /// Whether the verb that was called makes a lab.
    pub fn makes_lab(&self) -> bool {
        self.head.as_ref().is_some_and(|head| MAKE.contains(&head.verb.as_str()))
    }

    /// What is left of its lab.
    pub fn remains(&self) -> Remains {
        if !self.plan.as_ref().is_some_and(|plan| matches!(plan.target, Target::Lab { .. })) {
            return Remains::Nothing;
        }
        let ended_well = |end: &LabEnd| end.error.is_none();
        let removed =
            || self.lab.iter().any(|part| part.kind == Kind::Removal && part.end.as_ref().is_some_and(ended_well));
        match &self.finished {
            _ if !self.makes_lab() => Remains::Lab,
            Some(finish) if finish.lab_kept => Remains::Lab,
            _ if self.left_over() => Remains::Parts,
            _ if self.lab.is_empty() || removed() => Remains::Nothing,
            // Who interrupts it twice does not wait for the removal.
            Some(_) if !self.interrupted_by_signal() => Remains::Nothing,
            _ => Remains::Unknown,
        }
    }
}
