//! Replaces names of users' namespaces, addresses, hosts and registries, each by the same word wherever it stands.
//!
//! Ids of clusters, of the mesh and of the network stay, for what is wrong with a mesh is often one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::Bundle;
use super::shape::array;

/// Registries of Istio's own images.
const PUBLIC: [&str; 4] = ["docker.io/istio", "gcr.io/istio-release", "registry.istio.io/release", "docker.io/library"];

/// The same bundle without names that say whose it is.
pub fn anonymised(bundle: Bundle) -> Bundle {
    let mut names = Names::of(&bundle);
    let mut index = serde_json::to_value(&bundle.index).expect("an index is JSON");
    let what_is_said_of_files = index["files"].take();
    names.replace(&mut index, "");
    index["files"] = what_is_said_of_files;
    index["anonymised"] = true.into();
    // It may name contexts, users and servers.
    for not in index.get_mut("notRead").and_then(Value::as_array_mut).into_iter().flatten() {
        not["why"] = "why, was said to who captured it".into();
    }
    let mut files = bundle.files;
    for document in files.values_mut().flatten() {
        names.replace(document, "");
    }
    // What was captured must not be given out in its place.
    let index = serde_json::from_value(index).expect("only texts were replaced");
    Bundle { index, files }
}

#[derive(Debug, Default)]
struct Names {
    namespaces: BTreeMap<String, String>,
    hosts: BTreeMap<String, String>,
    addresses: BTreeMap<IpAddr, IpAddr>,
}

impl Names {
    fn of(bundle: &Bundle) -> Names {
        let mut names = Names::default();
        let istio = bundle.index.istio_namespace.to_string();
        let own = |name: &str| name == istio || name == "default" || name.starts_with("kube-");
        let counted = bundle.index.clusters.values().flat_map(|cluster| cluster.proxies.keys().cloned());
        let objects = bundle.files.values().flatten();
        let of_objects = objects.flat_map(|object| {
            let name = (object["kind"] == "Namespace").then(|| object["metadata"]["name"].clone());
            [name, Some(object["metadata"]["namespace"].clone())].into_iter().flatten()
        });
        let all = counted.chain(of_objects.filter_map(|name| name.as_str().map(String::from)));
        let mut all: BTreeSet<String> = all.collect();
        bundle.files.values().flatten().for_each(|document| in_hosts(document, &mut all));
        all.retain(|name| !own(name));
        for (number, name) in all.into_iter().enumerate() {
            names.namespaces.insert(name, format!("namespace-{}", number + 1));
        }
        for object in bundle.files.values().flatten() {
            let ingress = array(&object["status"]["loadBalancer"]["ingress"]).iter();
            let hosts =
                ingress.filter_map(|one| one["hostname"].as_str()).chain(object["spec"]["externalName"].as_str());
            let servers = array(&object["clusters"]).iter().filter_map(|one| one["server"].as_str());
            let servers = servers.map(|server| server.rsplit_once(':').map_or(server, |(host, _)| host));
            let urls = array(&object["webhooks"]).iter().filter_map(|one| one["clientConfig"]["url"].as_str());
            let urls = urls.filter_map(|url| url.split("://").nth(1)?.split(['/', ':']).next());
            for host in hosts.chain(servers).chain(urls) {
                let is_name = host.parse::<IpAddr>().is_err() && host != "localhost" && host.contains('.');
                if is_name && !names.hosts.contains_key(host) {
                    let stand_in = format!("host-{}.example.com", names.hosts.len() + 1);
                    names.hosts.insert(host.to_string(), stand_in);
                }
            }
        }
        names
    }

    /// Replaces names in a value that stands under this key.
    fn replace(&mut self, value: &mut Value, key: &str) {
        match value {
            Value::String(text) => *text = self.text(text, key),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item, key)),
            Value::Object(fields) => {
                let old = std::mem::take(fields);
                for (name, mut inner) in old {
                    self.replace(&mut inner, &name);
                    let name = match key {
                        "proxies" => self.namespaces.get(&name).cloned().unwrap_or(name),
                        "dataPlane" => image(&name),
                        _ => name,
                    };
                    fields.insert(name, inner);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, key: &str) -> String {
        if let Some(name) = self.namespaces.get(text) {
            return name.clone();
        }
        if key == "image" {
            return image(text);
        }
        if key == "hub" && !PUBLIC.contains(&text) {
            return "registry.example.com".to_string();
        }
        let mut text = text.to_string();
        for (host, other) in &self.hosts {
            text = text.replace(host, other);
        }
        for (name, other) in &self.namespaces {
            for (before, after) in [(".", ".svc"), ("", "/")] {
                let (from, to) = (format!("{before}{name}{after}"), format!("{before}{other}{after}"));
                if before.is_empty() && !text.starts_with(&from) {
                    continue;
                }
                text = text.replace(&from, &to);
            }
        }
        self.addresses_in(&text)
    }

    /// The text with every address replaced but those that mean the same everywhere.
    fn addresses_in(&mut self, text: &str) -> String {
        let of_address = |letter: char| letter.is_ascii_hexdigit() || matches!(letter, '.' | ':');
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(of_address) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|letter| !of_address(letter)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            replaced.push_str(before);
            replaced.push_str(&self.word(word));
            rest = after;
        }
        replaced + rest
    }

