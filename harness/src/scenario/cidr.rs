//! The rules for subnets that a scenario gives.

use std::net::Ipv6Addr;

use ipnet::Ipv4Net;

/// What a subnet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Addresses of pods.
    Pods,
    /// Addresses of services.
    Services,
}

impl Purpose {
    /// The field's name in a scenario file.
    pub fn field(self) -> &'static str {
        match self {
            Purpose::Pods => "podSubnet",
            Purpose::Services => "serviceSubnet",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Purpose::Pods => "10.10.0.0/16",
            Purpose::Services => "10.110.0.0/16",
        }
    }

    /// The smallest that will do: each node takes a /24 of the pods, and a service subnet must hold what Kubernetes
    /// reserves at its beginning.
    fn smallest(self) -> u8 {
        match self {
            Purpose::Pods => 22,
            Purpose::Services => 24,
        }
    }
}

/// The largest that is taken: more would only clash with more.
const LARGEST: u8 = 16;

/// The subnet that a text says, or why it cannot be one and what to write instead.
pub fn check(text: &str, purpose: Purpose) -> Result<Ipv4Net, (String, String)> {
    let example = purpose.example();
    let Ok(net) = text.parse::<Ipv4Net>() else {
        if text.split('/').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
            return Err((
                format!("`{text}` is IPv6"),
                format!("an IPv4 subnet such as {example}: the lab has no IPv6"),
            ));
        }
        return Err((format!("`{text}` is not a subnet"), format!("address and length, such as {example}")));
    };
    if net.addr() != net.network() {
        return Err((
            format!("`{text}` is an address within a subnet, not the subnet"),
            format!("`{}`, the subnet that it lies in", net.trunc()),
        ));
    }
    if !is_private(net) {
        return Err((
            format!("`{text}` is not private: real hosts may have these addresses"),
            format!("a subnet of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, such as {example}"),
        ));
    }
    let (length, smallest) = (net.prefix_len(), purpose.smallest());
    if length > smallest || length < LARGEST {
        let size = if length > smallest { "small" } else { "large" };
        let begin = Ipv4Net::new(net.network(), length.clamp(LARGEST, smallest)).map_or(net, |net| net.trunc());
        return Err((
            format!("`{text}` is too {size} for a {}", purpose.field()),
            format!("a length between /{LARGEST} and /{smallest}, such as {begin}"),
        ));
    }
    Ok(net)
}

/// Whether it lies in a space that nobody routes.
pub(super) fn is_private(net: Ipv4Net) -> bool {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
        .iter()
        .any(|space| space.parse::<Ipv4Net>().is_ok_and(|space| space.contains(&net)))
}
