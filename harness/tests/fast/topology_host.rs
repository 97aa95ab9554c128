//! What a host has is read from its own texts, and what is too little is said with the figures.

use std::path::{Path, PathBuf};

use harness::lab::host::{
    Cgroup, Disk, GIB, Host, Inotify, Need, Nodes, disk_of, disk_problems, parse_cgroup, parse_memory_available,
    parse_missing_capabilities, parse_routes,
};
use harness::scenario::Scenario;
use harness::versions::Versions;
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

/// So many nodes in each cluster, and so many istiod and gateway pods.
fn scenario(nodes: u32, replicas: u32) -> Scenario {
    let versions = "[defaults]\nkubernetes = \"v1\"\nistio = \"1\"\n[kubernetes.v1]\n[istio.1]\n";
    let mut scenario = Scenario::default_primary_remote(&Versions::parse(versions).unwrap());
    scenario.clusters.values_mut().for_each(|wish| wish.nodes = nodes);
    (scenario.istiod.replicas, scenario.gateway.replicas) = (replicas, replicas);
    scenario
}

/// What a lab needs but disk, so that no test depends on the disk of its host.
fn need(nodes: u32, replicas: u32) -> Need {
    Need { disk: Vec::new(), ..Need::lab(&scenario(nodes, replicas), "/") }
}

const NOBODY: Nodes = Nodes { control_planes: 0, workers: 0 };

#[rstest]
#[case::the_guides_own(1, 1, 3 * GIB, 4 * GIB, 2, 0)]
#[case::two_nodes_and_replicas(2, 2, 5 * GIB, 8 * GIB, 2, 2)]
#[case::as_large_as_can_be_asked_for(9, 9, 19 * GIB, 36 * GIB, 2, 16)]
fn what_a_lab_needs_grows_with_its_nodes_and_replicas(
    #[case] nodes: u32,
    #[case] replicas: u32,
    #[case] memory: u64,
    #[case] disk: u64,
    #[case] control_planes: u32,
    #[case] workers: u32,
) {
    let need = Need::lab(&scenario(nodes, replicas), "/engine");
    assert_eq!((need.memory, &need.disk), (memory, &vec![(PathBuf::from("/engine"), disk)]));
    assert_eq!(need.nodes, Nodes { control_planes, workers });
    let build = Need::build(&scenario(nodes, replicas), "/cache");
    assert_eq!(build.disk.iter().map(|(_, bytes)| bytes).sum::<u64>(), disk + Need::BUILD_DISK);
}

#[rstest]
#[case::small(1, 1, "1.5 GiB of memory are available, and 2 nodes need 3 GiB")]
#[case::large(3, 2, "1.5 GiB of memory are available, and 6 nodes, 2 istiod, 2 gateway pods need 6.5 GiB")]
fn too_little_memory_is_said_with_both_figures(#[case] nodes: u32, #[case] replicas: u32, #[case] said: &str) {
    let need = need(nodes, replicas);
    let host = Host { memory_available: Some(GIB * 3 / 2), ..Host::default() };
    let messages: Vec<String> = host.problems(&need, NOBODY).into_iter().map(|problem| problem.message).collect();
    assert_eq!(messages, [said]);
    let enough = Host { memory_available: Some(need.memory), ..Host::default() };
    assert_eq!(enough.problems(&need, NOBODY), []);
    assert_eq!(Host::default().problems(&need, NOBODY), [], "not known");
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

#[rstest]
#[case::one_small_lab(1, NOBODY, 160, "2 nodes need 160")]
#[case::a_large_one(4, NOBODY, 352, "8 nodes need 352")]
#[case::beside_another(1, Nodes { control_planes: 2, workers: 2 }, 320, "2 nodes beside 4 that are up need 320")]
fn low_limits_of_file_watches_come_with_the_command_that_raises_them(
    #[case] nodes: u32,
    #[case] up: Nodes,
    #[case] instances: u64,
    #[case] said: &str,
) {
    let host = |instances| Host { inotify: Some(Inotify { instances, watches: 1 << 20 }), ..Host::default() };
    let problems = host(128).problems(&need(nodes, 1), up);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].message, format!("fs.inotify.max_user_instances is 128, and {said}"));
    assert_eq!(problems[0].instead, format!("sudo sysctl -w fs.inotify.max_user_instances={instances}"));
    assert_eq!(host(instances).problems(&need(nodes, 1), up), [], "what is asked for is enough");
}

#[test]
fn too_few_watches_are_said_too() {
    let host = Host { inotify: Some(Inotify { instances: 8192, watches: 8192 }), ..Host::default() };
    let messages: Vec<String> = host.problems(&need(1, 1), NOBODY).into_iter().map(|problem| problem.message).collect();
    assert_eq!(messages, ["fs.inotify.max_user_watches is 8192, and 2 nodes need 10240"]);
}

#[test]
fn this_host_can_be_read() {
    let host = Host::read().unwrap();
    if cfg!(target_os = "linux") {
        assert!(host.memory_available.is_some_and(|bytes| bytes > 0));
    }
}
