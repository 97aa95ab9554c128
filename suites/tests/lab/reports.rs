//! The files that a run leaves for people and for tools: all of them are there, and say the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::calling::{Lab, MESHPROOF};

/// The reports of the newest run of a lab, or of that of its newest matrix, say this verdict, and name this cause.
pub fn say(lab: &Lab, verdict: &str, cause: &str) {
    let folder = newest(&lab.runs.join("latest"));
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let summary: Value = serde_json::from_str(&read("summary.json")).expect("the summary is JSON");
    assert_eq!(summary["verdict"], verdict, "{summary:#}");
    let trace: Value = serde_json::from_str(&read("trace.json")).expect("the trace is JSON");
    assert!(trace["traceEvents"].as_array().is_some_and(|events| !events.is_empty()), "{trace}");
    let page = read("report.html");
    let title = page.split("<title>").nth(1).expect("the page has a title");
    assert!(title.to_lowercase().starts_with(verdict), "{}", &title[..60]);
    for name in ["report.html", "summary.json", "summary.md", "junit.xml"] {
        assert!(read(name).contains(cause), "{name} names {cause}");
    }
    the_same_is_made_again(&folder);
}

/// The folder of a run, which a matrix has below the folder of a combination.
fn newest(latest: &Path) -> PathBuf {
    if latest.join("events.jsonl").is_file() {
        return latest.to_path_buf();
    }
    let below = std::fs::read_dir(latest).expect("a lab has runs").flatten().map(|entry| entry.path().join("latest"));
    below.filter(|folder| folder.is_dir()).max().unwrap_or_else(|| panic!("no run in {}", latest.display()))
}

/// `meshproof report` makes of the events what the run left, where the same lies beside it.
fn the_same_is_made_again(folder: &Path) {
    let again = tempfile::tempdir().expect("a folder");
    if folder.join("diagnostics").is_dir() {
        std::fs::create_dir(again.path().join("diagnostics")).expect("a folder");
    }
    let report =
        Command::new(MESHPROOF).arg("report").arg(folder.join("events.jsonl")).arg("--out").arg(again.path()).output();
    assert!(report.expect("it can be called").status.success());
    for name in ["report.html", "summary.json", "summary.md", "trace.json", "junit.xml"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).expect("it is there");
        assert!(read(folder) == read(again.path()), "{name} of the run is what its events give");
    }
}