    /// A word of letters that addresses have: an address, one with a port, or neither.
    fn word(&mut self, word: &str) -> String {
        let (address, port) = match word.parse::<IpAddr>() {
            Ok(address) => (Some(address), ""),
            Err(_) => match word.split_once(':') {
                Some((host, _)) => (host.parse::<Ipv4Addr>().ok().map(IpAddr::V4), &word[host.len()..]),
                None => (None, ""),
            },
        };
        match address {
            Some(address) if !address.is_loopback() && !address.is_unspecified() => {
                format!("{}{port}", self.stand_in(address))
            }
            _ => word.to_string(),
        }
    }

    /// An address that is nobody's: of the range for benchmarks, or for documentation.
    fn stand_in(&mut self, address: IpAddr) -> IpAddr {
        let number = u32::try_from(self.addresses.len()).unwrap_or(0) + 1;
        let fresh = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) + u128::from(number))),
        };
        *self.addresses.entry(address).or_insert(fresh)
    }
}

/// Namespaces in hosts of Services: `shop` in `*.shop.svc.cluster.local`.
fn in_hosts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let of_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
            for (at, _) in text.match_indices(".svc") {
                let name = text[..at].rsplit(|letter| !of_name(letter)).next().unwrap_or_default();
                // A name alone is no host of a Service: that has its Service before it.
                if !name.is_empty() && text[..at].contains('.') {
                    found.insert(name.to_string());
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| in_hosts(item, found)),
        Value::Object(fields) => fields.values().for_each(|inner| in_hosts(inner, found)),
        _ => {}
    }
}

/// An image without the registry that it comes from, unless that is a public one.
fn image(image: &str) -> String {
    match image.rsplit_once('/') {
        Some((hub, name)) if !PUBLIC.contains(&hub) => format!("registry.example.com/{name}"),
        _ => image.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{BTreeSet, Names, in_hosts};

    #[rstest]
    #[case::an_address("10.1.2.3", "198.18.0.1")]
    #[case::with_a_port("https://10.1.2.3:6443/x", "https://198.18.0.1:6443/x")]
    #[case::twice("10.1.2.3,10.1.2.3", "198.18.0.1,198.18.0.1")]
    #[case::of_six("fd00::1", "2001:db8::1")]
    #[case::loopback("https://127.0.0.1:6443", "https://127.0.0.1:6443")]
    #[case::a_version("pilot:1.31.1", "pilot:1.31.1")]
    #[case::a_moment("2026-11-22T08:47:25Z", "2026-11-22T08:47:25Z")]
    #[case::a_name("cafe.bad:15012", "cafe.bad:15012")]
    fn an_address_is_replaced_by_one_that_is_nobodys(#[case] text: &str, #[case] replaced: &str) {
        assert_eq!(Names::default().text(text, "x"), replaced);
    }

    #[test]
    fn the_same_address_has_the_same_stand_in_and_another_has_another() {
        let mut names = Names::default();
        let all = ["10.0.0.1", "10.0.0.2", "10.0.0.1"].map(|text| names.text(text, "x"));
        assert!(all[0] == all[2] && all[0] != all[1], "{all:?}");
    }

    #[test]
    fn a_namespace_is_found_in_the_host_of_a_service() {
        let mut found = BTreeSet::new();
        in_hosts(
            &json!({"address": "otel.observability.svc.cluster.local:4317", "hosts": ["*.shop.svc", ".svc"]}),
            &mut found,
        );
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["observability", "shop"]);
    }

    #[rstest]
    #[case::itself("shop", "namespace", "namespace-1")]
    #[case::in_a_host("*.shop.svc.cluster.local", "hosts", "*.namespace-1.svc.cluster.local")]
    #[case::in_a_reference("shop/gateway", "gateways", "namespace-1/gateway")]
    #[case::in_another_word("workshop.io/shopping", "x", "workshop.io/shopping")]
    fn a_namespace_is_replaced_where_it_is_meant(#[case] text: &str, #[case] key: &str, #[case] replaced: &str) {
        let mut names =
            Names { namespaces: [("shop".to_string(), "namespace-1".to_string())].into(), ..Names::default() };
        let mut value = json!({key: text});
        names.replace(&mut value, "");
        assert_eq!(value, json!({key: replaced}));
    }
}
