//! Calls of the command `meshproof` as a user makes them, and looks at what it leaves.
//!
//! Each test binary uses its part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use harness::lab::Home;
use quick_junit::{Report, TestCase, TestCaseStatus};

/// The command under test.
pub const MESHPROOF: &str = env!("CARGO_BIN_EXE_meshproof");

/// Who has a lab reads it, for labs are made of the engine's images; who takes one of them away for a moment writes.
static IMAGES: RwLock<()> = RwLock::new(());

/// Waits until no test has a lab, and keeps the others from making one.
pub fn images_alone() -> RwLockWriteGuard<'static, ()> {
    IMAGES.write().unwrap_or_else(PoisonError::into_inner)
}

/// One lab name with its folder of runs; removed when the test ends, also when it fails.
pub struct Lab {
    pub name: &'static str,
    pub runs: PathBuf,
    /// Where commands run, if not beside the test itself.
    pub elsewhere: Option<Elsewhere>,
    _images: RwLockReadGuard<'static, ()>,
}

/// An engine of its own, and how commands get to it.
#[derive(Clone)]
pub struct Elsewhere {
    /// Words before each command, such as `nsenter`'s.
    pub before: Vec<String>,
    /// `DOCKER_HOST`.
    pub engine: String,
    /// `MESHPROOF_HOME`: what counts as built on one engine is missing on another.
    pub home: PathBuf,
}

impl Elsewhere {
    /// A program as it is called there.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new(&self.before[0]);
        command.args(&self.before[1..]).arg(program);
        command.env("DOCKER_HOST", &self.engine).env("MESHPROOF_HOME", &self.home);
        command
    }
}

impl Lab {
    /// A clean start: what an earlier, broken test left under this name goes first.
    pub fn fresh(name: &'static str) -> Lab {
        Lab::fresh_on(name, None)
    }

