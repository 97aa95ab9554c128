//! One act of breaking or mending, as the catalogue says it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::role::Role;

/// One act. What it changes is kept first, so that it can be put back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Waits until a Deployment has exactly the pods that it asks for, all ready and of its newest template.
    RollOut {
        /// Where it is.
        cluster: Role,
        /// Its namespace.
        namespace: String,
        /// Its name.
        deployment: String,
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// How an object is changed: the three kinds of patch that `kubectl patch` knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The same act with `${NAME}` filled in.
    ///
    /// # Errors
    /// [`serde_json::Error`] where a value does not fit into its place.
    pub fn filled(&self, fill: impl Fn(&str) -> String) -> Result<Act, serde_json::Error> {
        serde_json::from_str(&fill(&serde_json::to_string(self)?))
    }
}
