//! Files are bounded and clean, and the index says what each one is.

use harness::diagnose::folder::{Folder, cut};
use harness::diagnose::hints::hints;
use harness::scenario::IstioNamespace;
use rstest::rstest;

#[rstest]
#[case::short("short", 100)]
#[case::as_long_as_it_may_be("0123456789", 10)]
fn a_text_within_its_limit_stays(#[case] text: &str, #[case] limit: usize) {
    assert_eq!(cut(text, limit), text);
}

#[rstest]
#[case::lines(&(0..1000).map(|n| format!("line {n}\n")).collect::<String>())]
#[case::one_line(&format!("line 0{}line 999\n", "x".repeat(9000)))]
#[case::wide_characters(&format!("line 0\n{}line 999\n", "ä€😀".repeat(2000)))]
fn a_long_text_keeps_its_head_and_more_of_its_tail(#[case] text: &str) {
    let kept = cut(text, 900);
    assert!(kept.len() < 1000, "{}", kept.len());
    assert!(kept.starts_with("line 0") && kept.ends_with("line 999\n"), "{kept}");
    let (head, rest) = kept.split_once("\n[... ").expect("a remark says that something is gone");
    let (gone, tail) = rest.split_once(" bytes are cut out here ...]\n").expect("it says how much");
    assert!(head.len() < tail.len(), "{kept}");
    let gone: usize = gone.parse().expect("a number");
    assert_eq!(head.len() + gone + tail.len(), text.len(), "nothing is unaccounted for");
}

#[test]
fn the_index_names_every_file_what_is_missing_and_what_it_means() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut folder = Folder::new(home.path(), 60, 1000);
    folder.write(
        "primary/logs/istio-system/istiod-x.discovery.log",
        "istiod's log",
        "should join leader-election for cluster cluster2: false\n",
    );
    folder.write("remote/long.txt", "a long text", &"many words\n".repeat(100));
    folder.miss("remote/pods.yaml", "no answer within 10 s\nand more");
    let found = hints(folder.texts(), &IstioNamespace::default());
    let (files, missing) = folder.close("Head.", &found);
    assert_eq!((files, found.len()), (3, 1));
    assert_eq!(missing, ["remote/pods.yaml: no answer within 10 s"]);
    let index = std::fs::read_to_string(home.path().join("README.md")).expect("the index is there");
    for part in [
        "Head.",
        "istiod does not lead in the remote cluster",
        "remote/pods.yaml: no answer within 10 s",
        "| [primary/logs/istio-system/istiod-x.discovery.log](primary/logs/istio-system/istiod-x.discovery.log) | istiod's log | 56 |",
        " of 1100, cut in the middle |",
    ] {
        assert!(index.contains(part), "{part} is not in:\n{index}");
    }
}

#[test]
fn all_files_together_are_bounded_and_the_rest_is_named() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut folder = Folder::new(home.path(), 1000, 1500);
    for file in ["a", "b", "c"] {
        folder.write(file, "text", &"0123456789 more words\n".repeat(45));
    }
    let (files, missing) = folder.close("", &[]);
    let size = |file: &str| std::fs::metadata(home.path().join(file)).map_or(0, |found| found.len());
    assert_eq!((files, missing.len()), (3, 1), "{missing:?}");
    assert!(missing[0].starts_with("c: "), "{missing:?}");
    assert!(size("a") > 900 && size("b") < 600 && size("c") == 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_said_and_nothing_more() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let blocked = home.path().join("file");
    std::fs::write(&blocked, "").expect("a file");
    let mut folder = Folder::new(&blocked, 100, 100);
    folder.write("a", "text", "text");
    let (files, missing) = folder.close("", &[]);
    assert_eq!((files, missing.len()), (0, 2), "{missing:?}");
}

#[test]
fn no_secret_reaches_a_file_or_the_list_of_what_is_missing() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrIn0.c2lnbmF0dXJl";
    let mut folder = Folder::new(home.path(), 1000, 1000);
    folder.write("a.log", "log", &format!("Authorization: Bearer {token}\nkept\n"));
    folder.miss("b", &format!("refused {token}"));
    let (_, missing) = folder.close(&format!("head {token}"), &[]);
    for file in ["a.log", "README.md"] {
        let text = std::fs::read_to_string(home.path().join(file)).expect("it was written");
        assert!(!text.contains(token), "{text}");
    }
    assert!(!missing[0].contains(token), "{missing:?}");
}
