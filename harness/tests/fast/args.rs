//! The command line: every mistake at once, and help that says what a newcomer needs.

use std::fs;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use harness::cli::args::{Cli, EngineUse, Keep, Request, Surroundings};
use harness::exit::Exit;
use harness::field::Symptoms;
use harness::problem::Problems;
use harness::reading::KubeconfigFiles;
use harness::report::terminal::Volume;
use harness::role::Role;
use harness::scenario::ImageSource;
use harness::versions::Versions;
use rstest::rstest;

use crate::said::said;

const VERSIONS: &str = r#"
[defaults]
kubernetes = "v1.36.3"
istio = "1.31.1"
[kubernetes."v1.36.3"]
[kubernetes."v1.34.4"]
[istio."1.31.1"]
[istio."1.29.2"]
"#;

fn request_in(terminal: bool, ci: bool, flags: &[&str]) -> Result<Request, Problems> {
    let cli = Cli::try_parse_from(std::iter::once("meshproof").chain(flags.iter().copied())).unwrap();
    let versions = Versions::parse(VERSIONS).unwrap();
    let steps = ["label-network", "annotate-namespace", "remote-secret"].map(str::to_string);
    let catalogue = crate::catalogue::catalogue();
    let kubeconfig =
        &KubeconfigFiles { paths: vec![PathBuf::from("/nowhere/config")], place: "KUBECONFIG".to_string() };
    cli.request(&Surroundings {
        versions: &versions,
        catalogue: &catalogue,
        steps: &steps,
        sabotages: &[],
        symptoms: &Symptoms::default(),
        terminal,
        ci,
        kubeconfig,
    })
}

fn request(flags: &[&str]) -> Result<Request, Problems> {
    request_in(true, false, flags)
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn a_bare_run_is_the_default_scenario_with_every_check() {
    let request = request(&["run"]).unwrap();
    assert_eq!(request.scenario().name, "primary-remote");
    assert_eq!(request.scenario().lab, "meshproof");
    assert!(request.selection.is_everything() && !request.from_file && request.pause_after.is_none());
    assert_eq!(request.budgets.slow, 1.0);
    assert_eq!(request.runs, PathBuf::from("runs"));
    assert_eq!((request.verb.name(), request.telling.verbose), ("run", 0));
}

#[rstest]
#[case::on_a_terminal(true, false, &["run"], Keep::OnFailure)]
#[case::on_a_terminal_of_ci(true, true, &["run"], Keep::Never)]
#[case::into_a_file(false, false, &["run"], Keep::Never)]
#[case::as_said_in_ci(false, true, &["run", "--keep", "always"], Keep::Always)]
#[case::as_said_on_a_terminal(true, false, &["run", "--keep", "never"], Keep::Never)]
#[case::on_failure_in_ci(false, true, &["run", "--keep", "on-failure"], Keep::OnFailure)]
fn the_lab_is_kept_as_said_or_where_a_person_can_look(
    #[case] terminal: bool,
    #[case] ci: bool,
    #[case] flags: &[&str],
    #[case] keep: Keep,
) {
    assert_eq!(request_in(terminal, ci, flags).unwrap().keep, keep);
}

#[test]
fn flags_are_taken() {
    let flags = "run --lab mine --slow 2.5 --only D8,d4 --only D1 --runs /tmp/r --pause-after remote-secret -vv \
                 --engine existing";
    let request = request(&flags.split_whitespace().collect::<Vec<_>>()).unwrap();
    let ids: Vec<&str> = request.selection.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["D1", "D4", "D8"]);
    assert_eq!(request.scenario().lab, "mine");
    assert_eq!((request.budgets.slow, request.telling.verbose), (2.5, 2));
    assert_eq!(request.pause_after.as_deref(), Some("remote-secret"));
    assert_eq!((request.runs, request.engine), (PathBuf::from("/tmp/r"), EngineUse::Existing));
}

#[rstest]
#[case::as_flags_are_written("--istio-namespace")]
#[case::as_istioctl_writes_it("--istioNamespace")]
fn the_namespace_of_istio_is_taken(#[case] flag: &str) {
    for verb in ["plan", "up", "run"] {
        let request = request(&[verb, flag, "mesh-system"]).unwrap();
        assert_eq!(request.scenario().istio_namespace.to_string(), "mesh-system");
    }
}

