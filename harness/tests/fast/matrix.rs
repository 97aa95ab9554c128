//! Matrices: which runs there are, what is refused, how shards come together, and the table.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use harness::cli::args::{Cli, MatrixArgs, Verb};
use harness::exit::Exit;
use harness::matrix::{self, Clause, Combination, Disk, FILE, FORMAT, Matrix, Outcome, Shard, find, merge};
use harness::report::{Summary, jsonl};
use quick_junit::{Report, TestCase, TestSuite};
use rstest::rstest;
use tempfile::TempDir;

use crate::said::said;

fn args(flags: &str) -> MatrixArgs {
    let words = ["meshproof", "matrix"].into_iter().chain(flags.split_whitespace());
    match Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).verb {
        Verb::Matrix(args) => args,
        other => panic!("{other:?}"),
    }
}

/// The calls of `run`, each as its three lists say.
fn calls(flags: &str) -> Vec<[String; 3]> {
    let told = |call: Cli| {
        let Verb::Run(run) = call.verb else { panic!("a matrix is made of runs") };
        assert_eq!(run.keep.as_deref(), Some("never"), "the next lab has the same name");
        let file = run.common.scenario.map(|file| file.display().to_string());
        [run.shape.versions.kubernetes, run.shape.versions.istio, file].map(Option::unwrap_or_default)
    };
    args(flags).calls().expect("nothing is wrong").into_iter().map(told).collect()
}

#[test]
fn every_version_of_one_runs_on_every_version_of_the_other_and_one_kubernetes_stays_together() {
    let wanted =
        [["v1.36.3", "1.31.1", ""], ["v1.36.3", "1.29.2", ""], ["v1.34.4", "1.31.1", ""], ["v1.34.4", "1.29.2", ""]];
    assert_eq!(calls("--istio 1.31.1,1.29.2 --kubernetes v1.36.3,v1.34.4"), wanted);
    assert_eq!(calls("--istio 1.31.1,1.29.2 --kubernetes v1.36.3,v1.34.4 --pairwise"), wanted, "two factors are pairs");
}

#[test]
fn pairwise_takes_fewer_where_there_are_three_factors() {
    let flags = "--istio 1.31.1,1.29.2 --kubernetes v1.36.3,v1.34.4 --scenario a.yaml,b.yaml";
    assert_eq!(calls(flags).len(), 8);
    let chosen = calls(&format!("{flags} --pairwise"));
    assert_eq!(chosen.len(), 4);
    assert!(chosen.iter().all(|call| calls(flags).contains(call)));
}

#[test]
fn without_lists_a_matrix_is_one_run_of_the_defaults() {
    assert_eq!(calls(""), [["", "", ""]]);
}

#[test]
fn what_is_wrong_with_lists_is_said_at_once() {
    let problems = args("--istio 1.31.1,,1.29.2 --kubernetes v1.36.3,v1.36.3").calls().unwrap_err();
    let places: Vec<&str> = problems.0.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["--kubernetes", "--istio"], "{problems}");
}

#[rstest]
#[case::no_part("--shard two", "`two` is no part")]
#[case::too_far("--shard 5/4", "`5/4` is none of the 4 parts")]
#[case::more_parts_than_runs("--shard 1/9", "of 2 combinations there are no 9 parts")]
fn a_shard_that_cannot_be_is_refused(#[case] flags: &str, #[case] message: &str) {
    assert_eq!(args(flags).part(2).unwrap_err().0[0].message, message);
}

#[rstest]
#[case::another_format("--format gitlab", &["--format"])]
#[case::no_number("--format github --shards two", &["--shards"])]
#[case::none("--format github --shards 0", &["--shards"])]
#[case::more_than_there_are("--format github --shards 4", &["--shards"])]
#[case::nothing_is_printed("--shards 2", &["--shards"])]
#[case::all_at_once("--format x --shard 1/2 --shards -1", &["--format", "--format", "--shards"])]
fn a_matrix_that_cannot_be_printed_is_refused(#[case] flags: &str, #[case] places: &[&str]) {
    let problems = args(flags).printed(3).unwrap_err();
    assert_eq!(problems.0.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), places, "{problems}");
}

