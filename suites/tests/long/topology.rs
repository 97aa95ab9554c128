//! Several nodes, several replicas and several labs: each is judged, and what is broken of one is found there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::calling::{Lab, MESHPROOF, docker};

const TESTS: usize = 4;
static RAN: AtomicUsize = AtomicUsize::new(0);

/// Says how many of this file's tests have come to their end.
fn ran() {
    println!("topology: {} of {TESTS} ran", RAN.fetch_add(1, Ordering::Relaxed) + 1);
}

const SLOW: [&str; 2] = ["--slow", "2"];

const SCENARIO: &str = "\
name: two-of-each
clusters:
  primary: {name: cluster1, nodes: 2}
  remote: {name: cluster2, nodes: 2}
istiod: {replicas: 2}
gateway: {replicas: 2}
";

fn node(lab: &Lab, cluster: &str, node: &str) -> String {
    format!("{}-{cluster}-{node}", lab.name)
}

fn shell(node: &str, script: &str) -> String {
    String::from_utf8_lossy(&docker(&["exec", node, "bash", "-ec", script]).stdout).trim().to_string()
}

/// Name, address and node of each pod with this label in istio-system of cluster1.
fn pods(lab: &Lab, app: &str) -> Vec<[String; 3]> {
    let fields = "{.metadata.name} {.status.podIP} {.spec.nodeName}";
    let script = format!(
        "kubectl --kubeconfig /etc/kubernetes/admin.conf -n istio-system get pods -l app={app} \
         -o 'jsonpath={{range .items[*]}}{fields}{{\"\\n\"}}{{end}}'"
    );
    let lines = shell(&node(lab, "cluster1", "control-plane"), &script);
    let pod = |line: &str| -> [String; 3] {
        let words: Vec<String> = line.split(' ').map(ToString::to_string).collect();
        words.try_into().unwrap_or_else(|words| panic!("three words, not {words:?}"))
    };
    lines.lines().map(pod).collect()
}

/// What the latest run shows as evidence of one clause.
fn evidence(lab: &Lab, id: &str) -> String {
    let report = lab.junit();
    let cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let case = cases.into_iter().find(|case| case.name.as_str().starts_with(&format!("{id} ")));
    let case = case.unwrap_or_else(|| panic!("JUnit holds {id}"));
    case.system_out.as_ref().map_or(String::new(), |text| text.as_str().to_string())
}

/// One thing of several, broken and mended on its node.
struct Sabotage {
    what: &'static str,
    node: String,
    break_it: String,
    mend: String,
    /// The one clause that goes red.
    red: &'static str,
    /// The cause names this.
    names: String,
}

/// Each is one of two: a route on a worker, a pod of the gateway, an istiod.
fn sabotages(lab: &Lab) -> Vec<Sabotage> {
    let worker = node(lab, "cluster1", "worker");
    let there = shell(&worker, "ip -4 route show | grep -E '^10\\.[0-9.]+/24 via ' | tail -n 1");
    let route: Vec<&str> = there.split(' ').take(3).collect();
    let [gateway, address, on] = pods(lab, "istio-eastwestgateway").remove(1);
    let to_gateway = format!("FORWARD -d {address} -p tcp --dport 15012 -j DROP");
    let [istiod, from, istiod_on] = pods(lab, "istiod").remove(0);
    let to_api = format!("FORWARD -s {from} -p tcp --dport 6443 -j DROP");
    vec![
        Sabotage {
            what: "a route to other pods is missing on one worker",
            node: worker.clone(),
            break_it: format!("ip route del {}", route[0]),
            mend: format!("ip route replace {}", route.join(" ")),
            red: "D10",
            names: worker,
        },
        Sabotage {
            what: "one pod of the gateway loses the port for proxies",
            node: on,
            break_it: format!("iptables -I {to_gateway}"),
            mend: format!("iptables -D {to_gateway}"),
            red: "D3",
            names: gateway,
        },
        Sabotage {
            what: "one istiod no longer reaches the API server of cluster2",
            node: istiod_on,
            break_it: format!("iptables -I {to_api}"),
            mend: format!("iptables -D {to_api}"),
            red: "D6",
            names: istiod,
        },
    ]
}

