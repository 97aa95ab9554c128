//! What most parts of a mesh call a thing: where one of them is wrong, the others tell what was meant.

use serde_json::Value;

use super::shape::{array, injects};
use crate::reading::find::told_by_path;

/// The name with the most votes; among equals the one that was named first. None where nobody voted.
pub fn most<S: AsRef<str>>(votes: &[S]) -> Option<String> {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for name in votes.iter().map(AsRef::as_ref).filter(|name| !name.is_empty()) {
        match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counted.push((name, 1)),
        }
    }
    let best = counted.iter().map(|(_, count)| *count).max()?;
    counted.into_iter().find(|(_, count)| *count == best).map(|(name, _)| name.to_string())
}

/// What the injection paths of these configurations tell of `cluster` or `net`: one vote a configuration.
pub fn of_webhooks(configurations: &[Value], key: &str) -> Vec<String> {
    let told = |configuration: &Value| {
        let webhooks = array(&configuration["webhooks"]).iter().filter(|webhook| injects(webhook));
        most(&webhooks.filter_map(|webhook| told_by_path(called_path(webhook), key)).collect::<Vec<_>>())
    };
    configurations.iter().filter_map(told).collect()
}

/// The path that a webhook calls, or the whole URL.
pub fn called_path(webhook: &Value) -> &str {
    let config = &webhook["clientConfig"];
    config["service"]["path"].as_str().or(config["url"].as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::most;

    #[rstest]
    #[case::all_of_one_mind(&["a", "a"], Some("a"))]
    #[case::one_is_wrong(&["b", "a", "a"], Some("a"))]
    #[case::the_first_of_equals(&["b", "a"], Some("b"))]
    #[case::who_says_nothing_has_no_vote(&["", "a", ""], Some("a"))]
    #[case::nobody(&[], None)]
    fn the_most_votes_win(#[case] votes: &[&str], #[case] name: Option<&str>) {
        assert_eq!(most(votes).as_deref(), name);
    }
}
