//! The cache: where a recipe's result lies, the manifest beside it, and whether both are what is wanted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bollard::models::ImageInspect;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::release::Fetched;
use crate::lab::engine::{Engine, EngineError};
use crate::lab::recipe::Wanted;
use crate::tool::Tool;

/// The label by which an image says from which hash it was built.
const HASH_LABEL: &str = "io.meshproof.hash";
/// The label by which an image says from which recipe it was built.
pub(super) const RECIPE_LABEL: &str = "io.meshproof.recipe";

const MANIFEST: &str = "built.json";
/// Images for containerd, as `docker save` would write them.
const ARCHIVE: &str = "images.tar";

/// What is written down about a finished build, in `built.json` among its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the recipe.
    pub recipe: String,
    /// What a progress line calls it.
    pub title: String,
    /// The hash that it was built for.
    pub hash: String,
    /// Version key to value.
    pub versions: BTreeMap<String, String>,
    /// Seconds that the build took.
    pub seconds: f64,
    /// When it was finished.
    pub when: jiff::Timestamp,
    /// Bytes of its files.
    pub bytes: u64,
    /// File to what it is: its SHA-256, with `x` for a program, or the target of a link.
    pub files: BTreeMap<String, String>,
    /// Image to content digest: images in its archive, and the one in the engine.
    pub images: BTreeMap<String, String>,
    /// Where it was fetched from, if it was not built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Fetched>,
}

/// A finished build that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// Its files.
    pub folder: PathBuf,
    /// Its image in the engine, if it makes one.
    pub image: Option<String>,
    /// What was written down about it.
    pub manifest: Manifest,
}

/// The folder of finished builds.
pub(super) fn artefacts(cache: &Path) -> PathBuf {
    cache.join("artefacts")
}

/// The folder of unfinished builds.
pub(super) fn works(cache: &Path) -> PathBuf {
    cache.join("work")
}

/// How folders of unfinished loads of archives begin, among the unfinished builds.
pub(super) const LOADS: &str = "load-";

/// The folder of build logs.
pub(super) fn logs(cache: &Path) -> PathBuf {
    cache.join("logs")
}

/// Where the result of a recipe lies.
pub(super) fn artefact(cache: &Path, wanted: &Wanted) -> PathBuf {
    artefacts(cache).join(wanted.id())
}

/// What is there of a recipe, if all of it is.
pub(super) async fn present(cache: &Path, wanted: &Wanted, engine: &Engine) -> Result<Option<Present>, ImageError> {
    let folder = artefact(cache, wanted);
    let Some(manifest) = read(&folder).filter(|manifest| manifest.hash == wanted.hash) else { return Ok(None) };
    let image = wanted.image();
    if let Some(name) = &image {
        let id = inspect(engine, name, &wanted.hash).await?.and_then(|image| image.id);
        // Another cache on the same engine may have built this hash again: reports must not give the old digest.
        if id.is_none() || id.as_ref() != manifest.images.get(name) {
            return Ok(None);
        }
    }
    Ok(Some(Present { folder, image, manifest }))
}

/// Whether the result of a recipe is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    /// It is, with so many bytes of files and of its image.
    Yes(u64),
    /// Its files are, with so many bytes; of its image the engine would have to be asked.
    Untold(u64),
    /// It is not.
    No,
}

/// Whether the result of a recipe is there, as far as that can be told.
pub(super) async fn there(cache: &Path, wanted: &Wanted, engine: Option<&Engine>) -> Result<There, ImageError> {
    let Some(manifest) = read(&artefact(cache, wanted)).filter(|manifest| manifest.hash == wanted.hash) else {
        return Ok(There::No);
    };
    let (Some(engine), Some(name)) = (engine, wanted.image()) else {
        let told = wanted.image().is_none();
        return Ok(if told { There::Yes(manifest.bytes) } else { There::Untold(manifest.bytes) });
    };
    if present(cache, wanted, engine).await?.is_none() {
        return Ok(There::No);
    }
    let image = inspect(engine, &name, &wanted.hash).await?;
    let size = image.and_then(|image| image.size).and_then(|size| u64::try_from(size).ok());
    Ok(There::Yes(manifest.bytes + size.unwrap_or(0)))
}

/// The manifest in a folder; none if there is none that can be read, and then the build does not count as finished.
pub(super) fn read(folder: &Path) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()
}

/// The image of this name in the engine, if it is there and from this hash.
pub(super) async fn inspect(engine: &Engine, name: &str, hash: &str) -> Result<Option<ImageInspect>, ImageError> {
    match engine.docker.inspect_image(name).await {
        Ok(image) => {
            let labels = image.config.as_ref().and_then(|config| config.labels.as_ref());
            let fits = labels.and_then(|labels| labels.get(HASH_LABEL)).is_some_and(|label| label == hash);
            Ok(fits.then_some(image))
        }
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(source) => Err(EngineError::Docker { what: format!("show the image {name}"), source }.into()),
    }
}

