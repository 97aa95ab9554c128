//! The record of what an install makes in clusters that the user brought: what it will make before the first step, and what
//! it has made, by UID.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::install::inventory::{Entry, Found};
use crate::lab::cluster::FIELD_MANAGER;
use crate::role::Role;
use crate::scenario::IstioNamespace;

/// The layout of a record; raised when a field changes its meaning.
pub const FORM: u32 = 1;

/// The file of a record in the folder of its run.
pub const FILE: &str = "created.json";

/// The file beside it that has what was there before.
pub const BEFORE: &str = "before.json";

/// Under these names istioctl writes (seen with 1.31.1).
const ISTIOCTL: [&str; 2] = ["istio-operator", "istioctl"];

/// How keys of labels begin by which istioctl finds what it may take away.
pub const OF_ISTIOCTL: [&str; 2] = ["operator.istio.io/", "install.operator.istio.io/"];

/// Under this name istiod writes, in both clusters (seen with 1.31.1).
const ISTIOD: &str = "pilot-discovery";

/// What an install makes in both clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The layout.
    pub form: u32,
    /// Who wrote it.
    pub meshproof: String,
    /// When the install began.
    pub started: jiff::Timestamp,
    /// When all of it was seen that a run leaves there; none while it goes on, or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<jiff::Timestamp>,
    /// When all of it was seen to be gone: who installs the like later made it himself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<jiff::Timestamp>,
    /// The namespace of Istio.
    pub istio_namespace: IstioNamespace,
    /// What it makes in each cluster.
    pub clusters: BTreeMap<Role, ClusterRecord>,
}

/// What an install makes in one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRecord {
    /// Istio's name for it: `cluster1`.
    pub name: String,
    /// The user's kube context.
    pub context: String,
    /// Host and port of its API server.
    pub server: String,
    /// UID of its kube-system namespace, by which it is known again.
    pub kube_system_uid: String,
    /// Namespaces that are made; they go with all that the install and their own controllers put into them.
    pub namespaces: Vec<String>,
    /// All that istioctl and the harness's manifests will make, before it is made: no other object of istioctl's making is
    /// taken for the install's.
    pub announced: BTreeSet<Entry>,
    /// What was seen to be made, in order of kind and name.
    pub created: Vec<Created>,
}

/// An object that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// What it is called.
    #[serde(flatten)]
    pub entry: Entry,
    /// `apps/v1`.
    pub api_version: String,
    /// Its UID.
    pub uid: String,
    /// Who wrote it.
    pub by: BTreeSet<String>,
}

impl From<&Found> for Created {
    fn from(found: &Found) -> Created {
        let Found { entry, api_version, uid, managers, .. } = found.clone();
        Created { entry, api_version, uid, by: managers }
    }
}

impl ClusterRecord {
    /// Whether the install made this object, which was not there before: the harness in its own namespaces or under its own
    /// names, istioctl if it was announced, or istiod, where nobody else had a part in it.
    pub fn is_ours(&self, found: &Found) -> bool {
        let Found { entry, managers, .. } = found;
        let named = |name: &str| name.starts_with("meshproof-");
        let announced = self.announced.contains(entry);
        let by_harness = managers.contains(FIELD_MANAGER)
            && (announced || self.is_inside(entry) || named(&entry.name) || named(&entry.namespace));
        // Of an object that is no more than its name nobody holds a field.
        let by_istioctl = announced && (managers.is_empty() || ISTIOCTL.iter().any(|name| managers.contains(*name)));
        let known = |name: &String| name == FIELD_MANAGER || name == ISTIOD || ISTIOCTL.contains(&name.as_str());
        let by_istiod = managers.contains(ISTIOD) && managers.iter().all(known);
        by_harness || by_istioctl || by_istiod
    }

    /// Whether this is a namespace that is made, or lies in one.
    pub fn is_inside(&self, entry: &Entry) -> bool {
        let name = if entry.kind == "Namespace" { &entry.name } else { &entry.namespace };
        self.namespaces.contains(name)
    }

    /// Whether the guide's clean-up would take along this object of somebody else: it deletes whole namespaces, and all that
    /// is Istio's in the cluster.
    pub fn would_go(&self, found: &Found) -> bool {
        let of_istio = found.entry.kind.ends_with(".istio.io")
            || found.labels.keys().any(|key| OF_ISTIOCTL.iter().any(|own| key.starts_with(own)));
        let of_check = matches!(found.entry.bare_kind(), "Namespace" | "MutatingWebhookConfiguration")
            && found.entry.name.starts_with("meshproof-");
        self.is_inside(&found.entry) || of_istio || of_check
    }

