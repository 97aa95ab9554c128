//! The two components whose version a run chooses, and how their versions are written.

use std::fmt;

use crate::problem::{any_of, nearest};

/// What a lab is made of in a version of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Istio, whose versions are written as `1.31.1`.
    Istio,
    /// Kubernetes, whose versions are written as `v1.36.3`.
    Kubernetes,
}

impl Component {
    /// Both.
    pub const ALL: [Component; 2] = [Component::Istio, Component::Kubernetes];

    /// Its key in `kind/versions.toml`, which is also its flag.
    pub fn key(self) -> &'static str {
        match self {
            Component::Istio => "istio",
            Component::Kubernetes => "kubernetes",
        }
    }

    /// The component of this key.
    ///
    /// # Errors
    /// What is wrong with the key, and what to write instead.
    pub fn named(key: &str) -> Result<Component, (String, String)> {
        let keys = Component::ALL.map(Component::key);
        Component::ALL.into_iter().find(|component| component.key() == key).ok_or_else(|| {
            let instead = nearest(key, keys).map_or_else(|| any_of(&keys), |meant| format!("`{meant}`"));
            (format!("`{key}` is no component with versions to choose from"), instead)
        })
    }

    /// What its versions begin with.
    fn prefix(self) -> &'static str {
        match self {
            Component::Istio => "",
            Component::Kubernetes => "v",
        }
    }

    /// Reads a version of it.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn release(self, text: &str) -> Result<Release, (String, String)> {
        if let Some(release) = text.strip_prefix(self.prefix()).and_then(Release::read) {
            return Ok(release);
        }
        let instead = match self.meant(text) {
            Some((written, _)) => format!("`{written}`"),
            None => format!("three numbers, such as {}1.31.1", self.prefix()),
        };
        Err((format!("`{text}` is not how a version of {self} is written"), instead))
    }

    /// The version that is meant by a text that may be written as those of another component, and how it is written.
    pub fn meant(self, text: &str) -> Option<(String, Release)> {
        let release = Release::read(text.trim().trim_start_matches(['v', 'V']))?;
        Some((self.written(&release), release))
    }

    /// A version as it is written.
    pub fn written(self, release: &Release) -> String {
        format!("{}{release}", self.prefix())
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Component::Istio => "Istio",
            Component::Kubernetes => "Kubernetes",
        })
    }
}

/// A version in its parts, in the order in which versions come out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
    /// Whether it is a release and not one of those before it, which come first.
    is_final: bool,
    /// `rc.1` of `1.31.0-rc.1`; empty for a release.
    pre: String,
}

impl Release {
    /// Reads `1.31.1` or `1.31.0-rc.1`.
    fn read(text: &str) -> Option<Release> {
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let is_pre = |pre: &str| !pre.is_empty() && pre.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        if pre.is_some_and(|pre| !is_pre(pre)) {
            return None;
        }
        let mut parts = numbers.split('.').map(|part| {
            let plain = part.chars().all(|c| c.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            part.parse::<u32>().ok().filter(|_| plain)
        });
        let mut number = || parts.next().flatten();
        let (major, minor, patch) = (number()?, number()?, number()?);
        let (is_final, pre) = (pre.is_none(), pre.unwrap_or_default().to_string());
        parts.next().is_none().then_some(Release { major, minor, patch, is_final, pre })
    }

    /// `1.31` of 1.31.1.
    pub fn line(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// How far another one is from this: the minor version counts before the patch.
    pub fn distance(&self, other: &Release) -> (u32, u32, u32) {
        let apart = |one: u32, other: u32| one.abs_diff(other);
        (apart(self.major, other.major), apart(self.minor, other.minor), apart(self.patch, other.patch))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.is_final { Ok(()) } else { write!(f, "-{}", self.pre) }
    }
}
