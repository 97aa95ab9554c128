//! Workflows of CI and the action: what they call is there, and takes the flags that they give.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use harness::cli::args::{Cli, Verb};
use rstest::rstest;
use serde_json::Value;

const ACTION: &str = "../.github/actions/meshproof/action.yml";

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a workflow can be read");
    serde_yaml_ng::from_str(&text).expect("it is YAML")
}

fn action() -> Value {
    yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join(ACTION))
}

/// The steps of a workflow or an action.
fn steps(file: &Value) -> Vec<Value> {
    let jobs = file["jobs"].as_object().into_iter().flat_map(|jobs| jobs.values());
    let lists = jobs.map(|job| &job["steps"]).chain([&file["runs"]["steps"]]);
    lists.filter_map(Value::as_array).flatten().cloned().collect()
}

/// The commands of all steps, each on one line.
fn commands(path: &Path) -> Vec<String> {
    let run = |step: &Value| step["run"].as_str().map(str::to_string);
    let texts: Vec<String> = steps(&yaml(path)).iter().filter_map(run).collect();
    texts.iter().flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>()).collect()
}

/// The words after a command's name, if the line calls it; a variable of the shell stands for something that fits.
fn words_after(line: &str, is_command: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut words = line.split_whitespace().map(|word| word.trim_matches('"')).skip_while(|word| !is_command(word));
    words.next()?;
    let value = |word: &str| match word {
        "$FLAGS" | "${flags[@]}" => None,
        "$SHARD" => Some("1/2".to_string()),
        word => Some(word.to_string()),
    };
    Some(words.take_while(|word| *word != ">").filter_map(value).collect())
}

#[rstest]
fn a_workflow_calls_meshproof_as_its_command_line_is(
    #[files("../.github/workflows/*.yaml")]
    #[files("../.github/actions/*/action.yml")]
    #[include_dot_files]
    path: PathBuf,
) {
    for line in commands(&path) {
        let Some(words) = words_after(&line, |word| word.ends_with("/debug/meshproof")) else { continue };
        let words = std::iter::once("meshproof".to_string()).chain(words);
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
    }
}

#[rstest]
fn a_workflow_makes_what_the_makefile_has(
    #[files("../.github/workflows/*.yaml")]
    #[files("../.github/actions/*/action.yml")]
    #[include_dot_files]
    path: PathBuf,
) {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Makefile");
    let makefile = fs::read_to_string(makefile).expect("the Makefile can be read");
    let uses_the_action = |step: &Value| step["uses"].as_str().is_some_and(|uses| uses.ends_with("/actions/meshproof"));
    let mut called = steps(&yaml(&path)).iter().filter(|step| uses_the_action(step)).count();
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

/// Text of a caller in a line of the shell would be part of the program.
#[rstest]
fn no_line_of_the_shell_has_an_expression_in_it(
    #[files("../.github/workflows/*.yaml")]
    #[files("../.github/actions/*/action.yml")]
    #[include_dot_files]
    path: PathBuf,
) {
    for line in commands(&path) {
        assert!(!line.contains("${{"), "{line}");
    }
}

/// The flags of a workflow that stand in its environment are those of its calls, too.
#[test]
fn the_flags_of_the_matrix_workflow_are_flags_of_matrix() {
    let workflow = yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows/matrix.yaml"));
    let flags = workflow["env"]["FLAGS"].as_str().expect("its flags").to_string();
    assert!(Cli::try_parse_from(format!("meshproof matrix {flags}").split_whitespace()).is_ok(), "{flags}");
}

/// Minutes that are given before `m`, behind this flag.
fn minutes(words: &[&str], flag: &str) -> Option<u64> {
    let at = words.iter().position(|word| *word == flag)?;
    words[at + 1].strip_suffix('m')?.parse().ok()
}

/// What a job that is ended was about to write is lost.
#[rstest]
#[case::gate("gate.yaml", "run", 1)]
#[case::official("official.yaml", "run", 1)]
#[case::matrix("matrix.yaml", "shard", 2)]
fn a_run_ends_in_order_before_its_job_is_ended(#[case] name: &str, #[case] job: &str, #[case] runs: u64) {
    // Getting ready; and what comes on top of the deadline, twice as long by `--slow 2`.
    const BEFORE: u64 = 10;
    const AFTER: u64 = 6;
    let workflow = yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows").join(name));
    let job = &workflow["jobs"][job];
    let texts = job["steps"].as_array().expect("steps").iter();
    let texts = texts.flat_map(|step| [&step["with"]["flags"], &step["run"]]).filter_map(Value::as_str);
    let text = texts.collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.windows(2).any(|pair| pair == ["--slow", "2"]), "{text}");
    let deadline = minutes(&words, "--deadline").expect("a deadline in minutes");
    let limit = job["timeout-minutes"].as_u64().expect("a limit of the job");
    assert!(BEFORE + runs * (deadline + AFTER) <= limit, "{runs} runs of {deadline} minutes in {limit}");
}

