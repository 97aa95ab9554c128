//! `versions`: what there is to choose from.

use super::args::{EngineUse, Request, VersionsArgs, VersionsVerb};
use super::claim::{Base, host_problem, image_site};
use super::{preflight, verbs};
use crate::check::verdict::chain;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::lab::host::Host;
use crate::lab::images::{self, ImageError};
use crate::problem::{Problem, Problems};
use crate::versions::Versions;

/// Lists the versions that are known.
///
/// # Errors
/// What keeps it from doing so.
pub async fn verb(args: &VersionsArgs, known: &Versions, request: &Request, base: Base<'_>) -> Result<Exit, Problems> {
    match args.verb.as_ref().unwrap_or(&VersionsVerb::List) {
        VersionsVerb::List => list(known, request, base).await,
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
    verbs::out(&images::print_overview(&overview));
    Ok(Exit::Green)
}
