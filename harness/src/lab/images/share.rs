//! What several combinations of versions need together, and what one of them needs alone.

use std::collections::BTreeSet;

use super::upkeep::{Pruned, remove_files, remove_image};
use super::{ImageError, LAB, Site, build, official, store};
use crate::lab::recipe::{Makes, Recipes, Wanted};
use crate::matrix::Disk;
use crate::problem::Problems;
use crate::versions::Picked;

/// All that a lab of these versions is made of or was built from, of images built here and of the layer on official ones.
fn wanted(site: &Site<'_>, picked: &Picked) -> Result<Vec<Wanted>, Problems> {
    let recipes = Recipes::read(site.root)?;
    let mut wanted = recipes.wanted(picked, &LAB)?;
    if let Some(picked) = official::as_recorded(site.home, picked, site.host) {
        wanted.extend(recipes.wanted(&picked, &official::RECIPES)?);
    }
    wanted.dedup_by_key(|one| one.id());
    Ok(wanted)
}

fn ids(site: &Site<'_>, all: &[&Picked]) -> Result<BTreeSet<String>, Problems> {
    let mut ids = BTreeSet::new();
    for picked in all {
        ids.extend(wanted(site, picked)?.iter().map(Wanted::id));
    }
    Ok(ids)
}

/// What the versions of this site take on the disk, and how much of it no others of `all` need. Files and images that are
/// not there take nothing; an image that another one is made from is counted with that.
///
/// # Errors
/// [`ImageError`] when recipes or the engine cannot be read.
pub async fn disk(site: &Site<'_>, all: &[&Picked]) -> Result<Disk, ImageError> {
    let own = ids(site, &[site.picked])?;
    let mut shared = BTreeSet::new();
    for other in all {
        // Another scenario on the same versions is no other.
        shared.extend(Some(ids(site, &[other])?).filter(|other| *other != own).into_iter().flatten());
    }
    let (mut disk, mut seen, mut inside) = (Disk { bytes: 0, alone: 0 }, BTreeSet::new(), BTreeSet::new());
    // What needs something stands after it.
    for one in wanted(site, site.picked)?.into_iter().rev().filter(|one| seen.insert(one.id())) {
        let Some(manifest) = store::read(&store::artefact(&site.home.cache, &one)) else { continue };
        let mut bytes = manifest.bytes;
        if let Some(name) = one.image()
            && let Some(image) = store::inspect(site.engine, &name, &one.hash).await?
        {
            if !inside.contains(&one.recipe.name) {
                bytes += image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            }
            inside.extend(one.recipe.needs.clone());
        }
        disk.bytes += bytes;
        disk.alone += if shared.contains(&format!("{}-{}", one.recipe.name, one.hash)) { 0 } else { bytes };
    }
    Ok(disk)
}

/// Removes what was built for the versions of this site and none of those of `later` needs: images, files, and nothing
/// that was pulled. What a lab that is up uses stays.
///
/// # Errors
/// [`ImageError::Busy`] while another meshproof builds, or when recipes, the cache or the engine cannot be read.
pub async fn prune_combination(site: &Site<'_>, later: &[&Picked]) -> Result<Pruned, ImageError> {
    let cache = &site.home.cache;
    let _lock = build::try_lock(cache)?.map_err(|holder| ImageError::Busy {
        holder,
        cache: cache.clone(),
        waited: std::time::Duration::ZERO,
    })?;
    let kept = ids(site, later)?;
    let mut pruned = Pruned::default();
    // An image goes before the one that it was made from.
    for one in wanted(site, site.picked)?.into_iter().rev().filter(|one| !kept.contains(&one.id())) {
        if one.recipe.makes == Makes::Image
            && let Some(name) = one.image()
            && let Some(image) = store::inspect(site.engine, &name, &one.hash).await?
        {
            let bytes = image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            remove_image(site.engine, &name, bytes, &mut pruned).await?;
        }
        let folder = store::artefact(cache, &one);
        if folder.is_dir() {
            remove_files(site.home, vec![folder], &mut pruned)?;
        }
    }
    Ok(pruned)
}