#[test]
fn no_shard_of_the_matrix_workflow_has_more_than_two_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows/matrix.yaml");
    let flags = yaml(&path)["env"]["FLAGS"].as_str().expect("its flags").to_string();
    let plan = commands(&path).into_iter().find(|line| line.contains("--shards")).expect("it prints the shards");
    let (_, shards) = plan.split_once("--shards ").expect("how many");
    let shards: usize = shards.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    let words = format!("meshproof matrix {flags}");
    let Verb::Matrix(args) = Cli::try_parse_from(words.split_whitespace()).expect("flags").verb else {
        panic!("{words}")
    };
    assert!(args.calls().expect("runs").len() <= 2 * shards, "the deadline of each has room for two");
}

#[rstest]
fn a_use_of_the_action_gives_it_inputs_that_it_has(
    #[files("../.github/workflows/*.yaml")]
    #[include_dot_files]
    path: PathBuf,
) {
    let action = action();
    let known: BTreeSet<&String> = action["inputs"].as_object().expect("inputs").keys().collect();
    for step in steps(&yaml(&path)) {
        if !step["uses"].as_str().is_some_and(|uses| uses.ends_with("/actions/meshproof")) {
            continue;
        }
        let given = step["with"].as_object().expect("inputs");
        assert!(given.keys().all(|name| known.contains(name)), "{given:?}");
    }
}

/// What the schema of actions asks for, and no linter of workflows looks at.
#[test]
fn the_action_is_composite_and_each_of_its_inputs_and_outputs_leads_somewhere() {
    let action = action();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ACTION)).expect("it can be read");
    let top: BTreeSet<&str> = action.as_object().expect("fields").keys().map(String::as_str).collect();
    assert_eq!(top, BTreeSet::from(["name", "description", "inputs", "outputs", "runs"]));
    assert_eq!(action["runs"]["using"], "composite");
    let is_said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    for (name, input) in action["inputs"].as_object().expect("inputs") {
        assert!(is_said(&input["description"]) && input["default"].is_string(), "{name}");
        assert!(text.contains(&format!("inputs.{name} ")), "{name} is used");
    }
    let steps = steps(&action);
    for (name, output) in action["outputs"].as_object().expect("outputs") {
        assert!(is_said(&output["description"]), "{name}");
        assert_eq!(output["value"], format!("${{{{ steps.run.outputs.{name} }}}}"), "meshproof itself writes it");
    }
    for step in &steps {
        match step["run"].as_str() {
            Some(_) => assert_eq!(step["shell"], "bash", "a composite action has no shell by default: {step}"),
            None => assert!(step["uses"].as_str().is_some_and(|uses| uses.contains("@v")), "{step}"),
        }
    }
    let last = steps.last().expect("steps");
    assert!(last["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/upload-artifact@")), "{last}");
    assert_eq!(last["if"], "always()", "reports of a run that failed are those that are read");
}
