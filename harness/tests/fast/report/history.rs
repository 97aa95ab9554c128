//! Runs of the past, listed.

use std::fs;
use std::path::PathBuf;

use harness::event::Event;
use harness::exit::Exit;
use harness::report::history::link;
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
    let page = history().html(|_| None);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
    let rows = page.matches("<tr>").count();
    assert_eq!(rows, 2 + 5 + 3, "two heads, five runs, three checks");
}

/// Like the guide's, with fewer checks.
fn without(checks: &[&str]) -> (PathBuf, Summary) {
    let mut story = Story::run();
    if let Event::RunStarted { plan, .. } = &mut story.records[0].event {
        plan.cases.retain(|case| !checks.contains(&case.id.as_str()));
    }
    let fine = ["D0", "D1", "D12"].into_iter().filter(|id| !checks.contains(id));
    fine.for_each(|id| {
        story.case(id, 1.0, passed());
    });
    told(story.finish(Exit::Green))
}

#[test]
fn letters_of_one_run_stand_below_each_other_whatever_it_planned() {
    let mut red = Story::run();
    red.others_pass(&["D1"]).case("D1", 1.0, failed()).finish(Exit::Red);
    let runs = [without(&["D1"]), told(&red), without(&["D12"]), green(1.0)];
    let text = History::of(runs.into_iter()).to_string();
    let letters = |id: &str| {
        let line = text.lines().find(|line| line.starts_with(id)).expect("the check has a line");
        let from = text.lines().find_map(|line| line.find("runs 1 to 4")).expect("letters have a heading");
        line[from..].to_string()
    };
    assert_eq!([letters("D0 "), letters("D1 "), letters("D12 ")], [". . . .", "  R!. .", ". .   ."], "{text}");
}

#[test]
fn of_many_runs_the_newest_have_letters() {
    let text = History::of((0..100).map(|_| green(1.0))).to_string();
    assert!(text.contains("runs 77 to 100, "), "{text}");
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(120), "{longest:?} characters in a line of\n{text}");
}

#[test]
fn times_of_runs_of_other_checks_stand_apart() {
    let text = History::of([green(10.0), without(&["D1"]), green(30.0)].into_iter()).to_string();
    let charts: Vec<&str> = text.lines().filter(|line| line.starts_with("run primary-remote ")).collect();
    assert!(matches!(charts[..], [three, two] if three.contains("3 cases") && two.contains("2 cases")), "{charts:#?}");
}

#[test]
fn a_page_links_to_the_reports_that_are_there() {
    let place = tempfile::tempdir().expect("a folder");
    let (with, bare) = (place.path().join("runs/a #1"), place.path().join("runs/b"));
    for folder in [&with, &bare] {
        fs::create_dir_all(folder).expect("the folder can be made");
    }
    fs::write(with.join("report.html"), "").expect("the file can be written");
    fs::create_dir(place.path().join("site")).expect("the folder can be made");
    let runs = [&with, &bare].map(|folder| (folder.clone(), green(1.0).1));
    let page = place.path().join("site/history.html");
    let page = History::of(runs.into_iter()).html(|run| link(&page, run));
    let links: Vec<&str> = page.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links, ["../runs/a%20%231/report.html"], "{page}");
    assert!(page.contains("title=\"b\""), "{page}");
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
