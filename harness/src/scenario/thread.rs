//! A place where users met what a scenario shows.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An issue thread, as `istio/istio#41389`, or the address of a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Thread(String);

impl Thread {
    /// The thread that a text names.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn named(text: &str) -> Result<Thread, (String, String)> {
        let page = text.starts_with("https://") && !text.contains(char::is_whitespace);
        let issue = text.split_once('#').is_some_and(|(repository, number)| {
            let word =
                |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            let parts: Vec<&str> = repository.split('/').collect();
            parts.len() == 2 && parts.into_iter().all(word) && number.parse::<u32>().is_ok()
        });
        if page || issue {
            return Ok(Thread(text.to_string()));
        }
        let instead = "an issue of GitHub such as `istio/istio#41389`, or an address that begins with https://";
        Err((format!("`{text}` is no thread"), instead.to_string()))
    }

    /// Its address.
    pub fn address(&self) -> String {
        match self.0.split_once('#') {
            Some((repository, number)) if !self.0.starts_with("https://") => {
                format!("https://github.com/{repository}/issues/{number}")
            }
            _ => self.0.clone(),
        }
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Thread;

    #[rstest]
    #[case::issue("istio/istio#41389", Some("https://github.com/istio/istio/issues/41389"))]
    #[case::page("https://istio.io/latest/#faq", Some("https://istio.io/latest/#faq"))]
    #[case::number_alone("#41389", None)]
    #[case::repository_alone("istio/istio", None)]
    #[case::plain_http("http://istio.io", None)]
    fn a_thread_is_an_issue_or_a_page(#[case] text: &str, #[case] address: Option<&str>) {
        assert_eq!(Thread::named(text).ok().map(|thread| thread.address()).as_deref(), address);
    }
}