#[test]
fn each_node_and_replica_is_judged_and_a_fault_of_one_is_found_there() {
    let lab = Lab::fresh("t-many");
    let scenario = lab.runs.with_extension("yaml");
    std::fs::write(&scenario, SCENARIO).expect("it can be written");
    let file = scenario.to_string_lossy().into_owned();
    assert_eq!(lab.call("up", &[SLOW.as_slice(), &["--scenario", &file]].concat()), 0);
    assert_eq!(lab.call("install", &SLOW), 0);
    assert_eq!(lab.call("check", &SLOW), 0, "{:#?}", lab.verdicts());
    each_is_named(&lab);
    for sabotage in sabotages(&lab) {
        eprintln!("=== {}", sabotage.what);
        shell(&sabotage.node, &sabotage.break_it);
        let exit = lab.call("check", &SLOW);
        shell(&sabotage.node, &sabotage.mend);
        let verdicts = lab.verdicts();
        assert_eq!(exit, 1, "{}: {verdicts:#?}", sabotage.what);
        let red: Vec<&String> = verdicts
            .iter()
            .filter(|(_, shown)| shown.starts_with("Failure") || shown.starts_with("Error"))
            .map(|(id, _)| id)
            .collect();
        assert_eq!(red, [sabotage.red], "{}: {verdicts:#?}", sabotage.what);
        let cause = &verdicts[sabotage.red];
        assert!(cause.contains(&sabotage.names), "{}: the cause names {}: {cause}", sabotage.what, sabotage.names);
    }
    diagnostics_hold_each(&lab);
    assert_eq!(lab.call("check", &SLOW), 0, "everything is mended: {:#?}", lab.verdicts());
    assert_eq!(lab.call("uninstall", &SLOW), 0, "{:#?}", lab.verdicts());
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
    ran();
}

/// Pods are spread over both nodes, and the evidence of each clause names each of those that it concerns.
fn each_is_named(lab: &Lab) {
    let (istiods, gateways) = (pods(lab, "istiod"), pods(lab, "istio-eastwestgateway"));
    for (what, pods) in [("istiod", &istiods), ("gateway", &gateways)] {
        let nodes: BTreeSet<&String> = pods.iter().map(|[_, _, node]| node).collect();
        assert_eq!((pods.len(), nodes.len()), (2, 2), "two {what} on two nodes: {pods:?}");
    }
    for id in ["D1", "D3", "D6", "D7", "D9", "D13"] {
        let shown = evidence(lab, id);
        for [istiod, ..] in &istiods {
            assert!(shown.contains(istiod), "{id} names {istiod}: {shown}");
        }
    }
    for id in ["D2", "D3", "D13"] {
        let shown = evidence(lab, id);
        for [gateway, ..] in &gateways {
            assert!(shown.contains(gateway), "{id} names {gateway}: {shown}");
        }
    }
    let shown = evidence(lab, "D10");
    for cluster in ["cluster1", "cluster2"] {
        for from in ["control-plane", "worker"] {
            let node = node(lab, cluster, from);
            assert!(shown.contains(&format!("on node {node}")), "D10 names {node}: {shown}");
        }
    }
}

/// The diagnostics of the latest run hold the logs of each istiod and gateway, and what each node says.
fn diagnostics_hold_each(lab: &Lab) {
    let mut files = Vec::new();
    let mut folders = vec![lab.runs.join("latest/diagnostics")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("diagnostics were taken") {
            let path: PathBuf = entry.expect("it can be listed").path();
            if path.is_dir() { folders.push(path) } else { files.push(path.to_string_lossy().into_owned()) }
        }
    }
    for [pod, ..] in pods(lab, "istiod").into_iter().chain(pods(lab, "istio-eastwestgateway")) {
        for kind in ["logs", "pages"] {
            let found = files.iter().any(|file| file.contains(&format!("/{kind}/")) && file.contains(&pod));
            assert!(found, "{kind} of {pod}: {files:#?}");
        }
    }
    for cluster in ["cluster1", "cluster2"] {
        for one in ["control-plane", "worker"] {
            let network = format!("/nodes/{}/network.txt", node(lab, cluster, one));
            assert!(files.iter().any(|file| file.ends_with(&network)), "{network}: {files:#?}");
        }
    }
}

/// A verb in the background; ended with the test, however that ends.
struct Running(Child);

impl Running {
    fn start(lab: &Lab, verb: &str) -> Running {
        Running(lab.command(verb, &["--slow", "3"]).stderr(Stdio::null()).spawn().expect("meshproof can be started"))
    }

