//! A run in the background, and signals sent to it at moments that its own events tell.
//!
//! Each test binary uses its part of this.
#![allow(dead_code)]

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::calling::Lab;

/// A run in the background; ended with the test, however that ends.
pub struct Running {
    child: Child,
    events: std::path::PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a command of this lab.
    pub fn start(lab: &Lab, mut command: Command) -> Running {
        let _ = std::fs::remove_file(lab.runs.join("latest"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("meshproof can be started");
        Running { child, events: lab.runs.join("latest/events.jsonl") }
    }

    /// All events so far, as they stand in the file.
    pub fn events(&self) -> String {
        std::fs::read_to_string(&self.events).unwrap_or_default()
    }

    /// Waits until the events say this; a run that ends before fails the test.
    pub fn until(&mut self, said: &str) {
        let deadline = Instant::now() + Duration::from_secs(400);
        while !self.events().contains(said) {
            if let Some(status) = self.child.try_wait().expect("its state can be asked") {
                panic!("the run ended with {status} and never said {said}: {}", self.said());
            }
            assert!(Instant::now() < deadline, "the run never said {said}: {}", self.events());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal such as `INT`; says whether the run was still there to get it.
    pub fn signal(&mut self, name: &str) -> bool {
        let runs = self.child.try_wait().expect("its state can be asked").is_none();
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.expect("kill can be started").success());
        runs
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, at most so long; it is killed then, and the test fails.
    pub fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end within {limit:?}: {}", self.events());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it said to a person.
    pub fn said(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        said
    }
}
