//! `meshproof scenario`: what it writes and what it refuses.

use std::path::{Path, PathBuf};

use harness::cli::args::{ScenarioPath, ScenarioPaths, ScenarioVerb};
use harness::cli::scenarios::call;
use harness::exit::Exit;
use harness::problem::Problems;
use harness::scenario::Known;
use harness::versions::Versions;

use crate::said::said;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn ask(verb: ScenarioVerb) -> Result<Exit, Problems> {
    let versions = Versions::parse(&std::fs::read_to_string(root().join("kind/versions.toml")).unwrap()).unwrap();
    let cases = crate::catalogue::catalogue();
    call(&verb, &root(), Known { versions: &versions, cases: &cases, steps: &[], sabotages: &[] })
}

#[test]
fn a_new_file_is_sound_names_its_schema_and_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    let new = || ask(ScenarioVerb::New(ScenarioPath { file: file.clone() }));
    assert_eq!(new(), Ok(Exit::Green));
    assert_eq!(ask(ScenarioVerb::Check(ScenarioPaths { files: vec![file.clone()] })), Ok(Exit::Green));
    let text = std::fs::read_to_string(&file).unwrap();
    let schema = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema=")).unwrap();
    assert!(folder.path().join(schema).is_file());
    std::fs::write(&file, "name: mine\n").unwrap();
    let said = new().unwrap_err().to_string();
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "name: mine\n");
}

#[test]
fn all_files_are_checked_and_what_is_wrong_with_each_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let bad = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let files = vec![bad("a.yaml", "nam: a\n"), folder.path().join("none.yaml"), bad("c.yaml", "name: c\nlab: C\n")];
    let said = said(&ask(ScenarioVerb::Check(ScenarioPaths { files })).unwrap_err());
    for word in ["a.yaml:1:1: a scenario has no field `nam`", "none.yaml: cannot be read", "c.yaml:2:6: `C` cannot be"]
    {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}
