//! Every line of the shell in the workflows, carried out as GitHub's runner does: with bash, in a workspace, by variables.
//!
//! What takes hours there is only planned here: `make` says what it would do, and a shard lists its runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::Value;

use crate::calling::MESHPROOF;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project is there")
}

/// A workspace with the command where `make build` puts it, and programs before those of the machine.
fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = folder.path().join("bin");
    fs::create_dir_all(folder.path().join("target/debug")).expect("a folder");
    fs::create_dir(&programs).expect("a folder");
    symlink(MESHPROOF, folder.path().join("target/debug/meshproof")).expect("a link");
    let root = repository();
    symlink(root.join(".github"), folder.path().join(".github")).expect("a link");
    let make =
        format!("#!/bin/sh\nexec /usr/bin/env -i PATH=/usr/bin:/bin make --dry-run -C '{}' \"$@\"\n", root.display());
    let sudo = "#!/bin/sh\nwhile case \"$1\" in -*) true;; *) false;; esac; do shift; done\nexec \"$@\"\n";
    for (name, text) in [("make", make.as_str()), ("sudo", sudo)] {
        let path = programs.join(name);
        fs::write(&path, text).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its rights");
    }
    // What the shards have left, for the job that merges it: a recorded matrix, with the events of a recorded run.
    let shard = folder.path().join("shards/shard-0");
    fs::create_dir_all(&shard).expect("a folder");
    let recorded = fs::read_to_string(root.join("fixtures/runs/matrix/matrix.json")).expect("it was recorded");
    let matrix: Value = serde_json::from_str(&recorded).expect("it is JSON");
    for run in matrix["combinations"].as_array().expect("it has runs") {
        let of = |field: &str| run[field].as_str().expect("a text").to_string();
        let run = shard.join(format!("istio-{}-kubernetes-{}-{}", of("istio"), of("kubernetes"), of("scenario")));
        fs::create_dir_all(&run).expect("a folder");
        fs::copy(root.join("fixtures/runs/green.jsonl"), run.join("events.jsonl")).expect("its events");
    }
    fs::write(shard.join("matrix.json"), recorded).expect("a file");
    folder
}

#[rstest]
#[case::ci("ci.yaml")]
#[case::matrix("matrix.yaml")]
#[case::gate("gate.yaml")]
#[case::official("official.yaml")]
fn every_line_of_a_workflow_runs(#[case] name: &str) {
    let text = fs::read_to_string(repository().join(".github/workflows").join(name)).expect("the workflow is there");
    let workflow: Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
    let folder = workspace();
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").expect("a PATH"));
    let steps =
        workflow["jobs"].as_object().expect("jobs").values().flat_map(|job| job["steps"].as_array().expect("steps"));
    for script in steps.filter_map(|step| step["run"].as_str()) {
        let flags = workflow["env"]["FLAGS"].as_str().unwrap_or_default();
        let flags = if script.contains("$SHARD") { format!("{flags} --list") } else { flags.to_string() };
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(folder.path());
        command.envs([("PATH", path.as_str()), ("CI", "true"), ("SHARD", "1/2"), ("FLAGS", &flags)]);
        command.env("MESHPROOF_ROOT", repository());
        for file in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
            command.env(file, folder.path().join(file));
        }
        let output = command.output().expect("bash can be started");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(output.status.success(), "{script}\n{said}");
    }
    if name == "matrix.yaml" {
        let read = |file: &str| fs::read_to_string(folder.path().join(file)).expect("it was written");
        let (_, matrix) = read("GITHUB_OUTPUT")
            .split_once("matrix=")
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .expect("an output");
        let matrix: Value = serde_json::from_str(&matrix).expect("what strategy.matrix reads is JSON");
        assert_eq!(matrix["include"].as_array().map(Vec::len), Some(2), "a job for each of two shards: {matrix}");
        assert!(
            read("GITHUB_STEP_SUMMARY").contains("4 of 4 runs green"),
            "the table stands in the summary of the job"
        );
    }
}
