//! Istio that is not a release: its images on top of the node image of a release, and its istioctl.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::archive::load_images;
use super::origin::{Image, Machine, Origins};
use super::record::Record;
use super::{Built, ImageError, Site, ensure_recipes, pull, store};
use crate::lab::up::part;
use crate::problem::{Problem, Problems, all_of};
use crate::scenario::{Candidate, Mistake};
use crate::tool::Tool;

/// The recipe of the layer with the images of a candidate.
const LAYER: &str = "candidate-node";

/// Keys of what the layer is made of.
const BASE: &str = "candidate.base";
const ISTIO: &str = "candidate.istio";

/// What of the files of a candidate cannot be used, by field: needs neither engine nor network.
pub fn unusable_candidate(candidate: &Candidate) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(path) = &candidate.istioctl {
        let is_program = |file: std::fs::Metadata| file.is_file() && file.permissions().mode() & 0o111 != 0;
        match std::fs::metadata(path).map(is_program) {
            Ok(true) => {}
            Ok(false) => mistakes.push(("istioctl", format!("`{}` is no program", path.display()), built_istioctl())),
            Err(error) => mistakes.push(("istioctl", format!("`{}`: {error}", path.display()), built_istioctl())),
        }
    }
    if let Some(path) = &candidate.images_tar {
        let saved = || "a file of `docker save`, not packed".to_string();
        match held(path) {
            Err(error) => mistakes.push(("imagesTar", format!("`{}`: {error}", path.display()), saved())),
            Ok(held) => {
                let is_there = |name: &String| held.contains_key(&Image::parse(name));
                let lacking: Vec<String> =
                    candidate.images().into_iter().flatten().filter(|name| !is_there(name)).collect();
                if !lacking.is_empty() {
                    let has: Vec<String> = held.keys().map(Image::to_string).collect();
                    let message = format!("`{}` has no {}", path.display(), all_of(&lacking));
                    mistakes.push(("imagesTar", message, format!("hub and tag of what it has: {}", all_of(&has))));
                }
            }
        }
    }
    mistakes
}

fn built_istioctl() -> String {
    "an istioctl that was built, such as out/linux_amd64/istioctl".to_string()
}

/// The images in an archive of `docker save`, with their ids: the digests of their configs.
fn held(archive: &Path) -> std::io::Result<BTreeMap<Image, String>> {
    let broken = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_string());
    let mut file = tar::Archive::new(std::fs::File::open(archive)?);
    for entry in file.entries()? {
        let mut entry = entry.map_err(|_| broken("it is no tar archive"))?;
        if entry.path()? != Path::new("manifest.json") {
            continue;
        }
        let mut text = Vec::new();
        entry.by_ref().take(1 << 20).read_to_end(&mut text)?;
        let images = store::of_manifest(&text).map_err(|error| broken(&format!("its manifest.json: {error}")))?;
        return Ok(images.into_iter().map(|(name, id)| (Image::parse(&name), id)).collect());
    }
    Err(broken("it is no archive of images: it has no manifest.json"))
}

/// What stands in the way of this candidate, asked of the engine, of registries and of its istioctl. Pulls nothing.
pub async fn candidate_problems(site: &Site<'_>) -> Problems {
    let mut problems = Problems::new();
    if let Some(path) = &site.candidate.istioctl
        && let Err(why) = version(path).await
    {
        problems.push("--istioctl", format!("`{}` does not say its version: {why}", path.display()), built_istioctl());
    }
    let Some(images) = site.candidate.images() else { return problems };
    let machine = match Machine::this() {
        Ok(machine) => machine,
        Err(problem) => {
            problems.0.push(problem);
            return problems;
        }
    };
    let archive = site.candidate.images_tar.as_ref().and_then(|path| held(path).ok());
    for name in images {
        let image = Image::parse(&name);
        let there = match pull::present(site.engine, &image, &machine.platform()).await {
            Ok(there) => there,
            Err(error) => {
                problems.push("the host", crate::check::verdict::chain(&error), "see whether the engine is well");
                continue;
            }
        };
        match (&archive, there) {
            (Some(held), Some(there)) if held.get(&image).is_some_and(|id| *id != there.id) => {
                let message = format!("the Docker engine has another {name} than the archive");
                problems.push(
                    "--images-tar",
                    message,
                    format!("another tag; or `docker image rm {name}`, if it is old"),
                );
            }
            (None, None) => problems.0.extend(pull::lacks(site.engine, &image).await.map(|(why, hint)| {
                let message = format!("there is no {name}, neither in the Docker engine nor to be pulled: {why}");
                let built = "`docker load` or --images-tar, if it was built here";
                Problem::new("--hub and --tag", message, format!("{built}; else {hint}"))
            })),
            _ => {}
        }
    }
    problems
}

