//! Looking after what was built: list it, verify it, and remove what nothing wants any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{ListImagesOptions, RemoveContainerOptions, RemoveImageOptions};

use super::release::Asset;
use super::store::{self, There};
use super::{ImageError, LAB, Site, build, official, required};
use crate::lab::engine::{Engine, EngineError};
use crate::lab::recipe::{Makes, Recipes, Wanted};
use crate::lab::state::{Home, LabFile};
use crate::problem::{Problem, Problems};
pub(super) use crate::report::text::bytes;
use crate::scenario::{ImageSource, Scenario};
use crate::versions::{Component, Versions};

/// The label of containers in which a recipe makes an image.
const BUILD_LABEL: &str = "io.meshproof.build";

/// One recipe in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the recipe.
    pub recipe: String,
    /// The hash that is wanted.
    pub hash: String,
    /// What it makes.
    pub makes: Makes,
    /// Whether a lab needs it.
    pub needed: bool,
    /// Bytes of its files and of its image in the engine; nothing if it is missing.
    pub bytes: Option<u64>,
    /// Version key to value.
    pub versions: BTreeMap<String, String>,
}

/// How a recipe's result is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// All is as it was built.
    Sound,
    /// It is not there, or not for the hash that is wanted.
    Missing,
    /// What was built is no longer that: one line each.
    Damaged(Vec<String>),
}

/// One recipe that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Name of the recipe.
    pub recipe: String,
    /// The hash that is wanted.
    pub hash: String,
    /// How it is.
    pub health: Health,
}

impl Verified {
    /// Whether all is as it was built.
    pub fn is_sound(&self) -> bool {
        self.health == Health::Sound
    }
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freed {
    /// A path, or an image in the engine.
    pub what: String,
    /// Its bytes; layers that an image shares with others are not given back.
    pub bytes: u64,
}

/// What pruning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What is gone.
    pub freed: Vec<Freed>,
    /// What is unwanted and still there, with why.
    pub kept: Vec<String>,
}

/// All recipes, and what is there of them.
///
/// # Errors
/// [`ImageError`] when recipes or the engine cannot be read.
pub async fn list(site: &Site<'_>) -> Result<Vec<Row>, ImageError> {
    let mut rows = Vec::new();
    for (needed, wanted) in all(site).await? {
        let bytes = match store::there(&site.home.cache, &wanted, Some(site.engine)).await? {
            There::Yes(bytes) => Some(bytes),
            There::Untold(_) | There::No => None,
        };
        let Wanted { recipe, hash, versions, .. } = wanted;
        rows.push(Row { recipe: recipe.name, hash, makes: recipe.makes, needed, bytes, versions });
    }
    Ok(rows)
}

/// Reads all that is there again, and says what is no longer as it was built.
///
/// A recipe that no lab needs may be missing and is then not among the answers.
///
/// # Errors
/// [`ImageError`] when recipes, files or the engine cannot be read.
pub async fn verify(site: &Site<'_>) -> Result<Vec<Verified>, ImageError> {
    let mut found = Vec::new();
    for (needed, wanted) in all(site).await? {
        let health = health(site, &wanted).await?;
        if health == Health::Missing && !needed {
            continue;
        }
        found.push(Verified { recipe: wanted.recipe.name, hash: wanted.hash, health });
    }
    // What was fetched is verified like what was built; what was not is no lack, unless a lab shall be made of it.
    for asset in official::assets_of(site) {
        let Some(present) = asset.present(&site.home.cache) else { continue };
        let damage = store::damage(&present.folder, &present.manifest).await?;
        let health = if damage.is_empty() { Health::Sound } else { Health::Damaged(damage) };
        found.push(Verified { recipe: present.manifest.recipe, hash: present.manifest.hash, health });
    }
    Ok(found)
}

