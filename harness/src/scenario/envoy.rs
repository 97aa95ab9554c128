//! Another Envoy than the one that goes with a release of Istio, for images that are built here.

use super::{ImageSource, Scenario};

/// Whether a text is how a version of Envoy is written.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn check_envoy(text: &str) -> Result<(), (String, String)> {
    let mut parts = text.split('.');
    let number =
        |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.bytes().all(|at| at.is_ascii_digit()));
    let three = (0..3).all(|_| number(parts.next()));
    // A wheel that was published once more for the same Envoy.
    let rest = parts.next().is_none_or(|part| part.strip_prefix("post").is_some_and(|part| number(Some(part))));
    if three && rest && parts.next().is_none() {
        return Ok(());
    }
    Err((format!("`{text}` is not how a version of Envoy is written"), "three numbers, such as `1.40.0`".to_string()))
}

impl Scenario {
    /// Why images with the Envoy that is asked for cannot be had, and what to write instead.
    pub fn envoy_mistake(&self) -> Option<(String, String)> {
        let envoy = self.envoy.as_ref()?;
        if self.candidate.images().is_some() {
            let message = format!("Envoy {envoy} is put into images that are built here, and hub and tag name others");
            return Some((message, "one of them: `envoy`, or hub and tag of a candidate".to_string()));
        }
        if self.images == ImageSource::Official {
            let message =
                format!("Envoy {envoy} is put into images that are built here, and official ones hold their own");
            return Some((message, "`images: local`; or hub and tag of images with that Envoy".to_string()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::check_envoy;

    #[rstest]
    #[case::three_numbers("1.40.0", true)]
    #[case::published_again("1.36.2.post1", true)]
    #[case::of_a_tag("v1.40.0", false)]
    #[case::a_line("1.40", false)]
    #[case::a_fourth_number("1.40.0.1", false)]
    #[case::more_after_all("1.40.0.post1.2", false)]
    #[case::a_flag("--upgrade", false)]
    #[case::nothing("", false)]
    fn a_version_of_envoy_has_three_numbers(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(check_envoy(text).is_ok(), is_one);
    }
}