#[rstest]
#[case::once(&["run"], Some(1), false)]
#[case::so_often(&["run", "--repeat", "20"], Some(20), false)]
#[case::until_one_is_not_green(&["run", "--until-fail"], None, true)]
#[case::until_one_is_not_green_at_most(&["run", "--until-fail", "--repeat", "5"], Some(5), true)]
fn a_run_is_repeated_as_said(#[case] flags: &[&str], #[case] most: Option<u32>, #[case] until_fail: bool) {
    let repeat = request(flags).unwrap().repeat;
    assert_eq!((repeat.most, repeat.until_fail), (most, until_fail));
    assert_eq!(repeat.is_once(), flags.len() == 1);
}

#[rstest]
#[case::never(&["run", "--repeat", "0"], "--repeat")]
#[case::less_than_never(&["run", "--repeat", "-1"], "--repeat")]
#[case::with_a_person(&["run", "--repeat", "2", "--pause-after", "remote-secret"], "--pause-after")]
fn what_cannot_be_repeated_is_refused(#[case] flags: &[&str], #[case] place: &str) {
    let problems = request(flags).unwrap_err();
    assert_eq!(problems.0.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), [place]);
}

#[test]
fn the_name_of_the_lab_on_the_command_line_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    fs::write(&file, "name: mine\nlab: written\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(request(&["up", "--scenario", file]).unwrap().scenario().lab, "written");
    let said = request(&["up", "--scenario", file, "--lab", "said"]).unwrap();
    assert_eq!((said.scenario().lab.as_str(), said.from_file), ("said", true));
}

#[test]
fn mistakes_of_the_file_and_of_every_flag_are_shown_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    fs::write(&file, "name: mine\nistio: '2'\nlabb: x\n").unwrap();
    let file = file.to_str().unwrap();
    let flags = [
        "run",
        "--scenario",
        file,
        "--lab",
        "Mine",
        "--only",
        "D99",
        "--skip",
        "[",
        "--slow",
        "0.5",
        "--kubernetes",
        "1.36",
        "--istio",
        "1.30.1",
        "--istio-namespace",
        "kube-system",
        "--keep",
        "maybe",
        "--pause-after",
        "remote-secrets",
        "--engine",
        "podman",
        "--runs",
        file,
    ];
    let problems = request(&flags).unwrap_err();
    let places: Vec<&str> = problems.0.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(
        places,
        [
            format!("{file}:2:8").as_str(),
            format!("{file}:3:1").as_str(),
            "--lab",
            "--istio-namespace",
            "--istio",
            "--kubernetes",
            "--only",
            "--skip",
            "--slow",
            "--engine or ENGINE",
            "--runs",
            "--keep",
            "--pause-after",
        ]
    );
    assert_eq!(problems.0.last().unwrap().instead, "`remote-secret`");
    assert_eq!(problems.exit(), Exit::Usage);
}

#[rstest]
#[case::no_such_file(&["up", "--scenario", "/not/there.yaml"], "--scenario: cannot read `/not/there.yaml`: No such file")]
#[case::no_such_events(&["report", "/not/there", "--out", "/tmp/x"], "RUN: there is no run in `/not/there`")]
#[case::all_and_one(&["down", "--all", "--lab", "mine"], "--all: --all removes every lab, and --lab names one")]
#[case::not_a_number(&["up", "--slow", "very"], "--slow: `very` is no factor\n    instead: a number from 1 to 100, such as 2")]
#[case::negative(&["up", "--slow", "-2"], "--slow: `-2` is no factor")]
#[case::nan(&["up", "--slow", "nan"], "--slow: `nan` is no factor")]
#[case::an_empty_item(&["list", "--only", "D1,"], "--only: a pattern is empty")]
fn a_bad_flag_says_what_to_write(#[case] flags: &[&str], #[case] shown: &str) {
    let problems = said(&request(flags).unwrap_err());
    assert!(problems.contains(shown), "{problems}");
}

