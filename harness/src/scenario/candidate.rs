//! Istio as somebody built it, judged in the place of a release's own images or istioctl.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The images that the guide's install takes, below the hub.
const IMAGES: [&str; 2] = ["pilot", "proxyv2"];

/// Istio that is not a release: images by hub and tag, an istioctl by path. What is left out is the release's own, and so
/// are samples and scripts. Paths are those of the folder in which meshproof is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Candidate {
    /// The hub of the images pilot and proxyv2, such as `registry.example.com/istio`; goes with `tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub hub: Option<String>,
    /// Their tag; goes with `hub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub tag: Option<String>,
    /// An archive of `docker save` that holds these images. Without it, what the Docker engine has under these names is
    /// taken, else they are pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub images_tar: Option<PathBuf>,
    /// The program istioctl.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub istioctl: Option<PathBuf>,
}

/// A mistake in a field: its name, what is wrong, and what to write instead.
pub type Mistake = (&'static str, String, String);

impl Candidate {
    /// Whether nothing is asked for, so that a release is judged.
    pub fn is_default(&self) -> bool {
        *self == Candidate::default()
    }

    /// The full names of its images, if it has some of its own.
    pub fn images(&self) -> Option<[String; 2]> {
        let (hub, tag) = self.hub.as_ref().zip(self.tag.as_ref())?;
        Some(IMAGES.map(|name| format!("{hub}/{name}:{tag}")))
    }

    /// What is wrong with the texts and with what goes together, all at once; looks at no file.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if let Some(hub) = self.hub.as_ref().filter(|hub| !is_hub(hub)) {
            let instead = "a registry with a path, as images are named, such as registry.example.com/istio";
            mistakes.push(("hub", format!("`{hub}` is no hub of images"), instead.to_string()));
        }
        if let Some(tag) = self.tag.as_ref().filter(|tag| !is_tag(tag)) {
            let instead = "at most 128 letters, digits, `.`, `_` and `-`, such as pr-1234";
            mistakes.push(("tag", format!("`{tag}` is no tag of an image"), instead.to_string()));
        }
        match (&self.hub, &self.tag) {
            (Some(_), None) => mistakes.push(("hub", "a hub alone names no images".into(), "a tag as well".into())),
            (None, Some(_)) => mistakes.push(("tag", "a tag alone names no images".into(), "a hub as well".into())),
            (None, None) if self.images_tar.is_some() => {
                let message = "an archive alone does not say which of its images are Istio's".to_string();
                mistakes.push(("imagesTar", message, "hub and tag as well, as the images in it are named".into()));
            }
            _ => {}
        }
        mistakes
    }
}

fn is_hub(text: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-:/".contains(letter);
    let parts = |text: &str| text.split('/').all(|part| !part.is_empty() && !part.ends_with(':'));
    text.chars().all(letter) && !text.contains("://") && parts(text)
}

fn is_tag(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let inner = |letter: char| word(letter) || ".-".contains(letter);
    (1..=128).contains(&text.len()) && text.starts_with(word) && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Candidate;

    fn candidate(hub: Option<&str>, tag: Option<&str>, tar: Option<&str>) -> Candidate {
        let text = |text: Option<&str>| text.map(str::to_string);
        Candidate { hub: text(hub), tag: text(tag), images_tar: tar.map(Into::into), istioctl: None }
    }

    #[rstest]
    #[case::a_registry(Some("registry.example.com:5000/istio"), Some("pr-1234"), None, &[])]
    #[case::the_own_machine(Some("localhost/istio"), Some("1.32-alpha.0"), Some("a.tar"), &[])]
    #[case::docker_hub(Some("istio"), Some("latest"), None, &[])]
    #[case::a_url(Some("https://registry.example.com/istio"), Some("a"), None, &["hub"])]
    #[case::an_end_too_much(Some("localhost/istio/"), Some("a"), None, &["hub"])]
    #[case::both_are_wrong(Some("Local Host"), Some("a b"), None, &["hub", "tag"])]
    #[case::no_tag(Some("localhost/istio"), None, None, &["hub"])]
    #[case::no_hub(None, Some("a"), Some("a.tar"), &["tag"])]
    #[case::an_archive_alone(None, None, Some("a.tar"), &["imagesTar"])]
    fn mistakes_are_said_by_field(
        #[case] hub: Option<&str>,
        #[case] tag: Option<&str>,
        #[case] tar: Option<&str>,
        #[case] fields: &[&str],
    ) {
        let mistakes = candidate(hub, tag, tar).mistakes();
        assert_eq!(mistakes.iter().map(|(field, ..)| *field).collect::<Vec<_>>(), fields, "{mistakes:?}");
    }
}