#[rstest]
#[case::as_many_as_github_takes("--format github", 256, Ok(256))]
#[case::one_more("--format github", 257, Err("these are 257 jobs, and GitHub takes 256 of a matrix"))]
#[case::in_fewer_shards("--format github --shards 256", 257, Ok(256))]
#[case::in_too_many("--format github --shards 300", 1000, Err("these are 300 jobs, and GitHub takes 256 of a matrix"))]
fn no_more_jobs_are_printed_than_github_takes(
    #[case] flags: &str,
    #[case] combinations: usize,
    #[case] shards: Result<usize, &str>,
) {
    let printed = args(flags).printed(combinations);
    assert_eq!(printed.map_err(|problems| problems.0[0].message.clone()), shards.map(Some).map_err(str::to_string));
}

#[rstest]
#[case::a_job_for_each(3, &["1.31.1 v1.36.3", "1.29.2 v1.36.3", "1.29.2 v1.34.4"])]
#[case::fewer_jobs(2, &["1.31.1 v1.36.3", "1.29.2 v1.36.3,v1.34.4"])]
#[case::one_job(1, &["1.31.1,1.29.2 v1.36.3,v1.34.4"])]
fn what_is_printed_for_github_names_exactly_what_its_shards_run(#[case] shards: usize, #[case] jobs: &[&str]) {
    let text = matrix::github(&shard_of("1/1"), shards);
    assert!(!text.contains('\n'), "an output of a step is one line");
    let read: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let entries = read["include"].as_array().expect("a list");
    let said: Vec<String> = entries
        .iter()
        .map(|entry| format!("{} {}", entry["istio"].as_str().unwrap(), entry["kubernetes"].as_str().unwrap()))
        .collect();
    assert_eq!(said, jobs);
    // What the jobs run, by the very flag that they are given.
    let mut run = Vec::new();
    for entry in entries {
        let one = shard_of(entry["shard"].as_str().expect("a shard"));
        for combination in one.own() {
            let has = |key: &str, value: &str| entry[key].as_str().unwrap().split(',').any(|other| other == value);
            assert!(has("istio", &combination.istio) && has("kubernetes", &combination.kubernetes), "{entry}");
            assert!(has("scenario", &combination.scenario), "{entry}");
            run.push(combination.name());
        }
    }
    let all: Vec<String> = shard_of("1/1").combinations.iter().map(Combination::name).collect();
    assert_eq!(run, all, "each combination once");
}

#[test]
fn merge_takes_folders_and_needs_somewhere_to_write() {
    assert!(Cli::try_parse_from(["meshproof", "matrix", "merge", "a", "b", "--out", "c"]).is_ok());
    assert!(Cli::try_parse_from(["meshproof", "matrix", "merge", "a"]).is_err());
    assert!(Cli::try_parse_from(["meshproof", "matrix", "--prune", "merge", "a", "--out", "c"]).is_err());
}

fn combination(istio: &str, kubernetes: &str, supported: Option<bool>) -> Combination {
    let (istio, kubernetes) = (istio.to_string(), kubernetes.to_string());
    Combination { istio, kubernetes, scenario: "primary-remote".to_string(), supported, disk: None, outcome: None }
}

fn shard_of(text: &str) -> Matrix {
    let combinations = vec![
        combination("1.31.1", "v1.36.3", None),
        combination("1.29.2", "v1.36.3", Some(false)),
        combination("1.29.2", "v1.34.4", Some(true)),
    ];
    let (meshproof, began) = ("0.1.0".to_string(), jiff::Timestamp::UNIX_EPOCH);
    Matrix { format: FORMAT, meshproof, began, shard: Shard::named(text).expect("a shard"), combinations }
}

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/green.jsonl")
}

/// A folder as a shard leaves it: its first run was the recorded one, and its others could not begin.
fn folder_of(matrix: &mut Matrix) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let range = matrix.shard.range(matrix.combinations.len());
    for (at, one) in matrix.combinations[range].iter_mut().enumerate() {
        if at > 0 {
            one.outcome = Some(Outcome::not_begun("lab meshproof: is up already"));
            continue;
        }
        let run = folder.path().join(one.folder()).join("20261122T100000Z-meshproof");
        fs::create_dir_all(&run).expect("a folder");
        fs::copy(recorded(), run.join("events.jsonl")).expect("a copy");
        let summary = Summary::of(&jsonl::read(&recorded()).expect("a recorded run"));
        one.outcome = Some(Outcome::of(Exit::Green, &summary));
        one.disk = Some(Disk { bytes: 5_200_000_000, alone: 1_300_000_000 });
    }
    fs::write(folder.path().join(FILE), serde_json::to_string(&matrix).expect("JSON")).expect("a file");
    folder
}