#[rstest]
#[case::no_verb(&[])]
#[case::no_such_verb(&["upp"])]
#[case::no_such_flag(&["run", "--foo"])]
#[case::a_flag_of_another_verb(&["up", "--only", "D1"])]
#[case::no_out(&["report", "events.jsonl"])]
fn what_cannot_be_parsed_ends_as_bad_input_too(#[case] flags: &[&str]) {
    let error = Cli::try_parse_from(std::iter::once("meshproof").chain(flags.iter().copied())).unwrap_err();
    assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()));
}

#[test]
fn help_has_every_exit_code_and_every_verb_an_example() {
    let mut command = Cli::command();
    let short = command.render_help().to_string();
    for exit in [Exit::Green, Exit::Red, Exit::Usage, Exit::NoVerdict, Exit::LeftOver, Exit::Interrupted] {
        assert!(short.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())), "{short}");
    }
    for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
        let help = verb.render_long_help().to_string();
        assert!(help.contains(&format!("meshproof {}", verb.get_name())), "{help}");
    }
}

#[rstest]
#[case("list")]
#[case("build")]
#[case("verify")]
#[case("prune")]
fn images_have_verbs_of_their_own(#[case] verb: &str) {
    let request = request(&["images", verb, "--lab", "mine"]).unwrap();
    assert_eq!((request.verb.name(), request.scenario().lab.as_str()), ("images", "mine"));
}

#[rstest]
#[case::for_run(&["run", "--nodes", "3"], 3)]
#[case::for_up(&["up", "--nodes", "2"], 2)]
#[case::for_plan(&["plan", "--nodes", "9"], 9)]
#[case::not_said(&["run"], 1)]
fn nodes_are_given_to_both_clusters(#[case] flags: &[&str], #[case] nodes: u32) {
    let request = request(flags).unwrap();
    assert!(request.scenario().clusters.values().all(|wish| wish.nodes == nodes), "{:?}", request.scenario());
}

#[rstest]
#[case::none("0", "0 is too few")]
#[case::more_than_a_host_takes("10", "10 is too many")]
#[case::no_number("-1", "`-1` is no number")]
fn a_number_of_nodes_that_cannot_be_is_refused(#[case] nodes: &str, #[case] said: &str) {
    let problems = request(&["up", "--nodes", nodes]).unwrap_err().0;
    assert_eq!((problems[0].place.as_str(), problems[0].message.as_str()), ("--nodes", said));
}

#[rstest]
#[case::up(&["up"])]
#[case::run(&["run"])]
#[case::plan(&["plan"])]
#[case::prove(&["prove"])]
#[case::list(&["images", "list"])]
#[case::build(&["images", "build"])]
#[case::verify(&["images", "verify"])]
#[case::save(&["images", "save", "lab.tar"])]
#[case::load(&["images", "load", "lab.tar"])]
fn versions_are_taken_by_what_makes_a_lab_or_gets_its_images(#[case] verb: &[&str]) {
    let request = request(&[verb, &["--istio", "1.29.2", "--kubernetes", "v1.34.4"]].concat()).unwrap();
    assert_eq!((request.scenario().istio.as_str(), request.scenario().kubernetes.as_str()), ("1.29.2", "v1.34.4"));
    assert_eq!(request.verb.versions().typed(), ["--istio 1.29.2", "--kubernetes v1.34.4"]);
}

#[rstest]
#[case::check(&["check"])]
#[case::install(&["install"])]
#[case::down(&["down"])]
#[case::prune(&["images", "prune"])]
fn versions_are_refused_by_what_makes_nothing(#[case] verb: &[&str]) {
    let flags = [&["meshproof"], verb, &["--istio", "1.29.2"]].concat();
    assert!(Cli::try_parse_from(flags).is_err());
}

#[test]
fn a_version_on_the_command_line_wins_and_the_other_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    fs::write(&file, "name: mine\nistio: 1.29.2\nkubernetes: v1.34.4\n").unwrap();
    let request = request(&["run", "--scenario", file.to_str().unwrap(), "--istio", "1.31.1"]).unwrap();
    assert_eq!((request.scenario().istio.as_str(), request.scenario().kubernetes.as_str()), ("1.31.1", "v1.34.4"));
}

#[test]
fn an_unknown_version_is_told_its_neighbours_and_how_to_add_it() {
    let problems = said(&request(&["run", "--istio", "1.30.1"]).unwrap_err());
    let shown = "--istio: Istio `1.30.1` is not known\n    instead: 1.31.1 or 1.29.2; or add it: `meshproof versions add \
                 istio 1.30.1`";
    assert!(problems.contains(shown), "{problems}");
}

