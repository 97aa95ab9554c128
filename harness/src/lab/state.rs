//! Where labs are remembered: `lab.json`, kubeconfig files and one lock per lab name.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::images::FurtherIstio;
use super::pod_network::Route;
use crate::event::ClusterFacts;
use crate::install::facts::Facts;
use crate::per_cluster::{Member, PerCluster};
use crate::problem::Problem;
use crate::scenario::Scenario;
use crate::topology::Topology;

/// The layout of `lab.json` and what a lab has; raised when a field changes its meaning, and when checks need what earlier
/// labs lack.
pub const LAB_FORMAT: u32 = 3;

/// The folders in which meshproof keeps its things.
#[derive(Debug, Clone)]
pub struct Home {
    /// Labs: `<state>/labs/<name>/`.
    pub state: PathBuf,
    /// What was built: `<cache>/artefacts/`.
    pub cache: PathBuf,
}

impl Home {
    /// `MESHPROOF_HOME` if set, else the user's state and cache folders.
    pub fn from_environment() -> Home {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = variable("MESHPROOF_HOME") {
            return Home { state: home.join("state"), cache: home.join("cache") };
        }
        let user = std::env::home_dir().unwrap_or_else(std::env::temp_dir);
        let state = variable("XDG_STATE_HOME").unwrap_or_else(|| user.join(".local/state"));
        let cache = variable("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache"));
        Home { state: state.join("meshproof"), cache: cache.join("meshproof") }
    }

    /// The folder of one lab.
    pub fn lab(&self, name: &str) -> PathBuf {
        self.state.join("labs").join(name)
    }

    /// The kubeconfig file of one cluster of a lab, by its [`Member`] or role; the user's own is never written.
    pub fn kubeconfig(&self, lab: &str, member: impl Into<Member>) -> PathBuf {
        self.lab(lab).join(format!("{}.kubeconfig", member.into()))
    }

    /// What stood in one cluster of a lab before the install.
    pub fn inventory(&self, lab: &str, member: impl Into<Member>) -> PathBuf {
        self.lab(lab).join(format!("{}.before.json", member.into()))
    }

    /// What stood in one cluster of a lab when its clean-up began.
    pub fn inventory_at_clean_up(&self, lab: &str, member: impl Into<Member>) -> PathBuf {
        self.lab(lab).join(format!("{}.installed.json", member.into()))
    }

    /// Names of labs that left a folder, in order.
    pub fn labs(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.state.join("labs"))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Asked for what only a lab has: nodes that run on a Docker engine of this machine, in networks that meshproof chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it takes the nodes of a lab, and these clusters are the user's own")]
pub struct NotOfLab;

/// The only link between a lab and the verbs that use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabFile {
    /// Layout of this file.
    pub format: u32,
    /// Version of meshproof that made the lab.
    pub meshproof: String,
    /// What was asked for.
    pub scenario: Scenario,
    /// What was made; none where the user brought the clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// What the clusters are.
    pub clusters: PerCluster<ClusterFacts>,
    /// Routes between the nodes of all clusters.
    pub routes: Vec<Route>,
    /// Images in use, with digest or content hash.
    pub images: BTreeMap<String, String>,
    /// Where they come from.
    #[serde(default)]
    pub image_source: String,
    /// What serves the data plane.
    pub data_plane: String,
    /// The workload image on the nodes' host, for containers outside both clusters.
    pub workload_image: String,
    /// The unpacked Istio release under test: `bin/istioctl`, `samples/`.
    pub release: PathBuf,
    /// Versions of Istio that the timeline may bring beside it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, FurtherIstio>,
    /// The istioctl of a candidate, if it is not the release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istioctl: Option<PathBuf>,
    /// The hub and tag that istioctl is told, where it would take others by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_and_tag: Option<(String, String)>,
    /// What the install has learnt so far.
    pub facts: Facts,
    /// Steps that were proved, in the order in which they were.
    pub proved: Vec<String>,
    /// Steps that failed, with the first line of why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, String>,
}

