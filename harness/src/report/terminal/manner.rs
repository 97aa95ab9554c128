//! How a run is told: what there is of a terminal, and what a person asked for.

/// How much a person is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Volume {
    /// Only what is not as expected, and how it ended.
    Quiet,
    /// What ended, and what goes on.
    #[default]
    Usual,
    /// The log too, so that nothing may be drawn over.
    Verbose,
}

/// How a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Whether a view of what goes on stands below the lines.
    pub live: bool,
    /// Whether verbs have colours.
    pub colour: bool,
    /// Whether only what is not as expected is told, and how it ended.
    pub quiet: bool,
    /// Whether GitHub reads the lines: it folds groups of them, and carries out commands.
    pub github: bool,
}

impl Manner {
    /// Lines only.
    pub const PLAIN: Manner = Manner { live: false, colour: false, quiet: false, github: false };

    /// What standard error is, and what the environment says.
    pub fn detect(volume: Volume) -> Manner {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        Manner::choose(is_terminal, volume, |name| std::env::var(name).ok())
    }

    /// Lines only where there is no terminal that can move its cursor, and in `CI`. `NO_COLOR` takes away the colours and
    /// nothing else, as <https://no-color.org> has it.
    pub fn choose(is_terminal: bool, volume: Volume, variable: impl Fn(&str) -> Option<String>) -> Manner {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let ci = set("CI").is_some_and(|value| value != "false");
        let screen = is_terminal && !ci && variable("TERM").is_none_or(|term| term != "dumb");
        Manner {
            live: screen && volume == Volume::Usual,
            colour: screen && set("NO_COLOR").is_none(),
            quiet: volume == Volume::Quiet,
            github: set("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
        }
    }
}
