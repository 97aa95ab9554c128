//! A captured mesh: a folder of readable files that says what two clusters are, for whoever shall rebuild them.
//!
//! `capture` reads a mesh and writes the folder; `run` rebuilds the mesh that it tells of on a lab.

mod anonymise;
pub mod capture;
mod folder;
mod index;
mod part;
mod read;
pub mod rebuild;
mod shape;
mod tell;
mod vote;

use std::collections::BTreeMap;

use serde_json::Value;

pub use anonymise::anonymised;
pub use capture::{CaptureError, Wish};
pub use folder::{free, write};
pub use index::{ClusterIndex, FORM, FileEntry, INDEX, Index, KnownCluster, NotRead};
pub use part::{ACCOUNT, rights};
pub use read::read;

use crate::role::Role;

/// A captured mesh, as it is written and read.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What the folder says of itself.
    pub index: Index,
    /// The documents of each file, by its path in the folder such as `remote/services.yaml`.
    pub files: BTreeMap<String, Vec<Value>>,
}

impl Bundle {
    /// The documents of one file; none where it is not there.
    pub fn documents(&self, role: Role, name: &str) -> &[Value] {
        self.files.get(&path(role, name)).map_or(&[], Vec::as_slice)
    }

    /// The first document of one file; null where it is not there.
    pub fn document(&self, role: Role, name: &str) -> &Value {
        self.documents(role, name).first().unwrap_or(&Value::Null)
    }

    /// The object of this kind and name in one file.
    pub fn object(&self, role: Role, file: &str, kind: &str, name: &str) -> Option<&Value> {
        let mut all = self.documents(role, file).iter();
        all.find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }

    /// Whether a file was read, or its part of the mesh could not be.
    pub fn has(&self, role: Role, name: &str) -> bool {
        self.files.contains_key(&path(role, name))
    }
}

/// The path of a file in the folder.
pub fn path(role: Role, name: &str) -> String {
    format!("{role}/{name}.yaml")
}
