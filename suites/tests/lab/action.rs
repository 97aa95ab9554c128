//! The action for GitHub, as its runner carries it out: every line of the shell that it has, with what is given in variables, on
//! a real lab.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::calling::{Lab, MESHPROOF};

const ACTION: &str = "../.github/actions/meshproof";

/// What the step that uses it gives; all else is as the action says.
const WITH: [(&str, &str); 3] = [("checks", "D1,D4"), ("images", "local"), ("flags", "--lab t-action")];

/// A job on a runner: its workspace, its files and its variables.
struct Job {
    folder: tempfile::TempDir,
    path: String,
}

impl Job {
    fn new() -> Job {
        let folder = tempfile::tempdir().expect("a folder");
        // The tests are built already, with features of their own: for the action alone most crates would be built once more.
        let cargo = format!(
            "#!/bin/sh\n[ \"$1\" = build ] && set -- build --quiet --locked --workspace --test lab\nexec '{}' \"$@\"\n",
            env!("CARGO")
        );
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).expect("a folder");
        fs::create_dir(folder.path().join("workspace")).expect("a folder");
        fs::write(programs.join("cargo"), cargo).expect("a program");
        fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).expect("its rights");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a PATH"));
        Job { folder, path }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// A step of the action as the runner starts it.
    fn step(&self, action: &Value, step: &Value) -> Command {
        let target = Path::new(MESHPROOF).ancestors().nth(2).expect("the folder of the build");
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().expect("a script")]);
        command.current_dir(self.file("workspace")).env("PATH", &self.path).env("CARGO_TARGET_DIR", target);
        command.env("GITHUB_ACTION_PATH", Path::new(env!("CARGO_MANIFEST_DIR")).join(ACTION));
        command.envs([("CI", "true"), ("GITHUB_ACTIONS", "true")]);
        command.env("GITHUB_OUTPUT", self.file("output")).env("GITHUB_STEP_SUMMARY", self.file("summary"));
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, given(action, value.as_str().expect("a text")));
        }
        command
    }
}

/// The value of an expression that names an input.
fn given(action: &Value, expression: &str) -> String {
    let input = expression.strip_prefix("${{ inputs.").and_then(|rest| rest.strip_suffix(" }}")).expect(expression);
    let with = WITH.iter().find(|(name, _)| *name == input).map(|(_, value)| value.to_string());
    with.unwrap_or_else(|| action["inputs"][input]["default"].as_str().expect(input).to_string())
}

#[test]
fn every_line_of_the_action_runs_and_the_job_is_told_the_verdict() {
    let lab = Lab::fresh("t-action");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ACTION).join("action.yml"));
    let action: Value = serde_yaml_ng::from_str(&text.expect("the action is there")).expect("it is YAML");
    let job = Job::new();
    let mut log = String::new();
    let steps = action["runs"]["steps"].as_array().expect("steps").iter().filter(|step| step["run"].is_string());
    for step in steps {
        let (exit, said) = lab.shown(job.step(&action, step));
        assert_eq!(exit, 0, "{}: {said}", step["name"]);
        log += &said;
    }
    let titles: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("::group::")).collect();
    assert_eq!(titles, ["Set up meshproof", "Lab and install", "Checks", "Clean-up"]);
    assert_eq!(log.lines().filter(|line| *line == "::endgroup::").count(), titles.len());

    let outputs = job.read("output");
    let output = |name: &str| {
        let line = outputs.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no output {name} in {outputs}")).to_string()
    };
    assert_eq!([output("verdict"), output("exit")], ["green", "0"]);
    for name in action["outputs"].as_object().expect("outputs").keys() {
        assert!(!output(name).is_empty(), "{name} in {outputs}");
    }
    let runs = job.file("workspace/runs");
    for name in ["run", "report", "junit"] {
        let path = PathBuf::from(output(name));
        assert!(path.exists() && path.starts_with(&runs), "{name}, where the artifact is taken from: {outputs}");
    }
    let summary = job.read("summary");
    assert!(summary.contains("## ✅ meshproof: every clause is as expected (exit 0)"), "{summary}");
    assert_eq!(summary, fs::read_to_string(PathBuf::from(output("run")).join("summary.md")).expect("it is kept, too"));
    assert_eq!(lab.remains(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_run_is_bad_input_for_the_job_too_and_text_of_a_caller_is_no_program() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ACTION).join("action.yml"));
    let action: Value = serde_yaml_ng::from_str(&text.expect("the action is there")).expect("it is YAML");
    let job = Job::new();
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let run = steps.iter().find(|step| step["id"] == "run").expect("the step that runs it");
    let mut command = job.step(&action, run);
    command
        .env("ISTIO", "\"; touch pwned; $(touch pwned) `touch pwned`\n::error::x\r::stop-commands::y")
        .env("FLAGS", "--lab\n$(touch pwned)");
    let output = command.output().expect("it can be started");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!job.file("workspace/pwned").exists());
    assert_eq!(job.read("output"), "verdict=bad-input\nexit=2\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let commands: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert!(matches!(commands[..], [one] if one.starts_with("::error title=meshproof%3A bad input::")), "{said}");
}
