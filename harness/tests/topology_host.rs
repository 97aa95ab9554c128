//! What a host has is read from its own texts, and what is too little is said with the figures.

use std::path::{Path, PathBuf};

use harness::lab::host::{
    Cgroup, Disk, GIB, Host, INOTIFY_NEEDED, Inotify, Need, disk_of, disk_problems, parse_cgroup,
    parse_memory_available, parse_missing_capabilities, parse_routes,
};
use rstest::rstest;

const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t00000000\t0100000A\t0003\t0\t0\t0\t00000080\t0\t0\t0
tun0\t00000080\t0100000A\t0003\t0\t0\t0\t00000080\t0\t0\t0
wg0\t0300000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
a line that is none
";

#[test]
fn routes_but_not_default_ones_are_taken() {
    let routes: Vec<String> = parse_routes(ROUTES).iter().map(|taken| format!("{} {}", taken.net, taken.by)).collect();
    assert_eq!(
        routes,
        ["172.17.0.0/16 route of docker0", "192.0.2.0/24 route of eth0", "10.0.0.3/32 route of wg0"],
        "neither 0.0.0.0/0 nor a VPN's two halves of it"
    );
}

#[rstest]
#[case::usual("MemTotal:       24611440 kB\nMemFree:  1 kB\nMemAvailable:   20971520 kB\n", Some(20 * GIB))]
#[case::not_there("MemTotal:       24611440 kB\n", None)]
#[case::no_number("MemAvailable:   many kB\n", None)]
fn available_memory_is_read(#[case] text: &str, #[case] bytes: Option<u64>) {
    assert_eq!(parse_memory_available(text), bytes);
}

#[rstest]
#[case::an_ordinary_host("CapBnd:\t000001ffffffffff\n", 40, &[])]
#[case::without_sys_resource("CapBnd:\t000001fffeffffff\n", 40, &["CAP_SYS_RESOURCE"])]
#[case::an_older_kernel("CapBnd:\t0000003fffffffff\n", 37, &[])]
#[case::a_newer_kernel("CapBnd:\t000001ffffffffff\n", 41, &["capability 41"])]
#[case::both_ends("CapBnd:\t000000fffffffffe\n", 40, &["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"])]
#[case::nothing_known("Name:\tx\n", 40, &[])]
fn withheld_capabilities_are_named(#[case] status: &str, #[case] last: u32, #[case] names: &[&str]) {
    let missing = parse_missing_capabilities(&format!("CapInh:\t0000000000000000\n{status}"), last);
    assert_eq!(missing, names);
    let host = Host { capabilities_missing: missing, ..Host::default() };
    assert_eq!(host.restricted(), names.contains(&"CAP_SYS_RESOURCE"));
}

#[rstest]
#[case::unified("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", Cgroup::V2)]
#[case::old("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n", Cgroup::V1)]
#[case::hybrid("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", Cgroup::V1)]
#[case::mounted_over("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", Cgroup::V2)]
fn the_generation_of_cgroups_is_read(#[case] mounts: &str, #[case] cgroup: Cgroup) {
    assert_eq!(parse_cgroup(mounts), cgroup);
}

#[test]
fn too_little_memory_is_said_with_both_figures() {
    let host = Host { memory_available: Some(GIB * 3 / 2), ..Host::default() };
    let problems = host.problems(&Need { memory: Need::LAB_MEMORY, disk: Vec::new() });
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "1.5 GiB of memory are available, and two clusters with Istio need 3 GiB");
    let enough = Host { memory_available: Some(3 * GIB), ..Host::default() };
    assert_eq!(enough.problems(&Need { memory: Need::LAB_MEMORY, disk: Vec::new() }), []);
    assert_eq!(Host::default().problems(&Need { memory: Need::LAB_MEMORY, disk: Vec::new() }), [], "not known");
}

#[test]
fn needs_that_meet_on_one_disk_are_added_up() {
    let need = [(PathBuf::from("/a"), 4 * GIB), (PathBuf::from("/b"), 20 * GIB), (PathBuf::from("/c"), 4 * GIB)];
    let disk = |path: &Path| {
        Some(if path == Path::new("/c") {
            Disk { device: 2, free: 5 * GIB }
        } else {
            Disk { device: 1, free: 21 * GIB }
        })
    };
    let messages: Vec<String> = disk_problems(&need, disk).into_iter().map(|problem| problem.message).collect();
    assert_eq!(messages, ["21 GiB are free on the disk of /a and /b, and 24 GiB are needed"]);
}

#[test]
fn the_disk_of_a_folder_that_is_not_made_yet_is_that_of_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let there = disk_of(folder.path()).unwrap();
    let not_yet = disk_of(&folder.path().join("not/yet")).unwrap();
    assert_eq!(there.device, not_yet.device);
    assert!(not_yet.free > 0);
}

#[test]
fn low_limits_of_file_watches_come_with_the_command_that_raises_them() {
    let host = Host { inotify: Some(Inotify { instances: 128, ..INOTIFY_NEEDED }), ..Host::default() };
    let problems = host.inotify_problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].instead, "sudo sysctl -w fs.inotify.max_user_instances=512");
}

#[test]
fn this_host_can_be_read() {
    let host = Host::read().unwrap();
    if cfg!(target_os = "linux") {
        assert!(host.memory_available.is_some_and(|bytes| bytes > 0));
    }
}
