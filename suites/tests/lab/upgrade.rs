//! A second control plane by revision, to which a cluster goes over and from which it comes back, under steady traffic.

use std::path::Path;

use crate::calling::Lab;

#[test]
fn a_cluster_goes_over_to_another_control_plane_and_back_without_the_loss_of_a_request() {
    let lab = Lab::fresh("t-upgrade");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/upgrade.yaml");
    // A green lab goes, although clean-up is judged only when that is decided.
    let (exit, said) = lab.ask("run", &["--scenario", &scenario.to_string_lossy(), "--keep", "on-failure"]);
    assert_eq!(exit, 0, "{said}");
    let verdicts = lab.verdicts();
    let others: Vec<_> = verdicts.iter().filter(|(_, shown)| *shown != "passed").collect();
    assert!(others.is_empty(), "{others:?}");
    for told in ["after/D6", "after/D8", "after/traffic", "back/traffic", "cut/traffic", "D11", "D12"] {
        assert!(verdicts.contains_key(told), "{told} is not in {verdicts:?}");
    }
    let report = lab.junit();
    let told = |id: &str| {
        let mut cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        let case = cases.find(|case| case.name.as_str().starts_with(id)).expect("it is in the report");
        case.system_out.as_ref().map(|out| out.as_str().to_string()).unwrap_or_default()
    };
    // Nothing that the harness sent is left out of the account.
    let account = told("after/traffic");
    for line in ["cluster1, timeline-4", "cluster2, timeline-4", "cluster1, round after", "cluster2, round after"] {
        assert!(account.contains(line), "{line} is not in {account}");
    }
    let lost = told("cut/traffic");
    assert!(lost.contains("failed as expected") && lost.contains("were lost, "), "{lost}");
    assert_eq!(lab.remains(), Vec::<String>::new());
}
