//! The recipes below `kind/recipes`: what each declares, the order in which they build on each other, and the hash that
//! names what a recipe gives. Reads files, starts nothing; `kind/README.md` states the contract.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::problem::{Problem, Problems, any_of, nearest};
use crate::versions::Picked;

/// Where recipes are, relative to the repository's root.
pub const FOLDER: &str = "kind/recipes";

const LIBRARY: &str = "kind/recipes/lib.sh";
const KEYS: [&str; 5] = ["title", "makes", "needs", "versions", "inputs"];

/// What a recipe gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// A folder of files.
    Files,
    /// An image in the Docker engine, and a folder of files.
    Image,
}

/// What the head of a `build` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name of its folder.
    pub name: String,
    /// What a progress line calls it.
    pub title: String,
    /// What it gives.
    pub makes: Makes,
    /// Recipes that must be finished first.
    pub needs: Vec<String>,
    /// Keys of `kind/versions.toml`.
    pub versions: Vec<String>,
    /// Further files or folders of the repository, relative to its root.
    pub inputs: Vec<String>,
}

impl Recipe {
    /// Reads the head of a recipe's `build`: the comment lines before its first line of code.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(name: &str, text: &str) -> Result<Recipe, Problems> {
        let mut problems = Problems::new();
        let file = format!("{FOLDER}/{name}/build");
        let mut declared: BTreeMap<&str, &str> = BTreeMap::new();
        for (number, line) in text.lines().enumerate().take_while(|(_, line)| line.starts_with('#')) {
            let Some((key, value)) = line[1..].trim_start().split_once(':') else { continue };
            if let Some(known) = KEYS.iter().find(|known| **known == key) {
                if declared.insert(known, value.trim()).is_some() {
                    let place = format!("{file}:{}", number + 1);
                    problems.push(place, format!("`{key}` is declared twice"), "one line, with spaces between items");
                }
            } else if let Some(meant) = nearest(key, KEYS) {
                problems.push(format!("{file}:{}", number + 1), format!("`{key}` is no key"), format!("`{meant}`"));
            }
        }
        let title = declared.get("title").copied().unwrap_or_default();
        if title.is_empty() {
            problems.push(&file, "`title` is missing", "# title: what a progress line calls it");
        }
        let makes = match declared.get("makes").copied() {
            Some("files") => Makes::Files,
            Some("image") => Makes::Image,
            other => {
                let message = match other {
                    Some(other) => format!("`makes: {other}` is nothing that a recipe can make"),
                    None => "`makes` is missing".to_string(),
                };
                problems.push(&file, message, "# makes: files, or # makes: image");
                Makes::Files
            }
        };
        let list = |key: &str| -> Vec<String> {
            declared.get(key).into_iter().flat_map(|value| value.split_whitespace()).map(str::to_string).collect()
        };
        problems.or(Recipe {
            name: name.to_string(),
            title: title.to_string(),
            makes,
            needs: list("needs"),
            versions: list("versions"),
            inputs: list("inputs"),
        })
    }
}

/// Names of recipes, each after all that it needs.
///
/// # Errors
/// A need that is no recipe, or recipes that need each other in a circle.
pub fn order(recipes: &BTreeMap<String, Recipe>) -> Result<Vec<String>, Problems> {
    let mut problems = Problems::new();
    for recipe in recipes.values() {
        for need in recipe.needs.iter().filter(|need| !recipes.contains_key(*need)) {
            let names: Vec<&str> = recipes.keys().map(String::as_str).collect();
            let instead = match nearest(need, names.iter().copied()) {
                Some(meant) => format!("`{meant}`"),
                None => format!("one of the recipes: {}", any_of(&names)),
            };
            problems.push(format!("{FOLDER}/{}/build", recipe.name), format!("there is no recipe `{need}`"), instead);
        }
    }
    let recipes = problems.or(recipes)?;
    let (mut done, mut path) = (Vec::new(), Vec::new());
    for name in recipes.keys() {
        visit(name, recipes, &mut done, &mut path)?;
    }
    Ok(done)
}

