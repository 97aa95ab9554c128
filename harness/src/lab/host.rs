//! What this host has and lacks: addresses taken, memory, disk, capabilities, cgroups and inotify limits.
//!
//! The parsers are pure functions of the texts in `/proc`. On other systems than Linux nothing is known of the machine
//! that the engine runs on, and so nothing is complained of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;

use crate::problem::Problem;
use crate::scenario::Scenario;
use crate::topology::Taken;

/// One gibibyte.
pub const GIB: u64 = 1 << 30;

/// Capabilities by their bits, without `CAP_`.
const CAPABILITIES: &str = "\
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE \
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT \
    SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// Which generation of control groups the host mounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cgroup {
    /// The old one: one hierarchy a controller.
    V1,
    /// The unified one.
    #[default]
    V2,
}

/// Limits of the kernel's file watches, for one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inotify {
    /// `fs.inotify.max_user_instances`.
    pub instances: u64,
    /// `fs.inotify.max_user_watches`.
    pub watches: u64,
}

/// Nodes of kind on this host, whoever made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Those with a control plane.
    pub control_planes: u32,
    /// The others.
    pub workers: u32,
}

/// What this host has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Subnets that its routes lead to.
    pub routes: Vec<Taken>,
    /// Bytes of memory that programs can still get; nothing if it is not known.
    pub memory_available: Option<u64>,
    /// Capabilities that no process here can have, by name.
    pub capabilities_missing: Vec<String>,
    /// Generation of control groups.
    pub cgroup: Cgroup,
    /// Limits of file watches; nothing if they are not known.
    pub inotify: Option<Inotify>,
}

/// What a command will take from the host.
///
/// Founded on measurements on a host with two cores, 24 GiB and cgroup v1, with Kubernetes v1.36.3 and Istio 1.31.1, by
/// `docker stats` (memory), `du` of a node's volume (disk) and the descriptors in `/proc/<pid>/fd` (file watches); each
/// figure here leaves room for what other versions take and for the peaks of an install.
///
/// | a node with | memory | disk | inotify instances | watches |
/// | --- | --- | --- | --- | --- |
/// | a control plane, before the install | 480 MiB | 0.85 GiB | 26 | 270 |
/// | a control plane, istiod, gateways and workloads | 980 MiB | 0.85 GiB | 39 | 430 |
/// | a worker, before the install | 80 MiB | 0.72 GiB | 13 | 130 |
/// | a worker, istiod, a gateway and workloads | 390 MiB | 0.72 GiB | 26 | 280 |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// What it is for, for people: `2 nodes with Istio`.
    pub what: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of disk by the folder that they go to.
    pub disk: Vec<(PathBuf, u64)>,
    /// Nodes that it makes.
    pub nodes: Nodes,
}

impl Need {
    /// Memory of a control-plane node with its share of the mesh.
    pub const CONTROL_PLANE_MEMORY: u64 = GIB * 3 / 2;
    /// Memory of a worker with its share of the mesh.
    pub const WORKER_MEMORY: u64 = GIB * 3 / 4;
    /// Memory of each istiod and each gateway pod after the first.
    pub const REPLICA_MEMORY: u64 = GIB / 4;
    /// Disk of a node: kind copies the images into a volume of each.
    pub const NODE_DISK: u64 = 2 * GIB;
    /// Disk of a build of all images, Go's caches included; a lab's own comes on top.
    pub const BUILD_DISK: u64 = 16 * GIB;
    /// File watches of a control-plane node.
    pub const CONTROL_PLANE_INOTIFY: Inotify = Inotify { instances: 48, watches: 1024 };
    /// File watches of a worker.
    pub const WORKER_INOTIFY: Inotify = Inotify { instances: 32, watches: 1024 };
    /// File watches of everything else that runs on a host.
    pub const OTHER_INOTIFY: Inotify = Inotify { instances: 64, watches: 8192 };

    /// Disk of official images that are still to be pulled, packed and unpacked, and of the layer over them; a lab's own
    /// comes on top.
    pub const PULL_DISK: u64 = 6 * GIB;