#[test]
fn shards_become_one_table_and_one_junit_in_which_every_run_is_a_suite() {
    let folders = ["1/2", "2/2"].map(|text| folder_of(&mut shard_of(text)));
    let paths = folders.each_ref().map(|folder| folder.path().to_path_buf());
    let (merged, suites) = merge(&find(&paths).expect("both can be read")).expect("they fit");
    assert!(merged.shard.is_whole());
    assert_eq!(merged.exit(), Exit::NoVerdict, "the third could not begin");
    let report = Report::deserialize_from_str(&matrix::junit(&suites)).expect("it is JUnit");
    let names: Vec<&str> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, merged.combinations.iter().map(Combination::name).collect::<Vec<_>>());
    let planned = merged.combinations[0].outcome.as_ref().expect("it was run").clauses.len();
    let count = |suite: &TestSuite, groups: &[&str]| {
        let classes: Vec<String> = groups.iter().map(|group| format!("{}.{group}", suite.name.as_str())).collect();
        let of = |case: &&TestCase| case.classname.as_ref().is_some_and(|class| classes.contains(&class.to_string()));
        suite.test_cases.iter().filter(of).count()
    };
    let judged: Vec<usize> = report.test_suites.iter().map(|suite| count(suite, &["clauses", "checks"])).collect();
    assert_eq!(judged, [planned, planned, 0]);
    let made: Vec<bool> = report.test_suites.iter().map(|suite| count(suite, &["lab", "install"]) > 10).collect();
    assert_eq!(made, [true, true, false], "steps and parts of the lab are there too");
    assert_eq!(count(&report.test_suites[2], &["run"]), 1);
    assert_eq!(matrix::junit(&suites).matches("lab meshproof: is up already").count(), 2, "as message and as text");
    let table = matrix::text(&merged);
    assert!(table.contains("2 of 3 runs green"), "{table}");
    assert!(
        table.contains("Istio 1.29.2, Kubernetes v1.34.4, primary-remote: lab meshproof: is up already"),
        "{table}"
    );
}

#[test]
fn what_no_shard_has_run_is_no_verdict() {
    let folder = folder_of(&mut shard_of("1/3"));
    let (merged, suites) = merge(&find(&[folder.path().to_path_buf()]).expect("it can be read")).expect("it is one");
    assert_eq!(merged.exit(), Exit::NoVerdict);
    assert!(matrix::junit(&suites).contains("no shard that was merged has run it"));
    assert_eq!(matrix::text(&merged).matches(": not run").count(), 2);
}

#[test]
fn the_same_shard_by_another_way_counts_once_and_two_runs_of_one_combination_are_refused() {
    let [first, again] = [folder_of(&mut shard_of("1/3")), folder_of(&mut shard_of("1/3"))];
    let paths = [first.path(), again.path()].map(Path::to_path_buf);
    assert_eq!(find(&paths).expect("both can be read").len(), 1, "they say the same");
    let mut other = shard_of("1/3");
    other.began = jiff::Timestamp::MAX;
    let other = folder_of(&mut other);
    let problems = merge(&find(&[paths[0].clone(), other.path().to_path_buf()]).expect("both can be read"));
    assert!(problems.unwrap_err().to_string().contains("has a run of Istio 1.31.1, Kubernetes v1.36.3"));
}

#[test]
fn what_is_no_shard_of_the_same_matrix_is_refused_with_all_reasons() {
    let (mut fewer, mut others) = (shard_of("2/2"), shard_of("2/2"));
    fewer.combinations.pop();
    others.meshproof = "0.2.0".to_string();
    let all = [&mut shard_of("1/2"), &mut fewer, &mut others, &mut shard_of("3/3")].map(folder_of);
    let found = find(&all.each_ref().map(|folder| folder.path().to_path_buf())).expect("they can be read");
    let messages: Vec<String> = merge(&found).unwrap_err().0.into_iter().map(|problem| problem.message).collect();
    assert_eq!(
        messages,
        ["has other combinations", "is of meshproof 0.2.0, not 0.1.0", "is one of 3 shards, not of 2"]
    );
}

