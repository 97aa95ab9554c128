//! Workflows of CI: what they call is there, and takes the flags that they give.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use harness::cli::args::Cli;
use rstest::rstest;
use serde_json::Value;

/// The commands of all steps of a workflow, each on one line.
fn commands(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a workflow can be read");
    let workflow: Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
    let jobs = workflow["jobs"].as_object().expect("it has jobs");
    let steps = jobs.values().flat_map(|job| job["steps"].as_array().expect("a job has steps"));
    let run = |step: &Value| step["run"].as_str().map(str::to_string);
    steps.filter_map(run).flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>()).collect()
}

/// The words after a command's name, if the line calls it; a variable of the shell stands for something that fits.
fn words_after(line: &str, is_command: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut words = line.split_whitespace().skip_while(|word| !is_command(word));
    words.next()?;
    let value = |word: &str| match word {
        "$FLAGS" => None,
        "$SHARD" => Some("1/2".to_string()),
        word => Some(word.to_string()),
    };
    Some(words.filter_map(value).collect())
}

#[rstest]
fn a_workflow_calls_meshproof_as_its_command_line_is(
    #[files("../.github/workflows/*.yaml")]
    #[include_dot_files]
    path: PathBuf,
) {
    for line in commands(&path) {
        let Some(words) = words_after(&line, |word| word.ends_with("target/debug/meshproof")) else { continue };
        let words = std::iter::once("meshproof".to_string()).chain(words);
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
    }
}

#[rstest]
fn a_workflow_makes_what_the_makefile_has(
    #[files("../.github/workflows/*.yaml")]
    #[include_dot_files]
    path: PathBuf,
) {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Makefile");
    let makefile = fs::read_to_string(makefile).expect("the Makefile can be read");
    let mut called = 0;
    for line in commands(&path) {
        let Some(words) = words_after(&line, |word| word == "make") else { continue };
        let targets: Vec<&String> = match &words[..] {
            [flag, _, targets @ ..] if flag == "-C" => targets.iter().collect(),
            targets => targets.iter().collect(),
        };
        for target in targets {
            assert!(makefile.contains(&format!("\n{target}: ")), "there is no target {target}: {line}");
            called += 1;
        }
    }
    assert!(called > 0, "each of them builds something");
}
