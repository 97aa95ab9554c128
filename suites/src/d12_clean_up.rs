//! D12: after the guide's clean-up nothing of Istio is left but what Istio is known to leave.
//!
//! Sabotage: make an object of Istio's kinds between install and clean-up, or delete a configmap of the table below
//! after it.

use std::collections::BTreeSet;

use harness::check::case::{Case, Reads, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding};
use harness::install::inventory::Entry;
use harness::role::Role;

/// The clause.
pub const CASE: Case = Case {
    id: "D12",
    slug: "nothing-left-behind",
    shows: &[],
    title: "After clean-up nothing of Istio is left but what it is known to leave",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#cleanup",
    needs: &[],
    blames: &[],
    follows: &[],
    uses: &[],
    when: When::CleanedUp,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it judges what the guide's clean-up leaves"),
    explains: Explanation {
        judges: "After the guide's clean-up both clusters have what they had before the install, and beyond it only \
                what Istio is known to leave: ConfigMaps istio-ca-root-cert and istio-ca-crl in namespaces that were \
                there before.",
        why: "What is left behind meets the next install: an old webhook refuses pods, and a namespace that was lost \
             is missed by whoever used it.",
        by_hand: &[
            ByHand::new(
                "nothing of Istio",
                "kubectl --context ${CTX_CLUSTER1} get mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,customresourcedefinitions -o name | grep istio",
            ),
            ByHand::new(
                "nothing of Istio",
                "kubectl --context ${CTX_CLUSTER2} get mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,customresourcedefinitions -o name | grep istio",
            ),
            ByHand::new("NotFound", "kubectl --context ${CTX_CLUSTER2} get namespace ${ISTIO_NAMESPACE}"),
        ],
    },
};

/// What Istio is known to leave behind.
struct Known {
    kind: &'static str,
    name: &'static str,
    /// Releases, by the first two numbers, in which this was seen.
    releases: &'static [&'static str],
    why: &'static str,
}

const KNOWN: [Known; 2] = [
    Known {
        kind: "ConfigMap",
        name: "istio-ca-root-cert",
        releases: &["1.29", "1.31"],
        why: "istiod writes it into every namespace and is gone before anyone deletes it; uninstall names no such object",
    },
    Known {
        kind: "ConfigMap",
        name: "istio-ca-crl",
        releases: &["1.29", "1.31"],
        why: "istiod writes it beside istio-ca-root-cert, and it stays for the same reason",
    },
];

/// Namespaces into which istiod writes none of these.
const LEFT_OUT: [&str; 3] = ["kube-node-lease", "kube-public", "local-path-storage"];

/// Namespaces outside Istio's own where these stay: those that were there before, and istiod writes into.
fn kept(before: &BTreeSet<Entry>) -> impl Iterator<Item = &str> {
    let namespaces = before.iter().filter(|entry| entry.kind == "Namespace").map(|entry| entry.name.as_str());
    namespaces.filter(|name| !LEFT_OUT.contains(name))
}

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    let home = &context.lab.home;
    let release = release_of(&context.scenario().istio);
    let (mut wrong, mut lost) = (Vec::new(), Vec::new());
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let (lab, member) = (&context.scenario().lab, &cluster.member);
        let file = home.inventory(lab, member.clone());
        let before: BTreeSet<Entry> = serde_json::from_slice(&std::fs::read(&file)?)?;
        let after = context.lab.inventory(cluster).await?;
        let installed: BTreeSet<Entry> =
            serde_json::from_slice(&std::fs::read(home.inventory_at_clean_up(lab, member.clone()))?)?;
        let difference = compare(&before, &installed, &after, &release);
        evidence.saw(
            &cluster.name,
            "objects before the install and after the clean-up",
            format!("{} and {}", before.len(), after.len()),
        );
        for (entry, why) in &difference.known {
            evidence.saw(format!("{} {entry}", cluster.name), "left, as known", why);
        }
        for entry in &difference.left {
            evidence.saw(
                format!("{} {entry}", cluster.name),
                "left",
                "not in the table of what Istio is known to leave",
            );
            wrong.push(format!("{entry} is left in {}", cluster.name));
        }
        for entry in &difference.lost {
            evidence.saw(format!("{} {entry}", cluster.name), "lost", "it was there before the install");
            lost.push(format!("{entry} of {} was there before the install and is gone", cluster.name));
        }
        for row in &difference.not_left {
            evidence.saw(&cluster.name, "expected to be left", row);
            wrong.push(format!(
                "{row} is not left in {}, against the table of what Istio {release} leaves",
                cluster.name
            ));
        }
    }
    // In a lab nobody else works.
    if context.lab.file.topology().is_ok() {
        wrong.append(&mut lost);
    }
    if wrong.is_empty() && !lost.is_empty() {
        let why = "whether the clean-up took it or somebody else is not known";
        return Err(Fault::unknown(format!("{}; {why}", lost.join("; "))));
    }
    if wrong.is_empty() {
        return Ok(evidence);
    }
    let more = if wrong.len() > 1 { format!(" (and {} more)", wrong.len() - 1) } else { String::new() };
    Err(Finding::new(format!("{}{more}", wrong[0]))
        .expected_got("what was there before the install, and the known remains", wrong.join("; "))
        .hint("delete it by hand; if Istio now leaves it always, or no longer, the table in d12_clean_up.rs says so with the release")
        .evidence(&evidence)
        .into())
}