/// The version that an istioctl says it is of.
async fn version(istioctl: &Path) -> Result<String, String> {
    let said = Tool::new(istioctl).args(["version", "--remote=false", "--output=json"]).run().await;
    let said = said.map_err(|error| error.to_string())?.stdout;
    let said: serde_json::Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
    let version = said["clientVersion"]["version"].as_str().filter(|version| !version.is_empty());
    version.map(str::to_string).ok_or_else(|| "it has none".to_string())
}

/// What a lab of the candidate is made of, on what a lab of the release is made of.
///
/// # Errors
/// [`ImageError`], which an event says too.
pub(super) async fn ensure(site: &Site<'_>, release: Built) -> Result<Built, ImageError> {
    let candidate = site.candidate;
    let mut built = release;
    if let Some(path) = &candidate.istioctl {
        let path = std::path::absolute(path).map_err(ImageError::files("find", path))?;
        let version = version(&path).await;
        let version = version.map_err(|why| ImageError::files("use", &path)(std::io::Error::other(why)))?;
        let digest = store::sha256(&path).map_err(ImageError::files("read", &path))?;
        built.digests.insert(format!("istioctl of the candidate, which says {version}"), digest);
        // Whatever images it was built for: those of the nodes are the ones to install.
        built.hub_and_tag = hub_and_tag(&built.digests);
        built.istioctl = path;
    }
    let (Some(images), Some(hub), Some(tag)) = (candidate.images(), &candidate.hub, &candidate.tag) else {
        return Ok(built);
    };
    let title = format!("Istio's images are those of {hub}, {tag}");
    let records = part(site.recorder, "candidate-images", title, async {
        let records = had(site, &images, candidate.images_tar.as_ref()).await?;
        let from = candidate.images_tar.as_ref().map_or(records[0].from.as_str(), |_| "an archive").to_string();
        Ok::<_, ImageError>(((records, from.clone()), format!("from {from}")))
    });
    let (records, from) = records.await?;
    let lines: Vec<String> = records.iter().map(|record| format!("{}@{}", record.image, record.id)).collect();
    let layer = [(BASE.to_string(), built.node_image.clone()), (ISTIO.to_string(), lines.join("\n"))];
    let picked = site.picked.with(layer);
    let present = ensure_recipes(site, &picked, &[LAYER]).await?;
    let layer = &present[LAYER];
    // Those of the release are on the nodes, and nothing uses them.
    built.digests.retain(|name, _| !matches!(Image::parse(name).short(), "pilot" | "proxyv2"));
    built.digests.extend(records.iter().map(|record| (record.image.clone(), record.digest.clone())));
    built.digests.extend(layer.manifest.images.clone());
    Ok(Built {
        node_image: layer.image.clone().unwrap_or_default(),
        hub_and_tag: Some((hub.clone(), tag.clone())),
        source: format!("candidate {hub}, {tag}, from {from}; all else {}", built.source),
        data_plane: records.last().map(data_plane).unwrap_or_default(),
        ..built
    })
}

/// What serves the data plane, by what the proxy's image says of itself.
fn data_plane(record: &Record) -> String {
    let image = &record.image;
    match record.proxy.split_once(':') {
        Some(("envoy", version)) => format!("upstream Envoy {version}, in {image}"),
        Some((_, commit)) => format!("{image} (istio-proxy {})", commit.chars().take(12).collect::<String>()),
        None => format!("{image}, which does not say of what it was built"),
    }
}