    fn end(mut self) -> Option<i32> {
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Docker subnet of a lab, and those of its pods and services.
fn subnets(lab: &Lab) -> Vec<String> {
    let format = "{{(index .IPAM.Config 0).Subnet}},{{index .Labels \"io.meshproof.subnets\"}}";
    let said = docker(&["network", "inspect", &format!("meshproof-{}", lab.name), "-f", format]).stdout;
    String::from_utf8_lossy(&said).trim().split(',').map(ToString::to_string).collect()
}

/// The lab's containers with the times at which they began.
fn containers(lab: &Lab) -> String {
    let ids = docker(&["ps", "-q", "--no-trunc", "--filter", &format!("network=meshproof-{}", lab.name)]).stdout;
    let ids = String::from_utf8_lossy(&ids).into_owned();
    let mut line = vec!["inspect", "-f", "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}"];
    line.extend(ids.lines());
    String::from_utf8_lossy(&docker(&line).stdout).into_owned()
}

#[test]
fn istio_in_another_namespace_is_judged_and_named_there() {
    let lab = Lab::fresh("t-mesh");
    assert_eq!(lab.call("up", &[SLOW.as_slice(), &["--istio-namespace", "mesh-system"]].concat()), 0);
    assert_eq!(lab.call("install", &SLOW), 0);
    assert_eq!(lab.call("check", &SLOW), 0, "{:#?}", lab.verdicts());
    let namespaces = |cluster| {
        let script = "kubectl --kubeconfig /etc/kubernetes/admin.conf get namespaces -o name";
        shell(&node(&lab, cluster, "control-plane"), script)
    };
    for cluster in ["cluster1", "cluster2"] {
        let there = namespaces(cluster);
        assert!(there.contains("/mesh-system") && !there.contains("/istio-system"), "{cluster}: {there}");
    }
    let annotate = "kubectl --kubeconfig /etc/kubernetes/admin.conf annotate namespace mesh-system --overwrite \
                    topology.istio.io/controlPlaneClusters";
    shell(&node(&lab, "cluster2", "control-plane"), &format!("{annotate}=other"));
    assert_eq!(lab.call("check", &SLOW), 1);
    let cause = &lab.verdicts()["D4"];
    assert!(cause.contains("cluster2 Namespace mesh-system"), "{cause}");
    shell(&node(&lab, "cluster2", "control-plane"), &format!("{annotate}=cluster1"));
    assert_eq!(lab.call("uninstall", &SLOW), 0, "D12 finds nothing left: {:#?}", lab.verdicts());
    for cluster in ["cluster1", "cluster2"] {
        let there = namespaces(cluster);
        assert!(!there.contains("/mesh-system"), "{cluster}: {there}");
    }
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
    ran();
}

#[test]
fn two_labs_that_begin_at_once_are_green_and_one_goes_without_the_other_noticing() {
    let (left, right) = (Lab::fresh("t-left"), Lab::fresh("t-right"));
    let begun = [Running::start(&left, "up"), Running::start(&right, "up")];
    assert_eq!(begun.map(Running::end), [Some(0), Some(0)]);
    let all = [subnets(&left), subnets(&right)].concat();
    let distinct: BTreeSet<&String> = all.iter().collect();
    // Each is of one size, so those that are not equal do not overlap.
    assert_eq!((all.len(), distinct.len()), (10, 10), "{all:?}");
    for verb in ["install", "check"] {
        for lab in [&left, &right] {
            assert_eq!(lab.call(verb, &["--slow", "3"]), 0, "{:#?}", lab.verdicts());
        }
    }
    let before = containers(&right);
    assert_eq!(before.lines().count(), 2, "{before}");
    let judged = Running::start(&right, "check");
    left.down();
    assert_eq!(judged.end(), Some(0), "the other lab goes on: {:#?}", right.verdicts());
    assert_eq!(left.remains(), Vec::<String>::new());
    assert_eq!(containers(&right), before, "nothing of the other lab was touched");
    right.down();
    assert_eq!(right.remains(), Vec::<String>::new());
    ran();
}

#[test]
fn a_second_process_on_the_same_lab_is_refused_with_the_first_one_named() {
    let lab = Lab::fresh("t-lock");
    let first = Running::start(&lab, "up");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !lab.runs.join("latest/events.jsonl").is_file() {
        assert!(Instant::now() < deadline, "the first process never began");
        std::thread::sleep(Duration::from_millis(50));
    }
    for verb in ["up", "check", "down"] {
        let second =
            Command::new(MESHPROOF).args([verb, "--lab", lab.name]).output().expect("meshproof can be started");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(2), "{verb}: {said}");
        let holder = format!("process {}", first.0.id());
        assert!(said.contains(lab.name) && said.contains(&holder), "{verb}: the first one is named: {said}");
    }
    assert_eq!(first.end(), Some(0), "the first one is not disturbed");
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
    ran();
}
