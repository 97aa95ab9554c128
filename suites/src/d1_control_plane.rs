//! D1: the primary cluster runs the control plane, and it is willing to lead in other clusters.
//!
//! Sabotage: `kubectl -n istio-system set env deployment/istiod EXTERNAL_ISTIOD-` in cluster1, or another
//! `global.network` in the values of ConfigMap istio-sidecar-injector.

use std::collections::BTreeMap;

use harness::check::case::{Case, Reading, Reads, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Mesh};
use harness::mesh::{Known, Wanted};
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use serde_json::Value;

use crate::shared::certificate::fingerprint;
use crate::shared::istiod;
use crate::shared::leading::root_of_primary;
use crate::shared::writer::manager_of;

/// The clause.
pub const CASE: Case = Case {
    id: "D1",
    slug: "primary-control-plane",
    shows: &[],
    title: "The primary cluster runs a control plane that may lead in other clusters",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#configure-cluster1-as-a-primary",
    needs: &[],
    blames: &[],
    follows: &["primary-install"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh)),
        rights: &[
            Right::new(Role::Primary, Place::Istio, "apps", "deployments", &["list", "watch"]),
            Right::new(Role::Primary, Place::Istio, "", "pods", &["list"]),
            Right::new(Role::Primary, Place::Istio, "", "configmaps", &["get"]),
        ],
        not_asked: "what the running istiod says of itself (/version, /debug/mesh)",
    }),
    explains: Explanation {
        judges: "Every replica of istiod is ready and of the newest template, and runs with EXTERNAL_ISTIOD=true and \
                the id of its cluster. The values with which it injects have the mesh id, the cluster's name and the \
                network of the install. The running istiod says the version and the mesh id that were asked for.",
        why: "EXTERNAL_ISTIOD is what lets istiod lead in other clusters: without it no remote cluster gets a CA or \
             a root certificate. Under another cluster id or network, the primary's own proxies are taken for those \
             of another cluster.",
        by_hand: &[
            ByHand::new(
                "every replica ready",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get deployment,pods -l app=istiod",
            ),
            ByHand::new(
                "EXTERNAL_ISTIOD=true, CLUSTER_ID=${CLUSTER1}",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} set env deploy/istiod${REVISION_SUFFIX} --list | grep -E 'EXTERNAL_ISTIOD|CLUSTER_ID'",
            ),
            ByHand::new(
                "the mesh id, cluster ${CLUSTER1} and network ${NETWORK}",
                r#"kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get configmap istio-sidecar-injector${REVISION_SUFFIX} -o jsonpath='{.data.values}' | grep -E 'meshID|clusterName|"network"'"#,
            ),
            ByHand::new(
                "the version that was asked for",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} exec deploy/istiod${REVISION_SUFFIX} -- pilot-discovery request GET /version",
            ),
        ],
    },
};

/// istiod's id of its cluster where nobody gives it one.
const USUAL_ID: &str = "Kubernetes";

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = read(context).await?;
    for pod in istiod::replicas(context.primary()).await? {
        answers(context, &pod, &mut evidence).await?;
    }
    Ok(evidence)
}

/// The part that only reads.
async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    ready(mesh, &mut evidence).await?;
    let primary = mesh.primary();
    let istio = &*primary.istio_namespace;
    let pods = istiod::pods(primary).await?;
    if pods.is_empty() {
        return Err(Finding::new(format!("{} has no ready pod of istiod in {istio}", primary.called()))
            .expected_got("every replica ready", "none")
            .evidence(&evidence)
            .into());
    }
    if let Some(wanted) = mesh.wanted.istiod_replicas.filter(|wanted| pods.len() < *wanted) {
        let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
        return Err(Finding::new(format!("{} has {} ready pods of istiod, not {wanted}", primary.name, pods.len()))
            .expected_got(format!("{wanted} replicas, as the scenario asks"), names.join(", "))
            .hint(format!("kubectl --context {} -n {istio} get deployment,pods -l app=istiod", primary.context_word()))
            .evidence(&evidence)
            .into());
    }
    for pod in &pods {
        environment(mesh, pod, &mut evidence)?;
    }
    injected_values(mesh, &mut evidence).await?;
    let root = root_of_primary(mesh).await?;
    let object = primary.object("ConfigMap", &format!("{istio}/istio-ca-root-cert"));
    evidence.saw(object, "root-cert.pem", fingerprint(&root));
    Ok(evidence)
}

