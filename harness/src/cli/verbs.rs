//! What each verb does.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use super::args::{Cli, EngineUse, ImagesVerb, Request, Surroundings, Telling, Uninstalling, Verb};
use super::claim::{Base, Claim, host_problem, image_site, runs_problem};
use super::interrupt::Interrupt;
use super::output::{self, data, note, out, refuse};
use super::reporters::{Told, recorder};
use super::session::{self, Phases, plan};
use super::{
    brought, capture, explain, field, inspect, matrix, own, past, preflight, prove, repeat, rounds, scenarios, shell,
    versions,
};
use crate::budget::Budgets;
use crate::check::case::Case;
use crate::event::{Event, Recorder};
use crate::exit::Exit;
use crate::field::{self as issues, Symptoms};
use crate::install::primary_remote;
use crate::lab::host::Host;
use crate::lab::{Engine, Home, LabLock, down, images, status};
use crate::plan::Phase;
use crate::problem::{Problem, Problems};
use crate::reading::KubeconfigFiles;
use crate::report::github::{self, Job};
use crate::report::terminal::{Manner, Terminal};
use crate::report::{self, Summary, jsonl, runs};
use crate::sabotage;
use crate::topology::Topology;
use crate::versions::{Picked, Versions};

/// The binary: reads its arguments, does what they say over this catalogue, and returns the exit code.
pub async fn main(catalogue: &[Case]) -> ExitCode {
    let job = Job::from_environment();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(unread(&error, job.as_ref()).code()),
    };
    let exit = match call(&cli, catalogue).await {
        Ok(exit) => exit,
        Err(problems) => {
            refuse(&problems);
            if job.is_some() {
                eprintln!("{}", github::refused(&problems.to_string()));
            }
            problems.exit()
        }
    };
    if let Some(job) = job.filter(|_| cli.verb.judges()) {
        job.ended(exit);
    }
    ExitCode::from(exit.code())
}

/// Says why a command line cannot be read; also the help and the version come as such an error.
fn unread(error: &clap::Error, job: Option<&Job>) -> Exit {
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Green;
    }
    let Some(job) = job else {
        let _ = error.print();
        return Exit::Usage;
    };
    let why = error.to_string();
    note(why.trim_end());
    eprintln!("{}", github::refused(&why));
    // Which verb was meant is not known, so it may be one that judges.
    job.ended(Exit::Usage);
    Exit::Usage
}

