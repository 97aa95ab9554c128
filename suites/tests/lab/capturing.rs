//! A mesh that is captured while it is broken, and rebuilt from its bundle alone once it is gone.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::bundle;
use harness::role::Role;

use crate::account::Account;
use crate::calling::{Lab, MESHPROOF};

/// Who captures.
const CAPTURER: Account = Account {
    verb: "capture",
    name: bundle::ACCOUNT,
    rights: |role: Role| {
        let rights = bundle::rights(None).into_iter().map(|(right, _)| right);
        rights.filter(|right| right.role == role).collect()
    },
};

/// Clauses that an annotation could have to do with, and that take seconds.
const ASKED: &str = "D1,D2,D3,D4,D5,D6,D8,D9";

/// Captures with the printed rights and no others: nothing is written in the clusters, and nothing is missed.
pub fn takes_the_printed_rights_and_writes_nothing(lab: &Lab) {
    CAPTURER.made(lab);
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = CAPTURER.kubeconfig(lab, folder.path());
    let mut capture = Command::new(MESHPROOF);
    capture.args(["capture", "--contexts", "mine-a,mine-b", "-o"]).arg(folder.path().join("bundle"));
    capture.env("KUBECONFIG", kubeconfig);
    let (exit, said) = lab.shown(capture);
    assert!(exit == 0 && !said.contains("Not read"), "{said}");
    CAPTURER.used_only_the_printed_rights(lab);
    CAPTURER.removed(lab);
}

/// Captures the clusters of this lab; returns the bundle, which lies in this folder.
pub fn captured(lab: &Lab, folder: &Path) -> PathBuf {
    let bundle = folder.join("bundle");
    let mut capture = Command::new(MESHPROOF);
    capture.args(["capture", "--lab", lab.name, "--anonymise", "-o"]).arg(&bundle).current_dir(folder);
    let (exit, said) = lab.shown(capture);
    assert_eq!(exit, 0, "{said}");
    let there = std::fs::read_dir(folder).expect("the folder").count();
    assert_eq!(there, 1, "nothing was written beside the bundle");
    nothing_secret(&bundle);
    bundle
}

/// No token, key or certificate, and no address of the lab.
fn nothing_secret(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            nothing_secret(&entry.path());
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("every file is a text");
        for word in ["eyJ", "PRIVATE KEY", "BEGIN CERTIFICATE", "LS0t", "172.30."] {
            assert!(!text.contains(word), "{} has {word}", entry.path().display());
        }
    }
}

/// Rebuilds the bundle of a mesh that lacks the annotation: the same clause is red, and no other.
pub fn is_red_again_at_the_annotation(bundle: &Path) {
    let lab = Lab::fresh("t-rebuilt");
    let bundle = bundle.to_string_lossy().into_owned();
    let exit = lab.call("run", &[&bundle, "--only", ASKED, "--keep", "always"]);
    let verdicts = lab.verdicts();
    let other: Vec<_> = verdicts.iter().filter(|(_, shown)| *shown != "passed").map(|(id, _)| id.as_str()).collect();
    assert_eq!((exit, other), (1, vec!["D4"]), "{verdicts:#?}");
    let report = lab.junit();
    let about = report.test_suites[0].system_out.as_ref().map_or("", |text| text.as_str()).to_string();
    assert!(about.contains("not rebuilt: "), "the report says what was not rebuilt: {about}");
    println!("rebuilt from a bundle: D4 is red again, and no other of {}", verdicts.len());
}
