//! Labs that cannot be used any more: written by another version of meshproof, half made, or with a node gone.

use serde_json::{Value, json};

use crate::calling::{Lab, docker, node};
use harness::lab::Home;

/// How another version may have left `lab.json`, and what must be said of it.
struct Other {
    what: &'static str,
    change: fn(&mut Value),
    words: &'static [&'static str],
}

const OTHERS: [Other; 3] = [
    Other {
        what: "another format",
        change: |file| {
            file["format"] = json!(99);
            file["meshproof"] = json!("9.9.9");
        },
        words: &["9.9.9", "format 99", "reads format"],
    },
    Other {
        what: "a missing field",
        change: |file| {
            file.as_object_mut().expect("an object").remove("proved");
            file["meshproof"] = json!("0.0.9");
        },
        words: &["0.0.9", "proved"],
    },
    Other {
        what: "nothing that is known",
        change: |file| *file = json!({"name": "lab"}),
        words: &["of an unknown version"],
    },
];

/// Each verb names the version that made the lab and says how to be rid of it; nothing is changed.
pub fn another_version_is_named(lab: &Lab) {
    let path = Home::from_environment().lab(lab.name).join("lab.json");
    let own = std::fs::read_to_string(&path).expect("the lab is up");
    for Other { what, change, words } in OTHERS {
        eprintln!("=== lab.json has {what}");
        let mut file: Value = serde_json::from_str(&own).expect("it is JSON");
        change(&mut file);
        std::fs::write(&path, file.to_string()).expect("it can be written");
        for verb in ["status", "check", "install", "uninstall"] {
            let (exit, said) = lab.ask(verb, &[]);
            assert_eq!(exit, if verb == "status" { 0 } else { 2 }, "{what}: {verb}: {said}");
            for word in words.iter().chain(&["meshproof down --lab"]) {
                assert!(said.contains(word), "{what}: {verb} says {word}: {said}");
            }
        }
    }
    std::fs::write(&path, own).expect("it can be written");
}

/// With a node removed, `status` and `check` name it; no clause is green, and `down` works, whoever wrote `lab.json`.
pub fn a_lost_node_is_named(lab: &Lab) {
    let lost = node(lab, "cluster2");
    docker(&["rm", "--force", "--volumes", &lost]);
    let gone = format!("node {lost} is gone");
    let (exit, said) = lab.ask("status", &[]);
    assert_eq!(exit, 0);
    assert!(said.contains(&format!("broken: {gone}")) && said.contains("to mend it: meshproof down"), "{said}");
    for verb in ["check", "install"] {
        let (exit, said) = lab.ask(verb, &[]);
        assert_eq!(exit, 3, "{verb}: {said}");
        assert!(said.contains(&gone) && said.contains("meshproof down --lab"), "{verb}: {said}");
        let verdicts = lab.verdicts();
        assert!(!verdicts.values().any(|shown| shown == "passed"), "{verb}: nothing can be told: {verdicts:#?}");
    }
}

/// Removes the lab after its file was written by another version.
pub fn down_works_on_another_version(lab: &Lab) {
    let path = Home::from_environment().lab(lab.name).join("lab.json");
    std::fs::write(&path, r#"{"format": 99}"#).expect("it can be written");
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
}
