//! Reading an archive: all of it is verified before anything is put into the cache or the engine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use bollard::query_parameters::ImportImageOptions;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{ARTEFACTS, FORMAT, HEAD, Head, IMAGES, SUMS, machine, versions};
use crate::event::Event;
use crate::lab::engine::EngineError;
use crate::lab::host;
use crate::lab::images::build::Workshop;
use crate::lab::images::record::Records;
use crate::lab::images::{ImageError, LAB, Site, official, store};
use crate::lab::recipe::{Recipes, Wanted};
use crate::problem::{Problem, Problems, all_of};
use crate::scenario::ImageSource;

/// The id of the events about it.
const PART: &str = "archive";

/// Takes over what [`super::save`] wrote; says what came of it in a short phrase.
///
/// # Errors
/// [`ImageError`], which an event says too; then cache and engine are as before, except for images that the engine took.
pub async fn load(site: &Site<'_>, file: &Path) -> Result<String, ImageError> {
    let began = Instant::now();
    let title = format!("What a lab needs is loaded from {}", file.display());
    site.recorder.emit(Event::LabStarted { id: PART.to_string(), title });
    let result = read(site, file).await;
    let error = result.as_ref().err().map(|error| crate::check::verdict::chain(error));
    let detail = result.as_ref().cloned().unwrap_or_default();
    let seconds = began.elapsed().as_secs_f64();
    site.recorder.emit(Event::LabFinished { id: PART.to_string(), detail, error, seconds });
    result
}

async fn read(site: &Site<'_>, path: &Path) -> Result<String, ImageError> {
    let problem = |message: String, instead: &str| {
        ImageError::Problems(Problem::new(path.display().to_string(), message, instead).into())
    };
    let head = head(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            problem(format!("cannot be read: {error}"), "a file that `meshproof images save` wrote")
        }
        _ => problem(
            "is no archive of images that this meshproof knows".to_string(),
            "a file that `meshproof images save` wrote",
        ),
    })?;
    refuse_others(site, path, &head)?;
    let workshop = Workshop::of(site);
    let _lock = workshop.lock().await?;
    // Beside the other scratch folders, on the cache's own disk: a move into place is a rename.
    let scratch = store::works(&site.home.cache).join(format!("load-{}", std::process::id()));
    let result = take_over(site, path, &head, &scratch).await;
    let _ = fs::remove_dir_all(&scratch);
    result.map_err(|error| match error {
        ImageError::Files { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            problem("ends too early".to_string(), "copy it again; compare its size with the original's")
        }
        ImageError::Files { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
            problem("is damaged: its images have another SHA-256".to_string(), "copy or save it again")
        }
        other => other,
    })
}

fn head(path: &Path) -> io::Result<Head> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut first = archive.entries()?.next().ok_or(io::ErrorKind::InvalidData)??;
    if first.path()? != Path::new(HEAD) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = Vec::new();
    first.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Refuses what could not serve here, all reasons at once.
fn refuse_others(site: &Site<'_>, path: &Path, head: &Head) -> Result<(), Problems> {
    let mut problems = Problems::new();
    let place = path.display().to_string();
    if head.format != FORMAT {
        let message = format!("has layout {}, and this meshproof reads layout {FORMAT}", head.format);
        problems.push(&place, message, format!("meshproof {} wrote it: use that one", head.meshproof));
    }
    if head.machine != machine() {
        let message = format!("is for {}, and this is {}", head.machine, machine());
        problems.push(&place, message, "save it on a machine of this kind");
    }
    let named = |versions: &BTreeMap<String, String>| {
        let one = |(name, version): (&String, &String)| format!("{name} {version}");
        all_of(&versions.iter().map(one).collect::<Vec<_>>())
    };
    if head.versions != versions(site) {
        let message = format!("is for {}, and wanted are {}", named(&head.versions), named(&versions(site)));
        problems.push(&place, message, "--scenario with a file that asks for these versions");
    } else if head.machine == machine() {
        let lacks = lacking(site, head)?;
        if !lacks.is_empty() {
            let message = format!(
                "was saved by meshproof {}, and has not what this one wants: {}",
                head.meshproof,
                all_of(&lacks)
            );
            problems.push(&place, message, "use that meshproof, or save again with this one");
        }
    }
    let bytes = fs::metadata(path).map_or(0, |file| file.len());
    let cache = site.home.cache.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    // Which disk the engine has is not known for sure; on most machines it is this one.
    problems
        .0
        .extend(host::disk_problems(&[(cache.to_path_buf(), head.bytes + bytes)], |path| host::disk_of(path).ok()));
    problems.or(())
}

/// Ids that a lab of the archive's source wants here and the archive has not. A layer over official images is not among
/// them: it can be made again from the images.
fn lacking(site: &Site<'_>, head: &Head) -> Result<Vec<String>, Problems> {
    let names: &[&str] = if head.source == ImageSource::Official { &["workload"] } else { &LAB };
    let wanted = Recipes::read(site.root)?.wanted(site.picked, names)?;
    let tops = wanted.iter().filter(|one| names.contains(&one.recipe.name.as_str()));
    let mut ids: Vec<String> = tops.map(Wanted::id).collect();
    if head.source == ImageSource::Official {
        ids.extend(official::assets_of(site).first().map(|istio| istio.id()));
    }
    Ok(ids.into_iter().filter(|id| !head.folders.contains(id)).collect())
}