    /// As [`Lab::fresh`], on another engine.
    pub fn fresh_on(name: &'static str, elsewhere: Option<Elsewhere>) -> Lab {
        let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&runs);
        let images = IMAGES.read().unwrap_or_else(PoisonError::into_inner);
        let lab = Lab { name, runs, elsewhere, _images: images };
        lab.down();
        lab
    }

    /// A program as it is called beside this lab.
    fn program(&self, program: &str) -> Command {
        let Some(elsewhere) = &self.elsewhere else { return Command::new(program) };
        elsewhere.program(program)
    }

    /// The docker command on the engine of this lab.
    pub fn docker(&self, args: &[&str]) -> Output {
        let output = self.program("docker").args(args).output().expect("docker can be started");
        assert!(output.status.success(), "docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A verb on this lab, ready to run.
    pub fn command(&self, verb: &str, args: &[&str]) -> Command {
        self.command_of(&[verb], args)
    }

    /// As [`Lab::command`], of a verb of more than one word.
    fn command_of(&self, verb: &[&str], args: &[&str]) -> Command {
        let mut command = self.program(MESHPROOF);
        command.args(verb).args(["--lab", self.name, "--runs"]).arg(&self.runs).args(args);
        command.env("CI", "true").stdin(Stdio::null());
        command
    }

    /// Runs a verb to its end; its exit code and all that it said.
    pub fn ask(&self, verb: &str, args: &[&str]) -> (i32, String) {
        self.ask_of(&[verb], args)
    }

    /// As [`Lab::ask`], of a verb of more than one word.
    pub fn ask_of(&self, verb: &[&str], args: &[&str]) -> (i32, String) {
        eprintln!("{} | --- meshproof {} {}", self.name, verb.join(" "), args.join(" "));
        self.shown(self.command_of(verb, args))
    }

    /// Runs a verb to its end; its exit code.
    pub fn call(&self, verb: &str, args: &[&str]) -> i32 {
        self.ask(verb, args).0
    }

    /// Runs a command of this lab to its end; its exit code and all that it said, of which each line is shown at once under
    /// the lab's name: another test may have a lab beside this one.
    pub fn shown(&self, mut command: Command) -> (i32, String) {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("meshproof can be started");
        let (stdout, stderr) = (child.stdout.take().expect("its output"), child.stderr.take().expect("its errors"));
        let said = std::thread::scope(|threads| {
            let stdout = threads.spawn(|| self.show(stdout));
            let stderr = self.show(stderr);
            stdout.join().expect("it is only read") + &stderr
        });
        (child.wait().expect("its state can be asked").code().unwrap_or(-1), said)
    }

    fn show(&self, said: impl Read) -> String {
        let lines = BufReader::new(said).lines().map_while(Result::ok);
        lines.fold(String::new(), |all, line| {
            eprintln!("{} | {line}", self.name);
            all + &line + "\n"
        })
    }

    pub fn down(&self) {
        let output =
            self.program(MESHPROOF).args(["down", "--lab", self.name]).output().expect("meshproof can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The JUnit file of the latest run, read by a parser from a registry.
    pub fn junit(&self) -> Report {
        junit_of(&self.runs.join("latest"))
    }

    /// Clause to how JUnit shows it: `passed`, or `failure: message` and so on.
    pub fn verdicts(&self) -> BTreeMap<String, String> {
        verdicts_of(&self.junit())
    }

    /// What is left of the lab: in Docker, on disk, and running.
    pub fn remains(&self) -> Vec<String> {
        let label = format!("label=io.meshproof.lab={}", self.name);
        let network = ["network", "ls", "--format", "network {{.Name}}", "--filter"];
        let mut remains: Vec<String> = lines(&self.docker(&[&network[..], &[&label]].concat()));
        let name = format!("name=^{}-cluster", self.name);
        let container = ["ps", "-a", "--format", "container {{.Names}} {{.Status}}", "--filter"];
        remains.extend(lines(&self.docker(&[&container[..], &[&name]].concat())));
        let home = |elsewhere: &Elsewhere| Home { state: elsewhere.home.join("state"), cache: PathBuf::new() };
        let folder = self.elsewhere.as_ref().map_or_else(Home::from_environment, home).lab(self.name);
        let files = [folder.clone(), folder.with_file_name(format!("{}.lock", self.name))];
        remains.extend(files.iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
        remains.extend(processes_of(&folder));
        remains
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A failed test must not leave its lab to the next one.
        let _ = self.program(MESHPROOF).args(["down", "--lab", self.name]).output();
    }
}

/// The JUnit file in a folder of reports.
pub fn junit_of(folder: &Path) -> Report {
    let path = folder.join("junit.xml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The testcases of this report but those of steps and of parts of the lab: clauses, checks, and what is said of the whole.
pub fn judged(report: &Report) -> impl Iterator<Item = &TestCase> {
    const MADE: [&str; 4] = ["lab", "install", "timeline", "clean-up"];
    let group = |class: &str| class.rsplit_once('.').is_some_and(|(_, group)| MADE.contains(&group));
    let made = move |case: &TestCase| case.classname.as_ref().is_some_and(|class| group(class.as_str()));
    report.test_suites.iter().flat_map(|suite| &suite.test_cases).filter(move |case| !made(case))
}

/// Clause to how this report shows it.
pub fn verdicts_of(report: &Report) -> BTreeMap<String, String> {
    judged(report)
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

/// Processes that work for a folder: whoever has it in an argument or a variable.
pub fn processes_of(folder: &Path) -> Vec<String> {
    let wanted = folder.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let of = |pid: &str| {
        let text = |file: &str| {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ") + " "
        };
        let command = text("cmdline");
        let works = [&command, &text("environ")]
            .iter()
            .any(|text| text.contains(&format!("{wanted}/")) || text.contains(&format!("{wanted} ")));
        works.then(|| format!("process {pid} {command}"))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own)
        .filter_map(|pid| of(&pid))
        .collect()
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

/// Looks until nothing is wrong, for what a server takes up or writes down a moment late; says at last what is wrong.
pub fn eventually(mut wrong: impl FnMut() -> Option<String>) {
    let begun = Instant::now();
    while let Some(wrong) = wrong() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{wrong}, after 30 s");
        std::thread::sleep(Duration::from_millis(200));
    }
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
