//! Flags of `matrix`: those of `run`, of which three take lists. Each combination becomes a call of `run`, so that what a
//! flag means and what is wrong with it is said in one place.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Choice, Cli, Common, Run, Shape, Sources, Verb, VersionFlags};
use crate::matrix::{Shard, all, pairwise};
use crate::problem::Problems;

/// Jobs that GitHub makes of one matrix at most:
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix>.
const JOBS: usize = 256;

/// Flags of `matrix`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(mut_arg("istio", |arg| arg.value_name("VERSIONS").help(
    "Take each of these versions of Istio, such as 1.31.1,1.29.2 [default: the scenario's]")))]
#[command(mut_arg("kubernetes", |arg| arg.value_name("VERSIONS").help(
    "Take each of these versions of Kubernetes, such as v1.36.3,v1.34.4 [default: the scenario's]")))]
#[command(mut_arg("scenario", |arg| arg.value_name("FILES").help(
    "Take each of these scenario files, such as env.yaml,value.yaml; without it, the guide's own names")))]
pub struct MatrixArgs {
    /// What to do with what other calls have left; without it, the runs are done.
    #[command(subcommand)]
    pub verb: Option<MatrixVerb>,
    /// Flags of every verb; the scenario is a list.
    #[command(flatten)]
    pub common: Common,
    /// What the labs are like; the versions are lists.
    #[command(flatten)]
    pub shape: Shape,
    /// Which checks.
    #[command(flatten)]
    pub choice: Choice,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
    /// End each run in order after this time, such as `20m`, images included [default: 40m after the images, times --slow].
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<String>,
    /// Run only so many combinations that each two values still meet: a version of Istio and a version of Kubernetes, a
    /// version and a scenario. Of versions alone these are all.
    #[arg(long)]
    pub pairwise: bool,
    /// Run only this part of the combinations, such as 2/4; `meshproof matrix merge` makes one table of all parts.
    #[arg(long, value_name = "PART/PARTS", allow_hyphen_values = true)]
    pub shard: Option<String>,
    /// After each run, remove what meshproof has built for it and no later one needs.
    #[arg(long)]
    pub prune: bool,
    /// List the combinations, and run nothing.
    #[arg(long)]
    pub list: bool,
    /// Print the combinations for `strategy.matrix` of a GitHub workflow, in one line of JSON, and run nothing: a job for each
    /// shard, with its versions and the value of --shard.
    #[arg(long, value_name = "github")]
    pub format: Option<String>,
    /// With --format: so many shards, up to 256 [default: one for each combination].
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub shards: Option<String>,
}

/// What to do with what other calls of `matrix` have left.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum MatrixVerb {
    /// Make one table and one JUnit file of the shards of a matrix.
    ///
    /// Needs neither engine nor lab. A combination that no shard ran is *could not tell*.
    ///
    /// Example: `meshproof matrix merge shard-1 shard-2 --out merged`
    Merge(Merging),
}

/// Flags of `matrix merge`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Merging {
    /// The folders that `matrix` left, or folders above them.
    #[arg(required = true, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Write the reports here.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

impl MatrixArgs {
    /// The calls of `run` that this is, in order: those of one version of Kubernetes together, for it takes the longest to
    /// build.
    ///
    /// # Errors
    /// Everything that is wrong with the lists.
    pub fn calls(&self) -> Result<Vec<Cli>, Problems> {
        let mut problems = Problems::new();
        let VersionFlags { istio, kubernetes, envoy } = &self.shape.versions;
        let files = self.common.scenario.as_ref().map(|files| files.to_string_lossy().into_owned());
        let mut listed = |flag: &str, text: &Option<String>| {
            let values = list(flag, text.as_deref(), &mut problems);
            values.into_iter().map(|value| value.map(str::to_string)).collect::<Vec<_>>()
        };
        let kubernetes = listed("--kubernetes", kubernetes);
        let istio = listed("--istio", istio);
        let files = listed("--scenario", &files);
        problems.or(())?;
        let factors = [kubernetes.len(), istio.len(), files.len()];
        let rows = if self.pairwise { pairwise(&factors) } else { all(&factors) };
        let call = |row: Vec<usize>| {
            let (istio, kubernetes) = (istio[row[1]].clone(), kubernetes[row[0]].clone());
            let versions = VersionFlags { istio, kubernetes, envoy: envoy.clone() };
            let run = Run {
                common: Common { scenario: files[row[2]].as_ref().map(PathBuf::from), ..self.common.clone() },
                shape: Shape { versions, ..self.shape.clone() },
                choice: self.choice.clone(),
                sources: self.sources.clone(),
                // A lab that is kept would be in the way of the next run.
                keep: Some("never".to_string()),
                deadline: self.deadline.clone(),
                ..Run::default()
            };
            Cli { verb: Verb::Run(run) }
        };
        Ok(rows.into_iter().map(call).collect())
    }

    /// In how many shards so many combinations are printed for GitHub, if that is asked for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn printed(&self, combinations: usize) -> Result<Option<usize>, Problems> {
        let mut problems = Problems::new();
        let Some(format) = &self.format else {
            if self.shards.is_some() {
                let instead = "--format github with it, or --shard to run one of them";
                problems.push("--shards", "the combinations are not printed", instead);
            }
            return problems.or(None);
        };
        if format != "github" {
            problems.push("--format", format!("`{format}` is not known"), "`github`");
        }
        if self.shard.is_some() {
            let instead = "one of them: --format prints all shards, --shard runs one";
            problems.push("--format", "--shard asks for one shard", instead);
        }
        let most = combinations.min(JOBS);
        let shards = match self.shards.as_deref().map(str::parse::<usize>) {
            None => combinations,
            Some(Ok(shards)) if (1..=combinations).contains(&shards) => shards,
            Some(_) => {
                let message = format!("of {combinations} combinations there are no `{}` shards", self.shards());
                problems.push("--shards", message, format!("a number from 1 to {most}"));
                most
            }
        };
        if shards > JOBS {
            let message = format!("these are {shards} jobs, and GitHub takes {JOBS} of a matrix");
            problems.push("--shards", message, format!("a number up to {JOBS}: --shards {JOBS}"));
        }
        problems.or(Some(shards))
    }

    fn shards(&self) -> &str {
        self.shards.as_deref().unwrap_or_default()
    }

    /// The part of so many combinations that is asked for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn part(&self, combinations: usize) -> Result<Shard, Problems> {
        let Some(text) = &self.shard else { return Ok(Shard::WHOLE) };
        let mut problems = Problems::new();
        match Shard::named(text) {
            Ok(shard) if shard.of() > combinations => {
                let message = format!("of {combinations} combinations there are no {} parts", shard.of());
                problems.push("--shard", message, format!("at most {combinations} parts"));
                Err(problems)
            }
            Ok(shard) => Ok(shard),
            Err((message, instead)) => {
                problems.push("--shard", message, instead);
                Err(problems)
            }
        }
    }
}

/// The values of a list with commas; one that is not said where there is no list.
fn list<'a>(flag: &str, text: Option<&'a str>, problems: &mut Problems) -> Vec<Option<&'a str>> {
    let Some(text) = text else { return vec![None] };
    let values: Vec<&str> = text.split(',').map(str::trim).collect();
    for (at, value) in values.iter().enumerate() {
        if value.is_empty() {
            problems.push(flag, format!("`{text}` has an empty item"), "items with single commas between them");
        } else if values[..at].contains(value) {
            problems.push(flag, format!("`{value}` is there twice"), "each once");
        }
    }
    values.into_iter().map(Some).collect()
}
