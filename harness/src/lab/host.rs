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

/// The limits that two clusters need; `kind/engine` raises lower ones.
pub const INOTIFY_NEEDED: Inotify = Inotify { instances: 512, watches: 524_288 };

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of disk by the folder that they go to.
    pub disk: Vec<(PathBuf, u64)>,
}

impl Need {
    /// Memory of two clusters with the mesh.
    pub const LAB_MEMORY: u64 = 3 * GIB;
    /// Disk of a lab whose images are there.
    pub const LAB_DISK: u64 = 4 * GIB;
    /// Disk of a build of all images, Go's caches included.
    pub const BUILD_DISK: u64 = 20 * GIB;

    /// What a lab takes whose images are there, with the engine's folder.
    pub fn lab(engine: impl Into<PathBuf>) -> Need {
        Need { memory: Need::LAB_MEMORY, disk: vec![(engine.into(), Need::LAB_DISK)] }
    }

    /// What a lab takes whose images are still to be built, with the folder of the build's caches.
    pub fn build(cache: impl Into<PathBuf>) -> Need {
        Need { memory: Need::LAB_MEMORY, disk: vec![(cache.into(), Need::BUILD_DISK)] }
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

    /// What is too little here for what will be done, with the figures; reads the free disk.
    pub fn problems(&self, need: &Need) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(available) = self.memory_available
            && available < need.memory
        {
            problems.push(Problem::new(
                "the host",
                format!(
                    "{} of memory are available, and two clusters with Istio need {}",
                    gib(available),
                    gib(need.memory)
                ),
                "end other programs or labs (`meshproof down`), or use a machine with more memory",
            ));
        }
        problems.extend(disk_problems(&need.disk, |path| disk_of(path).ok()));
        problems
    }

    /// Limits of file watches that are too low for two clusters, each with the command that raises it.
    pub fn inotify_problems(&self) -> Vec<Problem> {
        let Some(found) = self.inotify else { return Vec::new() };
        [
            ("max_user_instances", found.instances, INOTIFY_NEEDED.instances),
            ("max_user_watches", found.watches, INOTIFY_NEEDED.watches),
        ]
        .into_iter()
        .filter(|(_, found, needed)| found < needed)
        .map(|(name, found, needed)| {
            let message = format!("fs.inotify.{name} is {found}, and two clusters need {needed}");
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
