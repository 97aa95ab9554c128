//! Every time limit of a run, in one place, with one factor for slow machines.

use std::ops::{Deref, Mul};
use std::time::Duration;

/// Time limits; `--slow` multiplies all of them.
///
/// Measured are the longest of 20 runs alone on two cores, and in brackets of 5 runs beside two other labs and builds on the
/// same cores, both on 2026-11-21; `run --repeat` shows the longest wait under each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budgets {
    /// The factor of `--slow`; 1.0 for none.
    pub slow: f64,
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets { slow: 1.0 }
    }
}

impl Budgets {
    /// The limits of a lab of so many clusters: they are measured with two, and more have to do with the same cores.
    #[must_use]
    pub fn shared_by(self, clusters: usize) -> Budgets {
        Budgets { slow: self.slow * (clusters as f64 / 2.0).max(1.0) }
    }
}

/// One time limit, by its name in this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its name; empty for one that is not from here.
    pub name: &'static str,
    /// How long.
    pub time: Duration,
}

impl Deref for Limit {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.time
    }
}

impl From<Duration> for Limit {
    fn from(time: Duration) -> Self {
        Limit { name: "", time }
    }
}

impl From<Limit> for Duration {
    fn from(limit: Limit) -> Self {
        limit.time
    }
}

impl Mul<u32> for Limit {
    type Output = Limit;

    fn mul(self, times: u32) -> Limit {
        Limit { time: self.time * times, ..self }
    }
}

macro_rules! budgets {
    ($($(#[$doc:meta])* $name:ident = $seconds:expr;)*) => {
        impl Budgets {
            $($(#[$doc])* pub fn $name(&self) -> Limit {
                Limit { name: stringify!($name), time: Duration::from_secs_f64($seconds as f64 * self.slow) }
            })*
        }
    };
}

budgets! {
    /// One build of an image or a set of binaries; the longest measured took 4.5 minutes.
    image_build = 2400;
    /// One image or one file of a release, from a registry or a server; 400 MB at 1 MB/s take 400 s.
    image_pull = 1800;
    /// One question of `versions add` to `go` or pip; the longest measured took 57 s, with
    /// all modules of Kubernetes to be fetched on a busy machine.
    resolve = 900;
    /// `kind create cluster`, two at once; measured 16 s (63 s).
    cluster_create = 240;
    /// Each wait between an API server that answers and Ready nodes with their pod network; all of them measured 4 s.
    cluster_ready = 120;
    /// One call of istioctl that waits for what it installs; measured 11 s (28 s).
    istioctl = 180;
    /// Deployments of the fixtures; measured 7 s (18 s).
    workload_ready = 60;
    /// All workloads of a namespace made anew; pods may stay for 10 s after they are told to go.
    rollout = 180;
    /// istiod ready after its install; istioctl has waited for it before.
    istiod_ready = 120;
    /// An address in the status of the gateway's Service; measured under 1 s (2 s).
    gateway_address = 60;
    /// The same where a platform has to make a load balancer for it, which takes clouds some minutes; not measured.
    platform_address = 600;
    /// The gateway answers at that address; its readiness probe has a period of 1 s (`lab.yaml`). Measured 3 s (6 s).
    gateway_ready = 90;
    /// istiod has synced the remote cluster; measured 1 s (1 s).
    remote_synced = 60;
    /// istiod wrote an object of the remote cluster, or wrote it again; calls follow what changed. Measured 3 s (13 s).
    converge = 30;
    /// istiod holds its lock in the remote cluster; one that was killed keeps it for 30 s (TTL of the leader election), and
    /// the next asks every 7.5 s.
    lock = 60;
    /// A proxy has heard of an endpoint; measured under 2 s (3 s).
    endpoints = 45;
    /// A window over which something must not happen.
    never = 3;
    /// What a check has left once another takes the blame for it: its verdict is passed or blocked then, and the longest on a
    /// healthy mesh measured 10 s. Each of its waits has a `request` at least.
    hurried = 20;
    /// One call of a row that is made again where it is late; under Envoy's 10 s for a connection, so that a dead address ends
    /// in the same words. 2 s were too short beside two other labs, for one call in twenty.
    call = 8;
    /// One call of a row that is judged as it is: on a busy machine late is not lost.
    judged_call = 20;
    /// One call by a name of which it shall be told whether it is found: where no DNS server answers, the resolver gives up
    /// after 10 s, and only then does the error say so.
    resolved = 12;
    /// One call straight from pod to pod; measured under 1 s.
    pod_call = 3;
    /// One check that only reads, all its waits together.
    case = 240;
    /// One question to a probe, a proxy or istiod; measured under 1 s (4 s).
    request = 5;
    /// Deletion of pods and namespaces in the clean-up; measured 13 s (21 s).
    cleanup = 180;
    /// Diagnostics of both clusters, all in all.
    diagnose = 60;
    /// Removal of the lab.
    down = 120;
    /// The whole run after images, so that JUnit is closed before a CI job is killed.
    run = 2400;
}
