//! Flags of the verb that lists and runs field issues.

use clap::{Args, Subcommand};

use super::{Cli, Common, Run, Shape, Sources, Verb, VersionFlags};
use crate::field::Issue;

/// What to do with field issues.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct FieldArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: FieldVerb,
}

/// What to do with field issues.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum FieldVerb {
    /// Say which field issues there are, and with which versions of Istio each shows, by its recorded runs.
    ///
    /// `shows`: all was as the file expects, and some check was red meanwhile. `does not show`: all was as it expects, and
    /// every check passed. `not run`: nobody recorded a run.
    ///
    /// Example: `meshproof field list`
    List(FieldListing),
    /// Run some or all of them, one after another, each on a lab of its own.
    ///
    /// Each brings the issue about, sees its symptom, cures it and sees all green again. Prints a table of issues by versions
    /// in the end; the folder below --runs has it as table.txt, table.md and junit.xml, and a folder for each run. The exit
    /// code is that of the worst run.
    ///
    /// Example: `meshproof field run f02-annotated-late --istio 1.31.1 --istio 1.29.2`
    Run(Box<FieldRun>),
}

impl FieldVerb {
    /// The issues that are asked for; all of them if none is.
    pub fn issues(&self) -> &[String] {
        match self {
            FieldVerb::List(listing) => &listing.issues,
            FieldVerb::Run(run) => &run.issues,
        }
    }
}

/// Flags of `field list`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FieldListing {
    /// List only these: ids, globs such as `f0*`, or scenario files [default: all of the catalogue].
    #[arg(value_name = "ISSUE")]
    pub issues: Vec<String>,
    /// Print the table as Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// Flags of `field run`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FieldRun {
    /// Run only these: ids, globs such as `f0*`, or scenario files [default: all of the catalogue].
    #[arg(value_name = "ISSUE")]
    pub issues: Vec<String>,
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
    /// Run them with this version of Istio; can be given several times [default: the scenario's].
    #[arg(long, value_name = "VERSION", value_delimiter = ',', allow_hyphen_values = true)]
    pub istio: Vec<String>,
    /// Run them on this version of Kubernetes [default: the scenario's].
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    pub kubernetes: Option<String>,
    /// Keep a lab afterwards, which ends the row: always, on-failure or never [default: never].
    #[arg(long, value_name = "WHEN")]
    pub keep: Option<String>,
    /// End each run in order after this time, as of `run`.
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<String>,
}

impl FieldRun {
    /// The call of `run` for one issue, with this version of Istio if one is asked for.
    pub fn run(&self, issue: &Issue, istio: Option<&str>) -> Cli {
        let (istio, kubernetes) = (istio.map(str::to_string), self.kubernetes.clone());
        let versions = VersionFlags { istio, kubernetes, envoy: None };
        let run = Run {
            common: Common { scenario: Some(issue.path.clone()), ..self.common.clone() },
            shape: Shape { versions, ..Shape::default() },
            sources: self.sources.clone(),
            keep: Some(self.keep.clone().unwrap_or_else(|| "never".to_string())),
            deadline: self.deadline.clone(),
            ..Run::default()
        };
        Cli { verb: Verb::Run(run) }
    }
}
