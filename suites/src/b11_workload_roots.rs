//! B11: the certificates that proxies of both clusters hold lead to one root, that of the primary's istiod, carry the
//! identity of the pod's own account, and hold now.

use harness::check::case::{Case, Reads, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding};
use harness::lab::Cluster;
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::shared::chain::{Certificate, root_of};
use crate::shared::envoy::{Proxy, Secrets};
use crate::shared::leading::root_of_primary;
use crate::shared::sample::in_the_mesh;

/// The check.
pub const CASE: Case = Case {
    id: "B11",
    slug: "same-root-of-workloads",
    shows: &[],
    title: "Workloads of both clusters hold certificates of one root, each with its own identity",
    guide: "https://istio.io/latest/docs/concepts/security/#pki",
    needs: &["D7"],
    blames: &[],
    follows: &[],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it asks the proxies of its own pods for their certificates"),
    explains: Explanation {
        judges: "Every proxy of the sample workloads in both clusters holds a certificate that leads to the root of \
                the primary's istiod, trusts that root, carries the identity of the pod's own account, and holds \
                now.",
        why: "Mutual TLS across clusters takes one root. A proxy keeps its certificate until it is due, so after a \
             change of the root some workloads refuse each other while every configmap is right.",
        by_hand: &[
            ByHand::new(
                "the root's serial number",
                r"kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get configmap istio-ca-root-cert -o jsonpath='{.data.root-cert\.pem}' | openssl x509 -noout -serial -enddate",
            ),
            ByHand::on_a_lab(
                "ROOTCA with that serial number",
                "istioctl --context ${CTX_CLUSTER1} proxy-config secret deploy/caller -n meshproof-sample",
            ),
            ByHand::on_a_lab(
                "the same",
                "istioctl --context ${CTX_CLUSTER2} proxy-config secret deploy/caller -n meshproof-sample",
            ),
        ],
    },
};

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let primary = context.primary();
    let roots = root_of_primary(context).await?;
    let roots = Certificate::all(roots.as_bytes()).map_err(Fault::unknown)?;
    let mut evidence = Evidence::new();
    for root in &roots {
        let object = format!("{}/istio-ca-root-cert", primary.istio_namespace);
        evidence.saw(primary.object("ConfigMap", &object), "root", root.fingerprint());
    }
    let mut pods = Vec::new();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let found = in_the_mesh(cluster).await?;
        if found.is_empty() {
            return Err(Fault::unknown(format!("{} has no ready pod with a proxy in {namespace}", cluster.name)));
        }
        pods.extend(found.into_iter().map(|pod| (cluster, pod)));
    }
    let all = pods.iter().map(|(cluster, pod)| held(context, cluster, pod, &roots));
    for held in futures::future::join_all(all).await {
        match held? {
            Ok(seen) => evidence.extend(seen),
            Err(finding) => return Err(finding.evidence(&evidence).into()),
        };
    }
    Ok(evidence)
}

/// What this pod's proxy holds, or what is wrong with it; nothing for one that ends meanwhile, as other checks scale.
async fn held(
    context: &Context,
    cluster: &Cluster,
    pod: &Pod,
    roots: &[Certificate],
) -> Result<Result<Evidence, Finding>, Fault> {
    let namespace = context.sample();
    let name = pod.name_any();
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default();
    let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
    let proxy = Proxy::open(cluster, namespace, &name).await?;
    // What istiod gives anew on a change reaches a proxy a moment later.
    let wait = context.wait(format!("the certificate of {}", proxy.object()), context.budgets.converge());
    let found = wait.until(|| async {
        match proxy.secrets().await {
            Ok(secrets) => match Held::read(&secrets) {
                Ok(held) => match held.wrong(&identity, roots) {
                    None => Look::Yes(Some(held)),
                    Some(why) => Look::NotYet(why),
                },
                Err(why) => Look::Unable(why),
            },
            Err(_) if is_ending(cluster, &name).await => Look::Yes(None),
            Err(error) => Look::unable(error),
        }
    });
    match found.await {
        Ok(None) => Ok(Ok(Evidence::new())),
        Ok(Some(held)) => Ok(Ok(held.shown(&proxy, roots))),
        Err(timeout) => {
            let expected: Vec<String> = roots.iter().map(Certificate::fingerprint).collect();
            Ok(Err(Finding::new(format!("{} {}", proxy.object(), timeout.last()?))
                .expected_got(format!("a certificate of {identity} that holds now, of root {}", all_of(&expected)), timeout.last()?)
                .hint("a proxy keeps what it was given until it is due (istio/istio#60774): compare `istioctl proxy-config secret` with ConfigMap istio-ca-root-cert of both clusters, see its files in /var/run/secrets, and restart its pod once they agree")))
        }
    }
}