async fn call(cli: &Cli, catalogue: &[Case]) -> Result<Exit, Problems> {
    // These take neither the repository nor a request.
    match &cli.verb {
        Verb::Diff(args) => return past::diff(args),
        Verb::History(args) => return past::history(args),
        Verb::Completions(args) => {
            data(&shell::completions(args.shell));
            return Ok(Exit::Green);
        }
        Verb::Man(args) => return shell::manual(args),
        _ => {}
    }
    let root = preflight::root()?;
    let file = root.join("kind/versions.toml");
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Problem::new(file.display().to_string(), format!("cannot be read: {error}"), "check the folder's rights")
    })?;
    let known = Versions::parse(&text)?;
    let outlines: Vec<_> = catalogue.iter().map(Case::outline).collect();
    let default = crate::scenario::Scenario::default_primary_remote(&known);
    let steps: Vec<String> = primary_remote::steps(&default, images::WORKLOAD_IN_NODE)
        .iter()
        .filter(|step| step.phase == Phase::Install)
        .map(|step| step.id.to_string())
        .collect();
    let names: Vec<&str> = steps.iter().map(String::as_str).collect();
    let ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    let terminal = std::io::stderr().is_terminal();
    let kubeconfig = &KubeconfigFiles::from_environment();
    let mut problems = Problems::new();
    // Only a scenario file can name one; field issues are such files.
    let from_file = cli.verb.common().is_some_and(|common| common.scenario.is_some());
    let asks = matches!(cli.verb, Verb::Run(_) | Verb::Check(_) | Verb::Prove(_) | Verb::Field(_) | Verb::Matrix(_));
    let nameable = match from_file || asks || matches!(cli.verb, Verb::Scenario(_) | Verb::Explain(_)) {
        true => problems.keep(sabotage::choose(&root, &[], catalogue, &names)).unwrap_or_default(),
        false => Vec::new(),
    };
    let unasked = &Symptoms::default();
    let mut around = Surroundings {
        versions: &known,
        catalogue: &outlines,
        steps: &steps,
        sabotages: &nameable,
        symptoms: unasked,
        terminal,
        ci,
        kubeconfig,
    };
    let read = if asks && problems.is_empty() { problems.keep(issues::read(&root, around.known())) } else { None };
    let symptoms = Symptoms::of(&read.unwrap_or_default());
    around.symptoms = &symptoms;
    if let Verb::Explain(args) = &cli.verb {
        problems.or(())?;
        return explain::verb(args, catalogue, &around, &root);
    }
    if let Verb::Matrix(args) = &cli.verb {
        problems.or(())?;
        log(args.common.telling);
        let ground = matrix::Ground { catalogue, home: &Home::from_environment(), root: &root };
        return Box::pin(matrix::verb(args, &around, ground)).await;
    }
    let request = problems.keep(cli.request(&around));
    let sabotages = match &cli.verb {
        Verb::Prove(proving) => problems.keep(sabotage::choose(&root, &proving.only, catalogue, &names)),
        _ => Some(Vec::new()),
    };
    let issues = match &cli.verb {
        Verb::Field(args) => problems.keep(issues::choose(&root, args.verb.issues(), around.known())),
        _ => Some(Vec::new()),
    };
    let (Some(request), Some(sabotages), Some(issues)) = (request, sabotages, issues) else { return Err(problems) };
    problems.or(())?;
    log(request.telling);
    let home = Home::from_environment();
    let picked = picked(&request, &known);
    let base = Base { catalogue, home: &home, root: &root, picked: &picked };
    let phases = Phases::default();
    match &cli.verb {
        Verb::Plan(_) => {
            // Subnets that the host has taken are known without an engine as far as routes show them; what other labs
            // have is known by the engine alone.
            let mut taken = Host::read().map_err(host_problem)?.routes;
            if let Ok(engine) = Engine::connect().await {
                taken.extend(engine.taken().await.unwrap_or_default());
            }
            let topology =
                Topology::choose(request.scenario(), &taken).map_err(|problems| request.file.locate(problems))?;
            let cases = selected(&request, catalogue);
            let rounds = rounds::rounds(&request, catalogue);
            out(&report::plan::render(&plan(&request, &topology, &cases, Some(&rounds))));
            Ok(Exit::Green)
        }
        Verb::List(_) => {
            for case in selected(&request, catalogue) {
                out(&format!("{:4} {:28} {}\n     guide: {}\n", case.id, case.slug, case.title, case.guide));
            }
            Ok(Exit::Green)
        }
        Verb::Prove(proving) if proving.list => {
            out(&prove::list(&request, &sabotages));
            Ok(Exit::Green)
        }
        Verb::Prove(proving) => prove::prove(&request, &sabotages, proving.judge_once, base).await,
        Verb::Scenario(args) => scenarios::call(&args.verb, &root, around.known()),
        Verb::Report(args) => rebuild(&runs::events(&args.events), &args.out),
        Verb::Field(args) => field::verb(&args.verb, issues, &around, base).await,
        Verb::Images(args) => image_verb(&args.verb, &request, base).await,
        Verb::Inspect(_) => match &request.reports {
            Some(reports) => inspect::inspect(&request, reports, &selected(&request, catalogue)).await,
            None => Ok(Exit::Usage),
        },
        Verb::Capture(capturing) => capture::capture(&capturing.wanted(kubeconfig)?, request.telling.volume()).await,
        Verb::Versions(args) => versions::verb(args, &known, &request, base).await,
        Verb::Status(_) => {
            let engine = preflight::engine(&root, EngineUse::Existing).await.ok();
            out(&status::render(&home, engine.as_ref()).await);
            Ok(Exit::Green)
        }
        Verb::Down(args) => {
            let engine = preflight::engine(&root, EngineUse::Existing).await?;
            let mut labs = vec![request.scenario().lab.clone()];
            if args.all {
                labs = down::labs(&engine, &home)
                    .await
                    .map_err(|error| Problem::new("the host", error.to_string(), "see whether the engine is well"))?;
            }
            remove_labs(&engine, &home, &labs, &request).await
        }
        Verb::Diff(_) | Verb::History(_) => unreachable!("they are called before there is a request: they have none"),
        Verb::Matrix(_) => unreachable!("it is called before there is a request: it has several"),
        Verb::Explain(_) | Verb::Completions(_) | Verb::Man(_) => {
            unreachable!("they are called before there is a request: they need none")
        }
        Verb::Run(_) if request.contexts.is_some() => Box::pin(brought::run(&request, base)).await,
        Verb::Run(_) if !request.repeat.is_once() => repeat::repeat(&request, base).await,
        Verb::Run(_) => with_session(&request, base, Phases::ALL).await,
        Verb::Up(_) => with_session(&request, base, Phases { up: true, ..phases }).await,
        Verb::Install(_) => with_session(&request, base, Phases { install: true, ..phases }).await,
        Verb::Check(_) if request.rbac.is_some() || request.contexts.is_some() => {
            own::check(&request, &selected(&request, catalogue)).await
        }
        Verb::Check(_) => with_session(&request, base, Phases { check: true, ..phases }).await,
        Verb::Uninstall(Uninstalling { record: Some(record), .. }) => {
            Box::pin(brought::uninstall(&request, record, base, kubeconfig)).await
        }
        Verb::Uninstall(_) => with_session(&request, base, Phases { clean_up: true, ..phases }).await,
    }
}