/// Hub and tag of the istiod among these images.
fn hub_and_tag(images: &BTreeMap<String, String>) -> Option<(String, String)> {
    let pilot = images.keys().map(|name| Image::parse(name)).find(|image| image.short() == "pilot")?;
    let hub = pilot.path.rsplit_once('/').map_or("", |(hub, _)| hub);
    let hub = if hub.is_empty() { pilot.host.clone() } else { format!("{}/{hub}", pilot.host) };
    Some((hub, pilot.tag))
}

/// The images in the engine: there already, of the archive, or pulled.
async fn had(site: &Site<'_>, names: &[String], archive: Option<&PathBuf>) -> Result<Vec<Record>, ImageError> {
    let platform = Machine::this().map_err(Problems::from)?.platform();
    let mut records = Vec::new();
    for name in names {
        let image = Image::parse(name);
        let mut there = pull::present(site.engine, &image, &platform).await?;
        if let (None, Some(archive)) = (&there, archive) {
            let bytes = std::fs::metadata(archive).map_err(ImageError::files("read", archive))?.len();
            load_images(site, archive, (0, bytes)).await?;
            there = pull::present(site.engine, &image, &platform).await?;
        }
        records.push(match there {
            Some(record) => record,
            // A mirror of official images has none of these.
            None => {
                let (origins, progress) = (Origins::default(), |line: &str| site.progress(line));
                pull::pull(site.engine, &image, None, &platform, &origins, site.budgets, progress).await?
            }
        });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut builder = tar::Builder::new(file.reopen().expect("a file"));
        for (name, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, text.as_bytes()).expect("an entry");
        }
        builder.finish().expect("an archive");
        file
    }

    fn candidate(tar: &Path) -> Candidate {
        let text = |text: &str| Some(text.to_string());
        Candidate { hub: text("localhost/istio"), tag: text("pr"), images_tar: Some(tar.to_path_buf()), istioctl: None }
    }

    #[test]
    fn an_archive_is_asked_for_its_images_before_anything_is_made() {
        let manifest = r#"[{"Config": "blobs/sha256/ab12", "RepoTags": ["localhost/istio/pilot:pr"], "Layers": []},
            {"Config": "cd34.json", "RepoTags": ["localhost/istio/proxyv2:old"], "Layers": []}]"#;
        let tar = archive(&[("a", ""), ("manifest.json", manifest)]);
        let ids: Vec<String> = held(tar.path()).expect("it is one").into_values().collect();
        assert_eq!(ids, ["sha256:ab12", "sha256:cd34"], "as both forms of `docker save` write it");
        let [(field, message, instead)] = &unusable_candidate(&candidate(tar.path()))[..] else {
            panic!("one mistake")
        };
        assert_eq!(*field, "imagesTar");
        assert!(message.ends_with("has no localhost/istio/proxyv2:pr"), "{message}");
        assert!(instead.contains("localhost/istio/pilot:pr and localhost/istio/proxyv2:old"), "{instead}");
    }

    #[test]
    fn what_is_no_archive_of_images_is_refused() {
        let (other, text) = (archive(&[("a", "")]), tempfile::NamedTempFile::new().expect("a file"));
        std::fs::write(text.path(), "x".repeat(4096)).expect("a file");
        for (path, said) in [
            (other.path(), "no manifest.json"),
            (text.path(), "no tar archive"),
            (Path::new("/nowhere/a.tar"), "No such file"),
        ] {
            let mistakes = unusable_candidate(&candidate(path));
            assert!(mistakes.len() == 1 && mistakes[0].1.contains(said), "{mistakes:?}");
        }
    }

    #[test]
    fn an_istioctl_has_to_be_a_program_and_is_named_beside_what_else_is_wrong() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let one = Candidate { istioctl: Some(file.path().to_path_buf()), ..candidate(Path::new("/nowhere/a.tar")) };
        let fields: Vec<&str> = unusable_candidate(&one).iter().map(|(field, ..)| *field).collect();
        assert_eq!(fields, ["istioctl", "imagesTar"]);
    }

    #[test]
    fn a_bare_istioctl_installs_the_images_of_the_release() {
        let images = [("localhost/meshproof/pilot:1.31.1", ""), ("meshproof/lab-node:0123", "")];
        let images = images.map(|(name, id)| (name.to_string(), id.to_string())).into();
        assert_eq!(hub_and_tag(&images), Some(("localhost/meshproof".to_string(), "1.31.1".to_string())));
    }
}
