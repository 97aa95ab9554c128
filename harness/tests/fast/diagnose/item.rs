//! Every question has its own time, all have one, and none can harm the others.

use std::future::pending;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::diagnose::folder::Folder;
use harness::diagnose::item::{Found, Item, Limits, gather};

const LIMITS: Limits = Limits { at_once: 2, item: Duration::from_millis(200), all: Duration::from_secs(20) };

fn good(path: &str) -> Item {
    Item::new(path, "text", async { Ok::<String, String>("text".to_string()) })
}

fn hanging(path: &str) -> Item {
    Item::new(path, "text", pending::<Result<String, String>>())
}

async fn gathered(home: &Path, items: Vec<Item>, limits: Limits) -> (usize, Vec<String>) {
    let mut folder = Folder::new(home, 1000, 10_000);
    gather(items, &mut folder, limits).await;
    folder.close("", &[])
}

#[tokio::test]
async fn a_question_that_hangs_fails_or_panics_costs_only_its_own_file() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let failing = Item::new("failing", "text", async { Err::<String, String>("refused".to_string()) });
    let panicking = Item::new("panicking", "text", async {
        assert!(Path::new("/").is_file(), "a panic on purpose");
        Ok::<String, String>(String::new())
    });
    let items = vec![hanging("hanging"), failing, panicking, good("a"), good("b"), good("c")];
    let (files, missing) = gathered(home.path(), items, LIMITS).await;
    assert_eq!(files, 4, "three texts and the index");
    assert_eq!(missing.len(), 3, "{missing:?}");
    assert!(missing[0] == "failing: refused" && missing[1].starts_with("hanging: no answer within"), "{missing:?}");
    assert!(missing[2].starts_with("panicking: "), "{missing:?}");
}

#[tokio::test]
async fn an_answer_may_bring_further_questions() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let first = Item::new("first", "text", async {
        Ok::<Found, String>(Found { text: "text".to_string(), more: vec![good("second"), hanging("third")] })
    });
    let (files, missing) = gathered(home.path(), vec![first], LIMITS).await;
    assert_eq!((files, missing.len()), (3, 1), "{missing:?}");
}

#[tokio::test]
async fn at_the_deadline_what_came_is_kept_and_the_rest_is_named() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let began = Instant::now();
    let items = vec![good("a"), hanging("b"), hanging("c"), good("never-asked")];
    let limits = Limits { item: Duration::from_secs(60), all: Duration::from_millis(300), ..LIMITS };
    let (files, missing) = gathered(home.path(), items, limits).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(files, 2);
    let names: Vec<&str> = missing.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, ["b", "c", "never-asked"]);
}