/// How one recipe's result is. An image that is gone from the engine is missing, as it is to whoever builds what is
/// missing: the engine's owner may have removed it, and nothing was damaged by that.
async fn health(site: &Site<'_>, wanted: &Wanted) -> Result<Health, ImageError> {
    let folder = store::artefact(&site.home.cache, wanted);
    let Some(manifest) = store::read(&folder).filter(|manifest| manifest.hash == wanted.hash) else {
        return Ok(Health::Missing);
    };
    let mut damage = store::damage(&folder, &manifest).await?;
    if let Some(name) = wanted.image() {
        match store::inspect(site.engine, &name, &wanted.hash).await?.and_then(|image| image.id) {
            None if damage.is_empty() => return Ok(Health::Missing),
            None => damage.push(format!("the engine has no image {name}")),
            id if id.as_ref() != manifest.images.get(&name) => {
                damage.push(format!("the image {name} is not the one that was built"));
            }
            Some(_) => {}
        }
    }
    Ok(if damage.is_empty() { Health::Sound } else { Health::Damaged(damage) })
}

/// Removes artefacts, scratch folders, logs and images of hashes that no version in `kind/versions.toml` wants, what a
/// killed meshproof left half-way, and nothing else. The release of a lab that is up stays.
///
/// # Errors
/// [`ImageError::Busy`] while another meshproof builds, or when recipes, the cache or the engine cannot be read.
pub async fn prune(site: &Site<'_>) -> Result<Pruned, ImageError> {
    let mut pruned = prune_files(site)?;
    prune_containers(site.engine, &mut pruned).await?;
    let images = wanted_by_any_version(site)?.0.iter().filter_map(Wanted::image).collect();
    prune_images(site.engine, &images, &mut pruned).await?;
    Ok(pruned)
}

/// As [`prune`], without the images in the engine.
///
/// # Errors
/// [`ImageError::Busy`] while another meshproof builds, or when recipes or the cache cannot be read.
pub fn prune_files(site: &Site<'_>) -> Result<Pruned, ImageError> {
    let home = site.home;
    let (wanted, assets) = wanted_by_any_version(site)?;
    let lock = build::try_lock(&home.cache)?;
    let _lock = lock.map_err(|holder| ImageError::Busy {
        holder,
        cache: home.cache.clone(),
        waited: std::time::Duration::ZERO,
    })?;
    let ids: BTreeSet<String> = wanted.iter().map(Wanted::id).chain(assets).collect();
    let mut pruned = Pruned::default();
    let mut paths = unwanted(&store::artefacts(&home.cache), ["", ""], &ids);
    paths.extend(unwanted(&store::works(&home.cache), ["", ".out"], &ids));
    paths.extend(torn(&store::works(&home.cache)));
    paths.extend(unwanted(&store::logs(&home.cache), [".log", ".log"], &ids));
    remove_files(home, paths, &mut pruned)?;
    Ok(pruned)
}

/// Removes these files and folders of the cache; the release of a lab that is up stays.
pub(super) fn remove_files(home: &Home, paths: Vec<PathBuf>, pruned: &mut Pruned) -> Result<(), ImageError> {
    let releases: BTreeSet<PathBuf> = home.labs().iter().filter_map(|lab| LabFile::release_of(home, lab)).collect();
    for path in paths {
        if releases.contains(&path) {
            pruned.kept.push(format!("{}: a lab that is up uses it", path.display()));
            continue;
        }
        let bytes = store::size(&path);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(ImageError::files("remove", &path))?;
        pruned.freed.push(Freed { what: path.display().to_string(), bytes });
    }
    Ok(())
}

/// Containers that a killed recipe left: each ends by itself within the hour. One that runs may be of another user's build.
async fn prune_containers(engine: &Engine, pruned: &mut Pruned) -> Result<(), ImageError> {
    for container in engine.containers("label", BUILD_LABEL).await? {
        if !has_ended(&container) {
            continue;
        }
        let id = container.id.unwrap_or_default();
        let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or(id.clone());
        let what = format!("the container {}", name.trim_start_matches('/'));
        let options = RemoveContainerOptions { v: true, ..Default::default() };
        match engine.docker.remove_container(&id, Some(options)).await {
            Ok(()) => pruned.freed.push(Freed { what, bytes: 0 }),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
            Err(source) => return Err(EngineError::Docker { what: format!("remove {what}"), source }.into()),
        }
    }
    Ok(())
}

