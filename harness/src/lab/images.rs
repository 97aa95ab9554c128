//! Images and programs of a lab: official ones pulled, or all of them built from the recipes in `kind/`.
//!
//! What a recipe gives is called by the hash of all that decides it, so what is there is what is wanted.

mod archive;
mod build;
mod candidate;
pub mod further;
mod needs;
mod official;
pub mod origin;
mod overview;
mod pull;
pub mod record;
mod release;
mod share;
mod store;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::{Engine, EngineError};
use super::recipe::{Recipes, Wanted};
use super::state::Home;
use crate::budget::Budgets;
use crate::event::{Event, Recorder};
use crate::lab::host::Host;
use crate::problem::Problems;
use crate::scenario::{Candidate, ImageSource};
use crate::versions::Picked;
pub use archive::{load, save};
pub use candidate::{candidate_problems, unusable_candidate};
pub use further::FurtherIstio;
pub use needs::print_needs;
pub use official::data_plane;
pub use origin::Origins;
pub use overview::{BuiltParts, OfficialImages, Overview, Pair, VersionRow, overview, print_overview};
pub use pull::hint;
pub use release::{Asset, Fetched, images_of, published_sum};
pub use share::{disk, prune_combination};
pub use store::{Manifest, Present};
pub use upkeep::{
    Freed, Health, Pruned, Row, Verified, list, print_list, print_prune, print_verify, prune, prune_files,
    unwanted_images, verify,
};

/// The workload's image inside nodes, as the manifests name it.
pub const WORKLOAD_IN_NODE: &str = "localhost/meshproof/workload:dev";

/// The recipes whose results a lab of local images uses; what they need comes along where they are to be built.
const LAB: [&str; 4] = ["istio", "kind", "lab-node", "workload"];

/// Where images come from that are built here.
const LOCAL: &str = "local, built here";

/// The id of the events that are about all images together.
const IMAGES: &str = "images";

/// What a lab is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The node image, with Istio's images and the workload in it.
    pub node_image: String,
    /// The workload's image in the engine.
    pub workload_image: String,
    /// The Istio release under test: `bin/istioctl`, `samples/`.
    pub release: PathBuf,
    /// The istioctl that installs: the release's, or a candidate's.
    pub istioctl: PathBuf,
    /// The hub and tag that it is told, where it would take others by itself.
    pub hub_and_tag: Option<(String, String)>,
    /// The kind command.
    pub kind: PathBuf,
    /// Image name to content digest: the engine's image id, or the digest of the config of an image inside the nodes.
    pub digests: BTreeMap<String, String>,
    /// Where the images come from, such as `local, built here`.
    pub source: String,
    /// What serves the data plane, such as `upstream Envoy 1.39.3`.
    pub data_plane: String,
    /// Versions of Istio beside the one that the nodes hold.
    pub further: BTreeMap<String, FurtherIstio>,
}

/// What is needed to get images.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Where they are kept.
    pub home: &'a Home,
    /// The repository.
    pub root: &'a Path,
    /// The versions.
    pub picked: &'a Picked,
    /// The engine.
    pub engine: &'a Engine,
    /// What the host allows.
    pub host: &'a Host,
    /// Which ones are wanted.
    pub source: ImageSource,
    /// What is judged in the place of the release's own.
    pub candidate: &'a Candidate,
    /// Mirrors.
    pub origins: &'a Origins,
    /// Where events go.
    pub recorder: &'a Recorder,
    /// Time limits.
    pub budgets: &'a Budgets,
}

/// What is needed to get files of releases: no engine.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Where they are kept.
    pub home: &'a Home,
    /// Mirrors.
    pub origins: &'a Origins,
    /// Where events go.
    pub recorder: &'a Recorder,
    /// Time limits.
    pub budgets: &'a Budgets,
}

impl Files<'_> {
    /// Says how far it is.
    fn progress(&self, last: &str) {
        let what = "official images".to_string();
        self.recorder.emit(Event::Waiting { scope: IMAGES.to_string(), what, last: last.to_string() });
    }
}

impl Site<'_> {
    /// Files of releases alone.
    fn files(&self) -> Files<'_> {
        Files { home: self.home, origins: self.origins, recorder: self.recorder, budgets: self.budgets }
    }

    /// Says how far it is.
    fn progress(&self, last: &str) {
        self.files().progress(last);
    }
}