/// `1.31` of `1.31.1`.
fn release_of(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Left, and known to be.
    known: Vec<(Entry, &'static str)>,
    /// Left, and not known.
    left: Vec<Entry>,
    /// There before, and gone.
    lost: Vec<Entry>,
    /// Known to be left, and not.
    not_left: Vec<String>,
}

/// Compares what was there before the install, at the start of the clean-up, and after it.
fn compare(
    before: &BTreeSet<Entry>,
    installed: &BTreeSet<Entry>,
    after: &BTreeSet<Entry>,
    release: &str,
) -> Difference {
    let rows = || KNOWN.iter().filter(|row| row.releases.contains(&release));
    let mut difference = Difference::default();
    for entry in after.difference(before) {
        let in_kept = kept(before).any(|name| name == entry.namespace);
        match rows().find(|row| in_kept && row.kind == entry.kind && row.name == entry.name) {
            Some(row) => difference.known.push((entry.clone(), row.why)),
            None => difference.left.push(entry.clone()),
        }
    }
    difference.lost = before.difference(after).cloned().collect();
    for row in rows() {
        for namespace in kept(before) {
            let entry = Entry { kind: row.kind.into(), namespace: namespace.into(), name: row.name.into() };
            // What istiod never wrote is D9's to say.
            if installed.contains(&entry) && !after.contains(&entry) {
                difference.not_left.push(entry.to_string());
            }
        }
    }
    difference
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use harness::install::inventory::Entry;
    use rstest::rstest;

    use super::{compare, release_of};

    fn entry(text: &str) -> Entry {
        text.parse().expect("a kind and a name")
    }

    const REMAINS: [&str; 4] = [
        "ConfigMap default/istio-ca-root-cert",
        "ConfigMap kube-system/istio-ca-root-cert",
        "ConfigMap default/istio-ca-crl",
        "ConfigMap kube-system/istio-ca-crl",
    ];

    #[rstest]
    #[case::only_the_known(&[], &REMAINS, (4, 0, 0, 0))]
    #[case::a_webhook_left(&["MutatingWebhookConfiguration.admissionregistration.k8s.io istio-sidecar-injector"], &REMAINS, (4, 1, 0, 0))]
    #[case::a_known_one_in_another_namespace(&["ConfigMap shop/istio-ca-root-cert"], &REMAINS, (4, 1, 0, 0))]
    #[case::a_known_one_that_istiod_does_not_write(&["ConfigMap kube-public/istio-ca-root-cert"], &REMAINS, (4, 1, 0, 0))]
    #[case::a_known_row_gone(&[], &REMAINS[..3], (3, 0, 0, 1))]
    fn what_is_left_is_told_apart(
        #[case] more: &[&str],
        #[case] remains: &[&str],
        #[case] (known, left, lost, not_left): (usize, usize, usize, usize),
    ) {
        let before: BTreeSet<Entry> =
            ["default", "kube-system", "kube-public"].map(|name| entry(&format!("Namespace {name}"))).into();
        let after: BTreeSet<Entry> =
            before.iter().cloned().chain(more.iter().chain(remains).map(|text| entry(text))).collect();
        let installed = REMAINS.iter().map(|text| entry(text)).collect();
        let found = compare(&before, &installed, &after, "1.31");
        assert_eq!(
            (found.known.len(), found.left.len(), found.lost.len(), found.not_left.len()),
            (known, left, lost, not_left)
        );
    }

    #[test]
    fn an_object_of_the_user_that_is_gone_is_lost() {
        let before: BTreeSet<Entry> = [entry("ConfigMap default/mine")].into();
        let after = REMAINS.iter().map(|text| entry(text)).collect();
        assert_eq!(compare(&before, &before, &after, "1.31").lost, vec![entry("ConfigMap default/mine")]);
    }

    #[test]
    fn what_istiod_never_wrote_is_not_missed() {
        let nothing = BTreeSet::new();
        assert_eq!(compare(&nothing, &nothing, &nothing, "1.31").not_left, Vec::<String>::new());
    }

    #[test]
    fn a_release_that_was_never_seen_has_no_excuse() {
        let after = REMAINS.iter().map(|text| entry(text)).collect();
        assert_eq!(compare(&BTreeSet::new(), &after, &after, &release_of("1.99.0")).left.len(), 4);
    }
}
