//! The shell of the action, carried out as GitHub's runner does, as a user who is not root: what comes to the programs that it
//! calls. Those are stubs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use harness::cli::args::Cli;
use rstest::rstest;
use serde_json::Value;

/// Says what it was given: an argument a line, then its environment.
const PROGRAM: &str = "#!/bin/sh\nprintf '[%s]\\n' \"$@\"\nexec /usr/bin/env\n";

/// As Debian's sudo: it keeps what it is told to, and has a PATH of its own.
const SUDO: &str = r#"#!/bin/bash
passed=(PATH=/usr/bin:/bin)
kept="${1#--preserve-env=}"; shift
for name in ${kept//,/ }; do
  [ "$name" = PATH ] || [ -z "${!name+set}" ] || passed+=("$name=${!name}")
done
exec /usr/bin/env -i "${passed[@]}" "$@"
"#;

fn folder_of_action() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/actions/meshproof")
}

/// What the step of this id says, with these variables beside what the inputs are by default.
fn said(id: &str, variables: &[(&str, &str)]) -> String {
    let text = fs::read_to_string(folder_of_action().join("action.yml")).expect("the action is there");
    let action: Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["id"] == id).expect("the step");
    let folder = tempfile::tempdir().expect("a folder");
    let programs =
        [("debug/meshproof", PROGRAM), ("bin/make", PROGRAM), ("bin/sudo", SUDO), ("bin/id", "#!/bin/sh\necho 1001\n")];
    for (name, program) in programs {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, program).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its rights");
    }
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().expect("a script")]);
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", folder.path().join("bin").display()));
    command.env("CARGO_TARGET_DIR", folder.path()).env("GITHUB_ACTION_PATH", folder_of_action());
    command.env("GITHUB_OUTPUT", folder.path().join("output"));
    command.envs(step["env"].as_object().expect("variables").keys().map(|name| (name, "")));
    command.envs(variables.iter().copied());
    let output = command.output().expect("bash can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let outputs = fs::read_to_string(folder.path().join("output")).unwrap_or_default();
    String::from_utf8(output.stdout).expect("text") + &outputs
}

/// The arguments of a program that was called.
fn arguments(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).collect()
}

#[rstest]
#[case::none("", &["run"])]
#[case::blanks(" --slow 2  --only D1 ", &["run", "--slow", "2", "--only", "D1"])]
#[case::lines("--overlay primary=a.yaml\n--overlay remote=b.yaml\n", &["run", "--overlay", "primary=a.yaml", "--overlay", "remote=b.yaml"])]
#[case::no_program("--lab $(id) *", &["run", "--lab", "$(id)", "*"])]
fn every_flag_of_every_line_comes_to_meshproof(#[case] flags: &str, #[case] words: &[&str]) {
    assert_eq!(arguments(&said("run", &[("FLAGS", flags)])), words);
}

#[rstest]
#[case::setup("setup")]
#[case::run("run")]
fn images_are_those_of_the_scenario_unless_the_job_or_the_input_says_otherwise(#[case] step: &str) {
    let source = |variables: &[(&str, &str)]| {
        let said = said(step, variables);
        said.lines().find_map(|line| line.strip_prefix("MESHPROOF_IMAGES=")).map(str::to_string)
    };
    assert_eq!(source(&[]), None);
    assert_eq!(source(&[("MESHPROOF_IMAGES", "local")]).as_deref(), Some("local"));
    assert_eq!(source(&[("MESHPROOF_IMAGES", "local"), ("IMAGES", "official")]).as_deref(), Some("official"));
}

#[rstest]
#[case::setup("setup")]
#[case::run("run")]
fn root_has_every_variable_that_meshproof_and_its_programs_read(#[case] step: &str) {
    let help = Cli::command().render_long_help().to_string();
    let (_, documented) = help.split_once("Environment:\n").expect("a part of the help");
    let (documented, _) = documented.split_once("\n\n").expect("it ends");
    let words = documented.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let capitals =
        |word: &&str| word.len() > 1 && !word.contains(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let mut names: BTreeSet<&str> = words.filter(capitals).filter(|word| !["CI", "DIR", "NO"].contains(word)).collect();
    assert!(names.contains("MESHPROOF_RELEASES") && names.contains("NO_PROXY"), "{names:?}");
    names.extend([
        "CI",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "DOCKER_HOST",
        "KUBECONFIG",
        "https_proxy",
        "no_proxy",
    ]);
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (*name, "kept")).collect();
    let said = said(step, &variables);
    for name in names {
        assert!(said.contains(&format!("\n{name}=kept\n")), "{name} in {said}");
    }
    assert!(said.lines().any(|line| line.starts_with("PATH=") && line.contains("/bin:/usr/bin")), "{said}");
    assert!(said.contains("\nGITHUB_OUTPUT=/"), "{said}");
}

#[test]
fn two_uses_of_the_action_have_artifacts_of_different_names() {
    let name = || {
        let said = said("setup", &[("GITHUB_JOB", "mesh")]);
        said.lines().find_map(|line| line.strip_prefix("artifact=")).expect("a name").to_string()
    };
    let [one, other] = [name(), name()];
    assert!(one != other && one.starts_with("meshproof-runs-mesh-"), "{one}, {other}");
}