/// Images that could not be made or looked after.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Something is wrong with the recipes or the host; all of it.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A recipe failed.
    #[error("recipe {recipe} {how}\n{last}\nwhole log: {}\ntry again, it goes on from there: `{again}`", log.display())]
    Build {
        /// The recipe.
        recipe: String,
        /// `ended with exit status: 1`, or that it took too long.
        how: String,
        /// The last lines that it printed.
        last: String,
        /// Where all of them are.
        log: PathBuf,
        /// The command to try again.
        again: String,
    },
    /// There was no room for what a recipe makes.
    #[error(
        "the disk of {} is full: {} are free\nfree some (`meshproof images prune`, `docker system df`) or set \
         MESHPROOF_HOME to a folder on another disk, then build again",
        cache.display(),
        upkeep::bytes(*free)
    )]
    Full {
        /// The cache.
        cache: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// What failed by it.
        #[source]
        source: Box<ImageError>,
    },
    /// An image could not be pulled.
    #[error("cannot pull {image}: {why}\nwhat to do: {hint}")]
    Pull {
        /// Its name, with the registry that was asked.
        image: String,
        /// What the engine said.
        why: String,
        /// What to do about it.
        hint: String,
    },
    /// A file of a release could not be fetched.
    #[error(
        "cannot fetch {url}: {why}\nwhat to do: check the way there (HTTPS_PROXY, NO_PROXY), or name a mirror: --releases"
    )]
    Fetch {
        /// Its address.
        url: String,
        /// Why not.
        why: String,
    },
    /// The cache cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    Files {
        /// What was to be done.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A recipe of an earlier meshproof goes on writing.
    #[error(transparent)]
    Stray(#[from] crate::stray::StillRunning),
    /// Another meshproof builds or prunes.
    #[error("another meshproof ({holder}) still works on the images in {}, after {} s", cache.display(), waited.as_secs())]
    Busy {
        /// Its process.
        holder: String,
        /// The cache.
        cache: PathBuf,
        /// How long this one has waited.
        waited: Duration,
    },
}

impl ImageError {
    /// Whether something cannot be had from where it is published, so that building it is the way.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self, ImageError::Pull { .. } | ImageError::Fetch { .. })
    }

    fn files(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ImageError {
        let path = path.into();
        move |source| ImageError::Files { what, path, source }
    }
}

/// Makes sure that everything a lab is made of is there: pulls or builds what is missing.
///
/// # Errors
/// [`ImageError`], which an event says too. What was finished stays, and the next call goes on from there.
pub async fn ensure(site: &Site<'_>) -> Result<Built, ImageError> {
    let release = release(site).await?;
    let further = further::ensure(site, release.source == LOCAL).await?;
    let mut built = if site.candidate.is_default() { release } else { candidate::ensure(site, release).await? };
    built.digests.extend(further.values().flat_map(|istio| istio.digests.clone()));
    Ok(Built { further, ..built })
}

/// What a lab of these versions is made of, whatever candidate there is.
async fn release(site: &Site<'_>) -> Result<Built, ImageError> {
    match site.source {
        ImageSource::Local => local(site).await,
        ImageSource::Official => official::ensure(site, true).await,
        ImageSource::Auto => {
            if origin::Machine::this().is_err() {
                return local(site).await;
            }
            // Neither answer is one to fail for: what is wrong shows again where it is used.
            let official = official::is_present(site).await.unwrap_or(false);
            if !official && is_built(site).await {
                return local(site).await;
            }
            match official::ensure(site, false).await {
                Err(error) if error.is_out_of_reach() => {
                    let why = crate::check::verdict::chain(&error).lines().next().unwrap_or_default().to_string();
                    site.recorder.note(format!("images are built here, since official ones are out of reach: {why}"));
                    local(site).await
                }
                other => other,
            }
        }
    }
}

/// The folder of the Istio release of these versions, with `bin/istioctl` and `samples/`: what is there, the release's own
/// before one that was built here, else it is fetched. Needs no engine.
///
/// # Errors
/// [`ImageError`] where it cannot be had.
pub async fn istio_release(files: &Files<'_>, root: &Path, picked: &Picked) -> Result<PathBuf, ImageError> {
    let machine = origin::Machine::this();
    let official = machine.as_ref().ok().map(|machine| Asset::istio(&picked.value("istio"), *machine));
    if let Some(present) = official.as_ref().and_then(|asset| asset.present(&files.home.cache)) {
        return Ok(present.folder);
    }
    let wanted = Recipes::read(root)?.wanted(picked, &["istio"])?;
    if let Some(built) = wanted.iter().find(|one| one.recipe.name == "istio")
        && matches!(store::there(&files.home.cache, built, None).await?, store::There::Yes(_))
    {
        return Ok(store::artefact(&files.home.cache, built));
    }
    match official {
        Some(asset) => Ok(release::istio(files, &asset).await?.folder),
        None => Err(machine.err().map_or_else(Problems::new, Problems::from).into()),
    }
}

/// What a lab of local images is made of, built where it is missing.
async fn local(site: &Site<'_>) -> Result<Built, ImageError> {
    let present = ensure_recipes(site, site.picked, &LAB).await?;
    let image = |name: &str| present[name].image.clone().unwrap_or_default();
    let mut digests = BTreeMap::new();
    for one in present.values() {
        digests.extend(one.manifest.images.clone());
    }
    Ok(Built {
        node_image: image("lab-node"),
        workload_image: image("workload"),
        istioctl: present["istio"].folder.join("bin/istioctl"),
        hub_and_tag: None,
        release: present["istio"].folder.clone(),
        kind: present["kind"].folder.join("bin/kind"),
        digests,
        source: LOCAL.to_string(),
        data_plane: further::data_plane(site.picked),
        further: BTreeMap::new(),
    })
}

