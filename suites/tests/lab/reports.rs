//! The files that a run leaves for people and for tools: all of them are there, and say the same.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::calling::{Lab, MESHPROOF};

/// The reports in the newest folder of a lab's runs, or of a row of runs, say this verdict, and name this cause.
pub fn say(lab: &Lab, verdict: &str, cause: &str) {
    let latest = lab.runs.join("latest");
    let folder = if latest.join("events.jsonl").is_file() { latest } else { latest.join("latest") };
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

/// `meshproof report` makes of the events what the run left.
fn the_same_is_made_again(folder: &Path) {
    let again = tempfile::tempdir().expect("a folder");
    let report =
        Command::new(MESHPROOF).arg("report").arg(folder.join("events.jsonl")).arg("--out").arg(again.path()).output();
    assert!(report.expect("it can be called").status.success());
    for name in ["report.html", "summary.json", "summary.md", "trace.json", "junit.xml"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).expect("it is there");
        assert!(read(folder) == read(again.path()), "{name} of the run is what its events give");
    }
}