    /// Takes in what was seen; the install's own alone. Says whether something is new.
    pub fn note<'f>(&mut self, ours: impl IntoIterator<Item = &'f Found>) -> bool {
        let known: BTreeSet<String> = self.created.iter().map(|created| created.uid.clone()).collect();
        let new: Vec<Created> =
            ours.into_iter().filter(|found| !known.contains(&found.uid)).map(Created::from).collect();
        let is_new = !new.is_empty();
        self.created.extend(new);
        self.created.sort();
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::{ClusterRecord, Created};
    use crate::install::inventory::{Entry, Found};

    fn entry(text: &str) -> Entry {
        text.parse().expect("a kind and a name")
    }

    fn found(text: &str, by: &[&str]) -> Found {
        Found {
            entry: entry(text),
            api_version: "v1".to_string(),
            uid: format!("uid of {text}"),
            managers: by.iter().map(|name| name.to_string()).collect(),
            labels: BTreeMap::new(),
            owned: false,
        }
    }

    fn record() -> ClusterRecord {
        ClusterRecord {
            name: "cluster1".to_string(),
            context: "prod-a".to_string(),
            server: "192.0.2.1:6443".to_string(),
            kube_system_uid: "1".to_string(),
            namespaces: vec!["istio-system".to_string(), "meshproof-sample".to_string()],
            announced: ["ClusterRole.rbac istiod", "Deployment.apps istio-system/istiod"].map(entry).into(),
            created: Vec::new(),
        }
    }

    #[rstest]
    #[case::announced("ClusterRole.rbac istiod", &["istio-operator"], true)]
    #[case::announced_and_edited_since("Deployment.apps istio-system/istiod", &["istio-operator", "kubectl-edit"], true)]
    #[case::another_install("ClusterRole.rbac istiod-canary", &["istio-operator"], false)]
    #[case::announced_and_no_more_than_a_name("ClusterRole.rbac istiod", &[], true)]
    #[case::announced_and_made_by_another("ClusterRole.rbac istiod", &["kubectl"], false)]
    #[case::of_istiod("ConfigMap shop/istio-ca-root-cert", &["pilot-discovery"], true)]
    #[case::anothers_that_istiod_patched("MutatingWebhookConfiguration mine", &["kubectl", "pilot-discovery"], false)]
    #[case::of_a_check("Namespace meshproof-late", &["meshproof"], true)]
    #[case::in_our_namespace("Service meshproof-sample/echo", &["meshproof"], true)]
    #[case::anothers_in_our_namespace("ConfigMap istio-system/mine", &["kubectl"], false)]
    #[case::of_another_meshproof("ConfigMap shop/mine", &["meshproof"], false)]
    #[case::of_nobody("ConfigMap shop/mine", &[], false)]
    fn only_what_the_install_made_is_its_own(#[case] text: &str, #[case] by: &[&str], #[case] ours: bool) {
        assert_eq!(record().is_ours(&found(text, by)), ours);
    }

    #[rstest]
    #[case::in_our_namespace("ConfigMap istio-system/mine", true)]
    #[case::of_istios_kinds("VirtualService.networking.istio.io shop/mine", true)]
    #[case::elsewhere("ConfigMap shop/mine", false)]
    #[case::a_namespace("Namespace shop", false)]
    #[case::a_namespace_of_a_name_of_ours("Namespace meshproof-other", true)]
    fn what_the_guides_clean_up_would_take_of_others_is_known(#[case] text: &str, #[case] goes: bool) {
        assert_eq!(record().would_go(&found(text, &["kubectl"])), goes);
    }

    #[test]
    fn what_is_made_anew_under_an_old_name_is_another_object() {
        let mut record = record();
        let first = found("ConfigMap shop/istio-ca-root-cert", &["pilot-discovery"]);
        let second = Found { uid: "another".to_string(), ..first.clone() };
        assert!(record.note([&first]) && record.note([&first, &second]) && !record.note([&second]));
        assert_eq!(record.created.len(), 2);
        assert!(record.created.contains(&Created::from(&second)));
    }
}
