//! The main job: from nothing to a green verdict, with nothing of the user's touched. It goes by way of a matrix of one run
//! with an overlay, as a pull request to a mesh configuration is gated.

use std::process::Command;

use quick_junit::TestCaseStatus;

use crate::calling::{Lab, docker, judged, workload_image};
use crate::reports;

/// A container and a kubeconfig that a user may well have under these very names.
struct Users {
    kubeconfig: tempfile::NamedTempFile,
}

const USERS_CONTAINER: &str = "cluster1-control-plane";
const USERS_KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: kind-cluster1\n";

/// What a pull request may ask for; it changes nothing that is judged.
const OVERLAY: &str = "\
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    defaultConfig:
      proxyMetadata: {OVERLAY: seen}
";

impl Users {
    fn new() -> Users {
        let _ = Command::new("docker").args(["rm", "-f", USERS_CONTAINER]).output();
        docker(&["run", "-d", "--name", USERS_CONTAINER, &workload_image(), "serve"]);
        let kubeconfig = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(kubeconfig.path(), USERS_KUBECONFIG).expect("it can be written");
        Users { kubeconfig }
    }

    fn are_untouched(&self) {
        let state = docker(&["inspect", "-f", "{{.State.Running}}", USERS_CONTAINER]);
        assert_eq!(String::from_utf8_lossy(&state.stdout).trim(), "true", "the user's container runs on");
        let text = std::fs::read_to_string(self.kubeconfig.path()).expect("the user's kubeconfig is there");
        assert_eq!(text, USERS_KUBECONFIG);
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", USERS_CONTAINER]).output();
    }
}

#[test]
fn a_run_from_nothing_is_green_in_every_clause_and_touches_nothing_of_the_users() {
    let lab = Lab::fresh("t-green");
    let users = Users::new();
    let mesh = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(mesh.path(), OVERLAY).expect("it can be written");
    let overlay = format!("primary={}", mesh.path().display());
    let mut matrix = lab.command("matrix", &["--overlay", &overlay]);
    matrix.env("KUBECONFIG", users.kubeconfig.path());
    let (exit, _) = lab.shown(matrix);
    let report = lab.junit();
    assert_eq!(exit, 0, "{:#?}", lab.verdicts());

    let cases: Vec<_> = judged(&report).collect();
    let names: Vec<String> = cases.iter().map(|case| case.name.as_str().to_string()).collect();
    let catalogue: Vec<String> = suites::registry().iter().map(|case| format!("{} {}", case.id, case.slug)).collect();
    assert_eq!(names, catalogue, "JUnit holds exactly the catalogue, beside steps and parts of the lab");
    for case in report.test_suites.iter().flat_map(|suite| &suite.test_cases) {
        assert!(matches!(case.status, TestCaseStatus::Success { .. }), "{}: {:?}", case.name.as_str(), case.status);
    }
    for case in &cases {
        let evidence = case.system_out.as_ref().map_or("", |text| text.as_str());
        assert!(evidence.contains(" | "), "{} carries evidence", case.name.as_str());
    }
    println!("lab checks: {} of {} ran", cases.len(), catalogue.len());

    let about = report.test_suites[0].system_out.as_ref().map_or("", |text| text.as_str()).to_string();
    let laid_over = "deviation from the guide = overlay-primary.json is laid over the operator of cluster1";
    for fact in ["cluster1 kube-system uid = ", "cluster2 kube-system uid = ", laid_over] {
        assert!(about.contains(fact), "the report says {fact}");
    }
    assert!(about.contains("sha256:"), "the report carries image digests: {about}");
    reports::say(&lab, "green", "control-plane-through-gateway");
    let table = std::fs::read_to_string(lab.runs.join("latest/table.txt")).expect("the matrix has a table");
    assert!(table.contains("\n1 of 1 run green\n"), "{table}");
    assert_eq!(lab.remains(), Vec::<String>::new(), "nothing of the lab is left");
    users.are_untouched();
}
