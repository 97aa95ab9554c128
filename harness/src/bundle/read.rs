//! Reads a bundle that somebody else wrote: with limits, without following links, and naming everything that is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value;

use super::{Bundle, FORM, INDEX, Index};
use crate::problem::{Problem, Problems};
use crate::role::Role;
use crate::scenario::IstioNamespace;

/// A file of a bundle is read up to this many bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A bundle has at most so many files.
const MOST_FILES: usize = 64;

/// A file has at most so many documents.
const MOST_DOCUMENTS: usize = 2000;

/// Reads the bundle in this folder.
///
/// # Errors
/// Everything that is wrong with it, each with its file.
pub fn read(folder: &Path) -> Result<Bundle, Problems> {
    let place = folder.display().to_string();
    if !folder.is_dir() {
        let message = if folder.exists() { "is no folder" } else { "is not there" };
        return Err(Problem::new(place, message, "the folder that `meshproof capture -o FOLDER` wrote").into());
    }
    let index = index(folder)?;
    let mut problems = names(folder, &index);
    let mut files = BTreeMap::new();
    if index.files.len() > MOST_FILES {
        let message = format!("it lists {} files, and a bundle has at most {MOST_FILES}", index.files.len());
        problems.push(at(folder, INDEX), message, "the bundle as it was captured");
        return Err(problems);
    }
    for entry in &index.files {
        let own = Path::new(&entry.path).components().all(|part| matches!(part, Component::Normal(_)));
        if !own || entry.path.is_empty() {
            let message = format!("it lists `{}`, which is no file of this folder", entry.path);
            problems.push(at(folder, INDEX), message, "paths such as `primary/services.yaml`");
            continue;
        }
        let Some(documents) = problems.keep(documents(folder, &entry.path)) else { continue };
        if documents.len() != entry.documents {
            let message = format!("it has {} documents, and {INDEX} says {}", documents.len(), entry.documents);
            let instead = format!("the file as it was captured; if you changed it on purpose, say so in {INDEX}");
            problems.push(at(folder, &entry.path), message, instead);
        }
        files.insert(entry.path.clone(), documents);
    }
    problems.or(Bundle { index, files })
}

/// What the index names, as far as a lab will be made by it.
fn names(folder: &Path, index: &Index) -> Problems {
    let mut problems = Problems::new();
    if let Err((message, instead)) = IstioNamespace::named(&index.istio_namespace) {
        problems.push(format!("{}: istioNamespace", at(folder, INDEX)), message, instead);
    }
    for role in Role::ALL.into_iter().filter(|role| !index.clusters.contains_key(role)) {
        let message = format!("it says nothing of the {role} cluster");
        problems.push(format!("{}: clusters", at(folder, INDEX)), message, "the file as it was captured");
    }
    problems
}

fn at(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

/// The index; what is said of its form comes before anything else, for all else hangs on it.
fn index(folder: &Path) -> Result<Index, Problems> {
    let place = at(folder, INDEX);
    if fs::symlink_metadata(folder.join(INDEX)).is_err() {
        let message = format!("there is no {INDEX}: this is no bundle, or one whose capture or copy did not end");
        return Err(Problem::new(folder.display().to_string(), message, "capture it again, or copy all of it").into());
    }
    let text = text(folder, INDEX)?;
    let unreadable = |error: serde_yaml_ng::Error| {
        let at = error.location().map(|at| format!("{place}:{}:{}", at.line(), at.column()));
        Problem::new(
            at.unwrap_or_else(|| place.clone()),
            format!("this is no index: {error}"),
            "the file as it was captured",
        )
    };
    let value: Value = serde_yaml_ng::from_str(&text).map_err(unreadable)?;
    match value["form"].as_u64() {
        Some(form) if form == u64::from(FORM) => {}
        Some(form) => {
            let message = format!("form {form} of bundles is not understood, only {FORM}");
            let instead = match form > u64::from(FORM) {
                true => "a newer meshproof",
                false => "capture it again",
            };
            return Err(Problem::new(place, message, instead).into());
        }
        None => return Err(Problem::new(place, "it does not say its `form`", "the file as it was captured").into()),
    }
    Ok(serde_yaml_ng::from_str(&text).map_err(unreadable)?)
}

fn documents(folder: &Path, file: &str) -> Result<Vec<Value>, Problems> {
    let text = text(folder, file)?;
    let mut all = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let value = Value::deserialize(document).map_err(|error| {
            let place = at(folder, file);
            let place = error.location().map_or(place.clone(), |at| format!("{place}:{}:{}", at.line(), at.column()));
            Problem::new(place, format!("this is not YAML: {error}"), "the file as it was captured")
        })?;
        if all.len() == MOST_DOCUMENTS {
            let message = format!("it has more than {MOST_DOCUMENTS} documents");
            return Err(Problem::new(at(folder, file), message, "the file as it was captured").into());
        }
        if !value.is_null() {
            all.push(value);
        }
    }
    Ok(all)
}

/// The text of a file of the folder that is a file itself, and no link: what a link leads to may be anything of this host.
fn text(folder: &Path, file: &str) -> Result<String, Problems> {
    let place = at(folder, file);
    let problem = |message: String, instead: &str| Problems::from(Problem::new(place.clone(), message, instead));
    let mut path = folder.to_path_buf();
    for part in Path::new(file).components() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let message = format!("`{}` is a link, and bundles have none", path.display());
                return Err(problem(message, "the file itself"));
            }
            Ok(_) => {}
            Err(error) => {
                return Err(problem(format!("cannot be read: {error}"), "capture it again, or copy all of it"));
            }
        }
    }
    let cannot = |error: std::io::Error| problem(format!("cannot be read: {error}"), "a file that you may read");
    if !path.is_file() {
        return Err(problem("is no file".to_string(), "the file as it was captured"));
    }
    let mut bytes = Vec::new();
    fs::File::open(&path).map_err(cannot)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err(problem(format!("is larger than {} MiB", LARGEST >> 20), "the file as it was captured"));
    }
    String::from_utf8(bytes).map_err(|_| problem("is no text".to_string(), "the file as it was captured"))
}
