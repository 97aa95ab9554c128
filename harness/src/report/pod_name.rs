//! Names of pods: that of what made them, and the words that Kubernetes puts behind it.

/// The letters and digits of these words
/// (<https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go>).
const LETTERS: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The name of what made a pod of this name: a Deployment or a DaemonSet. None where it does not end as theirs do.
pub fn owner(pod: &str) -> Option<&str> {
    let made_up = |word: &str| word.chars().all(|c| LETTERS.contains(c));
    let (name, _) = pod.rsplit_once('-').filter(|(_, word)| word.len() == 5 && made_up(word))?;
    // A Deployment's has the hash of the template before it.
    let of_deployment = name.rsplit_once('-').filter(|(_, hash)| (6..=10).contains(&hash.len()) && made_up(hash));
    Some(of_deployment.map_or(name, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::owner;

    #[rstest]
    #[case::of_a_deployment("caller-7cc79b5645-5v7z7", Some("caller"))]
    #[case::with_a_number("echo-v1-74c957948b-p6dpn", Some("echo-v1"))]
    #[case::of_a_daemon_set("probe-vgj2x", Some("probe"))]
    #[case::of_a_stateful_set("stateful-0", None)]
    #[case::a_name_alone("vgj2x", None)]
    fn a_pod_is_named_after_what_made_it(#[case] pod: &str, #[case] name: Option<&str>) {
        assert_eq!(owner(pod), name);
    }
}