/// Every replica of the Deployment is there, of its newest template, and ready.
async fn ready(mesh: &Mesh, evidence: &mut Evidence) -> Result<(), Fault> {
    let primary = mesh.primary();
    let istio = &*primary.istio_namespace;
    let istiod = primary.revision.istiod();
    let object = primary.object("Deployment", &format!("{istio}/{istiod}"));
    let wait = mesh.wait(format!("{object} to be ready"), mesh.budgets.converge());
    let found = primary
        .watch(&wait, primary.api::<Deployment>(istio), &istiod, |deployment| match deployment {
            None => Look::NotYet("not there".to_string()),
            Some(deployment) => match settled(deployment) {
                Ok(count) => Look::Yes((count, manager_of(&deployment.metadata, "f:spec"))),
                Err(why) => Look::NotYet(why),
            },
        })
        .await;
    match found {
        Ok((count, manager)) => {
            evidence.saw(&object, "ready replicas", count).saw(&object, "managedFields of spec", manager);
            Ok(())
        }
        Err(timeout) => Err(Finding::new(format!("{object} is {}", timeout.last()?))
            .expected_got("every replica ready", timeout.last()?)
            .hint(format!("kubectl --context {} -n {istio} describe deployment {istiod}", primary.context_word()))
            .evidence(evidence)
            .into()),
    }
}

/// How many replicas are ready, if those are all of them and all of the newest template; else what it is instead.
fn settled(deployment: &Deployment) -> Result<String, String> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let (ready, new) = (status.ready_replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0));
    let all = status.replicas.unwrap_or(0);
    if wanted == 0 {
        Err("scaled to no replica".to_string())
    } else if status.observed_generation < deployment.metadata.generation {
        Err("not rolled out yet".to_string())
    } else if ready == wanted && new == wanted && all == wanted {
        Ok(format!("{ready} of {wanted}"))
    } else {
        Err(format!("ready with {ready} of {wanted} replicas ({new} of the newest template, {all} in all)"))
    }
}

fn environment(mesh: &Mesh, pod: &Pod, evidence: &mut Evidence) -> Result<(), Fault> {
    let primary = mesh.primary();
    let object = istiod::object(primary, &pod.name_any());
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut env = BTreeMap::new();
    for container in containers.filter(|container| container.name == "discovery") {
        evidence.saw(&object, "image", container.image.as_deref().unwrap_or_default());
        env.extend(container.env.iter().flatten().map(|env| (env.name.clone(), env.value.clone().unwrap_or_default())));
    }
    let told = |name: &str| env.get(name).map_or("absent", String::as_str).to_string();
    let external = told("EXTERNAL_ISTIOD");
    let id = env.get("CLUSTER_ID").cloned().unwrap_or_else(|| USUAL_ID.to_string());
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node");
    evidence.saw(&object, "spec.nodeName", node);
    evidence.saw(&object, "env EXTERNAL_ISTIOD", &external).saw(&object, "env CLUSTER_ID", &id);
    if !is_true(&external) {
        return Err(Finding::new(format!("{object} runs with EXTERNAL_ISTIOD {external}"))
            .expected_got("EXTERNAL_ISTIOD=true", external)
            .hint("without it istiod leads in no other cluster: no CA in its webhooks, no configmaps; istioctl install --set values.pilot.env.EXTERNAL_ISTIOD=true")
            .evidence(evidence)
            .into());
    }
    let wanted = mesh.wanted.id(Role::Primary)?;
    if id != wanted {
        return Err(Finding::new(format!("{object} runs with CLUSTER_ID {id}"))
            .expected_got(format!("CLUSTER_ID={wanted}"), id)
            .hint("values.global.multiCluster.clusterName of the operator file sets it")
            .evidence(evidence)
            .into());
    }
    Ok(())
}