#[rstest]
#[case::without_reading_only(&["check", "--contexts", "a,b"], "--contexts", "labs that it made")]
#[case::without_contexts(&["check", "--read-only"], "--read-only", "which clusters")]
#[case::with_a_lab(&["check", "--contexts", "a,b", "--read-only", "--lab", "mine"], "--lab", "a lab")]
#[case::with_a_scenario(&["check", "--contexts", "a,b", "--read-only", "--scenario", "/nowhere"], "--scenario", "a lab")]
#[case::a_namespace_of_a_lab(&["check", "--istio-namespace", "mesh"], "--istio-namespace", "its own namespace")]
#[case::rights_of_nobody(&["check", "--print-rbac", "both"], "--print-rbac", "no part")]
#[case::a_subject_without_rights(&["check", "--rbac-subject", "user:a"], "--rbac-subject", "no rights")]
#[case::no_kubeconfig(&["check", "--contexts", "a,b", "--read-only"], "KUBECONFIG", "there is no file")]
#[case::an_install_that_is_not_allowed(&["run", "--contexts", "a,b", "--workload-image", "w:1"], "--contexts", "labs that it made")]
#[case::an_install_on_what(&["run", "--allow-install"], "--allow-install", "which clusters")]
#[case::agreed_to_what(&["run", "--yes"], "--yes", "which clusters")]
#[case::no_image(&["run", "--contexts", "a,b", "--allow-install"], "--workload-image", "can pull")]
#[case::no_image_at_all(&["run", "--contexts", "a,b", "--allow-install", "--workload-image", "a b"], "--workload-image", "no image")]
#[case::a_flag_of_labs(&["run", "--contexts", "a,b", "--allow-install", "--nodes", "2"], "--nodes", "a lab that meshproof makes")]
#[case::again_and_again(&["run", "--contexts", "a,b", "--allow-install", "--repeat", "2"], "--repeat", "a lab that meshproof makes")]
#[case::one_context(&["run", "--contexts", "a", "--allow-install"], "--contexts", "one context")]
#[case::a_record_of_a_lab(&["uninstall", "--record", "created.json", "--lab", "mine"], "--lab", "clusters of yours")]
fn flags_for_clusters_of_ones_own_must_fit(#[case] flags: &[&str], #[case] place: &str, #[case] message: &str) {
    let problems = request(flags).unwrap_err();
    let said = problems.0.iter().any(|problem| problem.place == place && problem.message.contains(message));
    assert!(said, "{problems}");
}

#[test]
fn all_that_is_wrong_with_clusters_of_ones_own_is_shown_together() {
    let flags = ["check", "--contexts", "a,a", "--lab", "mine", "--istio-namespace", "Mesh", "--only", "D99"];
    let places: Vec<String> = request(&flags).unwrap_err().0.into_iter().map(|problem| problem.place).collect();
    assert_eq!(places, ["--only", "--contexts", "--lab", "--istio-namespace", "--contexts", "KUBECONFIG"]);
}

#[test]
fn rights_can_be_printed_without_a_cluster() {
    let request = request(&["check", "--print-rbac", "remote", "--istio-namespace", "mesh"]).unwrap();
    let rbac = request.rbac.expect("they are asked for");
    assert_eq!((rbac.role.as_str(), rbac.istio_namespace.to_string().as_str()), ("remote", "mesh"));
}

