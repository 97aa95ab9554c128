//! The catalogue of field issues: what its files, its recorded runs, README and the hints of red checks say is one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use harness::check::Verdict;
use harness::cli::args::FieldListing;
use harness::cli::field::list;
use harness::event::Event;
use harness::exit::Exit;
use harness::field::{FOLDER, Issue, Outcome, RUNS, Ran, Symptoms, choose, read, recorded, text};
use harness::report::jsonl;
use harness::sabotage::{Sabotage, Trial};
use harness::versions::Versions;
use rstest::rstest;

use crate::tests::with_known;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn issues() -> Vec<Issue> {
    with_known(|known| read(&root(), known)).expect("the catalogue is sound")
}

fn listed(markdown: bool) -> String {
    let listing = FieldListing { issues: Vec::new(), markdown };
    with_known(|known| list(&listing, issues(), known.versions, &root())).expect("the recordings can be read")
}

/// Check and cause of each red verdict in the recorded runs, with the issue.
fn recorded_reds() -> Vec<(String, String, String)> {
    let mut reds = Vec::new();
    for version in std::fs::read_dir(root().join(RUNS)).expect("there are recordings").flatten() {
        for run in std::fs::read_dir(version.path()).expect("it is a folder").flatten().map(|entry| entry.path()) {
            let issue = run.file_stem().expect("it has a name").to_string_lossy().into_owned();
            for record in jsonl::read(&run).expect("a recorded run can be read") {
                if let Event::CaseFinished { id, verdict: Verdict::Failed { finding }, .. } = record.event {
                    let check = id.rsplit('/').next().unwrap_or_default().to_string();
                    reds.push((issue.clone(), check, finding.cause.clone()));
                }
            }
        }
    }
    reds
}

/// `MESHPROOF_ACCEPT=1 cargo test -p meshproof --lib` writes it anew.
#[test]
fn the_table_of_readme_is_that_of_field_list() {
    const BEGIN: &str = "<!-- meshproof field list --markdown -->\n";
    const END: &str = "<!-- end -->\n";
    let path = root().join("README.md");
    let text = std::fs::read_to_string(&path).expect("README can be read");
    let (before, rest) = text.split_once(BEGIN).expect("README has the table");
    let (_, after) = rest.split_once(END).expect("the table ends");
    let now = format!("{before}{BEGIN}{}{END}{after}", listed(true));
    if std::env::var_os("MESHPROOF_ACCEPT").is_some() {
        std::fs::write(&path, &now).expect("README can be written");
    } else {
        assert!(text == now, "README's table of field issues differs; MESHPROOF_ACCEPT=1 writes it anew");
    }
}

#[test]
fn a_list_has_each_issue_with_a_word_for_each_version_and_what_showed() {
    let text = listed(false);
    let row = |id: &str| text.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{id}: {text}"));
    for issue in issues() {
        row(&issue.id);
    }
    let words: Vec<&str> =
        row("f05-secret-rotated").split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(words[1..3], ["does not show", "shows"]);
    assert!(text.contains("red: rotated/D6 (1.29.2)"), "{text}");
}

#[test]
fn an_issue_that_is_otherwise_than_its_file_says_is_no_issue_that_shows() {
    let mut rows = recorded(&root(), issues()).expect("the recordings can be read");
    rows.retain(|row| row.issue.id == "f05-secret-rotated");
    let red = Outcome::Otherwise { exit: Exit::Red, why: "D6: no reason".to_string() };
    rows[0].runs.insert("1.31.1".to_string(), Ran { outcome: red, kubernetes: String::new() });
    let shown = text(&rows, &["1.31.1", "1.30.0", "1.29.2"].map(str::to_string));
    let row = shown.lines().nth(1).expect("a row");
    assert!(row.starts_with("f05-secret-rotated  NOT AS EXPECTED  not run  shows"), "{shown}");
    assert!(shown.contains("    D6: no reason (1.31.1)\n    red: rotated/D6 (1.29.2)\n"), "{shown}");
}

#[test]
fn every_recording_is_of_an_issue_and_every_issue_has_a_number() {
    let issues = issues();
    let ids: BTreeSet<&str> = issues.iter().map(|issue| issue.id.as_str()).collect();
    let recorded: BTreeSet<String> = recorded_reds().into_iter().map(|(issue, ..)| issue).collect();
    let unknown: Vec<_> = recorded.iter().filter(|issue| !ids.contains(issue.as_str())).collect();
    assert!(unknown.is_empty(), "{FOLDER} has no file of {unknown:?}");
    for id in ids {
        let number = id.strip_prefix('f').and_then(|rest| rest.split('-').next()).unwrap_or_default();
        assert!(number.len() == 2 && number.parse::<u32>().is_ok(), "{id} has no number");
    }
}

