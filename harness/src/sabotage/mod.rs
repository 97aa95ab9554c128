//! Sabotages: what is broken on purpose, and what the suite must say of it. A suite that was never seen to turn red for
//! the right reason proves nothing by being green.
//!
//! The catalogue is data, one file a sabotage below `fixtures/faults/`; `meshproof prove` carries it out on a lab.

mod act;
mod breakage;
mod catalogue;
mod layer;
mod names;
mod rollout;
mod table;
mod trial;

pub use act::{Act, Change, Target};
pub use breakage::{BreakError, Breakage};
pub use catalogue::{FOLDER, choose};
pub use layer::Layer;
pub use names::{Names, PLANNED, VARIABLES};
pub use table::{junit, markdown, text};
pub use trial::{Got, Trial};

use serde::Deserialize;

use crate::check::case::When;
use crate::role::Role;
use crate::scenario::{IstioNamespace, Scenario};

/// One sabotage of the catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sabotage {
    /// Name of its file without the ending.
    #[serde(skip)]
    pub id: String,
    /// What is broken, one line in the present tense.
    pub what: String,
    /// Where the first broken thing lies.
    pub layer: Layer,
    /// Issue threads and pages in which users met it.
    #[serde(default)]
    pub threads: Vec<String>,
    /// After which phase the suite is asked.
    #[serde(default)]
    pub after: After,
    /// Steps of the guide that are left out: the mesh is installed anew without them before anything else is done, and
    /// once more with them afterwards.
    #[serde(default)]
    pub without: Vec<String>,
    /// The namespace into which the remote cluster's part of Istio is installed, in the place of its own: as for
    /// `without`, the mesh is installed anew for it, and once more afterwards.
    #[serde(default)]
    pub remote_namespace: Option<String>,
    /// What is done to a healthy lab, in order.
    #[serde(rename = "break", default)]
    pub acts: Vec<Act>,
    /// Which healer of Istio or Kubernetes is held off, and how, where one would mend it at once.
    #[serde(default)]
    pub holds_off: Option<String>,
    /// What is done after everything was put back, where that alone does not mend the mesh.
    #[serde(default)]
    pub mend: Vec<Act>,
    /// Exactly these clauses must be red; cause and hint are those of the first.
    pub red: Vec<String>,
    /// Exactly these must be blocked.
    #[serde(default)]
    pub blocked: Vec<String>,
    /// Exactly these must be left without a verdict, for they cannot be told.
    #[serde(default)]
    pub untold: Vec<String>,
    /// Words that the cause line must have, whatever their case.
    pub cause: Vec<String>,
    /// Words that the hint must have.
    pub hint: Vec<String>,
    /// The first broken layer of requests, as the first red clause must name it; none where requests are not the matter.
    #[serde(default)]
    pub broken_layer: Option<crate::check::Layer>,
}

impl Sabotage {
    /// Whether the guide is followed otherwise, for which the mesh is installed anew.
    pub fn installs(&self) -> bool {
        !self.without.is_empty() || self.remote_namespace.is_some()
    }

    /// Whether it can be carried out on an installed mesh, as one moment among others.
    pub fn is_of_a_moment(&self) -> bool {
        !self.installs() && self.after == After::Install
    }

    /// The scenario by which it installs the mesh on a lab that was made by this one.
    pub fn scenario(&self, made: &Scenario) -> Scenario {
        let mut scenario = made.clone();
        if let (Some(name), Some(wish)) = (&self.remote_namespace, scenario.clusters.get_mut(&Role::Remote)) {
            wish.istio_namespace = IstioNamespace::named(name).ok();
        }
        scenario
    }

    /// The clause that must notice first: its cause and hint are looked at.
    pub fn first(&self) -> &str {
        self.red.iter().chain(&self.untold).next().map_or("", String::as_str)
    }
}

/// After which phase the suite is asked what it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// The install: the clauses of an installed mesh.
    #[default]
    Install,
    /// The clean-up: what is left. The mesh is installed anew afterwards.
    CleanUp,
}

impl After {
    /// When the clauses are asked that can say something.
    pub fn when(self) -> When {
        match self {
            After::Install => When::Installed,
            After::CleanUp => When::CleanedUp,
        }
    }
}
