//! Listing, verifying and removing what was built.

use std::fs;

use harness::lab::images::{self, Health, ImageError};

use super::yard::Yard;

#[tokio::test]
async fn a_list_says_what_is_there_and_what_is_not() {
    let yard = Yard::new();
    yard.ensure_these(&["bread"]).await.unwrap();
    let rows = images::list(&yard.site(&yard.picked("v1.0.0"))).await.unwrap();
    let there: Vec<(&str, bool)> = rows.iter().map(|row| (row.recipe.as_str(), row.bytes.is_some())).collect();
    assert_eq!(there, [("dough", true), ("bread", true), ("soup", false)]);
    let text = images::print_list(&rows);
    assert!(text.contains("flour fine, kubernetes.yeast dry"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("soup") && line.contains("not built")), "{text}");
}

#[tokio::test]
async fn verifying_finds_every_kind_of_damage() {
    let yard = Yard::new();
    yard.recipe("soup", "", "", "", r#"touch "$OUT/pot" "$OUT/spoon"; ln -s pot "$OUT/lid""#);
    let present = yard.ensure().await.unwrap();
    let soup = &present["soup"].folder;
    fs::write(soup.join("pot"), "a fly").unwrap();
    fs::remove_file(soup.join("spoon")).unwrap();
    fs::write(soup.join("hair"), "").unwrap();
    let rows = images::verify(&yard.site(&yard.picked("v1.0.0"))).await.unwrap();
    let damaged: Vec<_> = rows.iter().filter(|row| !row.is_sound()).collect();
    assert_eq!(damaged.len(), 1, "{rows:?}");
    let lines = ["pot is not what was built", "spoon is gone", "hair was not built"].map(str::to_string);
    assert_eq!(damaged[0].health, Health::Damaged(lines.to_vec()));
    assert!(images::print_verify(&rows).contains("hair was not built"));
}

#[tokio::test]
async fn pruning_stops_while_another_meshproof_builds() {
    let yard = Yard::new();
    yard.recipe("soup", "", "", "", "sleep 1");
    let picked = yard.picked("v1.0.0");
    let (_, pruned) = tokio::join!(yard.ensure(), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        images::prune(&yard.site(&picked)).await
    });
    assert!(matches!(pruned, Err(ImageError::Busy { .. })), "{pruned:?}");
}

#[tokio::test]
async fn pruning_keeps_what_any_known_version_wants_and_what_is_not_meshproofs() {
    let yard = Yard::new();
    let old = yard.ensure().await.unwrap();
    let (folder, log) = (old["soup"].folder.clone(), yard.home.cache.join("logs"));
    let log = log.join(format!("{}.log", folder.file_name().unwrap().to_string_lossy()));
    assert!(log.is_file());
    yard.write("fixtures/salt", "grey\n");
    let new = yard.ensure().await.unwrap();
    let strangers = ["artefacts/notes", "artefacts/my-soup", "logs/readme.log", "work/soup-0123456789ab.txt"];
    for stranger in strangers {
        fs::write(yard.home.cache.join(stranger), "mine").unwrap();
    }
    fs::create_dir(yard.home.cache.join("work/soup-0123456789ab.out")).unwrap();
    // What was killed half-way, and nothing goes on from.
    let torn = ["work/load-Ab12", "work/istio-release-0123456789ab.part"].map(|name| yard.home.cache.join(name));
    fs::create_dir(&torn[0]).unwrap();
    fs::write(&torn[1], "half").unwrap();
    // The pick of this call is another version: what the default wants stays all the same.
    let pruned = images::prune_files(&yard.site(&yard.picked("v1.1.0"))).unwrap();
    assert!(!folder.exists() && !log.exists());
    assert!(!yard.home.cache.join("work/soup-0123456789ab.out").exists());
    assert_eq!(torn.map(|path| path.exists()), [false, false]);
    assert_eq!(pruned.freed.len(), 5, "{pruned:?}");
    assert!(new.values().all(|present| present.folder.is_dir()));
    assert!(strangers.iter().all(|stranger| yard.home.cache.join(stranger).is_file()));
    assert!(images::print_prune(&pruned).contains(&log.display().to_string()));
}

#[test]
fn only_images_of_recipes_that_no_version_wants_are_to_go() {
    let wanted = ["meshproof/cake:0123456789ab".to_string()].into();
    let names = [
        "meshproof/cake:0123456789ab",
        "meshproof/cake:ba9876543210",
        "meshproof/lab-node:ba9876543210",
        "meshproof/cake:latest",
        "localhost/meshproof/cake:ba9876543210",
        "other/cake:ba9876543210",
    ]
    .map(str::to_string);
    assert_eq!(
        images::unwanted_images(&names, &wanted),
        ["meshproof/cake:ba9876543210", "meshproof/lab-node:ba9876543210"]
    );
}