/// The versions that a request is about, with the flags by which another verb gets them.
pub fn picked(request: &Request, known: &Versions) -> Picked {
    known.pick(request.scenario()).by_flags(typed(&request.verb))
}

/// These flags, as they are typed.
fn typed(verb: &Verb) -> String {
    let scenario = verb.common().and_then(|common| common.scenario.as_ref());
    let mut flags: Vec<String> =
        scenario.iter().map(|file| format!("--scenario {}", crate::tool::quote(&file.to_string_lossy()))).collect();
    flags.extend(verb.versions().typed());
    flags.join(" ")
}

fn selected(request: &Request, catalogue: &[Case]) -> Vec<Case> {
    catalogue.iter().filter(|case| request.selection.contains(case.id)).copied().collect()
}

fn log(telling: Telling) {
    use tracing_subscriber::EnvFilter;
    let level = ["off", "meshproof=info,harness=info,suites=info", "harness=debug,suites=debug"]
        [usize::from(telling.verbose.min(2))];
    let filter = EnvFilter::try_from_env("MESHPROOF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A log that is there already, as in a test, is as good.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| output::Log).without_time().try_init();
}

async fn with_session(request: &Request, base: Base<'_>, phases: Phases) -> Result<Exit, Problems> {
    let listen = |recorder: &Recorder, left: &str| Interrupt::listen(recorder.clone(), left.to_string());
    Ok(session(request, base, phases, listen).await?.0)
}

/// One call of a verb on a lab, and what it came to; `interrupt` says what ends it early.
///
/// # Errors
/// What keeps it from beginning.
pub async fn session(
    request: &Request,
    base: Base<'_>,
    phases: Phases,
    interrupt: impl FnOnce(&Recorder, &str) -> Interrupt,
) -> Result<(Exit, Summary), Problems> {
    let (home, lab) = (base.home, request.scenario().lab.clone());
    let engine = if phases.up { request.engine } else { EngineUse::Existing };
    let claim = Claim::take(request, base, engine).await?;
    let (request, topology, existing) = claim.lab(request, phases.up).await?;
    let told = Told::of(&request).leaving_lab(home, &lab);
    let made = session::folder(&request.runs, &lab).and_then(|folder| Ok((recorder(&folder, told)?, folder)));
    let (recorder, folder) = made.map_err(|error| runs_problem(&request.runs, &error))?;
    let left = format!("what is left of the lab goes with: meshproof down --lab {lab}");
    let interrupt = interrupt(&recorder, &left);
    let session = claim.session(&request, interrupt.clone(), recorder.clone(), folder);
    // On the heap: as a part of every verb it nests deeper than the compiler looks.
    let exit = Box::pin(session.go(phases, base.picked, &topology, existing)).await;
    interrupt.over();
    Ok((exit, Summary::of(&recorder.records())))
}

/// Removes one lab between its two events.
///
/// # Errors
/// [`down::DownError`], which the events say too.
pub async fn remove(
    recorder: &Recorder,
    engine: &Engine,
    home: &Home,
    lab: &str,
    budgets: &Budgets,
) -> Result<down::Removed, down::DownError> {
    let work = async {
        let removed = match tokio::time::timeout(*budgets.down(), down::remove(engine, home, lab)).await {
            Ok(removed) => removed?,
            Err(_) => {
                return Err(down::DownError::Slow { lab: lab.to_string(), limit: *budgets.down() });
            }
        };
        let detail = if removed.is_nothing() {
            "there was nothing".to_string()
        } else {
            [removed.containers.clone(), removed.networks.clone()].concat().join(", ")
        };
        Ok((removed, detail))
    };
    crate::lab::up::part(recorder, &format!("remove-{lab}"), format!("Lab {lab} is removed"), work).await
}

async fn remove_labs(engine: &Engine, home: &Home, labs: &[String], request: &Request) -> Result<Exit, Problems> {
    let recorder = Recorder::new(Vec::new());
    let mut exit = Exit::Green;
    for lab in labs {
        let _lock = match LabLock::take(home, lab) {
            Ok(lock) => lock,
            // The only one that was asked for: nothing was done.
            Err(problem) if labs.len() == 1 => return Err(problem.into()),
            Err(problem) => {
                note(&format!("      Failed to remove lab {lab}\n{problem}"));
                exit = Exit::LeftOver;
                continue;
            }
        };
        images::end_strays(home).await;
        let began = Instant::now();
        match remove(&recorder, engine, home, lab, &request.budgets).await {
            Ok(_) if request.telling.quiet => {}
            Ok(removed) if removed.is_nothing() => eprintln!("     Nothing is left of lab {lab}"),
            Ok(removed) => {
                let what = [removed.containers, removed.networks].concat().join(", ");
                eprintln!("     Removed lab {lab}: {what} ({:.1} s)", began.elapsed().as_secs_f64());
            }
            Err(error) => {
                note(&format!("      Failed to remove lab {lab}: {}", crate::check::verdict::chain(&error)));
                exit = Exit::LeftOver;
            }
        }
    }
    if labs.is_empty() && !request.telling.quiet {
        eprintln!("     Nothing is left of any lab");
    }
    Ok(exit)
}

fn rebuild(events: &std::path::Path, out: &std::path::Path) -> Result<Exit, Problems> {
    let records = jsonl::read(events)
        .map_err(|error| Problem::new(events.display().to_string(), error.to_string(), "the events.jsonl of a run"))?;
    let cannot = |error: std::io::Error| {
        Problem::new("--out", format!("{}: {error}", out.display()), "another folder, which you may write to")
    };
    std::fs::create_dir_all(out).map_err(cannot)?;
    for file in report::files::write(out, events, &records).map_err(cannot)? {
        self::out(&format!("{}\n", file.display()));
    }
    Ok(Exit::Green)
}

async fn image_verb(verb: &ImagesVerb, request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let refused = |error: images::ImageError| match error {
        images::ImageError::Problems(problems) => problems,
        other => Problem::new("images", crate::check::verdict::chain(&other), "see kind/README.md").into(),
    };
    if let ImagesVerb::List(listing) = verb
        && listing.print
    {
        out(&images::print_needs(base.home, base.picked, &request.origins).map_err(refused)?);
        return Ok(Exit::Green);
    }
    let engine = preflight::engine(base.root, request.engine).await?;
    let host = Host::read().map_err(host_problem)?;
    let recorder =
        Recorder::new(vec![Box::new(Terminal::new(std::io::stderr(), Manner::detect(request.telling.volume())))]);
    let site = image_site(request, base, &engine, &host, &recorder);
    match verb {
        ImagesVerb::List(_) => out(&images::print_list(&images::list(&site).await.map_err(refused)?)),
        ImagesVerb::Build(_) => {
            let left = "call again, and it goes on from there".to_string();
            let interrupt = Interrupt::listen(recorder.clone(), left);
            let built = tokio::select! {
                built = images::ensure(&site) => built,
                () = interrupt.cancel.cancelled() => {
                    images::end_strays(base.home).await;
                    return Ok(Exit::Interrupted);
                }
            };
            match built {
                Ok(built) => out(&format!("{}\n", built.node_image)),
                Err(error) => {
                    note(&crate::check::verdict::chain(&error));
                    return Ok(Exit::NoVerdict);
                }
            }
            let failed = recorder
                .records()
                .iter()
                .any(|record| matches!(&record.event, Event::LabFinished { error: Some(_), .. }));
            return Ok(if failed { Exit::NoVerdict } else { Exit::Green });
        }
        ImagesVerb::Save(archive) | ImagesVerb::Load(archive) => {
            let left = "call again: what is half written is of no use, and is not used".to_string();
            let interrupt = Interrupt::listen(recorder.clone(), left);
            let work = async {
                match verb {
                    ImagesVerb::Save(_) => images::save(&site, &archive.file).await.map(|_| ()),
                    _ => images::load(&site, &archive.file).await.map(|_| ()),
                }
            };
            // What went wrong was said as it happened.
            return Ok(tokio::select! {
                done = work => match done {
                    Ok(()) => Exit::Green,
                    Err(images::ImageError::Problems(problems)) => problems.exit(),
                    Err(_) => Exit::NoVerdict,
                },
                () = interrupt.cancel.cancelled() => Exit::Interrupted,
            });
        }
        ImagesVerb::Verify(_) => {
            let found = images::verify(&site).await.map_err(refused)?;
            out(&images::print_verify(&found));
            return Ok(if found.iter().all(|row| row.is_sound()) { Exit::Green } else { Exit::NoVerdict });
        }
        ImagesVerb::Prune(_) => out(&images::print_prune(&images::prune(&site).await.map_err(refused)?)),
    }
    Ok(Exit::Green)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::{Cli, Exit, Job, unread};

    #[rstest]
    #[case::a_wrong_flag(&["run", "--onyl", "D1"], Exit::Usage, "verdict=bad-input\nexit=2\n")]
    #[case::no_verb(&[], Exit::Usage, "verdict=bad-input\nexit=2\n")]
    #[case::no_mistake(&["--version"], Exit::Green, "")]
    fn a_job_is_told_of_a_command_line_that_cannot_be_read(
        #[case] words: &[&str],
        #[case] exit: Exit,
        #[case] outputs: &str,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().join("output");
        let job = Job { summary: None, output: Some(output.clone()) };
        let error = Cli::try_parse_from(["meshproof"].iter().chain(words)).expect_err("it cannot be read");
        assert_eq!(unread(&error, Some(&job)), exit);
        assert_eq!(std::fs::read_to_string(output).unwrap_or_default(), outputs);
    }
}
