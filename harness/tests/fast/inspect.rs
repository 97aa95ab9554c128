//! Bug reports that cannot be judged: all that is wrong with both is said, before anything is made.

use std::fs;
use std::path::{Path, PathBuf};

use harness::inspect::open;
use harness::scenario::IstioNamespace;
use rstest::rstest;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/bug-report").join(name)
}

fn said(primary: &Path, remote: &Path, namespace: &str) -> String {
    let namespace = IstioNamespace::named(namespace).expect("a namespace");
    open(primary, remote, &namespace).expect_err("it is refused").to_string()
}

#[rstest]
#[case::swapped("remote.tar.gz", "primary.tar.gz", "istio-system", "the archives are swapped")]
#[case::twice("primary.tar.gz", "primary.tar.gz", "istio-system", "is given twice")]
#[case::of_another_namespace("primary.tar.gz", "remote.tar.gz", "mesh-system", "namespace mesh-system")]
fn archives_of_no_mesh_are_named(
    #[case] primary: &str,
    #[case] remote: &str,
    #[case] namespace: &str,
    #[case] why: &str,
) {
    let said = said(&recorded(primary), &recorded(remote), namespace);
    assert!(said.contains(why), "{said}");
}

#[test]
fn what_is_wrong_with_both_is_said_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cut, no_archive) = (folder.path().join("cut.tar.gz"), folder.path().join("none.tar.gz"));
    let whole = fs::read(recorded("primary.tar.gz")).expect("the archive");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("it can be written");
    fs::write(&no_archive, "hello").expect("it can be written");
    let said = said(&cut, &no_archive, "istio-system");
    for word in ["2 problems", "cut.tar.gz", "none.tar.gz", "istioctl bug-report"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 2, "nothing was unpacked");
}