#[rstest]
#[case::nowhere_to(&["capture", "--contexts", "a,b"], "--out", "no folder is given")]
#[case::into_a_folder_that_is_full(&["capture", "--contexts", "a,b", "-o", "src"], "--out", "is not empty")]
#[case::into_a_file(&["capture", "--contexts", "a,b", "-o", "Cargo.toml"], "--out", "is no folder")]
#[case::below_nothing(&["capture", "--contexts", "a,b", "-o", "nowhere/bundle"], "--out", "there is no folder")]
#[case::of_nothing(&["capture", "-o", "bundle"], "--contexts", "no context is given")]
#[case::of_two_kinds(&["capture", "--contexts", "a,b", "--lab", "mine", "-o", "bundle"], "--lab", "--contexts names clusters")]
#[case::of_a_lab_elsewhere(&["capture", "--lab", "Mine", "-o", "bundle"], "--lab", "cannot be a lab's name")]
#[case::a_secret_of_no_name(&["capture", "--contexts", "a,b", "-o", "bundle", "--remote-secret", "a/b"], "--remote-secret", "no name")]
#[case::rights_of_nobody(&["capture", "--print-rbac", "both"], "--print-rbac", "no part")]
#[case::no_bundle(&["run", "nowhere"], "nowhere", "is not there")]
#[case::a_bundle_and_a_scenario(&["plan", "nowhere", "--scenario", "/nowhere"], "--scenario", "says already")]
#[case::no_archives(&["inspect", "a.tar.gz", "b.tar.gz"], "b.tar.gz", "is not there")]
fn what_is_wrong_with_captures_and_archives_is_said(
    #[case] flags: &[&str],
    #[case] place: &str,
    #[case] message: &str,
) {
    let problems = request(flags).unwrap_err();
    let said = problems.0.iter().any(|problem| problem.place == place && problem.message.contains(message));
    assert!(said, "{problems}");
}

/// The healthy capture, rebuilt by `run` on another version and with other nodes than were captured.
#[test]
fn flags_go_before_what_a_bundle_says() {
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/bundles/guide");
    let request = request(&["run", bundle, "--istio", "1.29.2", "--nodes", "2", "--lab", "mine"]).unwrap();
    let scenario = request.scenario();
    assert_eq!((scenario.istio.as_str(), scenario.lab.as_str()), ("1.29.2", "mine"));
    assert!(scenario.clusters.values().all(|wish| wish.nodes == 2));
    assert!(request.not_rebuilt.iter().any(|row| row.what == "not rebuilt: Istio 1.31.1"), "{:?}", request.not_rebuilt);
}

#[test]
fn another_envoy_is_put_into_images_that_are_built_here() {
    let asked = request(&["run", "--envoy", "1.40.0"]).unwrap();
    let scenario = asked.scenario();
    assert_eq!((scenario.envoy.as_deref(), scenario.images), (Some("1.40.0"), ImageSource::Local));
    assert_eq!(Versions::parse(VERSIONS).unwrap().pick(scenario).value("istio.envoy"), "1.40.0");
    assert_eq!(asked.verb.versions().typed(), ["--envoy 1.40.0"]);
}

#[rstest]
#[case::no_version("--envoy v1.40", "not how a version of Envoy is written")]
#[case::official_images("--envoy 1.40.0 --images official", "official ones hold their own")]
#[case::images_of_a_candidate("--envoy 1.40.0 --hub localhost/mine --tag a", "hub and tag name others")]
fn an_envoy_that_nobody_would_run_is_refused(#[case] flags: &str, #[case] message: &str) {
    let flags: Vec<&str> = ["run"].into_iter().chain(flags.split_whitespace()).collect();
    let problems = request(&flags).unwrap_err();
    assert!(problems.0.len() == 1 && problems.0[0].place == "--envoy", "{problems}");
    assert!(problems.0[0].message.contains(message), "{problems}");
}

#[test]
fn what_is_wrong_with_a_candidate_is_said_all_at_once() {
    let flags = "run --hub https://registry.example.com --tag a/b --images-tar /nowhere/a.tar --istioctl /nowhere/istioctl \
                 --overlay mesh.yaml --overlay third=mesh.yaml --overlay primary=/nowhere/mesh.yaml";
    let problems = request(&flags.split_whitespace().collect::<Vec<_>>()).unwrap_err();
    let places: Vec<&str> = problems.0.iter().map(|problem| problem.place.as_str()).collect();
    let overlay = "--overlay primary=/nowhere/mesh.yaml";
    assert_eq!(places, ["--hub", "--tag", "--istioctl", "--images-tar", "--overlay", "--overlay", overlay]);
}

