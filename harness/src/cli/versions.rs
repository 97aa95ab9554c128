//! `versions`: what there is to choose from, and how something new comes to be among it.

use std::fs;
use std::path::Path;

use super::args::{Adding, EngineUse, Request, VersionsArgs, VersionsVerb};
use super::claim::{Base, host_problem, image_site};
use super::output::{out, say};
use super::preflight;
use crate::check::verdict::chain;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::lab::host::Host;
use crate::lab::images::{self, ImageError};
use crate::problem::{Problem, Problems};
use crate::versions::istio::{self, Wish};
use crate::versions::modules::Modules;
use crate::versions::{Component, Entry, FILE, Versions, kubernetes};

/// Lists the versions that are known.
///
/// # Errors
/// What keeps it from doing so.
pub async fn verb(args: &VersionsArgs, known: &Versions, request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    match args.verb.as_ref().unwrap_or(&VersionsVerb::List) {
        VersionsVerb::List => list(known, request, base).await,
        VersionsVerb::Add(adding) => add(adding, known, request, base).await,
    }
}

async fn list(known: &Versions, request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let refused = |error: ImageError| match error {
        ImageError::Problems(problems) => problems,
        other => Problem::new("versions", chain(&other), "see kind/README.md").into(),
    };
    let engine = preflight::engine(base.root, EngineUse::Existing).await.ok();
    let host = Host::read().map_err(host_problem)?;
    let recorder = Recorder::new(Vec::new());
    let site = engine.as_ref().map(|engine| image_site(request, base, engine, &host, &recorder));
    let overview = images::overview(base.home, base.root, known, site.as_ref()).await.map_err(refused)?;
    out(&images::print_overview(&overview));
    Ok(Exit::Green)
}

async fn add(adding: &Adding, known: &Versions, request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    let (component, release) = adding.wanted()?;
    let version = component.written(&release);
    if known.known(component).contains(&version) {
        say("Known", &format!("{component} {version} already; {FILE} stays as it is"));
        return Ok(Exit::Green);
    }
    say("Resolving", &format!("{component} {version}, by the settings of go and pip on this machine"));
    let mut modules = Modules::new(&request.budgets)?;
    let entry = match component {
        Component::Kubernetes => kubernetes::resolve(&modules, &release).await?,
        Component::Istio => {
            let wish = Wish { release: &release, module: adding.module.as_deref(), envoy: adding.envoy.as_deref() };
            istio::resolve(&mut modules, known, wish, &request.budgets).await?
        }
    };
    for note in &entry.notes {
        say("Found", note);
    }
    if adding.print {
        out(&entry.text());
        return Ok(Exit::Green);
    }
    write(&entry, &base.root.join(FILE))?;
    let key = component.key();
    say("Added", &format!("[{key}.\"{}\"] to {FILE}", entry.version));
    say("Untried", &format!("whether it builds and runs: meshproof run --images local --{key} {}", entry.version));
    Ok(Exit::Green)
}

/// Puts a table into the file, if what comes of it can be read and says all that the file said before.
fn write(entry: &Entry, path: &Path) -> Result<(), Problem> {
    let place = || path.display().to_string();
    let cannot = |error: std::io::Error| Problem::new(place(), error.to_string(), "a file that you may write to");
    // Read again: it may have been edited since this call began.
    let before = fs::read_to_string(path).map_err(cannot)?;
    let after = entry.insert(&before);
    let read = Versions::parse(&after).ok();
    if !read.is_some_and(|read| read.known(entry.component).contains(&entry.version)) {
        return Err(Problem::new(place(), "the table does not fit into the file", "add it by hand: --print shows it"));
    }
    // A kill in between leaves the old or the new file.
    let folder = path.parent().unwrap_or(Path::new("."));
    let new = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    fs::write(new.path(), after).map_err(cannot)?;
    fs::set_permissions(new.path(), fs::metadata(path).map_err(cannot)?.permissions()).map_err(cannot)?;
    new.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
}
