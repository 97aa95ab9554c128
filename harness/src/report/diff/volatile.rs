//! What is another in every run and means nothing: numbers, addresses, hashes, names of pods.

use crate::report::pod_name;

/// The text with `*` in the place of each of these, and what the lab of this name is called by in that of its name.
pub fn steady(text: &str, lab: &str) -> String {
    let text = match lab {
        "" => text.to_string(),
        lab => {
            text.replace(&format!("{lab}-cluster"), "LAB-cluster").replace(&format!("meshproof-{lab}"), "meshproof-LAB")
        }
    };
    let (mut steady, mut rest) = (String::new(), text.as_str());
    while let Some(begin) = rest.find(is_of_word) {
        steady.push_str(&rest[..begin]);
        let word = &rest[begin..];
        let end = word.find(|c| !is_of_word(c)).unwrap_or(word.len());
        steady += &of_word(&word[..end]);
        rest = &word[end..];
    }
    steady.push_str(rest);
    while steady.contains("*.*") {
        steady = steady.replace("*.*", "*");
    }
    steady
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn of_word(word: &str) -> String {
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    let counted = word.strip_prefix('x').unwrap_or(word);
    // A number may have a unit, or the letters of a time of day.
    if is_uid(word) || counted.starts_with(|c: char| c.is_ascii_digit()) && letters <= 2 {
        return "*".to_string();
    }
    let made = pod_name::owner(word);
    let parts = made.unwrap_or(word).split('-').chain(made.map(|_| "*"));
    parts.map(|part| if is_hash(part) { "*" } else { part }).collect::<Vec<_>>().join("-")
}

fn is_uid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

fn is_hash(part: &str) -> bool {
    part.len() >= 8 && part.chars().all(|c| c.is_ascii_hexdigit()) && part.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::steady;

    #[rstest]
    #[case::pod("pod istio-system/istiod-7c8765877-nw9v5 of cluster1", "pod istio-system/istiod-* of cluster1")]
    #[case::pod_with_a_namespace("caller-5d48f4df8-24tgf.sample", "caller-*.sample")]
    #[case::pod_of_a_daemon_set("meshproof-probe/probe-vgj2x", "meshproof-probe/probe-*")]
    #[case::namespace("meshproof-d9-0096c59b/map", "meshproof-d9-*/map")]
    #[case::mark("calls of echo/48912a07/b1 and echo/af91c2e0/b1", "calls of echo/*/b1 and echo/*/b1")]
    #[case::address("https://172.30.0.2:6443/version", "https://*:*/version")]
    #[case::subnet("10.20.0.0/24", "*/*")]
    #[case::uid("bfdc2804-74ed-4d43-96a2-2aef02978093", "*")]
    #[case::digest("sha256 5bf3f0d5d58687915c91b2978a66b75c", "sha256 *")]
    #[case::time("Apply at 2026-11-22T00:09:53Z", "Apply at *:*:*")]
    #[case::seconds("after 0.35 s, 12ms", "after * s, *")]
    #[case::counts("sa/caller (x29)", "sa/caller (*)")]
    #[case::node("node rep-cluster1-control-plane", "node LAB-cluster1-control-plane")]
    #[case::network("Docker network meshproof-rep", "Docker network meshproof-LAB")]
    #[case::names("Service echo-v2 in network1, EXTERNAL_ISTIOD", "Service echo-v2 in network1, EXTERNAL_ISTIOD")]
    #[case::other_letters("ein Pod ⏎ größer 3", "ein Pod ⏎ größer *")]
    #[case::nothing("", "")]
    fn what_means_nothing_is_the_same_in_every_run(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(steady(text, "rep"), expected);
    }
}
