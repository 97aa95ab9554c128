//! Images and programs of a lab, built from the recipes in `kind/` where they are missing.
//!
//! What a recipe gives is called by the hash of all that decides it, so what is there is what is wanted.

mod build;
mod store;
mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::{Engine, EngineError};
use super::recipe::{Recipes, Wanted};
use super::state::Home;
use crate::budget::Budgets;
use crate::event::{Event, Recorder};
use crate::problem::Problems;
use crate::versions::Picked;
pub use store::{Manifest, Present};
pub use upkeep::{
    Freed, Health, Pruned, Row, Verified, list, print_list, print_prune, print_verify, prune, prune_files,
    unwanted_images, verify,
};

/// The workload's image inside nodes, as the manifests name it.
pub const WORKLOAD_IN_NODE: &str = "localhost/meshproof/workload:dev";

/// The recipes whose results a lab uses; what they need comes along.
const LAB: [&str; 5] = ["istio", "kind", "kubernetes", "lab-node", "workload"];

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
    /// The kind command.
    pub kind: PathBuf,
    /// The kubectl command.
    pub kubectl: PathBuf,
    /// Image name to content digest: the engine's image id, or the digest of the config of an image inside the nodes.
    pub digests: BTreeMap<String, String>,
    /// What serves the data plane, such as `upstream Envoy 1.39.3`.
    pub data_plane: String,
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
    fn files(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ImageError {
        let path = path.into();
        move |source| ImageError::Files { what, path, source }
    }
}

/// Makes sure that everything a lab is made of is there, and builds what is missing.
///
/// # Errors
/// [`ImageError`], which an event says too. What was finished stays, and the next call goes on from there.
pub async fn ensure(
    home: &Home,
    root: &Path,
    picked: &Picked,
    engine: &Engine,
    recorder: &Recorder,
    budgets: &Budgets,
) -> Result<Built, ImageError> {
    let present = ensure_recipes(home, root, picked, engine, recorder, budgets, &LAB).await?;
    let image = |name: &str| present[name].image.clone().unwrap_or_default();
    let mut digests = BTreeMap::new();
    for one in present.values() {
        digests.extend(one.manifest.images.clone());
    }
    Ok(Built {
        node_image: image("lab-node"),
        workload_image: image("workload"),
        release: present["istio"].folder.clone(),
        kind: present["kind"].folder.join("bin/kind"),
        kubectl: present["kubernetes"].folder.join("bin/kubectl"),
        digests,
        data_plane: format!("upstream Envoy {}", picked.value("istio.envoy")),
    })
}

/// As [`ensure`], for these recipes and all that they need (all recipes for no names); by their names.
///
/// # Errors
/// [`ImageError`], which an event says too.
pub async fn ensure_recipes(
    home: &Home,
    root: &Path,
    picked: &Picked,
    engine: &Engine,
    recorder: &Recorder,
    budgets: &Budgets,
    names: &[&str],
) -> Result<BTreeMap<String, Present>, ImageError> {
    let began = Instant::now();
    let again = picked.command("meshproof images build");
    let workshop = build::Workshop { cache: &home.cache, root, engine, recorder, budgets, again: &again };
    let result = async {
        let wanted = Recipes::read(root)?.wanted(picked, names)?;
        let present = look(&home.cache, &wanted, engine).await?;
        if present.len() == wanted.len() {
            recorder.emit(Event::LabStarted { id: IMAGES.to_string(), title: "Images are looked for".to_string() });
            finished(recorder, "all present", None, began);
            return Ok(present);
        }
        let _lock = workshop.lock().await?;
        // Whoever had the lock may have built what was missing.
        let present = look(&home.cache, &wanted, engine).await?;
        workshop.build(&wanted, present).await
    }
    .await;
    // A recipe that failed has said so itself, under its own id.
    if let Err(error) = &result
        && !matches!(error, ImageError::Build { .. } | ImageError::Full { .. })
    {
        recorder.emit(Event::LabStarted { id: IMAGES.to_string(), title: "Images are looked for".to_string() });
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

/// Whether everything a lab is made of is there; not, if that cannot be told.
pub async fn all_present(home: &Home, root: &Path, picked: &Picked, engine: &Engine) -> bool {
    let Ok(wanted) = Recipes::read(root).and_then(|recipes| recipes.wanted(picked, &LAB)) else { return false };
    look(&home.cache, &wanted, engine).await.is_ok_and(|present| present.len() == wanted.len())
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