#[test]
fn folders_without_a_matrix_and_broken_ones_are_named_all_at_once() {
    let [empty, broken, newer] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    fs::write(broken.path().join(FILE), "{").expect("a file");
    fs::write(newer.path().join(FILE), "{\"format\": 9}").expect("a file");
    let problems = said(&find(&[&empty, &broken, &newer].map(|folder| folder.path().to_path_buf())).unwrap_err());
    for said in ["there is no matrix.json", "is not JSON", "has layout 9"] {
        assert!(problems.contains(said), "{said}: {problems}");
    }
}

#[test]
fn events_that_were_not_kept_are_missed() {
    let folder = folder_of(&mut shard_of("1/3"));
    let run = folder.path().join(shard_of("1/3").combinations[0].folder());
    fs::remove_dir_all(run).expect("it is there");
    let problems = merge(&find(&[folder.path().to_path_buf()]).expect("it can be read")).unwrap_err();
    assert_eq!(problems.0[0].message, "there are no events of its run in it");
}

#[test]
fn a_run_whose_events_say_otherwise_than_the_matrix_is_refused() {
    let folder = folder_of(&mut shard_of("1/3"));
    let run = folder.path().join(shard_of("1/3").combinations[0].folder()).join("20261122T100000Z-meshproof");
    let text = fs::read_to_string(recorded()).expect("a recorded run");
    let cut: Vec<&str> = text.lines().take(40).collect();
    fs::write(run.join("events.jsonl"), cut.join("\n")).expect("a file");
    let problems = merge(&find(&[folder.path().to_path_buf()]).expect("it can be read")).unwrap_err();
    let said = "the run of Istio 1.31.1, Kubernetes v1.36.3, primary-remote is green by matrix.json, and no-verdict by its events";
    assert_eq!(problems.0[0].message, said);
}

#[test]
fn a_green_run_that_lost_its_reports_is_merged_without_a_verdict() {
    let mut matrix = shard_of("1/3");
    let folder = folder_of(&mut matrix);
    matrix.combinations[0].outcome.as_mut().expect("it was run").exit = Exit::NoVerdict;
    fs::write(folder.path().join(FILE), serde_json::to_string(&matrix).expect("JSON")).expect("a file");
    let (merged, _) = merge(&find(&[folder.path().to_path_buf()]).expect("it can be read")).expect("they fit");
    assert_eq!(merged.combinations[0].outcome.as_ref().map(|outcome| outcome.exit), Some(Exit::NoVerdict));
}

#[test]
fn a_matrix_of_nothing_is_refused() {
    let mut matrix = shard_of("1/3");
    matrix.combinations.clear();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(FILE), serde_json::to_string(&matrix).expect("JSON")).expect("a file");
    let problems = merge(&find(&[folder.path().to_path_buf()]).expect("it can be read")).unwrap_err();
    assert_eq!(problems.0[0].message, "has no combinations");
}

fn clause(id: &str, verdict: &str, expected: &str) -> Clause {
    let text = str::to_string;
    Clause {
        id: text(id),
        slug: format!("{}-slug", id.to_lowercase()),
        verdict: text(verdict),
        expected: text(expected),
    }
}

#[test]
fn a_table_shows_every_clause_of_any_run_and_why_a_run_is_not_green() {
    let mut matrix = shard_of("1/1");
    let outcome = |exit, cause: &str, clauses| Some(Outcome { exit, cause: cause.to_string(), seconds: 75.0, clauses });
    matrix.combinations[0].disk = Some(Disk { bytes: 5_200_000_000, alone: 130_000_000 });
    matrix.combinations[0].outcome =
        outcome(Exit::Green, "", vec![clause("D0", "passed", "passed"), clause("D9", "skipped", "passed")]);
    matrix.combinations[1].scenario = "late".to_string();
    matrix.combinations[1].outcome = outcome(
        Exit::Red,
        "cluster2 | has no root",
        vec![
            clause("D0", "passed", "passed"),
            clause("late/D8", "failed", "failed"),
            clause("D8", "failed", "passed"),
            clause("D9", "blocked", "passed"),
        ],
    );
    let table = matrix::text(&matrix);
    insta::assert_snapshot!(table);
    insta::assert_snapshot!("markdown", matrix::markdown(&matrix));
    assert_eq!(matrix.exit(), Exit::Red, "red before what was not run");
}
