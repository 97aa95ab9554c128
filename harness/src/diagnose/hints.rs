//! What a symptom means: a table from what stands in logs, events and objects to its meaning and the next command.

use std::fmt;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// All of these stand in one line.
    symptom: &'static [&'static str],
    meaning: &'static str,
    reference: &'static str,
    look: &'static str,
}

/// A symptom that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Where it stands.
    pub seen_in: String,
    /// The line.
    pub line: String,
    /// What it means.
    pub meaning: &'static str,
    /// Section of the guide, or threads about it.
    pub reference: &'static str,
    /// The command to look closer.
    pub look: &'static str,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}); look: {}; seen in {}: {}", self.meaning, self.reference, self.look, self.seen_in, self.line)
    }
}

const TABLE: [Row; 12] = [
    Row {
        symptom: &["should join leader-election for cluster", ": false"],
        meaning: "istiod decided not to lead in the remote cluster: no fitting annotation, or no EXTERNAL_ISTIOD, when it read the remote secret; it asks only once",
        reference: "guide: set the control plane cluster; istio/istio#41389",
        look: "kubectl get namespace istio-system -o yaml, then make the remote secret anew",
    },
    Row {
        symptom: &["x509: certificate signed by unknown authority"],
        meaning: "an API server does not trust the injection webhook: its caBundle is empty or old",
        reference: "istio/istio#42327, #23561",
        look: "kubectl get mutatingwebhookconfigurations -o yaml",
    },
    Row {
        symptom: &["istio-ca-root-cert", "not found"],
        meaning: "pods wait for the root certificate that istiod writes into their namespace",
        reference: "istio/istio#41389, #32244",
        look: "kubectl get configmap istio-ca-root-cert -A",
    },
    Row {
        symptom: &["client claims to be in cluster"],
        meaning: "the cluster id of a proxy is not the name of any remote secret",
        reference: "istio/istio#46090, #52388",
        look: "istioctl remote-clusters",
    },
    Row {
        symptom: &["could not get cluster", "kube client"],
        meaning: "the injection path names a cluster that istiod does not know",
        reference: "istio/istio#46090, #52388",
        look: "istioctl remote-clusters",
    },
    Row {
        symptom: &["127.0.0.1", "connection refused", "cluster"],
        meaning: "a remote secret names an API server that only its own host reaches",
        reference: "istio/istio#58047, #31081",
        look: "istioctl create-remote-secret with --server https://<node address>:6443",
    },
    Row {
        symptom: &["config not received from XDS server"],
        meaning: "a proxy has no way to istiod: the gateway, its exposure, or its address in the istiod Service",
        reference: "istio/istio#39707, #23859",
        look: "kubectl -n istio-system get endpointslices -l kubernetes.io/service-name=istiod -o yaml",
    },
    Row {
        symptom: &["forbidden", "mutatingwebhookconfigurations"],
        meaning: "istiod's reader account may not patch webhooks: the remote secret is of another profile",
        reference: "istio/istio#28562, #35068",
        look: "kubectl get clusterrole istio-reader-clusterrole-istio-system -o yaml",
    },
    Row {
        symptom: &["duplicate", "filter chain"],
        meaning: "two Gateway resources claim the same port of the east-west gateway",
        reference: "istio/istio#56107",
        look: "istioctl analyze -n istio-system",
    },
    Row {
        symptom: &["failed calling webhook", "context deadline exceeded"],
        meaning: "an API server does not reach the webhook: the way through the gateway's port 15017 is cut",
        reference: "guide: expose the control plane",
        look: "kubectl -n istio-system get service istio-eastwestgateway, gateways and virtualservices",
    },
    Row {
        symptom: &["too many open files"],
        meaning: "the host's inotify limits are too low for this many nodes",
        reference: "kind: known issues",
        look: "sysctl fs.inotify.max_user_instances",
    },
    Row {
        symptom: &["ErrImageNeverPull"],
        meaning: "an image is not on the node and may not be pulled",
        reference: "harness",
        look: "meshproof images verify",
    },
];

/// The symptoms that stand in these texts, each once, in table order.
pub fn hints(texts: &[(String, String)]) -> Vec<Hint> {
    TABLE.iter().filter_map(|row| texts.iter().find_map(|(name, text)| seen(row, name, text))).collect()
}

fn seen(row: &Row, name: &str, text: &str) -> Option<Hint> {
    let line = text.lines().find(|line| row.symptom.iter().all(|part| line.contains(part)))?;
    Some(Hint {
        seen_in: name.to_string(),
        line: line.trim().chars().take(300).collect(),
        meaning: row.meaning,
        reference: row.reference,
        look: row.look,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{TABLE, hints};

    fn found(line: &str) -> Vec<&'static str> {
        hints(&[("istiod.log".to_string(), line.to_string())]).into_iter().map(|hint| hint.meaning).collect()
    }

    #[rstest]
    #[case(0, "2026-11-21T05:00:00Z info should join leader-election for cluster cluster2: false", "info should join leader-election for cluster cluster2: true")]
    #[case(1, "failed calling webhook: tls: x509: certificate signed by unknown authority", "x509: certificate has expired")]
    #[case(2, "MountVolume.SetUp failed: configmap \"istio-ca-root-cert\" not found", "configmap \"kube-root-ca.crt\" not found")]
    #[case(3, "client claims to be in cluster \"x\", but we only know about local cluster", "client is in cluster x")]
    #[case(4, "could not get cluster cluster2's kube client", "could not get cluster")]
    #[case(5, "cluster cluster2: dial tcp 127.0.0.1:6443: connect: connection refused", "dial tcp 172.18.0.2:6443: connection refused")]
    #[case(6, "Envoy proxy is NOT ready: config not received from XDS server", "config received from XDS server")]
    #[case(7, "mutatingwebhookconfigurations.admissionregistration.k8s.io is forbidden", "configmaps is forbidden")]
    #[case(8, "error adding listener: multiple filter chains: duplicate matcher in filter chain", "duplicate entry")]
    #[case(9, "failed calling webhook \"x\": context deadline exceeded", "get pods: context deadline exceeded")]
    #[case(10, "inotify_init: too many open files", "open file: no such file")]
    #[case(11, "Failed ErrImageNeverPull", "ErrImagePull")]
    fn every_row_knows_its_symptom_from_a_near_miss(#[case] row: usize, #[case] symptom: &str, #[case] miss: &str) {
        assert!(found(symptom).contains(&TABLE[row].meaning), "{symptom}");
        assert!(!found(miss).contains(&TABLE[row].meaning), "{miss}");
    }
}
