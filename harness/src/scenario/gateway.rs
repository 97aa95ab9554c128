//! What is asked of the east-west gateway.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cidr, is_one, one};
use crate::topology::NetworkPlan;

/// What is asked of the east-west gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayWish {
    /// How many pods it has.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// The address that it gets, for which the lab's Docker network is chosen; the first one for gateways if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Ipv4Addr")]
    pub address: Option<Ipv4Addr>,
}

impl Default for GatewayWish {
    fn default() -> Self {
        GatewayWish { replicas: 1, address: None }
    }
}

impl GatewayWish {
    pub(super) fn is_default(&self) -> bool {
        *self == GatewayWish::default()
    }
}

/// The address that a text says, or why no gateway of a lab can have it and what to write instead.
pub(super) fn check_address(text: &str) -> Result<Ipv4Addr, (String, String)> {
    let example = || "an address such as 172.30.0.200".to_string();
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err((
                format!("`{text}` is IPv6"),
                "an IPv4 address such as 172.30.0.200: the lab has no IPv6".to_string(),
            ));
        }
        return Err((format!("`{text}` is no IPv4 address"), example()));
    };
    let network = NetworkPlan::new(String::new(), NetworkPlan::around(address));
    if !cidr::is_private(network.subnet) {
        let message = format!("`{text}` is not private: a real host may have this address");
        let spaces = "10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16";
        return Err((message, format!("an address of {spaces}, such as 172.30.0.200")));
    }
    if !network.gateways.contains(&address) || address == network.gateways.broadcast() {
        let (subnet, nodes) = (network.subnet, network.nodes);
        let message = match address {
            address if address == subnet.network() => format!("`{text}` names the network {subnet}, and no host in it"),
            address if address == subnet.broadcast() => format!("`{text}` is the broadcast address of {subnet}"),
            _ => format!("`{text}` is among those of nodes, {nodes}, in the network {subnet} around it"),
        };
        let [a, b, c, _] = address.octets();
        return Err((message, format!("{a}.{b}.{c}.128 to {a}.{b}.{c}.254, the half for gateways")));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::check_address;

    #[rstest]
    #[case::first("172.28.3.128")]
    #[case::last("192.168.7.254")]
    #[case::of_ten("10.77.0.200")]
    fn an_address_of_the_half_for_gateways_can_be_had(#[case] text: &str) {
        assert_eq!(check_address(text).map(|address| address.to_string()).as_deref(), Ok(text));
    }

    #[rstest]
    #[case::a_name("gateway.example", "no IPv4 address", "172.30.0.200")]
    #[case::a_subnet("172.28.3.0/24", "no IPv4 address", "172.30.0.200")]
    #[case::another_family("fd00::1", "IPv6", "IPv4")]
    #[case::of_somebody("8.8.8.200", "not private", "172.16.0.0/12")]
    #[case::of_this_host("127.0.0.200", "not private", "172.16.0.0/12")]
    #[case::the_network("172.28.3.0", "names the network 172.28.3.0/24", "172.28.3.128 to 172.28.3.254")]
    #[case::the_broadcast("172.28.3.255", "the broadcast address of 172.28.3.0/24", "172.28.3.128 to 172.28.3.254")]
    #[case::of_a_node("172.28.3.20", "among those of nodes, 172.28.3.0/25", "172.28.3.128 to 172.28.3.254")]
    fn an_address_that_no_gateway_can_have_is_refused(#[case] text: &str, #[case] why: &str, #[case] what: &str) {
        let (message, instead) = check_address(text).unwrap_err();
        assert!(message.contains(why) && instead.contains(what), "{message}: {instead}");
    }
}
