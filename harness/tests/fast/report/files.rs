//! Reports that are made again: what they name is where they say.

use std::fs;
use std::path::{Path, PathBuf};

use harness::event::Event;
use harness::exit::Exit;
use harness::report::{files, jsonl, runs};

use super::story::{Story, failed};

/// A folder with the events of a red run of which there are diagnostics.
fn run(folder: &Path, run: &str) -> PathBuf {
    let mut story = Story::run();
    story.others_pass(&["D1"]).case("D1", 1.0, failed());
    let diagnosed =
        Event::Diagnosed { folder: "diagnostics".into(), files: 3, missing: vec![], hints: vec![], seconds: 1.0 };
    story.add(diagnosed).finish(Exit::Red);
    if let Event::RunStarted { run: name, .. } = &mut story.records[0].event {
        *name = run.to_string();
    }
    fs::create_dir_all(folder).expect("the folder can be made");
    let lines: Vec<String> =
        story.records.iter().map(|record| serde_json::to_string(record).expect("an event is JSON") + "\n").collect();
    let events = folder.join(runs::EVENTS);
    fs::write(&events, lines.concat()).expect("the events can be written");
    events
}

/// Writes the reports of these events, and returns page and lines.
fn write(folder: &Path, events: &Path) -> std::io::Result<[String; 2]> {
    fs::create_dir_all(folder)?;
    files::write(folder, events, &jsonl::read(events).expect("events"))?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a report");
    Ok([read("report.html"), read("terminal.txt")])
}

/// The files that a page links to in its own folder.
fn linked(page: &str) -> Vec<&str> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter(|link| !link.starts_with('#') && !link.contains("://")).collect()
}

#[test]
fn reports_in_another_folder_name_what_is_there() {
    let place = tempfile::tempdir().expect("a folder");
    let (own, other) = (place.path().join("own"), place.path().join("other"));
    let [page, lines] = write(&other, &run(&own, "a")).expect("reports");
    let links = linked(&page);
    assert!(links.contains(&runs::EVENTS) && !links.contains(&"diagnostics/"), "{links:?}");
    assert!(links.iter().all(|link| other.join(link).exists()), "{links:?}");
    assert!(page.contains("In the folder of the run: diagnostics/ (3 files)."), "{page}");
    assert!(lines.contains(&format!("Report {}/report.html\n", other.display())), "{lines}");
    assert!(!lines.contains("diagnostics/"), "{lines}");
    assert_eq!(fs::read(own.join(runs::EVENTS)).unwrap(), fs::read(other.join(runs::EVENTS)).unwrap());
}

#[test]
fn reports_in_the_folder_of_the_run_link_to_its_diagnostics() {
    let place = tempfile::tempdir().expect("a folder");
    let events = run(place.path(), "a");
    fs::create_dir(place.path().join("diagnostics")).expect("the folder can be made");
    let before = fs::read(&events).expect("events");
    let [page, lines] = write(place.path(), &events).expect("reports");
    assert!(linked(&page).contains(&"diagnostics/"), "{page}");
    assert!(lines.contains("diagnostics/"), "{lines}");
    assert_eq!(fs::read(&events).expect("events"), before, "a file is not copied over itself");
}

#[test]
fn the_events_of_another_run_are_not_replaced() {
    let place = tempfile::tempdir().expect("a folder");
    let (a, b) = (place.path().join("a"), place.path().join("b"));
    let events = run(&a, "a");
    let kept = fs::read(run(&b, "b")).expect("events");
    let error = write(&b, &events).expect_err("it is refused").to_string();
    assert!(error.contains("events.jsonl of another run"), "{error}");
    assert_eq!(fs::read(b.join(runs::EVENTS)).expect("events"), kept);
    assert!(!b.join("report.html").exists(), "nothing else is written either");
}
