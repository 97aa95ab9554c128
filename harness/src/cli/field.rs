//! `field`: which field issues there are, and running them one after another.

use std::path::{Path, PathBuf};

use super::args::{FieldListing, FieldRun, FieldVerb, Request, Surroundings};
use super::claim::Base;
use super::output::{out, say};
use super::series::{self, Series};
use super::verbs;
use crate::exit::Exit;
use crate::field::{self, Issue, Ran, Row};
use crate::matrix::{self, Suite};
use crate::problem::Problems;
use crate::versions::{Component, Versions};

/// Why an issue has no verdict when the process is killed.
const UNDER_WAY: &str = "it was not run, or did not end";

/// Does what a verb of `field` says with these issues.
///
/// # Errors
/// Everything that keeps it from beginning: nothing was created then.
pub async fn verb(
    verb: &FieldVerb,
    issues: Vec<Issue>,
    around: &Surroundings<'_>,
    base: Base<'_>,
) -> Result<Exit, Problems> {
    match verb {
        FieldVerb::List(listing) => {
            out(&list(listing, issues, around.versions, base.root)?);
            Ok(Exit::Green)
        }
        FieldVerb::Run(flags) => run(flags, issues, around, base).await,
    }
}

/// The table of the recorded runs of these issues.
///
/// # Errors
/// Every recording that cannot be read.
pub fn list(listing: &FieldListing, issues: Vec<Issue>, known: &Versions, root: &Path) -> Result<String, Problems> {
    let rows = field::recorded(root, issues)?;
    let versions = columns(&rows, known);
    Ok(match listing.markdown {
        true => field::markdown(&rows, &versions),
        false => field::text(&rows, &versions),
    })
}

/// Every version of Istio that is known or was run, the newest first.
fn columns(rows: &[Row], known: &Versions) -> Vec<String> {
    let ran = rows.iter().flat_map(|row| row.runs.keys().cloned());
    let mut versions: Vec<String> = known.known(Component::Istio).into_iter().chain(ran).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(Component::Istio.release(version).ok()));
    versions.dedup();
    versions
}

/// One run that is asked for.
struct Asked {
    row: usize,
    istio: String,
    /// The issue and the version, for people.
    name: String,
    request: Request,
}

async fn run(
    flags: &FieldRun,
    issues: Vec<Issue>,
    around: &Surroundings<'_>,
    base: Base<'_>,
) -> Result<Exit, Problems> {
    let asked = asked(flags, &issues, around)?;
    let Some(first) = asked.first() else { return Ok(Exit::Green) };
    let mut versions: Vec<String> = asked.iter().map(|one| one.istio.clone()).collect();
    versions.dedup();
    let lab = &first.request.scenario().lab;
    let mut series = Series::begin(&flags.common.runs, &format!("{lab}-field"), lab)?;
    let mut table = Table {
        rows: issues.into_iter().map(|issue| Row { issue, runs: Default::default() }).collect(),
        suites: asked.iter().map(|one| Suite { name: one.name.clone(), run: Err(UNDER_WAY.to_string()) }).collect(),
        versions,
        folder: series.folder.clone(),
    };
    table.write();
    for (number, one) in asked.iter().enumerate() {
        if !flags.common.telling.quiet {
            say("Running", &format!("{}, {} of {}", one.name, number + 1, asked.len()));
        }
        let picked = verbs::picked(&one.request, around.versions);
        let request = Request { runs: series.folder.clone(), ..one.request.clone() };
        table.suites[number].run = match series.run(&request, Base { picked: &picked, ..base }).await {
            Ok((exit, summary)) => {
                table.rows[one.row].runs.insert(one.istio.clone(), Ran::of(exit, &summary));
                Ok(summary)
            }
            Err(why) => Err(why),
        };
        if let Some(why) = series.ended() {
            let rest = &mut table.suites[number + 1..];
            rest.iter_mut().for_each(|suite| suite.run = Err(format!("it was not run: {why}")));
            if !rest.is_empty() {
                say("Stopped", why);
                series.leaves_out();
            }
        }
        table.write();
        if series.ended().is_some() {
            break;
        }
    }
    let exit = series.exit()?;
    out(&field::text(&table.rows, &table.versions));
    say("Reports", &table.folder.display().to_string());
    Ok(exit)
}

/// What is asked for, all of it sound: each issue with each version of Istio.
fn asked(flags: &FieldRun, issues: &[Issue], around: &Surroundings<'_>) -> Result<Vec<Asked>, Problems> {
    let mut problems = Problems::new();
    let versions: Vec<Option<&str>> = match flags.istio.as_slice() {
        [] => vec![None],
        versions => versions.iter().map(|version| Some(version.as_str())).collect(),
    };
    let mut asked = Vec::new();
    for istio in versions {
        for (row, issue) in issues.iter().enumerate() {
            match flags.run(issue, istio).request(around) {
                Ok(request) => {
                    let istio = request.scenario().istio.clone();
                    asked.push(Asked { row, name: format!("{} with Istio {istio}", issue.id), istio, request });
                }
                // The same is wrong in the same way in each run.
                Err(more) => problems.take(more),
            }
        }
    }
    problems.or(asked)
}

/// What is known so far, and where it is written.
struct Table {
    rows: Vec<Row>,
    versions: Vec<String>,
    suites: Vec<Suite>,
    folder: PathBuf,
}

impl Table {
    /// Writes what is known so far: a row that is killed leaves what it had.
    fn write(&self) {
        let Table { rows, versions, suites, folder } = self;
        let files = [
            ("table.txt", field::text(rows, versions)),
            ("table.md", field::markdown(rows, versions)),
            ("junit.xml", matrix::junit(suites)),
        ];
        series::write(folder, files);
    }
}
