//! What is built, when, and how a build fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::event::Event;
use harness::lab::images::ImageError;
use rstest::rstest;

use super::yard::{Yard, read};

#[tokio::test]
async fn what_was_built_once_is_not_built_again() {
    let yard = Yard::new();
    assert_eq!(yard.built().await, ["bread", "dough", "soup"]);
    assert_eq!(yard.built().await, [""; 0]);
    assert_eq!(yard.last_finished("images"), Some(("all present".to_string(), None)));
}

#[tokio::test]
async fn a_recipe_gets_its_versions_and_what_it_needs() {
    let yard = Yard::new();
    let present = yard.ensure().await.unwrap();
    assert_eq!(read(present["bread"].folder.join("bread")), "fine dry\n");
    assert_eq!(present["dough"].manifest.versions["kubernetes.yeast"], "dry");
    assert!(present["bread"].manifest.files["bread"].starts_with("sha256:"));
}

#[tokio::test]
async fn only_what_is_asked_for_and_its_needs_are_built() {
    let yard = Yard::new();
    let present = yard.ensure_these(&["bread"]).await.unwrap();
    assert_eq!(present.keys().collect::<Vec<_>>(), ["bread", "dough"]);
}

#[rstest]
#[case::a_file_of_a_recipe("kind/recipes/dough/hint", "knead\n", &["bread", "dough"])]
#[case::an_input("fixtures/salt", "grey\n", &["soup"])]
#[case::the_library("kind/recipes/lib.sh", "set -eu\n", &["bread", "dough", "soup"])]
#[case::what_cargo_left("kind/recipes/dough/target/dough.o", "0\n", &[])]
#[tokio::test]
async fn a_change_rebuilds_only_what_depends_on_it(#[case] file: &str, #[case] text: &str, #[case] rebuilt: &[&str]) {
    let yard = Yard::new();
    yard.built().await;
    yard.write(file, text);
    assert_eq!(yard.built().await, rebuilt);
}

