//! A canary upgrade of the control plane and back, under steady traffic: every round is as its scenario file expects.

use std::path::Path;

use crate::calling::Lab;

#[test]
fn an_upgrade_by_revision_and_back_loses_no_request_that_the_file_does_not_tell() {
    let lab = Lab::fresh("t-upgrade");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/upgrade-1-29-to-1-31.yaml");
    let (exit, said) = lab.ask("run", &["--scenario", &scenario.to_string_lossy(), "--keep", "never"]);
    assert_eq!(exit, 0, "{said}");
    let verdicts = lab.verdicts();
    for round in ["before", "beside", "during", "skew", "after", "rolled-back"] {
        for id in ["D1", "D6", "D11", "traffic"] {
            assert!(verdicts.contains_key(&format!("{round}/{id}")), "{round}/{id} is not in {verdicts:?}");
        }
    }
    assert!(verdicts.contains_key("D12"), "{verdicts:?}");
    assert_eq!(lab.remains(), Vec::<String>::new());
}
