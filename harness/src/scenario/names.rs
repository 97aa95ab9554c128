//! The rules for names that end up in Docker, Kubernetes and Istio.

use crate::lab::Revision;

/// Long enough for people, short enough that a node's name stays a DNS label: lab, cluster and `-control-plane`.
const LONGEST: usize = 20;

/// Why a text is no name for a lab, and what to write instead.
pub fn check_lab_name(name: &str) -> Result<(), (String, String)> {
    label(name, "a lab's name", LONGEST, "meshproof")
}

/// Why a text is no name for a scenario.
pub(super) fn check_scenario_name(name: &str) -> Result<(), (String, String)> {
    label(name, "a scenario's name", 40, "primary-remote")
}

/// Why a text is no name for a round of checks.
pub(super) fn check_round_name(name: &str) -> Result<(), (String, String)> {
    label(name, "a round's name", LONGEST, "late")
}

/// Why a text is no name for a revision of Istio: names of Services end with it, so it may begin with a digit.
pub fn check_revision(name: &str) -> Result<(), (String, String)> {
    if name == Revision::default().name() {
        let message = "`default` is the revision where none is named";
        return Err((message.to_string(), "another name, such as `canary`; or leave it out".to_string()));
    }
    // istioctl reads it as YAML.
    if NO_TEXTS.contains(&name) || name.parse::<f64>().is_ok() {
        return Err((format!("`{name}` is no text in YAML"), "a name such as `canary` or `1-31-1`".to_string()));
    }
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let fits = !name.is_empty() && name.len() <= LONGEST && name.chars().all(inner);
    if fits && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    let instead = format!("at most {LONGEST} of a-z, 0-9 and `-`, with no `-` at either end, such as `1-31-1`");
    Err((format!("`{name}` cannot be a revision"), instead))
}

/// Why a text is no name for a revision tag.
pub fn check_tag(name: &str) -> Result<(), (String, String)> {
    if NO_TEXTS.contains(&name) {
        return Err((format!("`{name}` is no text in YAML"), "a name such as `prod`".to_string()));
    }
    label(name, "a tag", LONGEST, "default")
}

/// Why a text is no name for a cluster.
pub fn check_cluster_name(name: &str) -> Result<(), (String, String)> {
    label(name, "a cluster's name", LONGEST, "cluster1")
}

/// What readers of YAML 1.1 and of `--set` take for a truth value, nothing or a number.
const NO_TEXTS: [&str; 14] =
    ["true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "null", "nan", "inf", "infinity"];

/// Why a text is no name for the namespace of Istio.
pub(super) fn check_istio_namespace(name: &str) -> Result<(), (String, String)> {
    label(name, "a namespace", 63, "mesh-system")?;
    let instead = || "a namespace of its own, such as `istio-system` or `mesh-system`".to_string();
    // istiod leaves out those of Kubernetes, and a clean-up that deletes one takes more than Istio.
    if name == "default" || name == "local-path-storage" || name.starts_with("kube-") {
        return Err((format!("`{name}` is a namespace of Kubernetes itself"), instead()));
    }
    if name == "meshproof" || name.starts_with("meshproof-") {
        return Err((format!("`{name}` is a name of meshproof's own namespaces"), instead()));
    }
    // Operator files and `--set` carry it without quotes, and are read as YAML 1.1.
    if NO_TEXTS.contains(&name) {
        return Err((format!("`{name}` is no text in YAML"), instead()));
    }
    Ok(())
}

/// Why a text is no mesh id or network: both become values of Kubernetes labels.
pub fn check_label_value(name: &str, example: &str) -> Result<(), (String, String)> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let fits = name.len() <= 63
        && name.chars().all(inner)
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    if fits {
        return Ok(());
    }
    Err((
        format!("`{name}` cannot be the value of a Kubernetes label"),
        format!("at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, such as {example}"),
    ))
}

fn label(name: &str, what: &str, longest: usize, example: &str) -> Result<(), (String, String)> {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let fits = name.len() <= longest
        && name.chars().all(|one| letter(one) || one == '-')
        && name.starts_with(|one: char| one.is_ascii_lowercase())
        && name.ends_with(letter);
    if fits {
        return Ok(());
    }
    let mended: String =
        name.to_lowercase().chars().map(|one| if letter(one) { one } else { '-' }).take(longest).collect();
    let mended = mended.trim_matches(|one: char| one == '-').to_string();
    let example = if mended.starts_with(|one: char| one.is_ascii_lowercase()) { mended } else { example.to_string() };
    let message = if name.len() > longest {
        format!("`{name}` is too long for {what}: {} letters", name.chars().count())
    } else {
        format!("`{name}` cannot be {what}")
    };
    Err((message, format!("at most {longest} of a-z, 0-9 and `-`, beginning with a letter, such as `{example}`")))
}