#[tokio::test]
async fn a_file_that_becomes_a_program_is_a_change() {
    let yard = Yard::new();
    yard.built().await;
    fs::set_permissions(yard.root.join("fixtures/salt"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(yard.built().await, ["soup"]);
}

#[tokio::test]
async fn another_version_rebuilds_what_is_made_of_it() {
    let yard = Yard::new();
    yard.built().await;
    let text = read(yard.root.join("kind/versions.toml")).replace("pepper", "paprika");
    yard.write("kind/versions.toml", &text);
    assert_eq!(yard.built().await, ["soup"]);
}

#[tokio::test]
async fn a_build_that_failed_goes_on_in_the_same_scratch_folder() {
    let yard = Yard::new();
    let code = r#"[ -e "$WORK/half" ] || { touch "$WORK/half" "$OUT/torn"; echo "error: no oven" >&2; exit 3; }
touch "$OUT/cake""#;
    yard.recipe("cake", "", "", "", code);
    yard.ensure().await.expect_err("the first attempt fails");
    let cake = yard.ensure().await.expect("the second finds what the first left")["cake"].clone();
    assert!(cake.folder.join("cake").is_file());
    assert!(!cake.folder.join("torn").exists(), "the output begins empty");
}

#[tokio::test]
async fn a_failed_recipe_is_told_with_its_last_lines_its_log_and_the_command_to_try_again() {
    let yard = Yard::new();
    yard.recipe("cake", "soup", "", "", "echo 'heating'\necho 'error: no oven' >&2\nexit 3");
    let error = yard.ensure().await.unwrap_err();
    let ImageError::Build { recipe, log, .. } = &error else { panic!("not a failed build: {error:?}") };
    assert_eq!(recipe, "cake");
    assert!(read(log).contains("heating\n"), "the log has every line");
    let told = yard.last_finished("image-cake").and_then(|(_, error)| error).unwrap();
    for part in
        ["cake ended with exit status: 3", "error: no oven", &log.display().to_string(), "meshproof images build"]
    {
        assert!(told.contains(part), "{part:?} is missing in {told:?}");
    }
}

#[tokio::test]
async fn digests_of_an_archive_are_those_of_its_images_configs() {
    let yard = Yard::new();
    let code = r#"cd "$WORK"
printf '[{"Config": "ab12.json", "RepoTags": ["localhost/cake:1"], "Layers": []}]' >manifest.json
tar --create --file "$OUT/images.tar" manifest.json"#;
    yard.recipe("cake", "", "", "", code);
    let present = yard.ensure_these(&["cake"]).await.unwrap();
    assert_eq!(present["cake"].manifest.images["localhost/cake:1"], "sha256:ab12");
}

#[tokio::test]
async fn after_a_failure_nothing_new_begins() {
    let yard = Yard::new();
    yard.recipe("dough", "", "", "", "exit 1");
    yard.ensure().await.unwrap_err();
    assert_eq!(yard.last_finished("image-bread"), None);
}

#[tokio::test]
async fn every_missing_program_is_named_before_anything_is_built() {
    let yard = Yard::new();
    yard.recipe("bread", "dough", "", "", "need_tools no-such-oven");
    yard.recipe("soup", "", "", "", "need_tools no-such-pot  cat");
    let error = yard.ensure().await.unwrap_err().to_string();
    assert!(error.contains("`no-such-oven` is not on PATH, and recipe bread need"), "{error}");
    assert!(error.contains("`no-such-pot` is not on PATH"), "{error}");
    assert!(!error.contains("`cat`"), "{error}");
    let told = yard.last_finished("images").and_then(|(_, error)| error);
    assert!(told.is_some_and(|told| told.contains("no-such-oven")), "an event says it too");
    assert_eq!(yard.last_finished("image-dough"), None);
}

#[tokio::test]
async fn two_at_once_build_everything_only_once() {
    let yard = Yard::new();
    yard.recipe("soup", "", "", "", "sleep 1");
    let (first, second) = tokio::join!(yard.ensure(), yard.ensure());
    assert_eq!(first.unwrap(), second.unwrap());
    let records = yard.recorder.records();
    let began = |wanted: &str| {
        records.iter().filter(|record| matches!(&record.event, Event::LabStarted { id, .. } if id == wanted)).count()
    };
    assert_eq!((began("image-soup"), began("image-dough")), (1, 1));
    let waits = records.iter().find_map(|record| match &record.event {
        Event::Waiting { scope, last, .. } if scope == "images" => Some(last.clone()),
        _ => None,
    });
    assert_eq!(waits, Some(format!("process {}", std::process::id())), "the second says for whom it waits");
}

#[tokio::test]
async fn a_recipe_that_compiles_leaves_room_for_one_that_does_not() {
    let yard = Yard::new();
    // Only the words count: these recipes do not call what they ask for.
    let slow = "need_tools() { :; }\nneed_tools cargo\nsleep 1";
    for (name, code) in [("anvil", slow), ("hammer", slow), ("soup", "sleep 1")] {
        yard.recipe(name, "", "", "", code);
    }
    yard.ensure_these(&["anvil", "hammer", "soup"]).await.unwrap();
    let records = yard.recorder.records();
    let began = |name: &str| {
        let found = |event: &Event| matches!(event, Event::LabStarted { id, .. } if id == name);
        records.iter().find(|record| found(&record.event)).expect("it began").at
    };
    assert!(began("image-soup") - began("image-anvil") < 1.0, "what does not compile goes beside what does");
    assert!(began("image-hammer") - began("image-anvil") >= 1.0, "two that compile go one after the other");
}

#[tokio::test]
async fn a_build_shows_its_last_line_and_how_much_go_has_compiled() {
    let yard = Yard::new();
    let code = "echo 'go build: 40 packages'\necho internal/abi\necho runtime\nsleep 2.2";
    yard.recipe("soup", "", "", "", code);
    yard.ensure().await.unwrap();
    let lasts: Vec<String> = yard
        .recorder
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Waiting { scope, last, .. } if scope == "image-soup" => Some(last),
            _ => None,
        })
        .collect();
    assert_eq!(lasts.last().map(String::as_str), Some("compiled 2 of at most 40 packages, now runtime"));
    assert!(lasts.len() <= 3, "once a second at most: {lasts:?}");
}
