//! What was learnt about official images when they were first had: their digests, from where and when.
//!
//! Nobody publishes digests of all of them, so the first one seen is written down, and a later one that differs is said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ImageError;
use super::origin::Image;

/// One image, as it was had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its full official name.
    pub image: String,
    /// The digest that its registry gives it; the engine's image id where it came without, as from an archive.
    pub digest: String,
    /// The engine's image id.
    pub id: String,
    /// Its platform: `linux/amd64`.
    pub platform: String,
    /// When this was written down.
    pub when: jiff::Timestamp,
    /// The registry and path that it was pulled from, or `the engine` where it was there already.
    pub from: String,
    /// What its proxy is, as the image itself says in ISTIO_META_ISTIO_PROXY_SHA; empty for other images.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proxy: String,
}

/// All records of one cache, by the full names of images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {
    images: BTreeMap<String, Record>,
}

fn file(cache: &Path) -> PathBuf {
    cache.join("official.json")
}

impl Records {
    /// Reads them; none if there are none yet.
    ///
    /// # Errors
    /// [`ImageError`] when the file is there and cannot be read.
    pub fn read(cache: &Path) -> Result<Records, ImageError> {
        let path = file(cache);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                ImageError::files("read (remove it, and images are looked at again)", path)(error.into())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Records::default()),
            Err(error) => Err(ImageError::files("read", path)(error)),
        }
    }

    /// Writes them, so that a kill in between leaves the old or the new ones.
    ///
    /// # Errors
    /// [`ImageError`] when the cache cannot be written.
    pub fn write(&self, cache: &Path) -> Result<(), ImageError> {
        let written = || {
            fs::create_dir_all(cache)?;
            let mut new = tempfile::NamedTempFile::new_in(cache)?;
            serde_json::to_writer_pretty(&mut new, self)?;
            new.persist(file(cache))?;
            Ok(())
        };
        written().map_err(ImageError::files("write", file(cache)))
    }

    /// What is known of an image.
    pub fn get(&self, image: &Image, platform: &str) -> Option<&Record> {
        self.images.get(&image.to_string()).filter(|record| record.platform == platform)
    }

    /// Takes in what was just had; says in one line if the same name stood for another image before.
    pub fn learn(&mut self, record: Record) -> Option<String> {
        let before = self.images.insert(record.image.clone(), record.clone())?;
        (before.platform == record.platform && before.digest != record.digest && before.id != record.id).then(|| {
            format!(
                "{} is another image than before: {} from {}; on {} it was {} from {}",
                record.image,
                record.digest,
                record.from,
                before.when.strftime("%Y-%m-%d"),
                before.digest,
                before.from,
            )
        })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Record> {
        self.images.values()
    }
}
