//! Tools that a killed meshproof left running: found again by what their environment says, and ended.
//!
//! Each tool of a lab or of a build carries a variable that names the folder which it works for, one that names the
//! meshproof which started it, and hands both on to what it starts itself. Who holds the lock of that folder is alone,
//! so whatever else carries its name was left behind: a `kind` that goes on creating containers, an `istioctl` that goes
//! on installing, a recipe that goes on writing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that says for which folder a tool works.
const FOLDER: &str = "MESHPROOF_WORKS_FOR";

/// The variable that says which process of meshproof started a tool.
const STARTER: &str = "MESHPROOF_STARTED_BY";

/// So long a tool may take to end in order: a recipe then removes its containers.
const IN_ORDER: Duration = Duration::from_secs(2);

/// After this a process that still runs hangs in the kernel, and whoever waits for it would hang too.
const AT_MOST: Duration = Duration::from_secs(30);

/// The variables with which a tool is told the folder that it works for, and who started it.
pub fn marks(folder: &Path) -> [(String, String); 2] {
    let folder = absolute(folder).to_string_lossy().into_owned();
    [(FOLDER.to_string(), folder), (STARTER.to_string(), std::process::id().to_string())]
}

/// What came of ending the tools of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many processes there were.
    pub found: usize,
    /// Those that still run.
    pub left: Vec<i32>,
}

impl Ended {
    /// How many processes there were, if all of them have ended.
    ///
    /// # Errors
    /// [`StillRunning`] where not.
    pub fn all(self, folder: &Path) -> Result<usize, StillRunning> {
        if self.left.is_empty() {
            Ok(self.found)
        } else {
            Err(StillRunning { folder: absolute(folder), left: self.left })
        }
    }
}

/// Tools that an earlier meshproof left running, and that did not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "what an earlier meshproof started for {} still runs, though it was told to end: see `ps -fp {}`, end it, and call again",
    folder.display(),
    left.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
)]
pub struct StillRunning {
    /// The folder that they work for.
    pub folder: PathBuf,
    /// Their process ids.
    pub left: Vec<i32>,
}

/// Ends what still works for this folder, and waits until it has ended, for half a minute at most.
///
/// Only to be called by who holds the lock of that folder. Where there is no `/proc`, nothing is found.
pub async fn end(folder: &Path) -> Ended {
    end_within(folder, AT_MOST).await
}

