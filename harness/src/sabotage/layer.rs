//! Layers, from the ground up: what is broken in one shows in all above it.

use serde::{Deserialize, Serialize};

/// Where a broken thing lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Nodes, routes and addresses below both clusters.
    Network,
    /// istiod, and what the guide sets on it.
    ControlPlane,
    /// The east-west gateway, and istiod behind it.
    Gateway,
    /// What the remote profile and the annotation put into the remote cluster.
    RemoteProfile,
    /// The remote secret, and what its account may do.
    RemoteSecret,
    /// Roots and caBundles in the remote cluster.
    Certificates,
    /// Services and endpoints.
    Discovery,
    /// Requests.
    Traffic,
}

impl Layer {
    /// Every layer, from the ground up.
    pub const ALL: [Layer; 8] = [
        Layer::Network,
        Layer::ControlPlane,
        Layer::Gateway,
        Layer::RemoteProfile,
        Layer::RemoteSecret,
        Layer::Certificates,
        Layer::Discovery,
        Layer::Traffic,
    ];

    /// As in the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Network => "network",
            Layer::ControlPlane => "control-plane",
            Layer::Gateway => "gateway",
            Layer::RemoteProfile => "remote-profile",
            Layer::RemoteSecret => "remote-secret",
            Layer::Certificates => "certificates",
            Layer::Discovery => "discovery",
            Layer::Traffic => "traffic",
        }
    }
}