fn has_ended(container: &ContainerSummary) -> bool {
    matches!(container.state, Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD))
}

async fn prune_images(engine: &Engine, wanted: &BTreeSet<String>, pruned: &mut Pruned) -> Result<(), ImageError> {
    let filters = Some([("label".to_string(), vec![store::RECIPE_LABEL.to_string()])].into());
    let listed = engine.docker.list_images(Some(ListImagesOptions { filters, ..Default::default() })).await;
    let mut images = listed.map_err(|source| EngineError::Docker { what: "list images".to_string(), source })?;
    // An image goes before the one that it was made from.
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    for image in images {
        for name in unwanted_images(&image.repo_tags, wanted) {
            remove_image(engine, name, u64::try_from(image.size).unwrap_or(0), pruned).await?;
        }
    }
    Ok(())
}

/// Removes an image of this size from the engine, unless a container uses it.
pub(super) async fn remove_image(
    engine: &Engine,
    name: &str,
    bytes: u64,
    pruned: &mut Pruned,
) -> Result<(), ImageError> {
    match engine.docker.remove_image(name, None::<RemoveImageOptions>, None).await {
        Ok(_) => pruned.freed.push(Freed { what: name.to_string(), bytes }),
        // The engine names the container that still uses it.
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, message }) => {
            pruned.kept.push(format!("{name}: {message}"));
        }
        Err(source) => return Err(EngineError::Docker { what: format!("remove the image {name}"), source }.into()),
    }
    Ok(())
}

/// Names of images that are called like a recipe's, and like none that is wanted.
pub fn unwanted_images<'a>(names: &'a [String], wanted: &BTreeSet<String>) -> Vec<&'a String> {
    let ours = |name: &str| name.strip_prefix("meshproof/").is_some_and(|rest| is_id(&rest.replacen(':', "-", 1)));
    names.iter().filter(|name| ours(name) && !wanted.contains(*name)).collect()
}

