//! `meshproof scenario`: writes, checks and shows scenario files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::args::ScenarioVerb;
use super::output::{data, out};
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::report::text::count;
use crate::scenario::{Known, ScenarioFile, schema};

/// The file that has every field, below the repository.
const TEMPLATE: &str = "suites/scenarios/primary-remote.yaml";

/// The name under which the schema is put beside a new file.
const SCHEMA: &str = "scenario.schema.json";

/// Does what a verb of `scenario` says.
///
/// # Errors
/// Everything that is wrong with the files, or the file that cannot be read or written.
pub fn call(verb: &ScenarioVerb, root: &Path, known: Known<'_>) -> Result<Exit, Problems> {
    match verb {
        ScenarioVerb::New(args) => new(&args.file, root)?,
        ScenarioVerb::Check(args) => check(&args.files, known)?,
        ScenarioVerb::Show(args) => {
            let scenario = read(&args.file, known)?.scenario;
            // By way of JSON, so that what is one field of a mapping is written as one.
            let value = serde_json::to_value(&scenario).expect("a scenario is JSON");
            data(&serde_yaml_ng::to_string(&value).expect("JSON is YAML"));
        }
        ScenarioVerb::Schema => data(&pretty_schema()),
    }
    Ok(Exit::Green)
}

/// Reads one file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path, known: Known<'_>) -> Result<ScenarioFile, Problems> {
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read: {error}");
        Problem::new(path.display().to_string(), message, format!("a scenario file such as {TEMPLATE}"))
    })?;
    ScenarioFile::parse(&text, &path.display().to_string(), known)
}

/// The schema as it is published.
pub fn pretty_schema() -> String {
    serde_json::to_string_pretty(&schema()).expect("a schema is JSON") + "\n"
}

fn new(path: &Path, root: &Path) -> Result<(), Problems> {
    let template = fs::read_to_string(root.join(TEMPLATE)).map_err(cannot(&root.join(TEMPLATE)))?;
    let text = format!("# yaml-language-server: $schema={SCHEMA}\n{template}");
    write_new(path, &text).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Problem::new(path.display().to_string(), "is there already, and stays as it is", "another name")
        }
        _ => cannot(path)(error),
    })?;
    let schema = path.with_file_name(SCHEMA);
    match write_new(&schema, &pretty_schema()) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(cannot(&schema)(error).into()),
        _ => {}
    }
    out(&format!("{}\n{}  the fields, for editors\n", path.display(), schema.display()));
    Ok(())
}

fn check(paths: &[PathBuf], known: Known<'_>) -> Result<(), Problems> {
    let mut problems = Problems::new();
    let mut sound = Vec::new();
    for path in paths {
        let Some(file) = problems.keep(read(path, known)) else { continue };
        let scenario = &file.scenario;
        let rounds: Vec<&str> = scenario.rounds().map(|round| round.name.as_str()).collect();
        let judged = if rounds.is_empty() { String::new() } else { format!(", judged as {}", rounds.join(", ")) };
        let moments = count(scenario.timeline.len(), "moment");
        let expected = count(scenario.expect.len(), "expectation");
        sound.push(format!("{}: {}, {moments}{judged}, {expected}\n", path.display(), scenario.name));
    }
    problems.or(())?;
    sound.iter().for_each(|line| out(line));
    Ok(())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

fn cannot(path: &Path) -> impl FnOnce(std::io::Error) -> Problem {
    let place = path.display().to_string();
    move |error| {
        Problem::new(place, format!("cannot be read or written: {error}"), "a file that you may read and write")
    }
}