/// Writes the manifest of what a recipe left in `out`.
pub(super) async fn seal(out: &Path, wanted: &Wanted, seconds: f64, engine: &Engine) -> Result<Manifest, ImageError> {
    let mut images = BTreeMap::new();
    if out.join(ARCHIVE).is_file() {
        images = archived(&out.join(ARCHIVE)).await?;
    }
    if let Some(name) = wanted.image() {
        let id = inspect(engine, &name, &wanted.hash).await?.and_then(|image| image.id);
        let left = || io::Error::other(format!("the recipe left no image {name} with the label {HASH_LABEL}"));
        let id = id.ok_or_else(left).map_err(ImageError::files("finish", out))?;
        images.insert(name, id);
    }
    let (bytes, files) = blocking(out, |out| sums(&out)).await?;
    let manifest = Manifest {
        recipe: wanted.recipe.name.clone(),
        title: wanted.recipe.title.clone(),
        hash: wanted.hash.clone(),
        versions: wanted.versions.clone(),
        seconds,
        when: jiff::Timestamp::now(),
        bytes,
        files,
        images,
        fetched: None,
    };
    write(out, &manifest)?;
    Ok(manifest)
}

/// Puts the manifest among the files that it describes.
pub(super) fn write(folder: &Path, manifest: &Manifest) -> Result<(), ImageError> {
    let path = folder.join(MANIFEST);
    serde_json::to_vec_pretty(manifest)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(&path, text))
        .map_err(ImageError::files("write", path))
}

/// What is no longer as the manifest says: one line a file.
pub(super) async fn damage(folder: &Path, manifest: &Manifest) -> Result<Vec<String>, ImageError> {
    let (_, found) = blocking(folder, |folder| sums(&folder)).await?;
    let mut damage = Vec::new();
    for (file, sum) in &manifest.files {
        match found.get(file) {
            None => damage.push(format!("{file} is gone")),
            Some(other) if other != sum => damage.push(format!("{file} is not what was built")),
            Some(_) => {}
        }
    }
    let new = found.keys().filter(|file| !manifest.files.contains_key(*file));
    damage.extend(new.map(|file| format!("{file} was not built")));
    Ok(damage)
}

/// Bytes of all files below a folder; nothing for what cannot be read.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}

/// Work on files, beside everything else.
pub(super) async fn blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> Result<T, ImageError> {
    let path = folder.to_path_buf();
    let done = tokio::task::spawn_blocking(move || work(path)).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(ImageError::files("read", folder))
}

/// Bytes of all files below a folder, and what each is.
pub(super) fn sums(root: &Path) -> io::Result<(u64, BTreeMap<String, String>)> {
    let (mut bytes, mut sums) = (0, BTreeMap::new());
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_symlink() {
                sums.insert(relative, format!("-> {}", fs::read_link(&path)?.display()));
            } else if relative != MANIFEST {
                let program = if metadata.permissions().mode() & 0o111 == 0 { "" } else { " x" };
                bytes += metadata.len();
                sums.insert(relative, format!("{}{program}", sha256(&path)?));
            }
        }
    }
    Ok((bytes, sums))
}

/// The digest of a file.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("sha256:{:x}", hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ArchivedImage {
    config: String,
    /// None for an image that was saved by its id.
    repo_tags: Option<Vec<String>>,
}

/// Images of an archive, with the digests of their configs, which is how containerd will know them.
async fn archived(archive: &Path) -> Result<BTreeMap<String, String>, ImageError> {
    let broken = |error: String| ImageError::files("read", archive)(io::Error::other(error));
    let tool =
        Tool::new("tar").args(["--extract", "--to-stdout", "--file", &archive.to_string_lossy(), "manifest.json"]);
    let text = tool.run().await.map_err(|error| broken(error.to_string()))?.stdout;
    of_manifest(text.as_bytes()).map_err(|error| broken(error.to_string()))
}

/// Names of images with the digests of their configs, by the `manifest.json` of an archive of `docker save`.
pub(super) fn of_manifest(text: &[u8]) -> serde_json::Result<BTreeMap<String, String>> {
    let images: Vec<ArchivedImage> = serde_json::from_slice(text)?;
    let mut found = BTreeMap::new();
    for image in images {
        // Newer engines write `blobs/sha256/HEX` where older ones write `HEX.json`.
        let config = image.config.rsplit('/').next().unwrap_or_default();
        let digest = format!("sha256:{}", config.trim_end_matches(".json"));
        found.extend(image.repo_tags.into_iter().flatten().map(|name| (name, digest.clone())));
    }
    Ok(found)
}
