//! A version of Istio beside the one that a lab's nodes hold: its release, and its images for the nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ImageError, Site, ensure_recipes, look, required};
use crate::lab::engine::{Engine, EngineError};
use crate::lab::recipe::Recipes;
use crate::problem::{Problem, Problems};
use crate::versions::Picked;

/// The recipes whose results it is.
const RECIPES: [&str; 2] = ["istio", "istio-images"];

/// A version of Istio beside the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FurtherIstio {
    /// Its unpacked release: `bin/istioctl`, `samples/`.
    pub release: PathBuf,
    /// The archive of its images.
    pub images: PathBuf,
    /// What serves its data plane.
    pub data_plane: String,
    /// Image name to content digest.
    pub digests: BTreeMap<String, String>,
}

/// Makes sure that all versions beside the first are there.
///
/// # Errors
/// [`ImageError`], also where the lab is one of official images: how those of a second version come to the nodes is not
/// written yet.
pub(super) async fn ensure(site: &Site<'_>, is_local: bool) -> Result<BTreeMap<String, FurtherIstio>, ImageError> {
    let mut all = BTreeMap::new();
    for (version, picked) in site.picked.further() {
        if !is_local {
            let message = format!("a lab of official images cannot have Istio {version} beside the first version yet");
            return Err(Problems::from(Problem::new("images", message, "`images: local`")).into());
        }
        let present = ensure_recipes(site, picked, &RECIPES).await?;
        all.insert(
            version.clone(),
            FurtherIstio {
                release: present["istio"].folder.clone(),
                images: present["istio-images"].folder.join("images.tar"),
                data_plane: data_plane(picked),
                digests: present.values().flat_map(|one| one.manifest.images.clone()).collect(),
            },
        );
    }
    Ok(all)
}

/// What serves the data plane of images that are built here.
pub(super) fn data_plane(picked: &Picked) -> String {
    format!("upstream Envoy {}", picked.value("istio.envoy"))
}

/// Whether all of them are there; not, if that cannot be told.
pub(super) async fn are_built(site: &Site<'_>) -> bool {
    for picked in site.picked.further().values() {
        let wanted = Recipes::read(site.root).and_then(|recipes| recipes.wanted(picked, &RECIPES));
        let Ok(wanted) = wanted else { return false };
        let present = look(&site.home.cache, &wanted, site.engine).await;
        if !present.is_ok_and(|present| required(&wanted, &present, &RECIPES).is_empty()) {
            return false;
        }
    }
    true
}

/// Imports the images of a version into nodes, all at once; pods then find them as if they had been pulled.
///
/// # Errors
/// [`BringError`] where the archive cannot be read, or a node refuses it.
pub async fn bring(engine: &Engine, istio: &FurtherIstio, nodes: &[String]) -> Result<(), BringError> {
    let import = ["ctr", "--namespace", "k8s.io", "images", "import", "--local", "--digests=false", "-"];
    let each = nodes.iter().map(|node| async move {
        let archive = tokio::fs::File::open(&istio.images).await;
        let archive = archive.map_err(|source| BringError::Archive { path: istio.images.clone(), source })?;
        Ok::<_, BringError>(engine.exec_reading(node, &import, archive).await?)
    });
    futures::future::try_join_all(each).await.map(|_| ())
}

/// Images that could not be brought to a node.
#[derive(Debug, thiserror::Error)]
pub enum BringError {
    /// Their archive cannot be read.
    #[error("the images in {} cannot be read", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A node refused them.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
