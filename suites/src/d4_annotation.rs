//! D4: namespace istio-system of the remote cluster names the primary as its control plane.
//!
//! Sabotage: `kubectl annotate namespace istio-system topology.istio.io/controlPlaneClusters-` in cluster2.

use harness::check::case::{Case, Reading, Reads, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Evidence, Explanation, Fault, Finding, Mesh, Path};
use harness::lab::Cluster;
use harness::role::Role;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::shared::writer::manager_of;

/// The clause.
pub const CASE: Case = Case {
    id: "D4",
    slug: "control-plane-annotation",
    shows: &[Path::Writes],
    title: "The remote cluster names the primary as its control plane",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#set-the-control-plane-cluster-for-cluster2",
    needs: &[],
    blames: &[],
    follows: &["annotate-namespace"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(read(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh)),
        rights: &[Right::new(Role::Remote, Place::Cluster, "", "namespaces", &["get", "list"])],
        not_asked: "",
    }),
    explains: Explanation {
        judges: "Namespace ${ISTIO_NAMESPACE} of the remote cluster has the annotation \
                topology.istio.io/controlPlaneClusters with the primary's name in it, or a star. It is read as \
                istiod reads it: split at commas, nothing trimmed.",
        why: "istiod leads in a remote cluster only where this annotation names its own, and looks for it once: when \
             it reads the remote secret. Where it is misspelt or comes too late, the remote cluster gets neither CA \
             nor root certificates, and no pod there a sidecar.",
        by_hand: &[
            ByHand::new(
                "topology.istio.io/controlPlaneClusters with ${CLUSTER1}",
                "kubectl --context ${CTX_CLUSTER2} get namespace ${ISTIO_NAMESPACE} -o jsonpath='{.metadata.annotations}'",
            ),
            ByHand::new(
                "true for ${CLUSTER2}: what istiod made of it when it read the secret",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} logs deploy/istiod${REVISION_SUFFIX} | grep 'should join leader-election'",
            ),
        ],
    },
};

const ANNOTATION: &str = "topology.istio.io/controlPlaneClusters";

async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let id = mesh.wanted.id(Role::Primary)?;
    // istiod asks for the namespace of its own name, wherever the remote profile was installed.
    let istio = &*primary.istio_namespace;
    let mut evidence = Evidence::new();
    let object = remote.object("Namespace", istio);
    let wanted = format!("{ANNOTATION}={id}");
    let namespace =
        remote.all::<Namespace>().get_opt(istio).await.map_err(remote.refused(format!("show Namespace {istio}")))?;
    let annotation = namespace.as_ref().and_then(|namespace| namespace.annotations().get(ANNOTATION));
    if annotation.is_none()
        && let Some((other, value)) = elsewhere(remote, id).await?
    {
        evidence.saw(remote.object("Namespace", &other), format!("metadata.annotations[{ANNOTATION}]"), &value);
        let cause = format!(
            "{} has the annotation {ANNOTATION}={value} in namespace {other}, but istiod of {} looks for it in {istio}, which is its own",
            remote.called(),
            primary.called()
        );
        return Err(Finding::new(cause)
            .expected_got(format!("{object} with the annotation {wanted}"), format!("namespace {other} has it"))
            .hint(format!(
                "the guide demands the same namespace in both clusters: install the remote profile with \
                 values.global.istioNamespace={istio}, annotate that namespace, then make the remote secret anew"
            ))
            .evidence(&evidence)
            .into());
    }
    let Some(namespace) = namespace else {
        return Err(Finding::new(format!("{object} is not there"))
            .expected_got(format!("{object} with the annotation {wanted}"), "no such namespace")
            .hint(format!("kubectl --context {} create namespace {istio}", remote.context_word()))
            .into());
    };
    let annotation = namespace.annotations().get(ANNOTATION);
    evidence.saw(&object, format!("metadata.annotations[{ANNOTATION}]"), annotation.map_or("absent", String::as_str));
    if annotation.is_some() {
        let manager = manager_of(&namespace.metadata, &format!("f:{ANNOTATION}"));
        evidence.saw(&object, format!("managedFields of {ANNOTATION}"), manager);
    }
    let mend = format!(
        "kubectl --context {} annotate --overwrite namespace {istio} {wanted}; then make the remote secret anew, \
         for istiod reads the annotation only when it reads the secret",
        remote.context_word()
    );
    let (cause, got, hint) = match names(annotation.map(String::as_str), id) {
        Named::Exactly | Named::ByStar => return Ok(evidence),
        Named::No if annotation.is_none() => {
            (format!("{object} lacks the annotation {wanted}"), "no such annotation".to_string(), mend)
        }
        Named::No => {
            let value = annotation.cloned().unwrap_or_default();
            (format!("{object} has the annotation {ANNOTATION}=\"{value}\", which does not name {id}"), value, mend)
        }
        Named::WithBlanks(entry) => {
            let cause = format!(
                "{object} names \"{entry}\" with a blank in the annotation {ANNOTATION}, which istiod does not take for {id}"
            );
            (
                cause,
                annotation.cloned().unwrap_or_default(),
                format!("istiod trims nothing: write the list without blanks. {mend}"),
            )
        }
    };
    Err(Finding::new(cause).expected_got(wanted, got).hint(hint).evidence(&evidence).into())
}

