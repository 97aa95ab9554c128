//! Runs of the past, listed.

use std::path::PathBuf;

use harness::exit::Exit;
use harness::report::{History, Summary};

use super::story::{Story, failed, passed};

fn told(story: &Story) -> (PathBuf, Summary) {
    (PathBuf::from("runs/x"), Summary::of(&story.records))
}

fn green(seconds: f64) -> (PathBuf, Summary) {
    let mut story = Story::run();
    told(story.lab("cluster-primary", seconds, None).others_pass(&[]).finish(Exit::Green))
}

fn history() -> History {
    let mut red = Story::run();
    red.others_pass(&["D1"]).case("D1", 1.0, failed()).finish(Exit::Red);
    let mut flaky = Story::run();
    flaky.others_pass(&["D1"]).attempts("D1", 1.0, passed(), &["503"]).finish(Exit::Green);
    let mut died = Story::run();
    died.case("D0", 1.0, passed());
    died.lab("cluster-remote", 1.0, Some("<script>alert(1)</script>\u{1b}[31m | & \"so\"\nmore"));
    History::of([green(10.0), green(30.0), told(&red), told(&flaky), told(&died)].into_iter())
}

#[test]
fn a_run_is_a_line_the_newest_last_and_each_check_has_its_rate() {
    insta::assert_snapshot!(history().to_string());
}

#[test]
fn a_page_of_hostile_runs_holds_no_markup_of_theirs() {
    let page = history().html();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
    let rows = page.matches("<tr>").count();
    assert_eq!(rows, 2 + 5 + 3, "two heads, five runs, three checks");
}

#[test]
fn a_longer_run_has_a_higher_bar() {
    let text = History::of([green(10.0), green(20.0), green(40.0)].into_iter()).to_string();
    let chart = text.lines().find(|line| line.contains("newest 41.5 s")).expect("a chart");
    assert!(chart.ends_with("▃▅█"), "{chart}");
}

#[test]
fn nothing_is_an_empty_history() {
    assert!(History::of(std::iter::empty()).is_empty());
}