async fn end_within(folder: &Path, at_most: Duration) -> Ended {
    let began = Instant::now();
    let mut seen = BTreeSet::new();
    let mut first_look = true;
    loop {
        let found = carrying(FOLDER, absolute(folder).as_os_str());
        seen.extend(found.iter().map(|pid| pid.as_raw_nonzero()));
        if found.is_empty() || began.elapsed() > at_most {
            let left = found.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect();
            return Ended { found: seen.len(), left };
        }
        for pid in found {
            // The engine would go on making the container of a client that is gone, and show it only once it is there.
            if makes_a_container(pid) {
                continue;
            }
            // A process may have ended by itself meanwhile; that is what was wanted.
            if began.elapsed() > IN_ORDER {
                let _ = kill_process(pid, Signal::KILL);
            } else if first_look {
                // Only now: what a tool starts once it was told to end is its way of ending in order.
                tracing::debug!(pid = pid.as_raw_nonzero(), "ending what was left running for {}", folder.display());
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        first_look = false;
        crate::wait::pause(Duration::from_millis(50)).await;
    }
}

/// Ends all tools that this process has started, at once and without waiting: for who leaves at once.
pub fn kill_own() {
    kill_of(std::process::id());
}

fn kill_of(starter: u32) {
    for pid in carrying(STARTER, OsStr::new(&starter.to_string())) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Other processes that have this variable with this value.
fn carrying(variable: &str, value: &OsStr) -> Vec<Pid> {
    let mut wanted = format!("{variable}=").into_bytes();
    wanted.extend(value.as_bytes());
    let carries = |process: &Path| {
        // Of other users' processes the environment cannot be read, and of ended ones it is empty.
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    };
    let own = std::process::id().to_string();
    let namespace = pid_namespace(Path::new("/proc/self"));
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name != own))
        .filter_map(|entry| Some((entry.path(), Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?)))
        .filter(|(process, _)| carries(process) && shares(namespace.as_deref(), pid_namespace(process).as_deref()))
        .map(|(_, pid)| pid)
        .collect()
}

fn pid_namespace(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/pid")).ok()
}

/// Whether two processes count processes alike. A host sees those of its containers too, where the same path is another
/// folder, and the same number another process.
fn shares(own: Option<&Path>, other: Option<&Path>) -> bool {
    own.is_some() && own == other
}

fn makes_a_container(pid: Pid) -> bool {
    let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0);
    let program = words.next().is_some_and(|program| program.rsplit(|byte| *byte == b'/').next() == Some(b"docker"));
    program && words.next().is_some_and(|verb| [&b"run"[..], b"create"].contains(&verb))
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use rstest::rstest;

    use super::*;
    use crate::tool::Tool;

    fn find(folder: &Path) -> Vec<Pid> {
        carrying(FOLDER, folder.as_os_str())
    }

    /// A shell that works for a folder; whoever ends it, it is waited for.
    fn started(script: &str, folder: &Path) -> std::thread::JoinHandle<std::io::Result<std::process::ExitStatus>> {
        waited_for(Command::new("sh").args(["-c", script]).envs(marks(folder)).spawn().expect("a process"))
    }

    fn waited_for(mut child: Child) -> std::thread::JoinHandle<std::io::Result<std::process::ExitStatus>> {
        std::thread::spawn(move || child.wait())
    }

    #[tokio::test]
    async fn what_a_killed_run_left_running_is_found_through_its_children_and_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        // The child of a child, in a session of its own, that will not end when asked.
        let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 60 & wait; sleep 60' & wait";
        let reaped = started(script, folder.path());
        while find(folder.path()).len() < 3 {
            crate::wait::pause(Duration::from_millis(10)).await;
        }
        let other = tempfile::tempdir().expect("a folder");
        assert_eq!(end(other.path()).await, Ended::default(), "what works for another folder is left alone");
        assert!(end(folder.path()).await.all(folder.path()).expect("all have ended") >= 3);
        assert_eq!(find(folder.path()), []);
        reaped.join().expect("a thread").expect("it has ended");
    }

    #[tokio::test]
    async fn what_a_tool_starts_to_end_in_order_may_finish() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = format!("trap 'sleep 0.5; touch {}/tidied' EXIT; sleep 60 & wait", folder.path().display());
        let reaped = started(&format!("trap 'exit 1' TERM; {script}"), folder.path());
        while find(folder.path()).len() < 2 {
            crate::wait::pause(Duration::from_millis(10)).await;
        }
        // The sleep in the trap, were it told to end too, would not keep the shell from the rest: the time shows it.
        let began = Instant::now();
        end(folder.path()).await.all(folder.path()).expect("all have ended");
        assert!(folder.path().join("tidied").is_file());
        assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
        reaped.join().expect("a thread").expect("it has ended");
    }

    #[tokio::test]
    async fn a_client_that_makes_a_container_may_finish() {
        let folder = tempfile::tempdir().expect("a folder");
        let reaped = making_a_container("sleep 1; echo made >made", folder.path()).await;
        end(folder.path()).await;
        assert!(folder.path().join("made").is_file(), "it was given the time");
        reaped.join().expect("a thread").expect("it has ended");
    }

    #[tokio::test]
    async fn what_does_not_end_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let reaped = making_a_container("trap '' TERM; sleep 3", folder.path()).await;
        let ended = end_within(folder.path(), Duration::from_millis(200)).await;
        let still = ended.all(folder.path()).expect_err("it still runs");
        assert!(still.to_string().contains(&format!("ps -fp {}", still.left[0])), "{still}");
        assert!(still.to_string().contains(&*folder.path().to_string_lossy()), "{still}");
        reaped.join().expect("a thread").expect("it has ended");
    }

    /// A script called `run` under a shell called `docker`: by its command line this is `docker run`.
    async fn making_a_container(
        script: &str,
        folder: &Path,
    ) -> std::thread::JoinHandle<std::io::Result<std::process::ExitStatus>> {
        let docker = folder.join("docker");
        std::os::unix::fs::symlink("/bin/sh", &docker).expect("a link");
        fs::write(folder.join("run"), script).expect("a script");
        let null = std::process::Stdio::null();
        let mut command = Command::new(&docker);
        let child = command.arg("run").stdin(null).current_dir(folder).envs(marks(folder)).spawn();
        let reaped = waited_for(child.expect("a process"));
        // Linux lets the parent go on before the environment of the new program can be read.
        while find(folder).is_empty() {
            crate::wait::pause(Duration::from_millis(10)).await;
        }
        reaped
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_leaves_nothing_running() {
        let folder = tempfile::tempdir().expect("a folder");
        let tool = Tool::new("sh").args(["-c", "sleep 60 & wait"]).works_for(folder.path());
        let given_up = tokio::time::timeout(Duration::from_millis(300), tool.run()).await;
        assert!(given_up.is_err());
        end(folder.path()).await;
        assert_eq!(find(folder.path()), []);
    }

    #[test]
    fn who_leaves_at_once_ends_its_own_tools_and_not_those_of_others_for_the_same_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        // Numbers that no process has: they are beyond the most that Linux gives.
        let [mine, theirs] = [5_000_001_u32, 5_000_002].map(|starter| {
            let mut command = Command::new("sleep");
            command.arg("2").envs(marks(folder.path())).env(STARTER, starter.to_string());
            command.spawn().expect("a process")
        });
        kill_of(5_000_001);
        let ends = [mine, theirs].map(|mut child| child.wait().expect("it has ended").success());
        assert_eq!(ends, [false, true]);
    }

    #[rstest]
    #[case::alike(Some("pid:[1]"), Some("pid:[1]"), true)]
    #[case::in_a_container(Some("pid:[1]"), Some("pid:[2]"), false)]
    #[case::of_another_user(Some("pid:[1]"), None, false)]
    #[case::nothing_is_known(None, None, false)]
    fn processes_of_containers_are_left_alone(
        #[case] own: Option<&str>,
        #[case] other: Option<&str>,
        #[case] ours: bool,
    ) {
        assert_eq!(shares(own.map(Path::new), other.map(Path::new)), ours);
    }
}
