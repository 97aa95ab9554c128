//! One thing for each cluster of a mesh: for its primary, and for each of its remotes.
//!
//! The guide speaks of a pair, and so do steps and checks. A mesh of several remotes is as many pairs that share a primary:
//! it is always seen from one of its remotes, which is then the one that [`Role::Remote`] means.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// What has the name of a cluster.
pub trait Named {
    /// Istio's name for it: `cluster1`.
    fn name(&self) -> &str;
}

/// Which cluster of a mesh is meant, by which ids, files and folders tell them apart: `primary`, `remote`, and
/// `remote-cluster3` for each remote after the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Its part in the guide.
    pub role: Role,
    /// Its name, where it is a remote after the first.
    pub further: Option<String>,
}

impl From<Role> for Member {
    fn from(role: Role) -> Member {
        Member { role, further: None }
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.further {
            None => self.role.fmt(f),
            Some(name) => write!(f, "{}-{name}", self.role),
        }
    }
}

/// Whether an id is that of a step or part of the remote of this name, one after the first: `workloads-remote-cluster3`.
pub fn is_of_further(id: &str, remote: &str) -> bool {
    id.strip_suffix(remote).is_some_and(|rest| rest.ends_with('-'))
}

/// One thing for each cluster of a mesh. As data it is a map of `primary` and `remote`, or, of several, `remotes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "Form<T>",
    into = "Form<T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Deserialize<'de>")
)]
pub struct PerCluster<T> {
    primary: Option<T>,
    remotes: Vec<T>,
    /// Number of the remote that it is seen from.
    at: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<T> {
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    primary: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    remote: Option<T>,
    #[serde(skip_serializing_if = "Vec::is_empty", default = "Vec::new")]
    remotes: Vec<T>,
}

impl<T> From<Form<T>> for PerCluster<T> {
    fn from(form: Form<T>) -> Self {
        PerCluster { primary: form.primary, remotes: form.remote.into_iter().chain(form.remotes).collect(), at: 0 }
    }
}

impl<T> From<PerCluster<T>> for Form<T> {
    fn from(PerCluster { primary, mut remotes, .. }: PerCluster<T>) -> Self {
        let remote = if remotes.len() == 1 { remotes.pop() } else { None };
        Form { primary, remote, remotes }
    }
}

impl<T> Default for PerCluster<T> {
    fn default() -> Self {
        PerCluster { primary: None, remotes: Vec::new(), at: 0 }
    }
}

impl<T> PerCluster<T> {
    /// Of a primary and its remotes, seen from the first.
    pub fn new(primary: T, remotes: Vec<T>) -> Self {
        PerCluster { primary: Some(primary), remotes, at: 0 }
    }

    /// That of the primary, or of the remote that it is seen from.
    pub fn get(&self, role: &Role) -> Option<&T> {
        match role {
            Role::Primary => self.primary.as_ref(),
            Role::Remote => self.remotes.get(self.at),
        }
    }

    /// As [`PerCluster::get`], to be changed.
    pub fn get_mut(&mut self, role: &Role) -> Option<&mut T> {
        match role {
            Role::Primary => self.primary.as_mut(),
            Role::Remote => self.remotes.get_mut(self.at),
        }
    }

    /// Those of all remotes, in order.
    pub fn remotes(&self) -> &[T] {
        &self.remotes
    }

    /// As [`PerCluster::remotes`], to be changed.
    pub fn remotes_mut(&mut self) -> &mut Vec<T> {
        &mut self.remotes
    }

    /// How many clusters there are.
    pub fn len(&self) -> usize {
        self.values().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them: the primary's, then those of the remotes in order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.primary.iter().chain(&self.remotes)
    }

    /// As [`PerCluster::values`], to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.primary.iter_mut().chain(&mut self.remotes)
    }

    /// Number of the remote that it is seen from.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The same, seen from the remote of this number.
    pub fn seen_from(&self, at: usize) -> Self
    where
        T: Clone,
    {
        PerCluster { at, ..self.clone() }
    }
}

impl<T: Named> PerCluster<T> {
    /// All of them, each with whose it is: the primary's, then those of the remotes in order.
    pub fn iter(&self) -> impl Iterator<Item = (Member, &T)> {
        let primary = self.primary.iter().map(|thing| (Member::from(Role::Primary), thing));
        primary.chain(self.remotes.iter().enumerate().map(|(number, thing)| (self.remote(number), thing)))
    }

    /// Which cluster this role means.
    pub fn member(&self, role: Role) -> Member {
        match role {
            Role::Primary => role.into(),
            Role::Remote => self.remote(self.at),
        }
    }

    /// The name of the remote that it is seen from, where that is not the first.
    pub fn further(&self) -> Option<String> {
        self.remote(self.at).further
    }

    fn remote(&self, number: usize) -> Member {
        let name = self.remotes.get(number).filter(|_| number > 0).map(|thing| thing.name().to_string());
        Member { role: Role::Remote, further: name }
    }
}

impl<T> Index<&Role> for PerCluster<T> {
    type Output = T;

    fn index(&self, role: &Role) -> &T {
        self.get(role).expect("a mesh has a primary and a remote")
    }
}

impl<T> IndexMut<&Role> for PerCluster<T> {
    fn index_mut(&mut self, role: &Role) -> &mut T {
        self.get_mut(role).expect("a mesh has a primary and a remote")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Named, PerCluster};
    use crate::role::Role;

    impl Named for String {
        fn name(&self) -> &str {
            self
        }
    }

    fn mesh(remotes: &[&str]) -> PerCluster<String> {
        PerCluster::new("one".to_string(), remotes.iter().map(|name| name.to_string()).collect())
    }

    #[rstest]
    #[case::a_pair(&["two"], json!({"primary": "one", "remote": "two"}))]
    #[case::several_remotes(&["two", "three"], json!({"primary": "one", "remotes": ["two", "three"]}))]
    fn it_is_read_as_it_was_written(#[case] remotes: &[&str], #[case] written: Value) {
        assert_eq!(serde_json::to_value(mesh(remotes)).expect("it is data"), written);
        let read: PerCluster<String> = serde_json::from_value(written).expect("it was written so");
        assert_eq!(read, mesh(remotes));
    }

    #[test]
    fn a_role_means_the_remote_that_it_is_seen_from() {
        let mesh = mesh(&["two", "three", "four"]).seen_from(2);
        assert_eq!((mesh[&Role::Primary].as_str(), mesh[&Role::Remote].as_str()), ("one", "four"));
        assert_eq!(mesh.member(Role::Remote).to_string(), "remote-four");
        assert_eq!(mesh.seen_from(0).member(Role::Remote).to_string(), "remote");
        let ids: Vec<String> = mesh.iter().map(|(member, _)| member.to_string()).collect();
        assert_eq!(ids, ["primary", "remote", "remote-three", "remote-four"]);
    }
}
