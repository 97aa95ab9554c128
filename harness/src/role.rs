//! The two parts a cluster can play in the guide.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which cluster of the guide is meant; ids and folders use this, names come from the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the control plane: the guide's cluster1.
    Primary,
    /// Is served by the control plane of the primary: the guide's cluster2.
    Remote,
}

impl Role {
    /// Both roles, in the guide's order.
    pub const ALL: [Role; 2] = [Role::Primary, Role::Remote];

    /// The other cluster.
    pub fn other(self) -> Role {
        match self {
            Role::Primary => Role::Remote,
            Role::Remote => Role::Primary,
        }
    }

    /// `primary` or `remote`, as in ids and folder names.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Remote => "remote",
        }
    }

    /// The shell variable by which the guide names this cluster's kube context.
    pub fn context_variable(self) -> &'static str {
        match self {
            Role::Primary => "CTX_CLUSTER1",
            Role::Remote => "CTX_CLUSTER2",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
