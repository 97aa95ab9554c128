//! One file that holds what a lab needs, for machines without any network: a plain tar.
//!
//! Its entries in order: `meshproof.json`, the head; `artefacts/<id>/…`, folders of the cache, each with the manifest by
//! which it is verified; `images.tar`, as `docker save` writes it; `sums.json`, the digests of the head and of the images.

mod load;
mod save;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::record::Records;
use super::store::{self, Present};
use super::{ImageError, LAB, Site, look, official, required};
use crate::lab::recipe::Recipes;
use crate::problem::Problem;
use crate::scenario::ImageSource;

pub use load::load;
pub(super) use load::load_images;
pub use save::save;

/// The layout of archives; raised when an older meshproof could not read a newer archive.
const FORMAT: u32 = 1;

const HEAD: &str = "meshproof.json";
const ARTEFACTS: &str = "artefacts";
const IMAGES: &str = "images.tar";
const SUMS: &str = "sums.json";

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    /// [`FORMAT`].
    format: u32,
    /// Version and commit of the meshproof that saved it.
    meshproof: String,
    /// The machine that it is for, as `linux x86_64`.
    machine: String,
    /// `official` or `local`.
    source: ImageSource,
    /// Kubernetes and Istio.
    versions: BTreeMap<String, String>,
    /// Images by name, with their ids in the engine that saved them.
    images: BTreeMap<String, String>,
    /// Ids of folders of the cache.
    folders: Vec<String>,
    /// Bytes of these folders.
    bytes: u64,
    /// What is known of official images.
    records: Records,
}

/// This machine, as heads say it.
fn machine() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The versions that an archive is for.
fn versions(site: &Site<'_>) -> BTreeMap<String, String> {
    ["kubernetes", "istio"].map(|key| (key.to_string(), site.picked.value(key))).into()
}

/// What a lab needs of the cache and of the engine.
struct Holdings {
    source: ImageSource,
    images: Vec<String>,
    folders: Vec<PathBuf>,
    records: Records,
}

impl Holdings {
    /// What is there of the source that is asked for; of either, official first, for `auto`.
    async fn of(site: &Site<'_>) -> Result<Holdings, ImageError> {
        if site.source != ImageSource::Local
            && let Some(holdings) = official::holdings(site).await?
        {
            let (present, images, records) = holdings;
            return Ok(Holdings { source: ImageSource::Official, images, folders: folders(&present), records });
        }
        if site.source != ImageSource::Official {
            let wanted = Recipes::read(site.root)?.wanted(site.picked, &LAB)?;
            let mut present = look(&site.home.cache, &wanted, site.engine).await?;
            if required(&wanted, &present, &LAB).is_empty() {
                present.retain(|name, _| LAB.contains(&name.as_str()));
                let images = present.values().filter_map(|one| one.image.clone()).collect();
                let present: Vec<Present> = present.into_values().collect();
                let records = Records::default();
                return Ok(Holdings { source: ImageSource::Local, images, folders: folders(&present), records });
            }
        }
        let source = site.source.as_str();
        let message = "what a lab of these versions needs is not all there, so there is nothing whole to save";
        let instead = format!("meshproof images build --images {source}, and save then");
        Err(ImageError::Problems(Problem::new("images", message, instead).into()))
    }

    /// Bytes of the folders.
    fn bytes(&self) -> u64 {
        self.folders.iter().map(|folder| store::size(folder)).sum()
    }
}

fn folders(present: &[Present]) -> Vec<PathBuf> {
    present.iter().map(|one| one.folder.clone()).collect()
}