#[test]
fn every_symptom_was_seen_in_a_recorded_run_of_its_issue() {
    let reds = recorded_reds();
    for issue in issues() {
        let symptoms = Symptoms::of(std::slice::from_ref(&issue));
        let seen: BTreeSet<&str> = reds
            .iter()
            .filter(|(id, check, cause)| *id == issue.id && !symptoms.like(check, cause).is_empty())
            .map(|(_, check, _)| check.as_str())
            .collect();
        let said: BTreeSet<&str> = issue.scenario().symptom.keys().map(String::as_str).collect();
        assert_eq!(seen, said, "{}: what it says of a red check was seen in no recorded run", issue.id);
    }
}

#[test]
fn a_red_check_of_an_issue_is_not_taken_for_another() {
    // A secret that is corrected in place is one that is changed in place.
    const SAME: [(&str, &str); 1] = [("f08-secret-of-localhost", "f05-secret-rotated")];
    let symptoms = Symptoms::of(&issues());
    for (issue, check, cause) in recorded_reds() {
        for like in symptoms.like(&check, &cause) {
            let right = like.issue == issue || SAME.contains(&(issue.as_str(), like.issue.as_str()));
            assert!(right, "{check} of {issue} is taken for {}: {cause}", like.issue);
        }
    }
}

#[test]
fn a_sabotage_is_taken_only_for_issues_of_the_same_threads() {
    let symptoms = Symptoms::of(&issues());
    let sabotages: BTreeMap<String, Sabotage> =
        with_known(|known| known.sabotages.iter().map(|one| (one.id.clone(), one.clone())).collect());
    let trials =
        std::fs::read_to_string(root().join("fixtures/runs/prove/trials.jsonl")).expect("a proof was recorded");
    let mut taken = BTreeSet::new();
    for trial in trials.lines().map(|line| serde_json::from_str::<Trial>(line).expect("a trial a line")) {
        let red = trial.got.verdicts.iter().filter(|(_, verdict)| verdict == "failed").map(|(id, _)| id);
        for like in red.flat_map(|id| symptoms.like(id, &trial.got.causes[id])) {
            let threads = &sabotages[&trial.id].threads;
            let same = like.threads.iter().any(|thread| threads.contains(&thread.to_string()));
            assert!(same, "{} is taken for {like}, but users met it in {threads:?}", trial.id);
            taken.insert((trial.id.clone(), like.issue));
        }
    }
    for (sabotage, issue) in
        [("annotation-late", "f02-annotated-late"), ("sidecar-missing", "f24-endpoint-without-sidecar")]
    {
        assert!(taken.contains(&(sabotage.to_string(), issue.to_string())), "{sabotage} is taken for none: {taken:?}");
    }
}

#[rstest]
#[case::id(&["f05-secret-rotated"], Ok(1))]
#[case::glob(&["*-of-*"], Ok(2))]
#[case::twice(&["f05*", "f05-secret-rotated"], Ok(1))]
#[case::a_file(&["tests/lab/timeline.yaml"], Ok(1))]
#[case::all_that_is_wrong(&["f99", "f05-secret-rotatd", "none.yaml"], Err("f99 `f05-secret-rotated` none.yaml"))]
fn issues_are_chosen_by_id_glob_or_file(#[case] patterns: &[&str], #[case] expected: Result<usize, &str>) {
    let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    let chosen = with_known(|known| choose(&root(), &patterns, known));
    match expected {
        Ok(number) => assert_eq!(chosen.map(|issues| issues.len()), Ok(number)),
        Err(words) => {
            let said = chosen.expect_err("it is refused").to_string();
            assert!(words.split(' ').all(|word| said.contains(word)), "{said}");
        }
    }
}

#[test]
fn columns_are_the_versions_that_are_known_the_newest_first() {
    let versions = Versions::parse(include_str!("../../kind/versions.toml")).expect("the versions file is sound");
    let text = listed(false);
    let head: Vec<&str> = text.lines().next().expect("a head").split_whitespace().collect();
    assert_eq!(head[..2], ["issue", versions.default_istio()]);
    assert_eq!(head.last(), Some(&"threads"));
}