async fn take_over(site: &Site<'_>, path: &Path, head: &Head, scratch: &Path) -> Result<String, ImageError> {
    tell(site, "verifying it");
    let images = {
        let (path, scratch) = (path.to_path_buf(), scratch.to_path_buf());
        store::blocking(path.clone().as_path(), move |_| unpack(&path, &scratch)).await?
    };
    for id in &head.folders {
        let folder = scratch.join(id);
        let damaged = |why: String| {
            let message = format!("{id} in it is damaged: {why}");
            Problems::from(Problem::new(path.display().to_string(), message, "copy or save it again"))
        };
        let manifest = store::read(&folder).ok_or_else(|| damaged("it has no manifest".to_string()))?;
        if let Some(first) = store::damage(&folder, &manifest).await?.first() {
            return Err(damaged(first.clone()).into());
        }
    }
    tell(site, "handing the images to the engine");
    load_images(site, path, images).await?;
    let mut renamed = BTreeMap::new();
    for (name, id) in &head.images {
        let found = site.engine.docker.inspect_image(name).await;
        let found = found.map_err(|source| EngineError::Docker { what: format!("show the image {name}"), source })?;
        renamed.insert(id.clone(), found.id.unwrap_or_default());
    }
    for id in &head.folders {
        let folder = scratch.join(id);
        // An engine that stores images in another way calls them by other ids.
        let mut manifest = store::read(&folder).unwrap_or_else(|| unreachable!("it was read above"));
        for name in head.images.keys().filter(|name| manifest.images.contains_key(*name)).collect::<Vec<_>>() {
            let id = renamed[&head.images[name]].clone();
            manifest.images.insert(name.clone(), id);
        }
        store::write(&folder, &manifest)?;
        let target = store::artefacts(&site.home.cache).join(id);
        fs::create_dir_all(store::artefacts(&site.home.cache)).map_err(ImageError::files("make", &target))?;
        if target.exists() {
            fs::remove_dir_all(&target).map_err(ImageError::files("remove", &target))?;
        }
        fs::rename(&folder, &target).map_err(ImageError::files("move into place", &target))?;
    }
    let mut records = Records::read(&site.home.cache)?;
    for record in head.records.all() {
        let mut record = record.clone();
        if let Some(id) = renamed.get(&record.id) {
            record.id.clone_from(id);
        }
        if let Some(change) = records.learn(record) {
            site.recorder.note(change);
        }
    }
    records.write(&site.home.cache)?;
    let versions: Vec<String> = head.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    Ok(format!("{} images of {}", head.source.as_str(), all_of(&versions)))
}

/// Unpacks the folders into `scratch`, and verifies head and images; says where in the file the images are.
fn unpack(path: &Path, scratch: &Path) -> io::Result<(u64, u64)> {
    let _ = fs::remove_dir_all(scratch);
    fs::create_dir_all(scratch)?;
    let mut archive = tar::Archive::new(File::open(path)?);
    let (mut found, mut sums, mut place) = (BTreeMap::new(), None, None);
    for entry in archive.entries()? {
        let mut entry = entry.map_err(cut_off)?;
        let name = entry.path()?.into_owned();
        let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
        match name.to_str() {
            Some(SUMS) => {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                sums = Some(serde_json::from_str::<BTreeMap<String, String>>(&text)?);
            }
            Some(HEAD | IMAGES) => {
                if name == Path::new(IMAGES) {
                    place = Some((entry.raw_file_position(), entry.size()));
                }
                let mut hasher = Sha256::new();
                io::copy(&mut entry, &mut hasher)?;
                found.insert(name.to_string_lossy().into_owned(), format!("sha256:{:x}", hasher.finalize()));
            }
            _ => {
                let inner: PathBuf = name.components().skip(1).collect();
                if name.starts_with(ARTEFACTS) && plain && !inner.as_os_str().is_empty() {
                    entry.unpack(scratch.join(inner)).map_err(cut_off)?;
                }
            }
        }
    }
    // The sums come last: without them the file was cut off.
    let sums = sums.ok_or(io::ErrorKind::UnexpectedEof)?;
    if sums != found {
        return Err(io::ErrorKind::InvalidData.into());
    }
    place.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// What the reader of archives complains of where the file ends too early has no kind of its own.
fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData => io::Error::new(io::ErrorKind::UnexpectedEof, error),
        _ => error,
    }
}

async fn load_images(site: &Site<'_>, path: &Path, (at, bytes): (u64, u64)) -> Result<(), ImageError> {
    let mut file = File::open(path).map_err(ImageError::files("read", path))?;
    file.seek(SeekFrom::Start(at)).map_err(ImageError::files("read", path))?;
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(bytes), 1 << 20);
    let docker = site.engine.docker.clone().with_timeout(site.budgets.image_pull());
    let options = ImportImageOptions { quiet: true, ..Default::default() };
    let mut answer = std::pin::pin!(docker.import_image_stream(options, stream, None));
    while let Some(news) = answer.next().await {
        news.map_err(|source| EngineError::Docker { what: "take the images".to_string(), source })?;
    }
    Ok(())
}

fn tell(site: &Site<'_>, last: &str) {
    let what = "the archive".to_string();
    site.recorder.emit(Event::Waiting { scope: PART.to_string(), what, last: last.to_string() });
}
