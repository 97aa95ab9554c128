//! `--remotes`, and verbs that know of one remote alone.

use crate::problem::{Problem, all_of};
use crate::scenario::{ClusterWish, Scenario, count};

/// Gives the scenario so many remotes; what is wrong with that.
pub fn give(text: &str, scenario: &mut Scenario) -> Option<Problem> {
    let number = match count(text) {
        Ok(number) => number as usize,
        Err((message, instead)) => return Some(Problem::new("--remotes", message, instead)),
    };
    let remotes = scenario.clusters.remotes_mut();
    remotes.truncate(number);
    remotes.extend((remotes.len()..number).map(ClusterWish::remote));
    if number > 1 && scenario.upgrades() {
        let message = "an upgrade, as in this scenario's timeline, is not known for a mesh of several remotes";
        return Some(Problem::new("--remotes", message, "the scenario without --remotes"));
    }
    let names: Vec<&String> = scenario.clusters.values().map(|wish| &wish.name).collect();
    let (_, twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))?;
    let message = format!("two clusters would be called `{twice}`");
    let instead = "a list `remotes` below `clusters` in the scenario file, with a name for each";
    Some(Problem::new("--remotes", message, instead))
}

/// What is wrong with several remotes for a verb that knows of one alone.
pub fn only_one(verb: &str, scenario: &Scenario) -> Option<Problem> {
    let remotes = scenario.clusters.remotes();
    let names: Vec<&str> = remotes.iter().map(|wish| wish.name.as_str()).collect();
    (names.len() > 1).then(|| {
        let message = format!("`{verb}` knows of one remote, and lab {} has {}", scenario.lab, all_of(&names));
        Problem::new("clusters.remotes", message, "a lab with one remote, under another name with --lab")
    })
}
