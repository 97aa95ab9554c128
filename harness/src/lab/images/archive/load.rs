//! Reading an archive: all of it is verified before anything is put into the cache or the engine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bollard::query_parameters::ImportImageOptions;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{ARTEFACTS, FORMAT, HEAD, Head, IMAGES, SUMS, machine, versions};
use crate::event::Event;
use crate::lab::engine::EngineError;
use crate::lab::host;
use crate::lab::images::build::Workshop;
use crate::lab::images::record::Records;
use crate::lab::images::{ImageError, LAB, Site, official, store, upkeep};
use crate::lab::recipe::{Recipes, Wanted};
use crate::lab::up::part;
use crate::problem::{Problem, Problems, all_of};
use crate::scenario::ImageSource;

/// The id of the events about it.
const PART: &str = "archive";

/// Takes over what [`super::save`] wrote; says what came of it in a short phrase.
///
/// # Errors
/// [`ImageError`], which an event says too; then cache and engine are as before, except for images that the engine took.
pub async fn load(site: &Site<'_>, file: &Path) -> Result<String, ImageError> {
    let title = format!("What a lab needs is loaded from {}", file.display());
    part(site.recorder, PART, title, async {
        let detail = read(site, file).await?;
        Ok((detail.clone(), detail))
    })
    .await
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
    tell(site, "verifying it");
    let works = store::works(&site.home.cache);
    let unpacked = store::blocking(&works, {
        let path = path.to_path_buf();
        move |works| Ok(unpack(&path, &works))
    });
    let (scratch, images) = unpacked.await?.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            problem("ends too early".to_string(), "copy it again; compare its size with the original's")
        }
        io::ErrorKind::InvalidData => {
            problem("is damaged: its images have another SHA-256".to_string(), "copy or save it again")
        }
        _ => ImageError::files("unpack", path)(error),
    })?;
    take_over(site, path, &head, &scratch.path().join(ARTEFACTS), images).await
}

fn head(path: &Path) -> io::Result<Head> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut first = archive.entries()?.next().ok_or(io::ErrorKind::InvalidData)??;
    if first.path()? != Path::new(HEAD) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = Vec::new();
    first.read_to_end(&mut text)?;
    let head: Head = serde_json::from_slice(&text)?;
    // Their names become paths.
    if head.folders.iter().all(|id| upkeep::is_id(id)) { Ok(head) } else { Err(io::ErrorKind::InvalidData.into()) }
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

/// Puts folders that were unpacked into `scratch`, and images, where a lab looks for them.
async fn take_over(
    site: &Site<'_>,
    path: &Path,
    head: &Head,
    scratch: &Path,
    images: (u64, u64),
) -> Result<String, ImageError> {
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

/// Unpacks the folders into a folder below `works`, and verifies head and images; says where in the file the images are.
///
/// The folder goes with what is returned, also where nobody waits for it any more. It is on the cache's own disk, so that
/// a move into place is a rename.
fn unpack(path: &Path, works: &Path) -> io::Result<(TempDir, (u64, u64))> {
    fs::create_dir_all(works)?;
    let scratch = tempfile::Builder::new().prefix(store::LOADS).tempdir_in(works)?;
    let mut archive = tar::Archive::new(File::open(path)?);
    let (mut found, mut sums, mut place) = (BTreeMap::new(), None, None);
    for entry in archive.entries()? {
        let mut entry = entry.map_err(cut_off)?;
        let name = entry.path()?.into_owned();
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
            // Nothing is written outside, not by a link either that an earlier entry has made.
            _ if name.starts_with(ARTEFACTS) => {
                entry.unpack_in(scratch.path()).map_err(cut_off)?;
            }
            _ => {}
        }
    }
    // The sums come last: without them the file was cut off.
    let sums = sums.ok_or(io::ErrorKind::UnexpectedEof)?;
    if sums != found {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((scratch, place.ok_or(io::ErrorKind::UnexpectedEof)?))
}

/// What the reader of archives complains of where the file ends too early has no kind of its own.
fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData => io::Error::new(io::ErrorKind::UnexpectedEof, error),
        _ => error,
    }
}

/// Hands a part of a file, an archive of images, to the engine: from a place in it on, so many bytes.
pub(in crate::lab::images) async fn load_images(
    site: &Site<'_>,
    path: &Path,
    (at, bytes): (u64, u64),
) -> Result<(), ImageError> {
    let mut file = File::open(path).map_err(ImageError::files("read", path))?;
    file.seek(SeekFrom::Start(at)).map_err(ImageError::files("read", path))?;
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(bytes), 1 << 20);
    let docker = site.engine.docker.clone().with_timeout(*site.budgets.image_pull());
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tar::{Builder, EntryType, Header};

    use super::*;

    /// An archive with these entries: a path as it shall stand there, and its text, or with `-> ` the target of a link.
    fn archive(file: &Path, entries: &[(&str, &str)]) {
        let mut builder = Builder::new(File::create(file).expect("a file"));
        for (name, text) in entries {
            let mut header = Header::new_gnu();
            // Past the checks of who writes archives honestly.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(0o644);
            let body = match text.strip_prefix("-> ") {
                Some(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_link_name(target).expect("a target");
                    ""
                }
                None => text,
            };
            if name.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
            }
            header.set_size(body.len() as u64);
            header.set_cksum();
            builder.append(&header, body.as_bytes()).expect("an entry");
        }
        builder.finish().expect("an archive");
    }

    #[rstest]
    #[case::by_dots("artefacts/../../outside/written")]
    #[case::through_a_link("artefacts/out/written")]
    fn nothing_of_an_archive_is_written_outside(#[case] name: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, works, outside) =
            (folder.path().join("a.tar"), folder.path().join("work"), folder.path().join("outside"));
        fs::create_dir(&outside).expect("a folder");
        let link = format!("-> {}", outside.display());
        archive(&file, &[("artefacts/", ""), ("artefacts/out", &link), (name, "of the archive"), (SUMS, "{}")]);
        let _ = unpack(&file, &works);
        assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0);
        assert_eq!(fs::read_dir(&works).expect("it is there").count(), 0, "and nothing of it stays");
    }

    #[rstest]
    #[case::ids("\"istio-release-0123456789ab\"", true)]
    #[case::up("\"..\"", false)]
    #[case::elsewhere("\"../../labs-0123456789ab\"", false)]
    #[case::from_the_root("\"/etc/x-0123456789ab\"", false)]
    fn folders_are_called_as_in_a_cache(#[case] folder: &str, #[case] fits: bool) {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = scratch.path().join("a.tar");
        let head = format!(
            r#"{{"format": 1, "meshproof": "", "machine": "", "source": "local", "versions": {{}}, "images": {{}},
                "folders": [{folder}], "bytes": 0, "records": {}}}"#,
            serde_json::to_string(&Records::default()).expect("records")
        );
        archive(&file, &[(HEAD, &head)]);
        assert_eq!(super::head(&file).is_ok(), fits);
    }
}