impl LabFile {
    /// Reads the lab of this name.
    ///
    /// # Errors
    /// A [`Problem`] that says how to make the lab, or how to remove one that cannot be used.
    pub fn read(home: &Home, lab: &str) -> Result<LabFile, Problem> {
        let folder = home.lab(lab);
        let path = folder.join("lab.json");
        let remove = format!("remove the lab and make it again: meshproof down --lab {lab}, meshproof up --lab {lab}");
        let place = || format!("lab {lab}");
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if folder.is_dir() => {
                Problem::new(place(), "was never finished: its creation failed or was interrupted", &remove)
            }
            io::ErrorKind::NotFound => {
                Problem::new(place(), "there is no such lab", format!("make it: meshproof up --lab {lab}"))
            }
            _ => Problem::new(path.display().to_string(), format!("cannot be read: {error}"), &remove),
        })?;
        // Who made it is asked first: in another layout every further complaint would mislead.
        let maker: Maker = serde_json::from_str(&text).unwrap_or_default();
        if maker.format.is_some_and(|format| format != LAB_FORMAT) {
            let format = maker.format.unwrap_or_default();
            let message = format!(
                "was made by {}, which writes lab files of format {format}; this is meshproof {}, which reads format \
                 {LAB_FORMAT}",
                maker.name(),
                crate::version()
            );
            return Err(Problem::new(place(), message, format!("use it with that version, or {remove}")));
        }
        serde_json::from_str(&text).map_err(|error| {
            let message = format!(
                "was made by {}, and meshproof {} cannot read its file {}: {error}",
                maker.name(),
                crate::version(),
                path.display()
            );
            Problem::new(place(), message, &remove)
        })
    }

    /// What was made.
    ///
    /// # Errors
    /// [`NotOfLab`] where the user brought the clusters.
    pub fn topology(&self) -> Result<&Topology, NotOfLab> {
        self.topology.as_ref().ok_or(NotOfLab)
    }

    /// The istioctl that installs.
    pub fn istioctl(&self) -> PathBuf {
        self.istioctl.clone().unwrap_or_else(|| self.release.join("bin/istioctl"))
    }

    /// The Istio release that a lab uses, also of a lab that another version of meshproof made.
    pub fn release_of(home: &Home, lab: &str) -> Option<PathBuf> {
        let text = fs::read_to_string(home.lab(lab).join("lab.json")).ok()?;
        serde_json::from_str::<Maker>(&text).ok()?.release
    }

    /// The same lab, seen from its remote of this number: that is the one whose facts it has, beside those of the primary.
    pub fn seen_from(&self, at: usize) -> LabFile {
        let scenario = self.scenario.seen_from(at);
        let seen = |all: &Topology| Topology { clusters: all.clusters.seen_from(at), ..all.clone() };
        let topology = self.topology.as_ref().map(seen);
        let facts = self.facts.of(scenario.clusters.further());
        LabFile { scenario, topology, clusters: self.clusters.seen_from(at), facts, ..self.clone() }
    }

    /// Another file of the same lab, with what this one says of the install.
    pub fn progress_on(&self, other: LabFile) -> LabFile {
        let LabFile { facts, proved, failed, .. } = self.clone();
        LabFile { facts, proved, failed, ..other }
    }

    /// Writes it, so that a kill in between leaves the old or the new one.
    ///
    /// # Errors
    /// [`io::Error`] of the file system.
    pub fn write(&self, home: &Home) -> io::Result<()> {
        let folder = home.lab(&self.scenario.lab);
        fs::create_dir_all(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.persist(folder.join("lab.json"))?;
        Ok(())
    }
}

/// What is read of a lab file whoever wrote it.
#[derive(Debug, Default, Deserialize)]
struct Maker {
    format: Option<u32>,
    meshproof: Option<String>,
    release: Option<PathBuf>,
}

impl Maker {
    fn name(&self) -> String {
        format!("meshproof {}", self.meshproof.as_deref().unwrap_or("of an unknown version"))
    }
}

/// Held while a verb changes a lab; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct LabLock {
    file: File,
    path: PathBuf,
    folder: PathBuf,
}

impl LabLock {
    /// Takes the lock of this lab name.
    ///
    /// # Errors
    /// A [`Problem`] that names who has it.
    pub fn take(home: &Home, lab: &str) -> Result<LabLock, Problem> {
        let path = home.state.join("labs").join(format!("{lab}.lock"));
        let cannot = |error: io::Error| {
            Problem::new(path.display().to_string(), format!("cannot be locked: {error}"), "check the folder's rights")
        };
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(cannot)?;
        loop {
            let file =
                File::options().create(true).read(true).write(true).truncate(false).open(&path).map_err(cannot)?;
            match file.try_lock() {
                // Who had it has removed the file with the lab: it is no longer the file that others find.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => {
                    // Whoever finds it taken is told by which process.
                    let _ = file.set_len(0);
                    let _ = io::Write::write_all(&mut &file, std::process::id().to_string().as_bytes());
                    return Ok(LabLock { file, path, folder: home.lab(lab) });
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = fs::read_to_string(&path).unwrap_or_default();
                    return Err(Problem::new(
                        format!("lab {lab}"),
                        format!("is in use by another meshproof (process {holder})"),
                        "wait until it is done, or take another name with --lab",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        // Nothing of a lab stays behind, not even its lock.
        if !self.folder.exists() {
            let _ = fs::remove_file(&self.path);
        }
        // Closing it is not enough: a process that is just being started has it open too, for a moment.
        let _ = self.file.unlock();
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |one: fs::Metadata, other: fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    file.metadata().ok().zip(fs::metadata(path).ok()).is_some_and(|(one, other)| same(one, other))
}
