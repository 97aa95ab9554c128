//! A Docker engine of the test's own, which it may stop and kill: with its own data and sockets, in a network namespace of
//! its own, for two engines in one namespace fight over its packet filter.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::lab::Home;
use harness::lab::host::Host;
use serde_json::json;

use crate::calling::{Elsewhere, MESHPROOF};

const NAMESPACE: &str = "t-dockerd";

/// The images that a lab runs on. What only served to build them need not be there.
const LAB_IMAGES: [&str; 2] = ["lab-node", "workload"];

/// The engine; it ends with the test, and all that it held.
pub struct PrivateEngine {
    root: PathBuf,
    dockerd: Option<Child>,
}

impl PrivateEngine {
    /// An engine with the lab's images, which the host's engine gives it.
    pub fn start() -> PrivateEngine {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(NAMESPACE);
        let mut engine = PrivateEngine { root, dockerd: None };
        engine.clear();
        std::fs::create_dir_all(&engine.root).expect("a folder");
        done(Command::new("ip").args(["netns", "add", NAMESPACE]));
        done(engine.inside("ip").args(["link", "set", "lo", "up"]));
        engine.configure();
        engine.resume();
        engine.load();
        engine
    }

    /// How commands get to it.
    pub fn access(&self) -> Elsewhere {
        Elsewhere {
            before: vec!["nsenter".to_string(), format!("--net=/run/netns/{NAMESPACE}")],
            engine: format!("unix://{}", self.root.join("sock").display()),
            home: self.root.join("home"),
        }
    }

    /// Starts the engine again.
    pub fn resume(&mut self) {
        let path = |name: &str| self.root.join(name).to_string_lossy().into_owned();
        let log = std::fs::File::options().create(true).append(true).open(path("log")).expect("a log");
        let mut command = self.inside("dockerd");
        command.args(["--data-root", &path("data"), "--exec-root", &path("run"), "--pidfile", &path("pid")]);
        command.args(["--config-file", &path("daemon.json"), "--host", &self.access().engine]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.dockerd = Some(command.spawn().expect("dockerd can be started"));
        let deadline = Instant::now() + Duration::from_secs(90);
        while !self.inside("docker").arg("version").output().is_ok_and(|output| output.status.success()) {
            assert!(Instant::now() < deadline, "the engine answers: {}", path("log"));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Stops it as a service manager would.
    pub fn stop(&mut self) {
        self.end("-TERM");
    }

    /// Kills it; what it ran goes on until the engine's end.
    pub fn kill(&mut self) {
        self.end("-KILL");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut dockerd) = self.dockerd.take() {
            done(Command::new("kill").args([signal, &dockerd.id().to_string()]));
            let _ = dockerd.wait();
        }
    }

    fn inside(&self, program: &str) -> Command {
        self.access().program(program)
    }

    /// Where the host withholds capabilities, containers need the same wrapper as on the host's engine.
    fn configure(&self) {
        let mut daemon = json!({});
        if Host::read().expect("the host can be read").restricted() {
            let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kind/node/runc-capped");
            let wrapper = wrapper.canonicalize().expect("it is in the repository");
            daemon = json!({"runtimes": {"meshproof": {"path": wrapper}}, "default-runtime": "meshproof"});
        }
        std::fs::write(self.root.join("daemon.json"), daemon.to_string()).expect("it can be written");
    }

    /// Gives it the images, and a cache of its own that knows them; the files are links, which no build writes into.
    fn load(&self) {
        let cache = self.access().home.join("cache");
        std::fs::create_dir_all(&cache).expect("a folder");
        let artefacts = Home::from_environment().cache.join("artefacts");
        done(Command::new("cp").args(["--archive", "--link"]).arg(artefacts).arg(cache));
        let listed = Command::new(MESHPROOF).args(["images", "list"]).output().expect("meshproof can be started");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let images: Vec<String> = listed
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (name, hash, makes) = (words.next()?, words.next()?, words.next()?);
                (makes == "image" && LAB_IMAGES.contains(&name)).then(|| format!("meshproof/{name}:{hash}"))
            })
            .collect();
        assert!(!images.is_empty(), "there are images: {listed}");
        let mut save = Command::new("docker").arg("save").args(&images).stdout(Stdio::piped()).spawn().expect("docker");
        let archive = save.stdout.take().expect("a pipe");
        done(self.inside("docker").args(["load", "--quiet"]).stdin(archive));
        assert!(save.wait().expect("it ends").success(), "all images are there: {images:?}");
    }

    /// Removes what there is of it, also what a killed test left.
    fn clear(&mut self) {
        if self.dockerd.is_some() {
            let containers = self.inside("docker").args(["ps", "-aq"]).output().map(|output| output.stdout);
            let containers = String::from_utf8_lossy(&containers.unwrap_or_default()).into_owned();
            let _ = self.inside("docker").args(["rm", "-fv"]).args(containers.split_whitespace()).output();
        }
        self.end("-TERM");
        // An engine that was killed leaves its containerd and shims behind; all carry its folder.
        for _ in 0..50 {
            let left = crate::calling::processes_of(&self.root);
            if left.is_empty() {
                break;
            }
            for process in left {
                let id = process.split_whitespace().nth(1).unwrap_or_default().to_string();
                let _ = Command::new("pkill").args(["-KILL", "-P", &id]).output();
                let _ = Command::new("kill").args(["-KILL", &id]).output();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = |mount: &&str| Path::new(mount).starts_with(&self.root);
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)).filter(below) {
            let _ = Command::new("umount").args(["--lazy", mount]).output();
        }
        let _ = Command::new("ip").args(["netns", "delete", NAMESPACE]).output();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn done(command: &mut Command) {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
