//! `field`: which field issues there are, and running them one after another.

use std::path::{Path, PathBuf};

use super::args::{FieldListing, FieldRun, FieldVerb, Request, Surroundings};
use super::claim::Base;
use super::{row, verbs};
use crate::exit::Exit;
use crate::field::{self, Issue, Ran, Row};
use crate::problem::Problems;
use crate::report::junit;
use crate::versions::{Component, Versions};

/// Why an issue was not run when the process is killed.
const UNDER_WAY: &str = "the row was under way, and did not end";

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
            verbs::out(&list(listing, issues, around.versions, base.root)?);
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
    let mut runs = row::Row::begin(&flags.common.runs, &format!("{lab}-field"), lab)?;
    let mut table = Table {
        rows: issues.into_iter().map(|issue| Row { issue, runs: Default::default() }).collect(),
        versions,
        folder: runs.folder.clone(),
        began: jiff::Timestamp::now(),
    };
    table.write(UNDER_WAY);
    for (number, one) in asked.iter().enumerate() {
        let issue = &table.rows[one.row].issue.id;
        eprintln!("     Running {issue} with Istio {}, {} of {}", one.istio, number + 1, asked.len());
        let picked = verbs::picked(around.versions, &one.request);
        let (exit, summary) = runs.run(&one.request, Base { picked: &picked, ..base }).await?;
        table.rows[one.row].runs.insert(one.istio.clone(), Ran::of(exit, &summary));
        let last = number + 1 == asked.len();
        match runs.ended() {
            Some(why) if !last => {
                eprintln!("     Stopped {why}");
                table.write(why);
                break;
            }
            _ => table.write(if last { "" } else { UNDER_WAY }),
        }
    }
    verbs::out(&field::text(&table.rows, &table.versions));
    eprintln!("     Reports {}", table.folder.display());
    Ok(runs.history.exit())
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
            let request = problems.keep(flags.run(issue, istio).request(around));
            asked.extend(request.map(|request| Asked { row, istio: request.scenario().istio.clone(), request }));
        }
    }
    problems.or(asked)
}

/// What is known so far, and where it is written.
struct Table {
    rows: Vec<Row>,
    versions: Vec<String>,
    folder: PathBuf,
    began: jiff::Timestamp,
}

impl Table {
    /// Writes what is known so far, and `why` the rest is not: a row that is killed leaves what it had.
    fn write(&self, why: &str) {
        let Table { rows, versions, folder, began } = self;
        for (name, text) in [
            ("table.txt", field::text(rows, versions)),
            ("table.md", field::markdown(rows, versions)),
            ("junit.xml", field::junit(rows, versions, why, *began)),
        ] {
            if let Err(error) = junit::replace(&folder.join(name), &text) {
                eprintln!("        Note {} cannot be written: {error}", folder.join(name).display());
            }
        }
    }
}
