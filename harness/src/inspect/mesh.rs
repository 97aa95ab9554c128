//! Two bug reports as one mesh.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answers::client;
use super::bug_report::{BugReport, in_order};
use crate::lab::{Cluster, Revision};
use crate::problem::Problems;
use crate::role::Role;
use crate::scenario::{IstioNamespace, SAMPLE_NAMESPACE};

/// The reports of two clusters, read and found to be what they should.
#[derive(Debug, Clone, PartialEq)]
pub struct Reports {
    /// The file of each.
    pub paths: BTreeMap<Role, PathBuf>,
    /// The namespace in which Istio is looked for.
    pub istio_namespace: IstioNamespace,
    reports: BTreeMap<Role, Arc<BugReport>>,
}

/// Reads both archives.
///
/// # Errors
/// Everything that is wrong with both.
pub fn open(primary: &Path, remote: &Path, istio_namespace: &IstioNamespace) -> Result<Reports, Problems> {
    let mut problems = Problems::new();
    let read = [primary, remote].map(|path| problems.keep(BugReport::read(path)));
    if primary == remote || same(primary, remote) {
        let instead = "the archive of each cluster: --context chooses the one that `istioctl bug-report` looks at";
        problems.push(remote.display().to_string(), "is given twice, and a mesh has two clusters", instead);
    }
    let [Some(first), Some(second)] = read else { return Err(problems) };
    if problems.is_empty()
        && let Err(problem) = in_order((primary, &first), (remote, &second), istio_namespace)
    {
        problems.0.push(problem);
    }
    problems.or(Reports {
        paths: Role::ALL.into_iter().zip([primary.to_path_buf(), remote.to_path_buf()]).collect(),
        istio_namespace: istio_namespace.clone(),
        reports: Role::ALL.into_iter().zip([first, second].map(Arc::new)).collect(),
    })
}

fn same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().is_some_and(|path| other.canonicalize().ok() == Some(path))
}

impl Reports {
    /// The names of the archives, without their folders.
    pub fn names(&self) -> BTreeMap<Role, String> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.paths.iter().map(|(role, path)| (*role, name(path))).collect()
    }

    /// The cluster of a report, and the version of its API server. It is called by the name of its file.
    pub fn cluster(&self, role: Role) -> (Cluster, String) {
        let report = &self.reports[&role];
        let name = self.names()[&role].clone();
        let cluster = Cluster {
            role,
            member: role.into(),
            name: name.clone(),
            context: name,
            kubeconfig: None,
            client: client(report.clone()),
            nodes: BTreeMap::new(),
            istio_namespace: self.istio_namespace.clone(),
            revision: Revision::default(),
            beside: Vec::new(),
            sample: SAMPLE_NAMESPACE.to_string(),
            pages: Some(Arc::new(report.pages.clone())),
        };
        (cluster, report.kubernetes.clone())
    }
}