/// What is called like a build's folder or file, and like none that is wanted.
fn unwanted(folder: &Path, endings: [&str; 2], wanted: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            endings.iter().any(|ending| name.strip_suffix(ending).is_some_and(|id| is_id(id) && !wanted.contains(id)))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Whether a name is `NAME-HASH`, and so the plain name of a folder.
pub(super) fn is_id(name: &str) -> bool {
    let hex = |hash: &str| hash.len() == 12 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    name.rsplit_once('-').is_some_and(|(name, hash)| plain(name) && hex(hash))
}

/// What only a killed meshproof leaves among unfinished builds, and nothing goes on from: half a download, half a load.
fn torn(works: &Path) -> Vec<PathBuf> {
    let is_torn = |name: &str| name.strip_suffix(".part").is_some_and(is_id) || name.starts_with(store::LOADS);
    let entries = fs::read_dir(works).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| is_torn(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// All recipes in order, with whether a lab needs them.
async fn all(site: &Site<'_>) -> Result<Vec<(bool, Wanted)>, ImageError> {
    let recipes = Recipes::read(site.root)?;
    let is_official = match site.source {
        ImageSource::Local => false,
        ImageSource::Official => true,
        ImageSource::Auto => official::is_present(site).await.unwrap_or(false),
    };
    let names: &[&str] = if is_official { &official::RECIPES } else { &LAB };
    let names: Vec<&str> = names.iter().copied().filter(|name| recipes.contains(name)).collect();
    let picked = official::as_recorded(site.home, site.picked, site.host);
    let all = recipes.wanted(picked.as_ref().unwrap_or(site.picked), &[])?;
    let present = super::look(&site.home.cache, &all, site.engine).await?;
    // No names would mean all recipes.
    let missing = if names.is_empty() { Vec::new() } else { required(&all, &present, &names) };
    let missing: Vec<String> = missing.iter().map(|wanted| wanted.recipe.name.clone()).collect();
    let needed = |name: &String| names.contains(&name.as_str()) || missing.contains(name);
    Ok(all.into_iter().map(|wanted| (needed(&wanted.recipe.name), wanted)).collect())
}

/// What any version that is known wants: recipes, and the ids of fetched files.
fn wanted_by_any_version(site: &Site<'_>) -> Result<(Vec<Wanted>, Vec<String>), Problems> {
    let (root, picked) = (site.root, site.picked);
    let file = root.join(crate::versions::FILE);
    let text = fs::read_to_string(&file).map_err(|error| {
        Problem::new(file.display().to_string(), format!("cannot be read: {error}"), "a whole copy of the repository")
    })?;
    let versions = Versions::parse(&text)?;
    let recipes = Recipes::read(root)?;
    let mut wanted = recipes.wanted(picked, &[])?;
    let mut assets: Vec<String> = official::assets_of(site).iter().map(Asset::id).collect();
    for kubernetes in versions.known(Component::Kubernetes) {
        for istio in versions.known(Component::Istio) {
            let mut scenario = Scenario::default_primary_remote(&versions);
            scenario.kubernetes.clone_from(&kubernetes);
            scenario.istio = istio;
            let picked = versions.pick(&scenario);
            assets.extend(official::assets_of(&Site { picked: &picked, ..*site }).iter().map(Asset::id));
            let with_images = official::as_recorded(site.home, &picked, site.host);
            wanted.extend(recipes.wanted(with_images.as_ref().unwrap_or(&picked), &[])?);
        }
    }
    Ok((wanted, assets))
}

/// A table of recipes, for people.
pub fn print_list(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let makes = if row.makes == Makes::Image { "image" } else { "files" };
        let there = match row.bytes {
            Some(size) => bytes(size),
            None if row.needed => "missing".to_string(),
            None => "not built".to_string(),
        };
        // A list of replaced modules would fill the screen; the hash covers it.
        let versions = row.versions.iter().filter(|(_, value)| !value.is_empty() && !value.contains('\n'));
        let versions: Vec<String> = versions.map(|(key, value)| format!("{key} {value}")).collect();
        let line = format!("{:14} {}  {makes}  {there:>9}  {}", row.recipe, row.hash, versions.join(", "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// What verifying found, for people.
pub fn print_verify(rows: &[Verified]) -> String {
    let mut text = String::new();
    for row in rows {
        let health = match &row.health {
            Health::Sound => "sound",
            Health::Missing => "missing; build it: meshproof images build",
            Health::Damaged(_) => "damaged",
        };
        let _ = writeln!(text, "{:14} {}  {health}", row.recipe, row.hash);
        if let Health::Damaged(damage) = &row.health {
            for line in damage.iter().take(10) {
                let _ = writeln!(text, "{:14} {line}", "");
            }
            if damage.len() > 10 {
                let _ = writeln!(text, "{:14} and {} more", "", damage.len() - 10);
            }
        }
    }
    text
}

/// What pruning did, for people.
pub fn print_prune(pruned: &Pruned) -> String {
    let mut text = String::new();
    for freed in &pruned.freed {
        let _ = writeln!(text, "{:>8} {:>9}  {}", "Removed", bytes(freed.bytes), freed.what);
    }
    for kept in &pruned.kept {
        let _ = writeln!(text, "{:>8} {kept}", "Kept");
    }
    if pruned.freed.is_empty() {
        let _ = writeln!(text, "{:>8} to remove", "Nothing");
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_a_build_that_goes_on("running", false)]
    #[case::of_a_build_that_begins("created", false)]
    #[case::of_a_killed_build("exited", true)]
    fn only_a_build_container_that_has_ended_is_left_over(#[case] state: &str, #[case] over: bool) {
        let container = serde_json::from_value(serde_json::json!({"Id": "c", "State": state}));
        assert_eq!(has_ended(&container.expect("as the engine lists it")), over);
    }
}