/// As Go's `strconv.ParseBool`, with which istiod reads it.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// What the running process says of itself.
async fn answers(context: &Context, pod: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, scenario) = (context.primary(), context.scenario());
    let object = istiod::object(primary, pod);
    let version = istiod::text(primary, pod, "/version").await?;
    evidence.saw(&object, "/version", version.trim());
    let istio = context.wanted.istio.as_deref().unwrap_or(&scenario.istio);
    if version.trim().split('-').next() != Some(istio.split('-').next().unwrap_or_default()) {
        return Err(Finding::new(format!("{object} is Istio {}, not {istio}", version.trim()))
            .expected_got(istio, version.trim())
            .evidence(evidence)
            .into());
    }
    let clusters = istiod::debug(primary, pod, "/debug/clusterz").await?;
    let sync = istiod::sync(&clusters, &primary.name).map_or("absent".to_string(), |(status, _)| status);
    evidence.saw(&object, format!("/debug/clusterz of {}", primary.name), &sync);
    let mesh = istiod::debug(primary, pod, "/debug/mesh").await?;
    let id = mesh["defaultConfig"]["meshId"].as_str().unwrap_or("absent");
    evidence.saw(&object, "/debug/mesh defaultConfig.meshId", id).saw(
        &object,
        "/debug/mesh trustDomain",
        mesh["trustDomain"].as_str().unwrap_or("absent"),
    );
    if id != scenario.mesh_id {
        return Err(Finding::new(format!("{object} has the mesh id {id}, not {}", scenario.mesh_id))
            .expected_got(&scenario.mesh_id, id)
            .hint(format!(
                "see ConfigMap {}/{}, defaultConfig.meshId",
                primary.istio_namespace,
                primary.revision.mesh_config()
            ))
            .evidence(evidence)
            .into());
    }
    Ok(())
}

/// What istiod tells the proxies that it injects in its own cluster.
async fn injected_values(mesh: &Mesh, evidence: &mut Evidence) -> Result<(), Fault> {
    let primary = mesh.primary();
    let istio = &*primary.istio_namespace;
    let injector = primary.revision.injector();
    let object = primary.object("ConfigMap", &format!("{istio}/{injector}"));
    let map = primary
        .api::<ConfigMap>(istio)
        .get_opt(&injector)
        .await
        .map_err(primary.refused(format!("show ConfigMap {istio}/{injector}")))?;
    let Some(map) = map else {
        return Err(Finding::new(format!("{object} is not there"))
            .expected_got("the values of the install", "no such ConfigMap")
            .evidence(evidence)
            .into());
    };
    let values: Value =
        map.data.as_ref().and_then(|data| serde_json::from_str(data.get("values")?).ok()).unwrap_or_default();
    let manager = manager_of(&map.metadata, "f:values");
    for (field, wanted, got) in told(&values, &mesh.wanted)? {
        evidence.saw(&object, format!("values {field}"), &got);
        if got != wanted {
            return Err(Finding::new(format!("{object} says {field} {got}, not {wanted}"))
                .expected_got(format!("{field}: {wanted}"), format!("{got}, written by {manager}"))
                .hint(format!("values.{field} of the operator file sets it"))
                .evidence(evidence)
                .into());
        }
    }
    evidence.saw(&object, "managedFields of values", manager);
    Ok(())
}

/// Each value of the guide's operator file, with what it should be and what it is.
fn told(values: &Value, wanted: &Wanted) -> Known<[(&'static str, String, String); 3]> {
    let global = &values["global"];
    let said = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_string() } else { text.to_string() };
    let text = |value: &Value, otherwise| said(value.as_str().unwrap_or_default(), otherwise);
    // A mesh that was found may have no id and no network; the guide's has both.
    Ok([
        ("global.meshID", said(wanted.mesh_id()?, "absent"), text(&global["meshID"], "absent")),
        (
            "global.multiCluster.clusterName",
            wanted.id(Role::Primary)?.to_string(),
            text(&global["multiCluster"]["clusterName"], USUAL_ID),
        ),
        ("global.network", said(wanted.network()?, "absent"), text(&global["network"], "absent")),
    ])
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{is_true, settled};

    #[rstest]
    #[case::all_ready(1, json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}), true)]
    #[case::one_is_missing(1, json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 1, "updatedReplicas": 2}), false)]
    #[case::an_old_one_is_left(1, json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "updatedReplicas": 2}), false)]
    #[case::of_an_old_template(3, json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}), false)]
    #[case::no_status_yet(1, json!({}), false)]
    fn a_deployment_is_settled_with_every_replica_of_the_newest_template(
        #[case] generation: i64,
        #[case] status: Value,
        #[case] wanted: bool,
    ) {
        let selector = json!({"matchLabels": {}});
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"generation": generation},
            "spec": {"replicas": 2, "selector": selector, "template": {}},
            "status": status,
        }))
        .expect("a Deployment");
        assert_eq!(settled(&deployment).is_ok(), wanted);
    }

    #[rstest]
    #[case("true", true)]
    #[case("1", true)]
    #[case("True", true)]
    #[case("false", false)]
    #[case("yes", false)]
    #[case("absent", false)]
    fn external_istiod_is_read_as_istiod_reads_it(#[case] value: &str, #[case] is: bool) {
        assert_eq!(is_true(value), is);
    }
}
