//! What a user asks for: a scenario file, read and judged as a whole before anything is made.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::plan::CaseOutline;
use crate::problem::Problems;
use crate::role::Role;
use crate::versions::Versions;

mod cidr;
mod names;
mod read;
mod tree;

pub use names::check_lab_name;

/// A scenario, complete: what the file left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Name for reports: `primary-remote`.
    pub name: String,
    /// Name of the lab that it runs in.
    pub lab: String,
    /// Kubernetes version, as `v1.36.3`.
    pub kubernetes: String,
    /// Istio version, as `1.31.1`.
    pub istio: String,
    /// Where images come from.
    pub images: ImageSource,
    /// The guide's `values.global.meshID`.
    pub mesh_id: String,
    /// The guide's `values.global.network`.
    pub network: String,
    /// What is asked of each cluster.
    pub clusters: BTreeMap<Role, ClusterWish>,
    /// Cases whose verdict shall be another than passed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, String>,
}

/// What is asked of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterWish {
    /// Istio's name for it: `cluster1`.
    pub name: String,
    /// Its pod subnet; chosen if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_subnet: Option<Ipv4Net>,
    /// Its service subnet; chosen if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_subnet: Option<Ipv4Net>,
}

/// Where images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// Built here from package registries.
    Local,
}

impl Scenario {
    /// What is run if nobody says otherwise: the guide's own names on the default versions.
    pub fn default_primary_remote(versions: &Versions) -> Scenario {
        Scenario {
            name: "primary-remote".to_string(),
            lab: "meshproof".to_string(),
            kubernetes: versions.default_kubernetes().to_string(),
            istio: versions.default_istio().to_string(),
            images: ImageSource::Local,
            mesh_id: "mesh1".to_string(),
            network: "network1".to_string(),
            clusters: BTreeMap::from([
                (Role::Primary, ClusterWish::named("cluster1")),
                (Role::Remote, ClusterWish::named("cluster2")),
            ]),
            expect: BTreeMap::new(),
        }
    }

    /// Reads a scenario file's text, fills in what it leaves out, and names every mistake with its line and column.
    pub fn parse(
        text: &str,
        file_name: &str,
        versions: &Versions,
        cases: &[CaseOutline],
    ) -> Result<Scenario, Problems> {
        ScenarioFile::parse(text, file_name, versions, cases).map(|file| file.scenario)
    }
}

impl ClusterWish {
    /// A cluster of this name, with subnets to be chosen.
    pub fn named(name: &str) -> ClusterWish {
        ClusterWish { name: name.to_string(), pod_subnet: None, service_subnet: None }
    }
}

/// A scenario and where in its file each value stands, so that a mistake found later is shown there too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioFile {
    /// What the file asks for, complete.
    pub scenario: Scenario,
    places: BTreeMap<String, String>,
}

impl ScenarioFile {
    /// Reads a scenario file's text, and names every mistake with its line and column.
    pub fn parse(
        text: &str,
        file_name: &str,
        versions: &Versions,
        cases: &[CaseOutline],
    ) -> Result<ScenarioFile, Problems> {
        let defaults = Scenario::default_primary_remote(versions);
        let (scenario, places) = read::read(text, file_name, defaults, versions, cases)?;
        Ok(ScenarioFile { scenario, places })
    }

    /// A scenario that no file says.
    pub fn built_in(scenario: Scenario) -> ScenarioFile {
        ScenarioFile { scenario, places: BTreeMap::new() }
    }

    /// Replaces a place such as `clusters.primary.podSubnet` by the line and column where the file says so.
    pub fn locate(&self, mut problems: Problems) -> Problems {
        for problem in &mut problems.0 {
            if let Some(place) = self.places.get(&problem.place) {
                problem.place.clone_from(place);
            }
        }
        problems
    }
}

/// The path of a cluster's field, as in `clusters.primary.podSubnet`.
pub fn cluster_field(role: Role, field: &str) -> String {
    format!("clusters.{role}.{field}")
}
