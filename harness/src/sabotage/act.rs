//! One act of breaking or mending, as the catalogue says it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::role::Role;

/// One act. What it changes is kept first, so that it can be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Act {
    /// Changes an object that is there.
    Patch {
        /// Where it is.
        cluster: Role,
        /// Which.
        object: Target,
        /// How.
        by: Change,
    },
    /// Writes one text in the place of another wherever an object has it, inside the data of a Secret too.
    Edit {
        /// Where it is.
        cluster: Role,
        /// Which.
        object: Target,
        /// The text that is there.
        replace: String,
        /// What stands there afterwards.
        with: String,
    },
    /// Deletes an object, and waits until it is gone.
    Delete {
        /// Where it is.
        cluster: Role,
        /// Which.
        object: Target,
    },
    /// Applies an object, which may be new.
    Apply {
        /// Where.
        cluster: Role,
        /// The object, as in a manifest.
        manifest: Value,
    },
    /// Deletes an object and makes it again as it is, so that whoever reads it only once reads it anew.
    Renew {
        /// Where it is.
        cluster: Role,
        /// Which.
        object: Target,
    },
    /// Deletes pods, and waits until as many others are ready.
    Restart {
        /// Where they are.
        cluster: Role,
        /// Their namespace.
        namespace: String,
        /// Their labels, as `kubectl -l` takes them.
        selector: String,
    },
    /// Makes all pods of a namespace's Deployments and StatefulSets anew, new ones before old ones go where their strategy
    /// says so, and waits until all are new: as `kubectl rollout restart` and `kubectl rollout status`.
    RolloutRestart {
        /// Where they are.
        cluster: Role,
        /// Their namespace.
        namespace: String,
    },
    /// Waits until a Deployment has exactly the pods that it asks for, all ready and of its newest template.
    RollOut {
        /// Where it is.
        cluster: Role,
        /// Its namespace.
        namespace: String,
        /// Its name.
        deployment: String,
    },
    /// Gives a Deployment so many pods, and waits as `rollOut` does.
    Scale {
        /// Where it is.
        cluster: Role,
        /// Its namespace.
        namespace: String,
        /// Its name.
        deployment: String,
        /// How many.
        replicas: u32,
    },
    /// Takes the routes to the pods of the other cluster from each node.
    LoseRoutes {
        /// Whose nodes.
        cluster: Role,
    },
    /// Runs a command on each node, by `bash -c`.
    Run {
        /// Whose nodes.
        cluster: Role,
        /// The command.
        command: String,
        /// The command that takes it back; none for what changes nothing.
        #[serde(default)]
        undo: Option<String>,
    },
}

/// An object by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Its namespace, if it has one.
    #[serde(default)]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// How an object is changed: the three kinds of patch that `kubectl patch` knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// RFC 7386.
    Merge(Value),
    /// Lists are merged by their keys; only for Kubernetes' own kinds.
    Strategic(Value),
    /// RFC 6902.
    Json(Value),
}

impl Act {
    /// Names of all of them, as files have them.
    pub const NAMES: [&'static str; 11] = [
        "patch",
        "edit",
        "delete",
        "apply",
        "renew",
        "restart",
        "rolloutRestart",
        "rollOut",
        "scale",
        "loseRoutes",
        "run",
    ];

    /// The cluster on which it acts.
    pub fn role(&self) -> Role {
        match self {
            Act::Patch { cluster, .. }
            | Act::Edit { cluster, .. }
            | Act::Delete { cluster, .. }
            | Act::Apply { cluster, .. }
            | Act::Renew { cluster, .. }
            | Act::Restart { cluster, .. }
            | Act::RolloutRestart { cluster, .. }
            | Act::RollOut { cluster, .. }
            | Act::Scale { cluster, .. }
            | Act::LoseRoutes { cluster }
            | Act::Run { cluster, .. } => *cluster,
        }
    }

    /// What it does, one line in the present tense; clusters are told by their roles.
    pub fn title(&self) -> String {
        match self {
            Act::Patch { cluster, object, .. } => format!("{object} of the {cluster} is patched"),
            Act::Edit { cluster, object, .. } => {
                format!("A text in {object} of the {cluster} is replaced")
            }
            Act::Delete { cluster, object } => format!("{object} of the {cluster} is deleted"),
            Act::Apply { cluster, manifest } => {
                let text = |path: &str| manifest.pointer(path).and_then(Value::as_str).unwrap_or_default().to_string();
                let object = Target {
                    api_version: text("/apiVersion"),
                    kind: text("/kind"),
                    namespace: text("/metadata/namespace"),
                    name: text("/metadata/name"),
                };
                format!("{object} is applied in the {cluster}")
            }
            Act::Renew { cluster, object } => format!("{object} of the {cluster} is made anew"),
            Act::Restart { cluster, namespace, selector } => {
                format!("Pods {selector} in {namespace} of the {cluster} are made anew")
            }
            Act::RolloutRestart { cluster, namespace } => {
                format!("All workloads in {namespace} of the {cluster} are rolled out anew")
            }
            Act::RollOut { cluster, namespace, deployment } => {
                format!("Deployment {namespace}/{deployment} of the {cluster} is rolled out")
            }
            Act::Scale { cluster, namespace, deployment, replicas } => {
                format!("Deployment {namespace}/{deployment} of the {cluster} is given {replicas} pods")
            }
            Act::LoseRoutes { cluster } => {
                format!("Nodes of the {cluster} lose their routes to pods of the other cluster")
            }
            Act::Run { cluster, command, .. } => format!("`{command}` runs on each node of the {cluster}"),
        }
    }

    /// The same act with `${NAME}` filled in.
    ///
    /// # Errors
    /// [`serde_json::Error`] where a value does not fit into its place.
    pub fn filled(&self, fill: impl Fn(&str) -> String) -> Result<Act, serde_json::Error> {
        serde_json::from_str(&fill(&serde_json::to_string(self)?))
    }
}
