//! `matrix`: a run for each combination of versions and scenarios, one after the other, and one table of all of them.

use std::path::{Path, PathBuf};

use super::args::{EngineUse, MatrixArgs, MatrixVerb, Merging, Request, Surroundings};
use super::claim::{Base, host_problem, image_site};
use super::output::{data, note, out, say};
use super::series::{self, Series};
use super::{preflight, verbs};
use crate::check::verdict::chain;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::lab::Home;
use crate::lab::host::Host;
use crate::lab::images::{self, ImageError};
use crate::matrix::{self, Combination, Disk, FILE, FORMAT, Matrix, Outcome, Suite};
use crate::problem::{Problem, Problems};
use crate::versions::Picked;

/// What all runs have in common.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The catalogue.
    pub catalogue: &'a [crate::check::Case],
    /// Where labs are remembered.
    pub home: &'a Home,
    /// The repository.
    pub root: &'a Path,
}

/// One run: what is asked for, and the versions.
struct Planned {
    request: Request,
    picked: Picked,
}

impl Planned {
    /// The request for a run that leaves its folder here.
    fn below(&self, folder: &Path) -> Request {
        Request { runs: folder.to_path_buf(), ..self.request.clone() }
    }
}

impl<'a> Ground<'a> {
    fn base(self, picked: &'a Picked) -> Base<'a> {
        let Ground { catalogue, home, root } = self;
        Base { catalogue, home, root, picked }
    }
}

/// Does what `matrix` and its flags say.
///
/// # Errors
/// What keeps it from beginning; also if not one of the runs can begin.
pub async fn verb(args: &MatrixArgs, around: &Surroundings<'_>, ground: Ground<'_>) -> Result<Exit, Problems> {
    if let Some(MatrixVerb::Merge(merging)) = &args.verb {
        return merge(merging);
    }
    let (matrix, planned) = plan(args, around)?;
    if let Some(shards) = args.printed(matrix.combinations.len())? {
        data(&format!("{}\n", matrix::github(&matrix, shards)));
        return Ok(Exit::Green);
    }
    if args.list {
        let line = |one: &Combination| format!("{}  supported: {}\n", one.name(), one.support());
        matrix.own().iter().for_each(|one| out(&line(one)));
        return Ok(Exit::Green);
    }
    run(args, matrix, &planned, ground).await
}

/// All combinations and their runs, also those of other shards; every mistake of all of them at once.
fn plan(args: &MatrixArgs, around: &Surroundings<'_>) -> Result<(Matrix, Vec<Planned>), Problems> {
    let mut problems = Problems::new();
    let calls = args.calls()?;
    let shard = problems.keep(args.part(calls.len()));
    problems.keep(args.printed(calls.len()));
    let (mut combinations, mut planned) = (Vec::<Combination>::new(), Vec::new());
    for call in calls {
        match call.request(around) {
            Ok(request) => {
                let scenario = request.scenario();
                let (istio, kubernetes) = (scenario.istio.clone(), scenario.kubernetes.clone());
                let supported = around.versions.supports(&istio, &kubernetes);
                let (scenario, disk, outcome) = (scenario.name.clone(), None, None);
                let one = Combination { istio, kubernetes, scenario, supported, disk, outcome };
                if combinations.contains(&one) {
                    let message = format!("two of the runs would be {}", one.name());
                    problems.push("--scenario", message, "files of different names (`name:`) or versions");
                }
                combinations.push(one);
                planned.push(Planned { picked: verbs::picked(&request, around.versions), request });
            }
            // The same flag is wrong in the same way in each run.
            Err(more) => problems.take(more),
        }
    }
    let Some(shard) = shard else { return Err(problems) };
    let (meshproof, began) = (crate::version().to_string(), jiff::Timestamp::now());
    let matrix = Matrix { format: FORMAT, meshproof, began, shard, combinations };
    problems.or((matrix, planned))
}

/// Runs all of this shard, and writes after each what is known.
async fn run(args: &MatrixArgs, matrix: Matrix, planned: &[Planned], ground: Ground<'_>) -> Result<Exit, Problems> {
    let own = matrix.shard.range(planned.len());
    let Planned { request: first, .. } = &planned[own.start];
    let (lab, runs) = (&first.scenario().lab, &first.runs);
    let mut series = Series::begin(runs, &format!("{lab}-matrix"), lab)?;
    let mut report = Report { folder: series.folder.clone(), suites: Vec::new(), matrix };
    report.write();
    for at in own.clone() {
        let (one, combination) = (&planned[at], &report.matrix.combinations[at]);
        let (name, request) = (combination.name(), one.below(&report.folder.join(combination.folder())));
        if !request.telling.quiet {
            say("Running", &format!("{} of {}  {name}", at - own.start + 1, own.len()));
        }
        let base = ground.base(&one.picked);
        let (outcome, run) = match series.run(&request, base).await {
            Ok((exit, summary)) => (Outcome::of(exit, &summary), Ok(summary)),
            Err(why) => (Outcome::not_begun(&why), Err(why)),
        };
        report.matrix.combinations[at].outcome = Some(outcome);
        report.suites.push(Suite { name, run });
        report.write();
        let later = planned[at + 1..own.end].iter().map(|later| &later.picked).collect();
        let later: Option<Vec<&Picked>> = (args.prune && series.ended().is_none()).then_some(later);
        match look_after(&request, base, planned, later).await {
            Ok(disk) => report.matrix.combinations[at].disk = Some(disk),
            // The verdicts stand all the same.
            Err(error) => say("Unable", &format!("to look after the images: {}", chain(&error))),
        }
        report.write();
        if let Some(why) = series.ended() {
            if at + 1 < own.end {
                say("Stopped", why);
            }
            break;
        }
    }
    // A combination that was not run has no verdict either.
    let exit = Exit::worst([series.exit()?, report.matrix.exit()]);
    out(&matrix::text(&report.matrix));
    say("Reports", &report.folder.display().to_string());
    Ok(exit)
}

/// What the images of a run take on the disk; what `later` runs do not need is removed, where that is asked for.
async fn look_after(
    request: &Request,
    base: Base<'_>,
    planned: &[Planned],
    later: Option<Vec<&Picked>>,
) -> Result<Disk, ImageError> {
    let engine = preflight::engine(base.root, EngineUse::Existing).await.map_err(Problems::from)?;
    let host = Host::read().map_err(|error| Problems::from(host_problem(error)))?;
    let recorder = Recorder::new(Vec::new());
    let site = image_site(request, base, &engine, &host, &recorder);
    let all: Vec<&Picked> = planned.iter().map(|one| &one.picked).collect();
    let disk = images::disk(&site, &all).await?;
    if let Some(later) = later {
        let pruned = images::print_prune(&images::prune_combination(&site, &later).await?);
        if !request.telling.quiet {
            note(pruned.trim_end());
        }
    }
    Ok(disk)
}

/// What a call leaves in its folder.
struct Report {
    folder: PathBuf,
    matrix: Matrix,
    suites: Vec<Suite>,
}

impl Report {
    /// Writes what is known so far: a call that is killed leaves what it had, and its JUnit is not green.
    fn write(&self) {
        let suite = |one: &Combination| {
            let under_way = || Err("the matrix was under way, and did not end".to_string());
            let known = self.suites.iter().find(|suite| suite.name == one.name());
            known.cloned().unwrap_or_else(|| Suite { name: one.name(), run: under_way() })
        };
        let suites: Vec<Suite> = self.matrix.own().iter().map(suite).collect();
        let files = [
            (FILE, serde_json::to_string_pretty(&self.matrix).expect("a matrix is JSON") + "\n"),
            ("table.txt", matrix::text(&self.matrix)),
            ("table.md", matrix::markdown(&self.matrix)),
            ("junit.xml", matrix::junit(&suites)),
        ];
        series::write(&self.folder, files);
    }
}

fn merge(merging: &Merging) -> Result<Exit, Problems> {
    let (matrix, suites) = matrix::merge(&matrix::find(&merging.folders)?)?;
    std::fs::create_dir_all(&merging.out).map_err(|error| {
        let message = format!("{}: {error}", merging.out.display());
        Problem::new("--out", message, "a folder that you may write to")
    })?;
    let report = Report { folder: merging.out.clone(), matrix, suites };
    report.write();
    out(&matrix::text(&report.matrix));
    say("Reports", &report.folder.display().to_string());
    Ok(report.matrix.exit())
}
