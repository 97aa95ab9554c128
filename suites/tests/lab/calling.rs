//! Calls of the command `meshproof` as a user makes them, and looks at what it leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use quick_junit::{Report, TestCaseStatus};

/// The command under test.
pub const MESHPROOF: &str = env!("CARGO_BIN_EXE_meshproof");

/// One lab name with its folder of runs; removed when the test ends, also when it fails.
pub struct Lab {
    pub name: &'static str,
    pub runs: PathBuf,
}

impl Lab {
    /// A clean start: what an earlier, broken test left under this name goes first.
    pub fn fresh(name: &'static str) -> Lab {
        let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&runs);
        let lab = Lab { name, runs };
        lab.down();
        lab
    }

    /// A verb on this lab, ready to run.
    pub fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(MESHPROOF);
        command.arg(verb).args(["--lab", self.name, "--runs"]).arg(&self.runs).args(args);
        command.env("CI", "true").stdin(Stdio::null());
        command
    }

    /// Runs a verb to its end; what it says goes to the test's output.
    pub fn call(&self, verb: &str, args: &[&str]) -> i32 {
        eprintln!("--- meshproof {verb} --lab {} {}", self.name, args.join(" "));
        let status = self.command(verb, args).status().expect("meshproof can be started");
        status.code().unwrap_or(-1)
    }

    pub fn down(&self) {
        let output =
            Command::new(MESHPROOF).args(["down", "--lab", self.name]).output().expect("meshproof can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The JUnit file of the latest run, read by a parser from a registry.
    pub fn junit(&self) -> Report {
        let path = self.runs.join("latest/junit.xml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Clause to how JUnit shows it: `passed`, or `failure: message` and so on.
    pub fn verdicts(&self) -> BTreeMap<String, String> {
        let report = self.junit();
        let cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        cases
            .map(|case| {
                let shown = match &case.status {
                    TestCaseStatus::Success { .. } => "passed".to_string(),
                    TestCaseStatus::NonSuccess { kind, message, .. } => {
                        format!("{kind:?}: {}", message.as_ref().map_or("", |text| text.as_str()))
                    }
                    TestCaseStatus::Skipped { message, .. } => {
                        format!("Skipped: {}", message.as_ref().map_or("", |text| text.as_str()))
                    }
                };
                (case.name.as_str().split(' ').next().unwrap_or_default().to_string(), shown)
            })
            .collect()
    }

    /// What is left of the lab in Docker and on disk.
    pub fn remains(&self) -> Vec<String> {
        let label = format!("label=io.meshproof.lab={}", self.name);
        let mut remains: Vec<String> = lines(&docker(&["network", "ls", "-q", "--filter", &label]));
        let name = format!("name=^{}-cluster", self.name);
        remains.extend(lines(&docker(&["ps", "-aq", "--filter", &name])));
        remains
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A failed test must not leave its lab to the next one.
        let _ = Command::new(MESHPROOF).args(["down", "--lab", self.name]).output();
    }
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(ToString::to_string).collect()
}

/// The docker command, as a person would use it to break things.
pub fn docker(args: &[&str]) -> Output {
    let output = Command::new("docker").args(args).output().expect("docker can be started");
    assert!(output.status.success(), "docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    output
}

/// The workload image of the present recipes; the engine may hold older ones too.
pub fn workload_image() -> String {
    let output = Command::new(MESHPROOF).args(["images", "list"]).output().expect("meshproof can be started");
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let hash = list.lines().find_map(|line| line.strip_prefix("workload ")?.split_whitespace().next());
    format!("meshproof/workload:{}", hash.unwrap_or_else(|| panic!("no workload in the list of images: {list}")))
}

/// kubectl on a cluster of the lab, by the node's own.
pub fn kubectl(lab: &Lab, cluster: &str, args: &[&str]) -> String {
    let node = node(lab, cluster);
    let mut line = vec!["exec", node.as_str(), "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"];
    line.extend(args);
    String::from_utf8_lossy(&docker(&line).stdout).into_owned()
}

/// The node of a cluster of the lab.
pub fn node(lab: &Lab, cluster: &str) -> String {
    format!("{}-{cluster}-control-plane", lab.name)
}
