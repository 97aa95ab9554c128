//! Writing an archive.

use std::fs::{File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tar::{Builder, Header};
use tempfile::NamedTempFile;

use super::{ARTEFACTS, FORMAT, HEAD, Head, Holdings, IMAGES, SUMS, machine, versions};
use crate::event::Event;
use crate::lab::engine::EngineError;
use crate::lab::host;
use crate::lab::images::{ImageError, Site, upkeep};
use crate::lab::up::part;

/// The id of the events about it.
const PART: &str = "archive";

/// Writes what a lab of these versions needs into one file; returns its bytes.
///
/// # Errors
/// [`ImageError`], which an event says too; then no file of this name was written.
pub async fn save(site: &Site<'_>, file: &Path) -> Result<u64, ImageError> {
    let title = format!("What a lab needs is saved into {}", file.display());
    part(site.recorder, PART, title, async {
        let bytes = write(site, file).await?;
        Ok((bytes, format!("{}, {}", file.display(), upkeep::bytes(bytes))))
    })
    .await
}

async fn write(site: &Site<'_>, path: &Path) -> Result<u64, ImageError> {
    let holdings = Holdings::of(site).await?;
    let failed = |source| ImageError::files("write", path)(source);
    let mut images = std::collections::BTreeMap::new();
    let mut image_bytes = 0;
    for name in &holdings.images {
        let found = site.engine.docker.inspect_image(name).await;
        let found = found.map_err(|source| EngineError::Docker { what: format!("show the image {name}"), source })?;
        image_bytes += found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        images.insert(name.clone(), found.id.unwrap_or_default());
    }
    let bytes = holdings.bytes();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Layers that images share are written once: this is an upper bound, and half of it is what they have in common.
    let need = [(folder.to_path_buf(), bytes + image_bytes / 2)];
    let problems = host::disk_problems(&need, |path| host::disk_of(path).ok());
    if !problems.is_empty() {
        return Err(ImageError::Problems(problems.into()));
    }
    let head = Head {
        format: FORMAT,
        meshproof: crate::version().to_string(),
        machine: machine(),
        source: holdings.source,
        versions: versions(site),
        images,
        folders: holdings
            .folders
            .iter()
            .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into()))
            .collect(),
        bytes,
        records: holdings.records.clone(),
    };
    let head = serde_json::to_vec_pretty(&head).map_err(|error| failed(error.into()))?;
    let part = part_of(path, folder).map_err(failed)?;
    let mut builder = Builder::new(part.reopen().map_err(failed)?);
    builder.follow_symlinks(false);
    append(&mut builder, HEAD, &head).map_err(failed)?;
    for folder in &holdings.folders {
        let name = folder.file_name().unwrap_or_default();
        tell(site, &name.to_string_lossy());
        builder.append_dir_all(Path::new(ARTEFACTS).join(name), folder).map_err(failed)?;
    }
    let sum = images_into(site, &holdings.images, builder.get_mut(), &failed).await?;
    let sums = serde_json::json!({ HEAD: format!("sha256:{:x}", Sha256::digest(&head)), IMAGES: sum });
    append(&mut builder, SUMS, sums.to_string().as_bytes()).map_err(failed)?;
    let finish = || {
        builder.into_inner()?.sync_all()?;
        let file = part.persist(path)?;
        Ok(file.metadata()?.len())
    };
    finish().map_err(failed)
}

/// A file of its own name beside the archive, which goes if this call ends before it is whole; to be read by others as
/// any file that the user makes.
fn part_of(path: &Path, folder: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    tempfile::Builder::new()
        .prefix(&format!("{name}."))
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

fn tell(site: &Site<'_>, last: &str) {
    let what = "the archive".to_string();
    site.recorder.emit(Event::Waiting { scope: PART.to_string(), what, last: last.to_string() });
}

fn header(name: &str, bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}

fn append(builder: &mut Builder<File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    builder.append(&header(name, bytes.len() as u64)?, bytes)
}

/// Writes the images as the engine gives them. How many bytes they are shows only then, so their header is written twice.
async fn images_into(
    site: &Site<'_>,
    names: &[String],
    file: &mut File,
    failed: &impl Fn(io::Error) -> ImageError,
) -> Result<String, ImageError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let docker = site.engine.docker.clone().with_timeout(*site.budgets.image_pull());
    let start = file.stream_position().map_err(failed)?;
    file.write_all(header(IMAGES, 0).map_err(failed)?.as_bytes()).map_err(failed)?;
    let (mut hasher, mut bytes, mut told) = (Sha256::new(), 0, Instant::now());
    let mut stream = std::pin::pin!(docker.export_images(&names));
    while let Some(part) = stream.next().await {
        let part = part.map_err(|source| EngineError::Docker { what: "save images".to_string(), source })?;
        hasher.update(&part);
        file.write_all(&part).map_err(failed)?;
        bytes += part.len() as u64;
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            tell(site, &format!("images, {}", upkeep::bytes(bytes)));
        }
    }
    let padding = usize::try_from((512 - bytes % 512) % 512).unwrap_or(0);
    file.write_all(&vec![0; padding]).map_err(failed)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    file.write_all(header(IMAGES, bytes).map_err(failed)?.as_bytes()).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    Ok(format!("sha256:{:x}", hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::part_of;

    #[test]
    fn what_is_half_written_stands_beside_the_users_files_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("lab.part"), "mine").expect("a file of the user");
        let part = part_of(&folder.path().join("lab.tar"), folder.path()).expect("a file");
        let path = part.path().to_path_buf();
        assert!(path.is_file() && path.parent() == Some(folder.path()));
        drop(part);
        assert!(!path.exists());
        assert_eq!(fs::read_to_string(folder.path().join("lab.part")).expect("it is there"), "mine");
    }
}
