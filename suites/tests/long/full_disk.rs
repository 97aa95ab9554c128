//! The disk of the cache fills up while images are built: what, where and how much is free is said, nothing half made
//! counts as built, and with room again the next build works.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::calling::MESHPROOF;

/// Small recipes under the names that a lab wants; `kubernetes` begins, and then writes 40 MB.
const RECIPES: [(&str, &str); 5] = [
    ("istio", "echo istio >\"$OUT/istio\""),
    ("kind", "echo kind >\"$OUT/kind\""),
    ("kubernetes", "sleep 2; head -c 40000000 /dev/zero >\"$OUT/kubelet\""),
    ("lab-node", "cat \"$IN_KUBERNETES/kubelet\" >\"$OUT/node\""),
    ("workload", "echo workload >\"$OUT/workload\""),
];

/// A filesystem of its own, so that it can be full; gone with the test.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf) -> Disk {
        std::fs::create_dir_all(&path).expect("a folder");
        done(Command::new("mount").args(["-t", "tmpfs", "-o", "size=12g", "meshproof-test"]).arg(&path));
        Disk(path)
    }

    fn has(&self, size: &str) {
        done(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_nothing_half_made_counts_as_built() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("repository");
    repository(&root);
    let disk = Disk::new(folder.path().join("home"));
    let meshproof = |verb: &str| {
        let mut command = Command::new(MESHPROOF);
        command.args(["images", verb]).env("MESHPROOF_ROOT", &root).env("MESHPROOF_HOME", &disk.0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let said = |output: &std::process::Output| {
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
    };

    let build = meshproof("build").spawn().expect("meshproof can be started");
    let works = disk.0.join("cache/work");
    let begun = || names(&works).iter().any(|name| name.starts_with("kubernetes-"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun() {
        assert!(Instant::now() < deadline, "the recipe begins");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Somebody else took the rest of it.
    disk.has("2m");
    let output = build.wait_with_output().expect("it ends");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    let cache = disk.0.join("cache");
    let where_it_is = format!("the disk of {} is full", cache.display());
    for words in [where_it_is.as_str(), "are free", "MESHPROOF_HOME", "recipe kubernetes", "No space left on device"] {
        assert!(text.contains(words), "it says {words}: {text}");
    }
    let built = names(&cache.join("artefacts"));
    assert!(!built.iter().any(|name| name.starts_with("kubernetes-") || name.starts_with("lab-node-")), "{built:?}");

    disk.has("12g");
    let output = meshproof("list").output().expect("meshproof can be started");
    let listed = said(&output);
    let missing = |name: &str| listed.lines().any(|line| line.starts_with(name) && line.contains("missing"));
    assert!(missing("kubernetes") && missing("lab-node"), "{listed}");
    let output = meshproof("build").output().expect("meshproof can be started");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = meshproof("verify").output().expect("meshproof can be started");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    println!("bad days: a build whose disk was full went on once there was room");
}

fn repository(root: &Path) {
    let versions =
        "[defaults]\nkubernetes = \"v1.0.0\"\nistio = \"1.0.0\"\n[kubernetes.\"v1.0.0\"]\n[istio.\"1.0.0\"]\n";
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    };
    write("kind/versions.toml", versions);
    write("kind/recipes/lib.sh", "set -euo pipefail\n");
    for (name, code) in RECIPES {
        let needs = if name == "lab-node" { "kubernetes" } else { "" };
        let head = format!("# title: The {name}\n# makes: files\n# needs: {needs}\n# versions:\n# inputs:\n");
        let text = format!("#!/usr/bin/env bash\n{head}. \"$(dirname \"$0\")/../lib.sh\"\n{code}\n");
        let path = write(&format!("kind/recipes/{name}/build"), &text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn done(command: &mut Command) {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