/// The recipes of these names and all that they need (all recipes for no names), built where that is required, as they are
/// there afterwards. What only served to build something that is there need not be there itself.
///
/// # Errors
/// [`ImageError`], which an event says too.
pub async fn ensure_recipes(
    site: &Site<'_>,
    picked: &Picked,
    names: &[&str],
) -> Result<BTreeMap<String, Present>, ImageError> {
    let began = Instant::now();
    let workshop = build::Workshop::of(site);
    let (recorder, cache) = (site.recorder, &site.home.cache);
    let title = || "Images are looked for".to_string();
    let result = async {
        let wanted = Recipes::read(site.root)?.wanted(picked, names)?;
        let present = look(cache, &wanted, site.engine).await?;
        if required(&wanted, &present, names).is_empty() {
            // Official images have been looked for before, and said so.
            if !names.contains(&official::LAYER) {
                recorder.emit(Event::LabStarted { id: IMAGES.to_string(), title: title() });
                finished(recorder, "all present", None, began);
            }
            return Ok(present);
        }
        let _lock = workshop.lock().await?;
        // Whoever had the lock may have built what was missing.
        let present = look(cache, &wanted, site.engine).await?;
        let missing = required(&wanted, &present, names);
        workshop.build(&missing, present).await
    }
    .await;
    // A recipe that failed has said so itself, under its own id.
    if let Err(error) = &result
        && !matches!(error, ImageError::Build { .. } | ImageError::Full { .. })
    {
        recorder.emit(Event::LabStarted { id: IMAGES.to_string(), title: title() });
        finished(recorder, "", Some(crate::check::verdict::chain(error)), began);
    }
    result
}

/// Ends recipes that a killed or interrupted meshproof left running; those of one that still builds are left alone.
pub async fn end_strays(home: &Home) {
    if home.cache.is_dir()
        && let Ok(Ok(_lock)) = build::try_lock(&home.cache)
    {
        crate::stray::end(&home.cache).await;
    }
}

/// What has to be built for these names (all recipes for no names): they where they are missing, and what these need.
fn required<'a>(wanted: &'a [Wanted], present: &BTreeMap<String, Present>, names: &[&str]) -> Vec<&'a Wanted> {
    let mut asked: BTreeSet<&str> = match names {
        [] => wanted.iter().map(|one| one.recipe.name.as_str()).collect(),
        names => names.iter().copied().collect(),
    };
    // Needs stand before what needs them.
    for one in wanted.iter().rev() {
        if asked.contains(one.recipe.name.as_str()) && !present.contains_key(&one.recipe.name) {
            asked.extend(one.recipe.needs.iter().map(String::as_str));
        }
    }
    let is_missing = |name: &str| asked.contains(name) && !present.contains_key(name);
    wanted.iter().filter(|one| is_missing(&one.recipe.name)).collect()
}

/// Whether local images are there; not, if that cannot be told.
async fn is_built(site: &Site<'_>) -> bool {
    let wanted = Recipes::read(site.root).and_then(|recipes| recipes.wanted(site.picked, &LAB));
    let Ok(wanted) = wanted else { return false };
    let present = look(&site.home.cache, &wanted, site.engine).await;
    present.is_ok_and(|present| required(&wanted, &present, &LAB).is_empty())
}

/// What stands between a request and its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They are there.
    Ready,
    /// Official ones have to be pulled.
    Pull,
    /// They have to be built.
    Build,
}

/// How far the images of this request are; what cannot be told counts as missing.
pub async fn readiness(site: &Site<'_>) -> Readiness {
    let official = site.source != ImageSource::Local && official::is_present(site).await.unwrap_or(false);
    let built = site.source != ImageSource::Official && is_built(site).await && further::are_built(site).await;
    match site.source {
        _ if official || built => Readiness::Ready,
        ImageSource::Local => Readiness::Build,
        ImageSource::Auto | ImageSource::Official => Readiness::Pull,
    }
}

/// What is there of these, by recipe.
async fn look(cache: &Path, wanted: &[Wanted], engine: &Engine) -> Result<BTreeMap<String, Present>, ImageError> {
    let mut found = BTreeMap::new();
    for one in wanted {
        if let Some(present) = store::present(cache, one, engine).await? {
            found.insert(one.recipe.name.clone(), present);
        }
    }
    Ok(found)
}

fn finished(recorder: &Recorder, detail: &str, error: Option<String>, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    recorder.emit(Event::LabFinished { id: IMAGES.to_string(), detail: detail.to_string(), error, seconds });
}
