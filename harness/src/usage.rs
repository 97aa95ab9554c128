//! What the harness's own process takes from the machine; the programs that it starts are not counted.

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// CPU time and memory of one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Seconds of CPU time, in user and kernel mode, of all threads.
    pub cpu_seconds: f64,
    /// The largest resident set so far, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    /// Of this process, since it began; none where the system does not tell (getrusage(2)).
    pub fn of_this_process() -> Option<Usage> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        // Linux counts it in KiB, macOS in bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        Some(Usage {
            cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
            peak_memory: u64::try_from(usage.max_rss()).ok()? * unit,
        })
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s of CPU, {} MiB of memory at most", self.cpu_seconds, self.peak_memory >> 20)
    }
}
