//! The layers that a request across clusters goes through, and the first of them that is broken.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A layer of a request from a pod of one cluster to a Service with pods in the other, from the ground up: each relies on
/// those above it in this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Routes between the nodes of the two clusters.
    NodeRoute,
    /// Connections to the address of a pod.
    PodAddress,
    /// The Service in the client's cluster, and in that of the pods.
    Service,
    /// Its name, asked in the client's cluster.
    Dns,
    /// Its EndpointSlices, where its pods are.
    EndpointSlice,
    /// What istiod holds of them.
    Registry,
    /// What istiod has told the client's proxy, and whether that took it.
    Xds,
    /// The certificates that the servers' proxies show.
    Tls,
    /// Everything else: routing rules, policies, and the server itself.
    Http,
}

impl Layer {
    /// All of them, from the ground up.
    pub const ALL: [Layer; 9] = [
        Layer::NodeRoute,
        Layer::PodAddress,
        Layer::Service,
        Layer::Dns,
        Layer::EndpointSlice,
        Layer::Registry,
        Layer::Xds,
        Layer::Tls,
        Layer::Http,
    ];

    /// As it is spoken of.
    pub fn name(self) -> &'static str {
        match self {
            Layer::NodeRoute => "node route",
            Layer::PodAddress => "pod address",
            Layer::Service => "Service",
            Layer::Dns => "DNS",
            Layer::EndpointSlice => "EndpointSlice",
            Layer::Registry => "istiod's registry",
            Layer::Xds => "xDS",
            Layer::Tls => "TLS",
            Layer::Http => "HTTP",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first broken layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Which.
    pub layer: Layer,
    /// Where: an object with its cluster, such as `cluster1 node lab-cluster1-control-plane`.
    pub object: String,
    /// What was seen there.
    pub seen: String,
    /// One command that shows it.
    pub look: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { layer, object, seen, look } = self;
        write!(f, "first broken layer: {layer}, {object}: {seen}; look: `{look}`")
    }
}