/// Another namespace that names the cluster as its control plane.
async fn elsewhere(remote: &Cluster, primary: &str) -> Result<Option<(String, String)>, Fault> {
    let all =
        remote.all::<Namespace>().list(&ListParams::default()).await.map_err(remote.refused("list namespaces"))?;
    let named = |namespace: &Namespace| {
        let value = namespace.annotations().get(ANNOTATION)?;
        (names(Some(value), primary) != Named::No).then(|| (namespace.name_any(), value.clone()))
    };
    Ok(all.items.iter().find_map(named))
}

/// How the annotation names a cluster.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Exactly,
    ByStar,
    /// An entry is the name but for blanks, so that a person takes it for the name and istiod does not.
    WithBlanks(String),
    No,
}

/// Reads the annotation as istiod does: split at commas, nothing trimmed, an exact name or a star.
fn names(annotation: Option<&str>, cluster: &str) -> Named {
    let entries: Vec<&str> = annotation.map(|text| text.split(',').collect()).unwrap_or_default();
    if entries.contains(&cluster) {
        return Named::Exactly;
    }
    if entries.contains(&"*") {
        return Named::ByStar;
    }
    let close = entries.into_iter().find(|entry| [cluster, "*"].contains(&entry.trim()));
    close.map_or(Named::No, |entry| Named::WithBlanks(entry.to_string()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Named, names};

    #[rstest]
    #[case::the_name(Some("cluster1"), Named::Exactly)]
    #[case::in_a_list(Some("other,cluster1"), Named::Exactly)]
    #[case::a_star(Some("*"), Named::ByStar)]
    #[case::a_star_in_a_list(Some("other,*"), Named::ByStar)]
    #[case::after_a_blank(Some("other, cluster1"), Named::WithBlanks(" cluster1".to_string()))]
    #[case::before_a_blank(Some("cluster1 "), Named::WithBlanks("cluster1 ".to_string()))]
    #[case::a_star_with_a_blank(Some("other, *"), Named::WithBlanks(" *".to_string()))]
    #[case::one_good_entry_is_enough(Some("cluster1 ,cluster1"), Named::Exactly)]
    #[case::another_name(Some("cluster10"), Named::No)]
    #[case::another_case(Some("Cluster1"), Named::No)]
    #[case::empty(Some(""), Named::No)]
    #[case::absent(None, Named::No)]
    fn the_annotation_is_read_as_istiod_reads_it(#[case] annotation: Option<&str>, #[case] named: Named) {
        assert_eq!(names(annotation, "cluster1"), named);
    }
}