fn visit<'a>(
    name: &'a str,
    recipes: &'a BTreeMap<String, Recipe>,
    done: &mut Vec<String>,
    path: &mut Vec<&'a str>,
) -> Result<(), Problem> {
    if done.iter().any(|other| other == name) {
        return Ok(());
    }
    if let Some(at) = path.iter().position(|other| *other == name) {
        let circle = [&path[at..], &[name]].concat().join(" needs ");
        let place = format!("{FOLDER}/{name}/build");
        return Err(Problem::new(place, format!("recipes need each other: {circle}"), "drop one of these needs"));
    }
    path.push(name);
    for need in &recipes[name].needs {
        visit(need, recipes, done, path)?;
    }
    path.pop();
    done.push(name.to_string());
    Ok(())
}

/// A recipe with the versions that were picked: what is to be there, under which hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What its head declares.
    pub recipe: Recipe,
    /// The folder of its `build`.
    pub folder: PathBuf,
    /// The first 12 hex digits of a SHA-256 over everything that decides what comes out.
    pub hash: String,
    /// Version key to value.
    pub versions: BTreeMap<String, String>,
    /// Programs that its scripts ask for.
    pub programs: BTreeSet<String>,
    /// Whether its scripts ask to be root.
    pub root: bool,
}

impl Wanted {
    /// `NAME-HASH`, as its folders are called.
    pub fn id(&self) -> String {
        format!("{}-{}", self.recipe.name, self.hash)
    }

    /// The image that it leaves in the engine, if it makes one.
    pub fn image(&self) -> Option<String> {
        (self.recipe.makes == Makes::Image).then(|| format!("meshproof/{}:{}", self.recipe.name, self.hash))
    }

    /// Whether it compiles, and so takes every core.
    pub fn compiles(&self) -> bool {
        self.programs.contains("go") || self.programs.contains("cargo")
    }
}

/// All recipes of a repository.
#[derive(Debug, Clone)]
pub struct Recipes {
    root: PathBuf,
    recipes: BTreeMap<String, Recipe>,
    order: Vec<String>,
}

impl Recipes {
    /// Reads the head of every `kind/recipes/*/build` below `root`.
    ///
    /// # Errors
    /// Every mistake in them, and needs that cannot be met.
    pub fn read(root: &Path) -> Result<Recipes, Problems> {
        let folder = root.join(FOLDER);
        let mut problems = Problems::new();
        let mut recipes = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?.flatten() {
            let build = entry.path().join("build");
            if !build.is_file() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = fs::read_to_string(&build).map_err(|error| unreadable(&build, &error))?;
            if let Some(recipe) = problems.keep(Recipe::parse(&name, &text)) {
                recipes.insert(name, recipe);
            }
        }
        let recipes = problems.or(recipes)?;
        let order = order(&recipes)?;
        Ok(Recipes { root: root.to_path_buf(), recipes, order })
    }