async fn is_ending(cluster: &Cluster, pod: &str) -> bool {
    let namespace = &*cluster.sample;
    match cluster.api::<Pod>(namespace).get_opt(pod).await {
        Ok(Some(pod)) => pod.metadata.deletion_timestamp.is_some(),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// What a proxy holds.
struct Held {
    /// Its own certificate, and those that lead to a root.
    chain: Vec<Certificate>,
    /// The roots by which it knows others.
    trusted: Vec<Certificate>,
}

impl Held {
    fn read(secrets: &Secrets) -> Result<Held, String> {
        Ok(Held { chain: Certificate::all(&secrets.chain)?, trusted: Certificate::all(&secrets.trusted)? })
    }

    /// What is wrong with it, as the end of a sentence that begins with the proxy.
    fn wrong(&self, identity: &str, roots: &[Certificate]) -> Option<String> {
        let Some(own) = self.chain.first() else { return Some("holds no certificate".to_string()) };
        if root_of(&self.chain, roots).is_none() {
            let other = root_of(&self.chain, &self.trusted).map_or("unknown".to_string(), Certificate::fingerprint);
            return Some(format!(
                "holds certificate {} of {}, which does not lead to the mesh's root but to another: {other}",
                own.serial,
                all_of(&own.identities)
            ));
        }
        if !roots.iter().all(|root| self.trusted.contains(root)) {
            let trusted: Vec<String> = self.trusted.iter().map(Certificate::fingerprint).collect();
            return Some(format!("does not trust the mesh's root but {}", all_of(&trusted)));
        }
        if own.identities != [identity] {
            return Some(format!("holds certificate {} of {}, not of {identity}", own.serial, all_of(&own.identities)));
        }
        (!own.holds).then(|| format!("holds certificate {}, which holds from {} only", own.serial, own.validity))
    }

    fn shown(&self, proxy: &Proxy, roots: &[Certificate]) -> Evidence {
        let mut evidence = Evidence::new();
        let own = &self.chain[0];
        evidence.saw(proxy.object(), "identity in its certificate", all_of(&own.identities)).saw(
            proxy.object(),
            "serial number and validity",
            format!("{}, {}", own.serial, own.validity),
        );
        if let Some(root) = root_of(&self.chain, roots) {
            evidence.saw(proxy.object(), "root of its certificate, which it trusts too", root.fingerprint());
        }
        evidence
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Certificate, Held};
    use crate::shared::chain::tests::signed;

    const OWN: &str = "spiffe://cluster.local/ns/a/sa/b";

    #[rstest]
    #[case::as_it_should_be(OWN, 2999, true, true, None)]
    #[case::another_account(&"spiffe://cluster.local/ns/a/sa/c", 2999, true, true, Some("not of spiffe://cluster.local/ns/a/sa/b"))]
    #[case::too_old(OWN, 2001, true, true, Some("only"))]
    #[case::of_another_root(OWN, 2999, false, true, Some("but to another: sha256"))]
    #[case::that_trusts_another_root(OWN, 2999, true, false, Some("does not trust"))]
    fn every_part_of_a_certificate_counts(
        #[case] identity: &str,
        #[case] year: i32,
        #[case] own: bool,
        #[case] trusts: bool,
        #[case] says: Option<&str>,
    ) {
        let read = |pem: &str| Certificate::all(pem.as_bytes()).unwrap();
        let (root, leaf) = signed("one", identity, year);
        let (other, _) = signed("two", identity, year);
        let held = Held { chain: read(&leaf), trusted: read(if trusts { &root } else { &other }) };
        let wrong = held.wrong(OWN, &read(if own { &root } else { &other }));
        match says {
            None => assert_eq!(wrong, None),
            Some(says) => assert!(wrong.as_ref().is_some_and(|wrong| wrong.contains(says)), "{wrong:?}"),
        }
    }

    #[test]
    fn a_proxy_without_certificate_is_named() {
        let held = Held { chain: Vec::new(), trusted: Vec::new() };
        assert_eq!(held.wrong(OWN, &[]).as_deref(), Some("holds no certificate"));
    }
}
