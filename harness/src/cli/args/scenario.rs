//! The flags of `scenario`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with scenario files.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Scenario {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ScenarioVerb,
}

/// What to do with scenario files.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ScenarioVerb {
    /// Write a file that has every field, most of them as comments, and the schema for editors beside it.
    ///
    /// Nothing that is there is written over.
    ///
    /// Example: `meshproof scenario new mine.yaml`
    New(ScenarioPath),
    /// Say everything that is wrong with files, each with its line; needs no engine and makes nothing.
    ///
    /// Example: `meshproof scenario check suites/scenarios/*.yaml`
    Check(ScenarioPaths),
    /// Print a scenario with all that its file leaves out.
    ///
    /// Example: `meshproof scenario show mine.yaml`
    Show(ScenarioPath),
    /// Print the JSON Schema of scenario files.
    ///
    /// Example: `meshproof scenario schema > scenario.schema.json`
    Schema,
}

/// One scenario file.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ScenarioPath {
    /// The file.
    pub file: PathBuf,
}

/// Some scenario files.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ScenarioPaths {
    /// The files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}
