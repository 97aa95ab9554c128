//! Ways across the mesh that checks prove, as a picture of the mesh shows them.

use serde::{Deserialize, Serialize};

/// A way between the parts of a mesh of two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// istiod of the primary asks the remote's API server, by the remote secret.
    Discovery,
    /// istiod of the primary writes to the remote: roots, webhooks, the lock by which it leads there.
    Writes,
    /// The remote's API server calls istiod through the gateway, to have pods injected.
    Injection,
    /// Proxies of the remote get certificates and configuration from istiod through the gateway.
    ControlPlane,
    /// Requests of workloads to Services with pods in both clusters.
    Requests,
    /// Pods of one cluster to pods of the other, past all of Istio.
    PodToPod,
}

impl Path {
    /// All of them, as a picture shows them from the top.
    pub const ALL: [Path; 6] =
        [Path::Discovery, Path::Writes, Path::Injection, Path::ControlPlane, Path::Requests, Path::PodToPod];

    /// As it is spoken of.
    pub fn name(self) -> &'static str {
        match self {
            Path::Discovery => "discovery",
            Path::Writes => "writes",
            Path::Injection => "injection",
            Path::ControlPlane => "xDS and certificates",
            Path::Requests => "requests",
            Path::PodToPod => "pod to pod",
        }
    }
}