    /// What a lab of this scenario takes whose images are there, with the engine's folder.
    pub fn lab(scenario: &Scenario, engine: impl Into<PathBuf>) -> Need {
        let clusters = u32::try_from(scenario.clusters.len()).unwrap_or(2);
        let all: u32 = scenario.clusters.values().map(|wish| wish.nodes).sum();
        let nodes = Nodes { control_planes: clusters, workers: all.saturating_sub(clusters) };
        let replicas = scenario.istiod.replicas + scenario.gateway.replicas;
        let memory = u64::from(nodes.control_planes) * Need::CONTROL_PLANE_MEMORY
            + u64::from(nodes.workers) * Need::WORKER_MEMORY
            + u64::from(replicas.saturating_sub(2)) * Need::REPLICA_MEMORY;
        let several = |count: u32, what: &str| if count > 1 { format!(", {count} {what}") } else { String::new() };
        let what = format!(
            "{all} nodes{}{}",
            several(scenario.istiod.replicas, "istiod"),
            several(scenario.gateway.replicas, "gateway pods")
        );
        Need { what, memory, disk: vec![(engine.into(), u64::from(all) * Need::NODE_DISK)], nodes }
    }

    /// What a lab of this scenario takes whose official images are still to be pulled, with the folder of the cache.
    pub fn pull(scenario: &Scenario, cache: impl Into<PathBuf>) -> Need {
        Need::lab(scenario, cache).with_disk(Need::PULL_DISK)
    }

    /// What a lab of this scenario takes whose images are still to be built, with the folder of the build's caches.
    pub fn build(scenario: &Scenario, cache: impl Into<PathBuf>) -> Need {
        Need::lab(scenario, cache).with_disk(Need::BUILD_DISK)
    }

    /// The same with more on the disk that it needs already.
    fn with_disk(mut self, bytes: u64) -> Need {
        self.disk = self.disk.into_iter().map(|(folder, own)| (folder, own + bytes)).collect();
        self
    }
}

/// Something of the host could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub struct HostError {
    /// What was to be read.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl Host {
    /// Reads what this host has.
    pub fn read() -> Result<Host, HostError> {
        if !cfg!(target_os = "linux") {
            return Ok(Host::default());
        }
        let last = text("/proc/sys/kernel/cap_last_cap")?.trim().parse().unwrap_or(40);
        let limit = |name: &str| number(&format!("/proc/sys/fs/inotify/{name}"));
        Ok(Host {
            routes: parse_routes(&text("/proc/net/route")?),
            memory_available: parse_memory_available(&text("/proc/meminfo")?),
            capabilities_missing: parse_missing_capabilities(&text("/proc/self/status")?, last),
            cgroup: parse_cgroup(&text("/proc/self/mounts")?),
            // A container may hide these two: then they are unknown, not zero.
            inotify: limit("max_user_instances")
                .zip(limit("max_user_watches"))
                .map(|(instances, watches)| Inotify { instances, watches }),
        })
    }

    /// Whether the host withholds CAP_SYS_RESOURCE, without which `docker run --privileged` fails as it is.
    pub fn restricted(&self) -> bool {
        self.capabilities_missing.iter().any(|name| name == "CAP_SYS_RESOURCE")
    }

    /// What is too little here for what will be done beside the nodes that are up, with the figures; reads the free disk.
    pub fn problems(&self, need: &Need, up: Nodes) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(available) = self.memory_available
            && available < need.memory
        {
            problems.push(Problem::new(
                "the host",
                format!("{} of memory are available, and {} need {}", gib(available), need.what, gib(need.memory)),
                "end other programs or labs (`meshproof down`), ask for fewer nodes, or use a machine with more memory",
            ));
        }
        problems.extend(disk_problems(&need.disk, |path| disk_of(path).ok()));
        problems.extend(self.inotify_problems(need, up));
        problems
    }

    /// Limits of file watches that are too low for these nodes and those that are up, each with the command that raises it.
    fn inotify_problems(&self, need: &Need, up: Nodes) -> Vec<Problem> {
        let Some(found) = self.inotify else { return Vec::new() };
        let (new, old) = (need.nodes.control_planes + need.nodes.workers, up.control_planes + up.workers);
        let control_planes = u64::from(need.nodes.control_planes + up.control_planes);
        let workers = u64::from(need.nodes.workers + up.workers);
        let of = |what: fn(Inotify) -> u64| {
            control_planes * what(Need::CONTROL_PLANE_INOTIFY)
                + workers * what(Need::WORKER_INOTIFY)
                + what(Need::OTHER_INOTIFY)
        };
        let beside = if old == 0 { String::new() } else { format!(" beside {old} that are up") };
        [
            ("max_user_instances", found.instances, of(|limits| limits.instances)),
            ("max_user_watches", found.watches, of(|limits| limits.watches)),
        ]
        .into_iter()
        .filter(|(_, found, needed)| found < needed)
        .map(|(name, found, needed)| {
            let message = format!("fs.inotify.{name} is {found}, and {new} nodes{beside} need {needed}");
            Problem::new("the host", message, format!("sudo sysctl -w fs.inotify.{name}={needed}"))
        })
        .collect()
    }
}

