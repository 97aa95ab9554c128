//! Recorded runs can be read again, torn or not.

use std::fs;

use harness::event::{Event, Record, Recorder, Reporter};
use harness::report::files::Folder;
use harness::report::jsonl::{self, Jsonl, ReadError};
use harness::report::junit;
use tempfile::TempDir;

use super::story::{Story, blocked, failed, inconclusive, passed, proved, skipped};

fn every_event() -> Vec<Record> {
    let mut story = Story::of("run", &[("D1", "failed")]);
    story.lab("cluster-primary", 1.25, None).lab("cluster-remote", 1.0, Some("no room")).ready();
    story.step("primary-istiod", 1.0, proved()).waits("primary-istiod", "readiness", "0 of 1");
    story.attempts("D0", 0.5, passed(), &["503"]).case("D1", 0.5, failed()).case("D12", 0.5, blocked());
    story.case("D12", 0.5, inconclusive()).case("D12", 0.5, skipped());
    story.add(Event::Note { text: "a remark".into() }).add(Event::Interrupted { by: "SIGTERM".into() });
    story.finish(harness::exit::Exit::Interrupted).records.clone()
}

fn recorded(records: &[Record]) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.jsonl");
    let mut reporter = Jsonl::create(&path).expect("a file");
    reporter.replay(records);
    (folder, path)
}

#[test]
fn a_recorded_run_reads_back_as_it_was() {
    let records = every_event();
    let (_folder, path) = recorded(&records);
    assert_eq!(jsonl::read(&path).expect("a run"), records);
}

#[test]
fn each_event_is_on_disk_as_soon_as_it_is_told() {
    let records = every_event();
    let (_folder, path) = recorded(&[]);
    let mut reporter = Jsonl::create(&path).expect("a file");
    for (index, record) in records.iter().enumerate() {
        reporter.on(record, &records[..=index]);
        assert_eq!(fs::read_to_string(&path).expect("a file").lines().count(), index + 1);
    }
}

#[test]
fn a_torn_last_line_is_left_out_with_a_remark() {
    let records = every_event();
    let (_folder, path) = recorded(&records);
    let whole = fs::read(&path).expect("a file");
    fs::write(&path, &whole[..whole.len() - 20]).expect("torn");
    let read = jsonl::read(&path).expect("a run");
    assert_eq!(read[..records.len() - 1], records[..records.len() - 1]);
    let Event::Note { text } = &read.last().expect("a remark").event else { panic!("the remark is missing") };
    assert!(text.contains(&format!("line {} of the events is torn", records.len())), "{text}");
}

#[test]
fn a_last_line_that_lost_only_its_line_break_is_kept() {
    let records = every_event();
    let (_folder, path) = recorded(&records);
    let whole = fs::read(&path).expect("a file");
    fs::write(&path, &whole[..whole.len() - 1]).expect("torn");
    assert_eq!(jsonl::read(&path).expect("a run"), records);
}

#[test]
fn a_line_in_the_middle_that_is_no_event_is_named() {
    let (_folder, path) = recorded(&every_event());
    let text = fs::read_to_string(&path).expect("a file");
    let mut lines: Vec<&str> = text.lines().collect();
    lines[2] = "{\"at\": 1.0, \"event\": \"moon-landed\"}";
    fs::write(&path, lines.join("\n")).expect("spoilt");
    let error = jsonl::read(&path).expect_err("no run");
    assert!(matches!(error, ReadError::Line { line: 3, .. }), "{error}");
    assert!(error.to_string().ends_with("events.jsonl:3: not an event of meshproof"), "{error}");
}

#[test]
fn an_empty_file_is_no_run() {
    let (_folder, path) = recorded(&[]);
    assert!(matches!(jsonl::read(&path), Err(ReadError::Empty { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn what_could_not_be_written_is_known_once_for_each_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("none");
    let recorder = Recorder::new(vec![
        Box::new(Jsonl::create("/dev/full").expect("it can be opened")),
        Box::new(junit::File::create(nowhere.join("junit.xml"))),
        Box::new(Folder::new(&nowhere)),
    ]);
    assert_eq!(recorder.lost(), Vec::<String>::new());
    every_event().into_iter().for_each(|record| recorder.emit(record.event));
    let lost = recorder.lost();
    for file in [
        "/dev/full is not written any more: ",
        "none/junit.xml cannot be written: ",
        "none/summary.md cannot be written: ",
    ] {
        assert_eq!(lost.iter().filter(|what| what.contains(file)).count(), 1, "{file}: {lost:?}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = jsonl::read(&folder.path().join("none.jsonl")).expect_err("no file");
    assert!(error.to_string().contains("none.jsonl"), "{error}");
}