#[test]
fn a_candidate_goes_before_what_the_scenario_says_of_it_and_an_overlay_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let [scenario, mesh] = ["scenario.yaml", "mesh.yaml"].map(|name| folder.path().join(name).display().to_string());
    fs::write(&scenario, "name: mine\ncandidate: {hub: localhost/theirs, tag: a}\n").unwrap();
    fs::write(&mesh, "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {meshConfig: {}}\n").unwrap();
    let overlay = format!("primary={mesh}");
    let flags = ["up", "--scenario", &scenario, "--hub", "localhost/mine", "--overlay", &overlay];
    let asked = request(&flags).unwrap();
    let images = asked.scenario().candidate.images().unwrap();
    assert_eq!(images, ["localhost/mine/pilot:a", "localhost/mine/proxyv2:a"]);
    let laid_over = |role| asked.scenario().clusters[&role].overlay.clone();
    assert_eq!(laid_over(Role::Primary), Some(serde_json::json!({"meshConfig": {}})));
    assert_eq!(laid_over(Role::Remote), None);
    let twice = [&flags[..], &["--overlay", &overlay]].concat();
    assert!(request(&twice).unwrap_err().to_string().contains("primary: it has an overlay already"));
    fs::write(&scenario, "name: mine\ncandidate: {tag: a}\n").unwrap();
    let place = format!("{scenario}:2:18");
    let problems = request(&["up", "--scenario", &scenario]).unwrap_err();
    assert_eq!((problems.0.len(), &problems.0[0].place), (1, &place), "{problems}");
}

#[test]
fn all_that_is_wrong_with_a_row_of_field_issues_is_shown_together() {
    let flags =
        ["field", "run", "f02", "--istio", "9.9.9,1.29.2", "--keep", "maybe", "--deadline", "soon", "--lab", "L"];
    let places: Vec<String> = request(&flags).unwrap_err().0.into_iter().map(|problem| problem.place).collect();
    assert_eq!(places, ["--lab", "--keep", "--deadline", "--istio"]);
    let said = said(&request(&["field", "run", "--scenario", "/nowhere"]).unwrap_err());
    assert!(said.contains("meshproof field run FILE"), "{said}");
}

#[rstest]
#[case::run(&["run", "--remotes", "3"], &["cluster2", "cluster3", "cluster4"])]
#[case::up(&["up", "--remotes", "1"], &["cluster2"])]
#[case::not_said(&["plan"], &["cluster2"])]
fn remotes_are_counted_as_the_guide_counts(#[case] flags: &[&str], #[case] names: &[&str]) {
    let request = request(flags).unwrap();
    let remotes: Vec<&str> = request.scenario().clusters.remotes().iter().map(|wish| wish.name.as_str()).collect();
    assert_eq!(remotes, names);
}

#[rstest]
#[case::none("0", "0 is too few")]
#[case::no_number("many", "`many` is no number")]
fn a_number_of_remotes_that_cannot_be_is_refused(#[case] remotes: &str, #[case] said: &str) {
    let problems = request(&["run", "--remotes", remotes]).unwrap_err().0;
    assert_eq!((problems[0].place.as_str(), problems[0].message.as_str()), ("--remotes", said));
}

#[test]
fn a_proof_of_several_remotes_is_refused_before_anything_is_made() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "name: several\nclusters: {remotes: [{name: cluster2}, {name: cluster3}]}\n").unwrap();
    let problems = request(&["prove", "--scenario", &file.path().to_string_lossy()]).unwrap_err().0;
    assert_eq!(problems[0].message, "`prove` knows of one remote, and lab meshproof has cluster2 and cluster3");
}

#[rstest]
#[case::a_run(&["run", "-q", "-v"])]
#[case::a_reading_verb(&["check", "--quiet", "--verbose"])]
#[case::a_field_issue(&["field", "run", "f02-annotated-late", "-vv", "-q"])]
fn quiet_and_verbose_are_refused_together(#[case] flags: &[&str]) {
    let problems = request(flags).unwrap_err();
    assert!(problems.0.iter().any(|problem| problem.place == "--quiet"), "{problems}");
}

#[rstest]
#[case(&["run", "-q"], Volume::Quiet)]
#[case(&["prove", "--quiet"], Volume::Quiet)]
#[case(&["down"], Volume::Usual)]
#[case(&["up", "-vv"], Volume::Verbose)]
fn how_much_is_said_is_the_same_flag_everywhere(#[case] flags: &[&str], #[case] volume: Volume) {
    assert_eq!(request(flags).unwrap().telling.volume(), volume);
}