/// A filesystem and what is free on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's number of it: two folders on one disk share its space.
    pub device: u64,
    /// Bytes free for this user.
    pub free: u64,
}

/// The disk that a folder is on, or would be on once it is made.
pub fn disk_of(path: &Path) -> Result<Disk, HostError> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let error = |source| HostError { path: there.to_path_buf(), source };
    let device = fs::metadata(there).map_err(error)?.dev();
    let space = rustix::fs::statvfs(there).map_err(|errno| error(errno.into()))?;
    Ok(Disk { device, free: space.f_bavail.saturating_mul(space.f_frsize) })
}

/// What is too little on the disks of these folders, counting together the needs that meet on one disk.
pub fn disk_problems(need: &[(PathBuf, u64)], disk_of: impl Fn(&Path) -> Option<Disk>) -> Vec<Problem> {
    let mut disks: BTreeMap<u64, (u64, u64, Vec<String>)> = BTreeMap::new();
    for (path, bytes) in need {
        let Some(disk) = disk_of(path) else { continue };
        let entry = disks.entry(disk.device).or_insert((disk.free, 0, Vec::new()));
        entry.1 += bytes;
        entry.2.push(path.display().to_string());
    }
    disks
        .into_values()
        .filter(|(free, needed, _)| free < needed)
        .map(|(free, needed, paths)| {
            let paths = crate::problem::all_of(&paths);
            Problem::new(
                "the host",
                format!("{} are free on the disk of {paths}, and {} are needed", gib(free), gib(needed)),
                "free some space (`docker system df`, `meshproof images prune`), or set MESHPROOF_HOME to another disk",
            )
        })
        .collect()
}

/// Subnets of `/proc/net/route`, without default routes.
pub fn parse_routes(text: &str) -> Vec<Taken> {
    // The kernel prints addresses as numbers of the machine, though their bytes are in network order.
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from(u32::from_be(bits)));
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (interface, destination, mask) = (columns.first()?, columns.get(1)?, columns.get(7)?);
            let net = Ipv4Net::with_netmask(address(destination)?, address(mask)?).ok()?.trunc();
            // A VPN's default route often comes as two halves (0.0.0.0/1 and 128.0.0.0/1): who routes everything has
            // taken nothing in particular.
            (net.prefix_len() >= 8).then(|| Taken::new(net, format!("route of {interface}")))
        })
        .collect()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
pub fn parse_memory_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Capabilities up to the kernel's last that `/proc/self/status` shows as out of bounds.
pub fn parse_missing_capabilities(status: &str, last: u32) -> Vec<String> {
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let Some(bounding) = bounding else { return Vec::new() };
    let names: Vec<&str> = CAPABILITIES.split_whitespace().collect();
    (0..=last.min(63))
        .filter(|bit| bounding >> bit & 1 == 0)
        .map(|bit| names.get(bit as usize).map_or_else(|| format!("capability {bit}"), |name| format!("CAP_{name}")))
        .collect()
}

/// The generation of control groups that `/proc/self/mounts` shows.
pub fn parse_cgroup(mounts: &str) -> Cgroup {
    let kind = mounts.lines().rev().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        (columns.next()? == "/sys/fs/cgroup").then(|| columns.next()).flatten()
    });
    if kind == Some("cgroup2") { Cgroup::V2 } else { Cgroup::V1 }
}

fn text(path: &str) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError { path: PathBuf::from(path), source })
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Bytes as people read them, rounded down so that a figure that is too small also looks so.
fn gib(bytes: u64) -> String {
    let tenths = bytes / (GIB / 10);
    if tenths.is_multiple_of(10) {
        format!("{} GiB", tenths / 10)
    } else {
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    }
}