    /// Whether there is a recipe of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.recipes.contains_key(name)
    }

    /// These recipes and all that they need (all recipes for no names), each after its needs, with their hashes.
    ///
    /// # Errors
    /// Names that are no recipes, version keys of no component, inputs that cannot be read.
    pub fn wanted(&self, picked: &Picked, names: &[&str]) -> Result<Vec<Wanted>, Problems> {
        let mut problems = Problems::new();
        for name in names.iter().filter(|name| !self.recipes.contains_key(**name)) {
            let known: Vec<&String> = self.recipes.keys().collect();
            problems.push(FOLDER, format!("there is no recipe `{name}`"), format!("one of {}", any_of(&known)));
        }
        let mut closure: BTreeSet<&str> = names.iter().copied().collect();
        for name in self.order.iter().rev() {
            if names.is_empty() || closure.contains(name.as_str()) {
                closure.insert(name);
                closure.extend(self.recipes[name].needs.iter().map(String::as_str));
            }
        }
        let mut all: Vec<Wanted> = Vec::new();
        let mut hashes: BTreeMap<&str, String> = BTreeMap::new();
        for name in self.order.iter().filter(|name| closure.contains(name.as_str())) {
            match self.want(&self.recipes[name], picked, &hashes) {
                Ok(wanted) => {
                    hashes.insert(name, wanted.hash.clone());
                    all.push(wanted);
                }
                Err(Problems(more)) => problems.0.extend(more),
            }
        }
        problems.or(all)
    }

    fn want(&self, recipe: &Recipe, picked: &Picked, hashes: &BTreeMap<&str, String>) -> Result<Wanted, Problems> {
        let place = format!("{FOLDER}/{}/build", recipe.name);
        let mut problems = Problems::new();
        for key in recipe.versions.iter().filter(|key| !picked.has_component(key)) {
            let message = format!("`{key}` is no key of {}", crate::versions::FILE);
            problems.push(&place, message, "a component of [defaults], or COMPONENT.FIELD");
        }
        let mut hasher = Hasher::new();
        // Programs are for this kind of machine: two that share a cache must not share them.
        hasher.field(std::env::consts::ARCH);
        let own = format!("{FOLDER}/{}", recipe.name);
        let (mut programs, mut root) = (BTreeSet::new(), false);
        for input in [own.as_str(), LIBRARY].into_iter().chain(recipe.inputs.iter().map(String::as_str)) {
            let path = self.root.join(input);
            let files = match files(&path) {
                Ok(files) => files,
                Err(error) => {
                    let message = format!("its input {input} cannot be read: {error}");
                    problems.push(&place, message, "a file or folder, relative to the repository's root");
                    continue;
                }
            };
            hasher.field(input).field(files.len().to_le_bytes());
            for file in files {
                let relative = file.strip_prefix(&path).unwrap_or(&file);
                let content = Content::read(&file).map_err(|error| unreadable(&file, &error))?;
                hasher.field(relative.to_string_lossy().as_bytes()).field([content.kind]).field(&content.bytes);
                if relative == Path::new("build") || file.extension().is_some_and(|extension| extension == "sh") {
                    let text = String::from_utf8_lossy(&content.bytes);
                    let lines = || text.lines().map(str::trim);
                    let calls = lines().filter_map(|line| line.strip_prefix("need_tools "));
                    programs.extend(calls.flat_map(str::split_whitespace).map(str::to_string));
                    root |= lines().any(|line| line == "need_root");
                }
            }
        }
        let versions: BTreeMap<String, String> =
            recipe.versions.iter().map(|key| (key.clone(), picked.value(key))).collect();
        for (key, value) in &versions {
            hasher.field("version").field(key).field(value);
        }
        for need in &recipe.needs {
            // A need with a problem has no hash; then this one is not asked for its own.
            hasher.field("need").field(need).field(hashes.get(need.as_str()).map_or("", String::as_str));
        }
        let hash = hasher.finish()[..12].to_string();
        let folder = self.root.join(own);
        problems.or(Wanted { recipe: recipe.clone(), folder, hash, versions, programs, root })
    }
}

/// A hash over fields of any content: each goes in with its length, so that none can pass for two.
struct Hasher(Sha256);

impl Hasher {
    fn new() -> Self {
        Hasher(Sha256::new())
    }

    fn field(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.update((bytes.as_ref().len() as u64).to_le_bytes());
        self.0.update(bytes.as_ref());
        self
    }

    fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}

/// What a file is, as far as a build can tell.
struct Content {
    /// `l` for a symbolic link, `x` for a program, `f` for any other file.
    kind: u8,
    bytes: Vec<u8>,
}

impl Content {
    fn read(path: &Path) -> io::Result<Content> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            let target = fs::read_link(path)?;
            return Ok(Content { kind: b'l', bytes: target.into_os_string().into_encoded_bytes() });
        }
        let kind = if metadata.permissions().mode() & 0o111 == 0 { b'f' } else { b'x' };
        Ok(Content { kind, bytes: fs::read(path)? })
    }
}

/// The files below a path, or the path itself, in order. What Cargo leaves in `target` is no input.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.file_name() != "target") {
        found.extend(files(&entry.path())?);
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(path.display().to_string(), format!("cannot be read: {error}"), "a whole copy of the repository")
}
