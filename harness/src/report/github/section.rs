//! Groups that GitHub's log folds, around lines that need no look as long as all is well.
//!
//! `::group::` and `::endgroup::` are
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions#grouping-log-lines>.

/// A part of a run whose lines are folded together, in the order of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The lab and the install.
    Install,
    /// The timeline and the checks.
    Checks,
    /// The clean-up and the removal.
    CleanUp,
}

impl Section {
    /// Its title in the log.
    pub fn title(self) -> &'static str {
        match self {
            Section::Install => "Lab and install",
            Section::Checks => "Checks",
            Section::CleanUp => "Clean-up",
        }
    }
}

/// Opens and closes groups; they never lie in each other, for GitHub knows only one at a time.
#[derive(Debug, Default)]
pub struct Groups {
    open: Option<Section>,
    furthest: Option<Section>,
}

impl Groups {
    /// The lines by which the log comes to a section, or outside of all where there is none. It never goes back to an
    /// earlier section: what overlaps stays in the later one.
    pub fn turn_to(&mut self, section: Option<Section>) -> Vec<String> {
        let section = section.map(|section| self.furthest.map_or(section, |furthest| section.max(furthest)));
        self.furthest = section.or(self.furthest);
        if section == self.open {
            return Vec::new();
        }
        let end = self.open.map(|_| "::endgroup::".to_string());
        self.open = section;
        end.into_iter().chain(section.map(|section| format!("::group::{}", section.title()))).collect()
    }
}
