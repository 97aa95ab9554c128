//! What a recipe's head may say, and how recipes hang together.

use std::collections::BTreeMap;

use harness::lab::recipe::{Makes, Recipe, Recipes, order};
use rstest::rstest;

use super::yard::Yard;
use crate::said::said;

#[test]
fn a_head_declares_everything_about_a_recipe() {
    let text = "#!/bin/sh\n# title: A, and B\n# makes: image\n# needs: one two\n# versions:\n# Note: a comment.\nneed_tools\n# needs: x\n";
    let recipe = Recipe::parse("cake", text).unwrap();
    assert_eq!((recipe.title.as_str(), recipe.makes), ("A, and B", Makes::Image));
    assert_eq!(recipe.needs, ["one", "two"]);
    assert!(recipe.versions.is_empty() && recipe.inputs.is_empty());
}

#[rstest]
#[case::no_title("# makes: files\n", "`title` is missing")]
#[case::makes_nothing("# title: A\n", "`makes` is missing")]
#[case::makes_something_else("# title: A\n# makes: noise\n", "`makes: noise` is nothing that a recipe can make")]
#[case::a_misspelt_key("# title: A\n# makes: files\n# need: b\n", "kind/recipes/a/build:3: `need` is no key")]
#[case::a_key_twice("# title: A\n# makes: files\n# needs: b\n# needs: c\n", "`needs` is declared twice")]
fn a_mistake_in_a_head_is_named(#[case] text: &str, #[case] message: &str) {
    let problems = said(&Recipe::parse("a", text).unwrap_err());
    assert!(problems.contains(message), "{problems}");
}

fn recipes(needs: &[(&str, &[&str])]) -> BTreeMap<String, Recipe> {
    let recipe = |(name, needs): &(&str, &[&str])| {
        let text = format!("# title: A\n# makes: files\n# needs: {}\n", needs.join(" "));
        (name.to_string(), Recipe::parse(name, &text).unwrap())
    };
    needs.iter().map(recipe).collect()
}

#[test]
fn every_recipe_comes_after_what_it_needs() {
    let recipes = recipes(&[("a", &["c", "d"]), ("b", &[]), ("c", &["d"]), ("d", &["b"])]);
    assert_eq!(order(&recipes).unwrap(), ["b", "d", "c", "a"]);
}

#[test]
fn recipes_that_need_each_other_are_refused() {
    let problems = said(&order(&recipes(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])])).unwrap_err());
    assert!(problems.contains("recipes need each other: b needs c needs b"), "{problems}");
}

#[test]
fn a_need_that_is_no_recipe_is_refused_with_the_one_that_was_meant() {
    let problems = said(&order(&recipes(&[("debian", &[]), ("slim", &["debain"])])).unwrap_err());
    assert!(problems.contains("there is no recipe `debain`\n    instead: `debian`"), "{problems}");
}

#[test]
fn a_misspelt_version_and_a_missing_input_are_named_at_once() {
    let yard = Yard::new();
    yard.recipe("soup", "", "isto.spices", "fixtures/pepper", "true");
    let problems = said(&Recipes::read(&yard.root).unwrap().wanted(&yard.picked("v1.0.0"), &[]).unwrap_err());
    assert!(problems.contains("`isto.spices` is no key of kind/versions.toml"), "{problems}");
    assert!(problems.contains("its input fixtures/pepper cannot be read"), "{problems}");
}

#[test]
fn a_hash_depends_on_the_version_of_a_need_and_on_nothing_else() {
    let yard = Yard::new();
    let hashes = |kubernetes| -> BTreeMap<String, String> {
        let wanted = Recipes::read(&yard.root).unwrap().wanted(&yard.picked(kubernetes), &[]).unwrap();
        wanted.into_iter().map(|wanted| (wanted.recipe.name, wanted.hash)).collect()
    };
    let (one, other) = (hashes("v1.0.0"), hashes("v1.1.0"));
    let changed: Vec<&String> = one.keys().filter(|name| one[*name] != other[*name]).collect();
    assert_eq!(changed, ["bread", "dough"]);
    assert!(one.values().all(|hash| hash.len() == 12), "{one:?}");
}

#[test]
fn the_recipes_of_this_repository_are_sound() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("kind/versions.toml")).unwrap();
    let versions = harness::versions::Versions::parse(&text).unwrap();
    let picked = versions.pick(&harness::scenario::Scenario::default_primary_remote(&versions));
    let wanted = Recipes::read(root).unwrap().wanted(&picked, &["lab-node"]).unwrap();
    assert_eq!(
        wanted.last().and_then(|last| last.image()).map(|image| image.len()),
        Some("meshproof/lab-node:".len() + 12)
    );
    let kubernetes = wanted.iter().find(|wanted| wanted.recipe.name == "kubernetes").unwrap();
    assert!(kubernetes.programs.contains("go"), "programs are read from shared files too: {:?}", kubernetes.programs);
    assert!(wanted.iter().any(|wanted| wanted.recipe.name == "debian" && wanted.root));
}
