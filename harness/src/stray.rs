//! Tools that a killed meshproof left running: found again by what their environment says, and ended.
//!
//! Each tool of a lab or of a build carries a variable that names the folder which it works for, and hands it on to what
//! it starts itself. Who holds the lock of that folder is alone, so whatever else carries its name was left behind: a
//! `kind` that goes on creating containers, an `istioctl` that goes on installing, a recipe that goes on writing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that each tool carries.
const MARK: &str = "MESHPROOF_WORKS_FOR";

/// So long a tool may take to end in order: a recipe then removes its containers.
const IN_ORDER: Duration = Duration::from_secs(2);

/// After this a process that still runs hangs in the kernel, and whoever waits for it would hang too.
const AT_MOST: Duration = Duration::from_secs(30);

/// The variable with which a tool is told the folder that it works for.
pub fn mark(folder: &Path) -> (String, String) {
    (MARK.to_string(), absolute(folder).to_string_lossy().into_owned())
}

/// Ends what still works for this folder, and waits until it has ended; says how many processes there were.
///
/// Only to be called by who holds the lock of that folder. Where there is no `/proc`, nothing is found.
pub async fn end(folder: &Path) -> usize {
    let began = Instant::now();
    let mut asked = BTreeSet::new();
    loop {
        let found = find(folder);
        if found.is_empty() || began.elapsed() > AT_MOST {
            return asked.len();
        }
        for pid in found {
            let first = asked.insert(pid.as_raw_nonzero());
            // The engine would go on making the container of a client that is gone, and show it only once it is there.
            if makes_a_container(pid) {
                continue;
            }
            // A process may have ended by itself meanwhile; that is what was wanted.
            if began.elapsed() > IN_ORDER {
                let _ = kill_process(pid, Signal::KILL);
            } else if first {
                tracing::debug!(pid = pid.as_raw_nonzero(), "ending what was left running for {}", folder.display());
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        crate::wait::pause(Duration::from_millis(50)).await;
    }
}

/// Ends what still works for this folder at once, without waiting: for who leaves at once.
pub fn kill(folder: &Path) {
    for pid in find(folder) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Processes that carry the name of this folder.
fn find(folder: &Path) -> Vec<Pid> {
    let mut wanted = format!("{MARK}=").into_bytes();
    wanted.extend(absolute(folder).as_os_str().as_bytes());
    let carries = |process: &Path| {
        // Of other users' processes the environment cannot be read, and of ended ones it is empty.
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    };
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name != own))
        .filter_map(|entry| Some((entry.path(), Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?)))
        .filter(|(process, _)| carries(process))
        .map(|(_, pid)| pid)
        .collect()
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
    use super::*;
    use crate::tool::Tool;

    #[tokio::test]
    async fn what_a_killed_run_left_running_is_found_through_its_children_and_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, value) = mark(folder.path());
        // The child of a child, in a session of its own, that will not end when asked.
        let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 60 & wait; sleep 60' & wait";
        let mut command = std::process::Command::new("sh");
        let mut child = command.args(["-c", script]).env(key, value).spawn().expect("a process");
        let reaped = std::thread::spawn(move || child.wait());
        while find(folder.path()).len() < 3 {
            crate::wait::pause(Duration::from_millis(10)).await;
        }
        let other = tempfile::tempdir().expect("a folder");
        assert_eq!(end(other.path()).await, 0, "what works for another folder is left alone");
        assert!(end(folder.path()).await >= 3);
        assert_eq!(find(folder.path()), []);
        reaped.join().expect("a thread").expect("it has ended");
    }

    #[tokio::test]
    async fn a_client_that_makes_a_container_may_finish() {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, value) = mark(folder.path());
        let docker = folder.path().join("docker");
        std::os::unix::fs::symlink("/bin/sh", &docker).expect("a link");
        // A script called `run`: by its command line this is `docker run`.
        std::fs::write(folder.path().join("run"), "sleep 1; echo made >made").expect("a script");
        let mut command = std::process::Command::new(&docker);
        let mut child = command.arg("run").current_dir(folder.path()).env(key, value).spawn().expect("a process");
        let reaped = std::thread::spawn(move || child.wait());
        end(folder.path()).await;
        assert!(folder.path().join("made").is_file(), "it was given the time");
        reaped.join().expect("a thread").expect("it has ended");
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
}
