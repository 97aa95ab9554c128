//! The JSON Schema of scenario files: published as it is generated, true to the reader, and of use to editors.

use std::path::{Path, PathBuf};

use harness::cli::scenarios::pretty_schema;
use harness::scenario::schema;
use rstest::rstest;
use serde_json::Value;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_valid(text: &str) -> Result<(), String> {
    let file: Value = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    jsonschema::validate(&schema(), &file).map_err(|error| format!("{}: {error}", error.instance_path()))
}

/// `MESHPROOF_ACCEPT=1 cargo test --test fast schema` writes it anew.
#[test]
fn the_schema_is_published_as_it_is_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/scenarios/scenario.schema.json");
    if std::env::var_os("MESHPROOF_ACCEPT").is_some() {
        std::fs::write(&path, pretty_schema()).unwrap();
    }
    assert!(read(&path) == pretty_schema(), "{} differs; MESHPROOF_ACCEPT=1 writes it anew", path.display());
}

#[rstest]
fn a_scenario_that_is_taken_is_valid(#[files("../suites/scenarios/**/*.yaml")] path: PathBuf) {
    is_valid(&read(&path)).unwrap();
}

#[test]
fn what_a_new_file_offers_in_comments_is_valid() {
    let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/scenarios/primary-remote.yaml"));
    let offered = |line: &str| {
        let (before, field) = line.split_once("# ")?;
        let word = field.split_whitespace().next()?;
        (word.ends_with(':') || word == "-").then(|| format!("{before}{field}"))
    };
    let lines: Vec<String> = text.lines().map(|line| offered(line).unwrap_or_else(|| line.to_string())).collect();
    is_valid(&lines.join("\n")).unwrap();
}

#[rstest]
#[case::no_name("lab: x", "name")]
#[case::unknown_field("name: x\nlabb: x", "labb")]
#[case::unknown_field_of_a_cluster("name: x\nclusters: {primary: {node: 2}}", "node")]
#[case::third_cluster("name: x\nclusters: {third: {}}", "third")]
#[case::too_many_nodes("name: x\nclusters: {primary: {nodes: 10}}", "10")]
#[case::no_verdict("name: x\nexpect: {D8: red}", "red")]
#[case::no_verdict_of_a_round("name: x\ntimeline: [{judge: {name: late, expect: {D8: red}}}]", "timeline")]
#[case::no_moment("name: x\ntimeline: [{wait: 5s}]", "timeline")]
#[case::no_images("name: x\nimages: mine", "mine")]
#[case::another_form("name: x\nschema: 2", "schema")]
fn a_mistake_that_an_editor_can_see_is_invalid(#[case] text: &str, #[case] word: &str) {
    let said = is_valid(text).unwrap_err();
    assert!(said.contains(word), "{said}");
}
