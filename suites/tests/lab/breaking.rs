//! Breaking the mesh by hand: the clauses concerned go red, with the cause named, and no other does.

use std::collections::BTreeSet;

use crate::bystander;
use crate::calling::{Lab, docker, kubectl, node};
use crate::lost_lab;

/// One thing of the guide, broken and mended.
struct Sabotage {
    what: &'static str,
    break_it: fn(&Lab) -> String,
    mend: fn(&Lab, &str),
    /// Exactly these go red.
    red: &'static [&'static str],
    /// Exactly these cannot be asked any more.
    blocked: &'static [&'static str],
    /// The cause line of the first red clause names all of this.
    cause: &'static [&'static str],
}

const TABLE: [Sabotage; 5] = [
    Sabotage {
        what: "the annotation of cluster2's istio-system is taken away",
        break_it: |lab| {
            kubectl(
                lab,
                "cluster2",
                &["annotate", "namespace", "istio-system", "topology.istio.io/controlPlaneClusters-"],
            )
        },
        mend: |lab, _| {
            let line = "topology.istio.io/controlPlaneClusters=cluster1";
            kubectl(lab, "cluster2", &["annotate", "namespace", "istio-system", line]);
        },
        red: &["D4"],
        blocked: &[],
        cause: &["cluster2", "istio-system", "topology.istio.io/controlPlaneClusters"],
    },
    Sabotage {
        what: "the route from cluster1's node to the pods of cluster2 is taken away",
        break_it: |lab| {
            let routes = docker(&["exec", &node(lab, "cluster1"), "ip", "route"]);
            let routes = String::from_utf8_lossy(&routes.stdout).into_owned();
            let route = routes.lines().find(|line| line.contains(" via ") && !line.starts_with("default"));
            let route = route.expect("cluster1's node has a route to cluster2's pods").trim().to_string();
            let pods = route.split(' ').next().expect("a destination");
            docker(&["exec", &node(lab, "cluster1"), "ip", "route", "del", pods]);
            route
        },
        mend: |lab, route| {
            let node = node(lab, "cluster1");
            let mut line = vec!["exec", node.as_str(), "ip", "route", "add"];
            line.extend(route.split(' '));
            docker(&line);
        },
        red: &["D10"],
        blocked: &["D11", "D13"],
        cause: &["t-break-cluster1-control-plane", "route"],
    },
    Sabotage {
        what: "istiod is not exposed any more",
        break_it: |lab| {
            let manifest = kubectl(
                lab,
                "cluster1",
                &["-n", "istio-system", "get", "gateways.networking.istio.io", "istiod-gateway", "-o", "json"],
            );
            kubectl(
                lab,
                "cluster1",
                &["-n", "istio-system", "delete", "gateways.networking.istio.io", "istiod-gateway"],
            );
            manifest
        },
        mend: |lab, manifest| apply(lab, "cluster1", manifest),
        red: &["D3"],
        blocked: &["D6", "D7", "D8", "D9", "D11", "D13"],
        cause: &["cluster1", "istiod-gateway"],
    },
    Sabotage {
        what: "the injection path of cluster2's webhooks names another cluster",
        break_it: |lab| {
            let path = "/inject/cluster/cluster9/net/network1";
            let patch =
                format!(r#"[{{"op":"replace","path":"/webhooks/0/clientConfig/service/path","value":"{path}"}}]"#);
            let webhook =
                ["patch", "mutatingwebhookconfiguration", "istio-sidecar-injector", "--type=json", "-p", &patch];
            kubectl(lab, "cluster2", &webhook)
        },
        mend: |lab, _| {
            let path = "/inject/cluster/cluster2/net/network1";
            let patch =
                format!(r#"[{{"op":"replace","path":"/webhooks/0/clientConfig/service/path","value":"{path}"}}]"#);
            kubectl(
                lab,
                "cluster2",
                &["patch", "mutatingwebhookconfiguration", "istio-sidecar-injector", "--type=json", "-p", &patch],
            );
        },
        red: &["D5"],
        blocked: &["D8"],
        cause: &["cluster2", "istio-sidecar-injector"],
    },
    Sabotage {
        what: "the remote secret is deleted",
        break_it: |lab| {
            let secret = ["-n", "istio-system", "get", "secret", "istio-remote-secret-cluster2", "-o", "json"];
            let manifest = kubectl(lab, "cluster1", &secret);
            kubectl(lab, "cluster1", &["-n", "istio-system", "delete", "secret", "istio-remote-secret-cluster2"]);
            manifest
        },
        mend: |lab, manifest| apply(lab, "cluster1", manifest),
        red: &["D6"],
        blocked: &["D7", "D8", "D9", "D11", "D13"],
        cause: &["cluster1", "secret", "cluster2"],
    },
];

fn apply(lab: &Lab, cluster: &str, manifest: &str) {
    let mut object: serde_json::Value = serde_json::from_str(manifest).expect("kubectl prints JSON");
    let metadata = object["metadata"].as_object_mut().expect("an object has metadata");
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        metadata.remove(field);
    }
    let script = format!("kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - <<'JSON'\n{object}\nJSON");
    docker(&["exec", &node(lab, cluster), "bash", "-c", &script]);
}

#[test]
fn what_is_broken_by_hand_is_red_where_it_belongs_and_nowhere_else() {
    let lab = Lab::fresh("t-break");
    assert_eq!(lab.call("up", &[]), 0);
    assert_eq!(lab.call("install", &[]), 0);
    assert_eq!(lab.call("check", &[]), 0, "the mesh is healthy at first: {:#?}", lab.verdicts());
    bystander::gets_no_certificate(&lab);
    for sabotage in &TABLE {
        eprintln!("=== {}", sabotage.what);
        let before = (sabotage.break_it)(&lab);
        let exit = lab.call("check", &[]);
        (sabotage.mend)(&lab, &before);
        judge(&lab, sabotage, exit);
    }
    assert_eq!(lab.call("check", &[]), 0, "everything is mended: {:#?}", lab.verdicts());
    assert_eq!(lab.call("uninstall", &[]), 0, "{:#?}", lab.verdicts());
    // The lab is of no more use for anything else.
    lost_lab::another_version_is_named(&lab);
    lost_lab::a_lost_node_is_named(&lab);
    lost_lab::down_works_on_another_version(&lab);
}

fn judge(lab: &Lab, sabotage: &Sabotage, exit: i32) {
    let verdicts = lab.verdicts();
    let with = |kinds: &[&str]| -> BTreeSet<&str> {
        let of_kind = |shown: &String| kinds.iter().any(|kind| shown.starts_with(kind));
        verdicts.iter().filter(|(_, shown)| of_kind(shown)).map(|(id, _)| id.as_str()).collect()
    };
    let what = sabotage.what;
    assert_eq!(exit, 1, "{what}: {verdicts:#?}");
    assert_eq!(with(&["Failure", "Error"]), sabotage.red.iter().copied().collect(), "{what}: {verdicts:#?}");
    let mut not_asked = with(&["Skipped"]);
    // The mesh stays installed, so the clean-up is not judged.
    assert!(not_asked.remove("D12"));
    assert_eq!(not_asked, sabotage.blocked.iter().copied().collect(), "{what}: {verdicts:#?}");
    let cause = &verdicts[sabotage.red[0]];
    for word in sabotage.cause {
        assert!(cause.to_lowercase().contains(&word.to_lowercase()), "{what}: the cause names {word}: {cause}");
    }
}
