//! Breaking the mesh: the clauses concerned go red, with the cause named, and no other does. Once by hand, as a user
//! would, and once in every layer by `meshproof prove`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness::sabotage::{Layer, Trial};
use quick_junit::TestCaseStatus;

use crate::bringing;
use crate::bystander;
use crate::calling::{Lab, kubectl};
use crate::capturing;
use crate::lost_lab;
use crate::reading;
use crate::reports;

/// One of each layer; `make prove` carries out the whole catalogue.
const SABOTAGES: [&str; 8] = [
    "route-lost-in-primary",
    "network-of-another-name",
    "gateway-resource-missing",
    "injection-path-of-another-cluster",
    "remote-secret-missing",
    "ca-bundle-by-hand",
    "service-missing-in-client",
    "traffic-skewed",
];

#[test]
fn what_is_broken_is_red_where_it_belongs_and_nowhere_else() {
    let lab = Lab::fresh("t-break");
    assert_eq!(lab.call("up", &[]), 0);
    assert_eq!(lab.call("install", &[]), 0);
    bystander::gets_no_certificate(&lab);
    reading::judges_with_the_printed_rights_and_writes_nothing(&lab);
    capturing::takes_the_printed_rights_and_writes_nothing(&lab);
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = an_annotation_is_missed(&lab, folder.path());
    every_layer_is_proved(&lab);
    assert_eq!(lab.call("uninstall", &[]), 0, "{:#?}", lab.verdicts());
    bringing::leaves_the_users_clusters_as_they_were(&lab);
    // The lab is of no more use for anything else.
    lost_lab::another_version_is_named(&lab);
    lost_lab::a_lost_node_is_named(&lab);
    lost_lab::down_works_on_another_version(&lab);
    capturing::is_red_again_at_the_annotation(&bundle);
}

/// By hand: nothing of the harness has a part in the breaking, nor in what is expected. Returns the bundle of what was broken.
fn an_annotation_is_missed(lab: &Lab, folder: &Path) -> PathBuf {
    let annotate = |annotation: &str| {
        kubectl(lab, "cluster2", &["annotate", "namespace", "istio-system", annotation]);
    };
    annotate("topology.istio.io/controlPlaneClusters-");
    let exit = lab.call("check", &[]);
    reports::say(lab, "red", "cluster2 Namespace istio-system lacks the annotation");
    let bundle = capturing::captured(lab, folder);
    annotate("topology.istio.io/controlPlaneClusters=cluster1");
    let verdicts = lab.verdicts();
    let other: Vec<_> = verdicts.iter().filter(|(_, shown)| *shown != "passed").map(|(id, _)| id.as_str()).collect();
    // The mesh stays installed, so the clean-up is not judged.
    assert_eq!((exit, other), (1, vec!["D12", "D4"]), "{verdicts:#?}");
    for word in ["cluster2", "istio-system", "topology.istio.io/controlPlaneClusters"] {
        assert!(verdicts["D4"].contains(word), "the cause names {word}: {}", verdicts["D4"]);
    }
    bundle
}

fn every_layer_is_proved(lab: &Lab) {
    // Beside another lab, what holds needs longer to show that once another check has the blame.
    let exit = lab.call("prove", &["--only", &SABOTAGES.join(","), "--judge-once", "--slow", "2"]);
    assert_eq!(exit, 0, "all are told, and everything is mended: {:#?}", lab.verdicts());
    let path = lab.runs.join("latest/trials.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let trials: Vec<Trial> = text.lines().map(|line| serde_json::from_str(line).expect("a trial a line")).collect();
    let ids: BTreeSet<&str> = trials.iter().map(|trial| trial.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(SABOTAGES));
    let layers: BTreeSet<Layer> = trials.iter().map(|trial| trial.layer).collect();
    assert_eq!(layers, BTreeSet::from(Layer::ALL), "one of each layer");
    for trial in &trials {
        let told: Vec<_> = trial.got.verdicts.iter().filter(|(_, verdict)| verdict != "skipped").collect();
        assert_eq!(told.len(), suites::registry().len() - 1, "{}: every clause but D12 was asked: {told:?}", trial.id);
        assert!(trial.is_as_expected(), "{trial:#?}");
        assert!(trial.got.verdicts.contains(&(trial.first.clone(), "failed".to_string())), "{trial:#?}");
    }
    let report = lab.junit();
    let cases: Vec<_> = report.test_suites.iter().flat_map(|suite| &suite.test_cases).collect();
    assert_eq!(cases.len(), SABOTAGES.len(), "JUnit has a testcase for each sabotage");
    assert!(cases.iter().all(|case| matches!(case.status, TestCaseStatus::Success { .. })));
    println!("sabotages: {} of {} detected as expected, one of each layer", trials.len(), SABOTAGES.len());
}
