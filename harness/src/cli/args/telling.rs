//! Flags that say how much is said.

use clap::{ArgAction, Args};

use crate::problem::Problem;
use crate::report::terminal::Volume;

/// How much is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub struct Telling {
    /// Say only what is not as expected, and how it ended.
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more, in lines alone; twice for the commands that are run.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Telling {
    /// How much of a run a person is told.
    pub fn volume(self) -> Volume {
        match self {
            Telling { quiet: true, .. } => Volume::Quiet,
            Telling { verbose: 0, .. } => Volume::Usual,
            _ => Volume::Verbose,
        }
    }

    /// What is wrong with asking for both.
    pub fn mistake(self) -> Option<Problem> {
        let both = self.quiet && self.verbose > 0;
        both.then(|| Problem::new("--quiet", "--verbose asks for more, and this for less", "one of them: -q or -v"))
    }
}
