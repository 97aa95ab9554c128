//! What meshproof knows of a check, a step of the guide or a hint, for a person who stands before one.

mod filling;
mod markdown;
mod text;

use wildmatch::WildMatch;

use crate::check::Case;
use crate::context::own_id;
use crate::diagnose::hints::{SYMPTOMS, Symptom};
use crate::field::Issue;
use crate::install::per_remote;
use crate::plan::StepOutline;
use crate::problem::{Problems, any_of, near};
use crate::sabotage::Sabotage;

pub use filling::Filling;
pub use markdown::markdown;
pub use text::{list, text};

/// At most so many names are offered for a word that means nothing.
const OFFERED: usize = 4;

/// All that can be explained, and what is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue<'a> {
    /// The checks.
    pub checks: &'a [Case],
    /// The steps of the guide, and those of the lab.
    pub steps: &'a [StepOutline],
    /// The sabotages, each of which some check is the first to notice.
    pub sabotages: &'a [Sabotage],
    /// The field issues, some of which show in checks.
    pub issues: &'a [Issue],
}

/// One thing that can be explained.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A check of the catalogue.
    Check(&'a Case),
    /// A step.
    Step(&'a StepOutline),
    /// A symptom that diagnostics give a hint for.
    Hint(&'static Symptom),
}

impl<'a> Subject<'a> {
    /// What it can be called.
    pub fn names(&self) -> Vec<&'a str> {
        match self {
            Subject::Check(case) => vec![case.id, case.slug],
            Subject::Step(step) => vec![step.id.as_str()],
            Subject::Hint(symptom) => vec![symptom.id],
        }
    }
}

impl<'a> Catalogue<'a> {
    /// Everything, in the order of its parts.
    pub fn subjects(&self) -> Vec<Subject<'a>> {
        let checks = self.checks.iter().map(Subject::Check);
        checks.chain(self.steps.iter().map(Subject::Step)).chain(SYMPTOMS.iter().map(Subject::Hint)).collect()
    }

    /// What these words mean: ids, names or globs of them, whatever their case, also as reports tell them; each thing once.
    ///
    /// # Errors
    /// Every word that means nothing, with the names that look like it.
    pub fn find(&self, words: &[String]) -> Result<Vec<Subject<'a>>, Problems> {
        let subjects = self.subjects();
        let mut problems = Problems::new();
        let mut found: Vec<usize> = Vec::new();
        for word in words {
            let means = |word: &str| -> Vec<usize> {
                let glob = WildMatch::new_case_insensitive(word);
                let meant = |subject: &Subject| subject.names().into_iter().any(|name| glob.matches(name));
                subjects.iter().enumerate().filter(|(_, subject)| meant(subject)).map(|(at, _)| at).collect()
            };
            let id = own_id(word.split_whitespace().next().unwrap_or_default());
            // `remote-secret-trusted` is a check, and no step of a remote called trusted.
            let meant = [id, per_remote::base_of_any(id)].map(means).into_iter().find(|meant| !meant.is_empty());
            found.extend(meant.iter().flatten());
            if meant.is_none() {
                problems.push(
                    "WHAT",
                    format!("`{word}` is no check, step or hint"),
                    instead(word, &self.looking_like(word)),
                );
            }
        }
        problems.or(())?;
        let mut once = Vec::new();
        for at in found {
            if !once.contains(&at) {
                once.push(at);
            }
        }
        Ok(once.into_iter().map(|at| subjects[at]).collect())
    }

    /// Names that look like this word, or have it in them.
    fn looking_like(&self, word: &str) -> Vec<&'a str> {
        // Ids of checks are so short that any two look alike.
        let subjects = self.subjects();
        let names: Vec<&str> = subjects.iter().filter_map(|subject| subject.names().pop()).collect();
        let mut alike = near(word, names.iter().copied());
        let lower = word.to_lowercase();
        let within = |name: &&&str| word.len() > 2 && name.contains(&lower) && !alike.contains(name);
        let more: Vec<&str> = names.iter().filter(within).copied().collect();
        alike.extend(more);
        alike.truncate(OFFERED);
        alike
    }

    /// The sabotages that this check is the first to notice.
    pub fn sabotages_of(&self, case: &Case) -> impl Iterator<Item = &'a Sabotage> {
        let id = case.id;
        self.sabotages.iter().filter(move |sabotage| sabotage.red.first().is_some_and(|first| first == id))
    }

    /// The field issues that show in this check.
    pub fn issues_of(&self, case: &Case) -> impl Iterator<Item = &'a Issue> {
        let id = case.id;
        self.issues.iter().filter(move |issue| issue.scenario().symptom.contains_key(id))
    }
}

/// What to write in the place of a word that means nothing.
fn instead(word: &str, alike: &[&str]) -> String {
    let list = "`meshproof explain` lists them all";
    match alike {
        [] if word.trim().is_empty() => format!("an id such as D8; {list}"),
        [] => list.to_string(),
        alike => format!("{}; {list}", any_of(&alike.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())),
    }
}
