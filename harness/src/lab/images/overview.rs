//! All versions that are known side by side: what each goes with, what is there of it, and which go together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use super::origin::{Image, Machine};
use super::store::{self, There};
use super::{ImageError, LAB, Site, is_built, official, pull, release, upkeep};
use crate::lab::engine::Engine;
use crate::lab::recipe::{Recipes, Wanted};
use crate::lab::state::Home;
use crate::report::text::columns;
use crate::versions::{self, Component, Versions};

/// What can be told of the versions that are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// A row for each version: Istio's first, and the newest of each first.
    pub rows: Vec<VersionRow>,
    /// Every version of Istio on every version of Kubernetes, in the same order.
    pub pairs: Vec<Pair>,
    /// Whether an engine could be asked.
    pub engine: bool,
}

/// One version of one component.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRow {
    /// The component.
    pub component: Component,
    /// The version.
    pub version: String,
    /// Whether it is taken if nobody says otherwise.
    pub is_default: bool,
    /// What it goes with: `Envoy 1.39.3`.
    pub with: String,
    /// What is there of what is built here for this component alone.
    pub built: BuiltParts,
    /// What is known of its official images.
    pub official: OfficialImages,
}

/// What is there of the recipes that make one version of one component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuiltParts {
    /// Recipes that there are.
    pub all: usize,
    /// Recipes whose result is there.
    pub there: usize,
    /// Recipes whose files are there, and of whose image the engine would have to be asked.
    pub untold: usize,
    /// Bytes of files and images that are there.
    pub bytes: u64,
}

/// What is known of the official images of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfficialImages {
    /// They are there.
    Present,
    /// They are known by this digest, and can be pulled by it.
    Digest(String),
    /// They are pulled by their tag from this registry.
    Tag(String),
    /// Nothing is written down: they may be there to be pulled, or nobody may publish any.
    Unknown,
}

/// A version of Istio on a version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The version of Istio.
    pub istio: String,
    /// The version of Kubernetes.
    pub kubernetes: String,
    /// Whether Istio's own table of supported versions has it, if that is written down.
    pub supported: Option<bool>,
    /// Whether a lab of it needs nothing built or pulled; nothing without an engine.
    pub ready: Option<bool>,
}

/// What can be told of all versions that are known; without a `site` nothing of what only its engine knows.
///
/// # Errors
/// [`ImageError`] when recipes, the cache or the engine cannot be read.
pub async fn overview(
    home: &Home,
    root: &Path,
    versions: &Versions,
    site: Option<&Site<'_>>,
) -> Result<Overview, ImageError> {
    let shelf =
        Shelf { cache: &home.cache, recipes: Recipes::read(root)?, versions, engine: site.map(|site| site.engine) };
    let mut rows = Vec::new();
    for component in Component::ALL {
        for version in versions.known(component) {
            let built = shelf.built(component, &version).await?;
            let official = shelf.official(component, &version).await?;
            let is_default = versions.default_of(component) == version;
            let with = goes_with(versions, component, &version);
            rows.push(VersionRow { component, version, is_default, with, built, official });
        }
    }
    let mut pairs = Vec::new();
    for kubernetes in versions.known(Component::Kubernetes) {
        for istio in versions.known(Component::Istio) {
            let picked = versions.picked(&[(Component::Istio, &istio), (Component::Kubernetes, &kubernetes)]);
            let ready = match site {
                // What cannot be told shows again where it is used.
                Some(site) => {
                    let site = Site { picked: &picked, ..*site };
                    Some(is_built(&site).await || official::is_present(&site).await.unwrap_or(false))
                }
                None => None,
            };
            let supported = versions.supports(&istio, &kubernetes);
            pairs.push(Pair { istio, kubernetes: kubernetes.clone(), supported, ready });
        }
    }
    Ok(Overview { rows, pairs, engine: site.is_some() })
}

fn goes_with(versions: &Versions, component: Component, version: &str) -> String {
    let named: &[(&str, &str)] = match component {
        Component::Istio => &[("Envoy", "envoy")],
        Component::Kubernetes => &[("etcd", "etcd"), ("CoreDNS", "coredns")],
    };
    let one = |(name, field): &(&str, &str)| {
        let version = versions.field(component, version, field).first();
        format!("{name} {}", version.map_or("not known", String::as_str))
    };
    named.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Where what is there of a version is looked for.
struct Shelf<'a> {
    cache: &'a Path,
    recipes: Recipes,
    versions: &'a Versions,
    engine: Option<&'a Engine>,
}

impl Shelf<'_> {
    /// What is there of the recipes for a lab that this component decides and the other does not.
    async fn built(&self, component: Component, version: &str) -> Result<BuiltParts, ImageError> {
        let wanted = self.recipes.wanted(&self.versions.picked(&[(component, version)]), &LAB)?;
        let deciding = deciding(&wanted);
        let mut parts = BuiltParts::default();
        for one in wanted.iter().filter(|one| deciding[&one.recipe.name] == BTreeSet::from([component])) {
            parts.all += 1;
            match store::there(self.cache, one, self.engine).await? {
                There::Yes(bytes) => {
                    parts.there += 1;
                    parts.bytes += bytes;
                }
                There::Untold(bytes) => {
                    parts.untold += 1;
                    parts.bytes += bytes;
                }
                There::No => {}
            }
        }
        Ok(parts)
    }

    async fn official(&self, component: Component, version: &str) -> Result<OfficialImages, ImageError> {
        let Ok(machine) = Machine::this() else { return Ok(OfficialImages::Unknown) };
        let picked = self.versions.picked(&[(component, version)]);
        let (images, known) = match component {
            Component::Kubernetes => {
                let image = Image::node(version);
                let digest = official::published(&picked, &image);
                (Some(vec![image]), digest.map(OfficialImages::Digest))
            }
            Component::Istio => {
                // Only the release itself can say which images it wants.
                let [istio, _] = official::assets(&picked, machine);
                let release = istio.present(self.cache);
                let hub = picked.value("istio.hub");
                let images = release.map(|release| release::images(&release)).transpose()?;
                (images, (!hub.is_empty()).then_some(OfficialImages::Tag(hub)))
            }
        };
        if let (Some(images), Some(engine)) = (images, self.engine) {
            let mut all = true;
            for image in &images {
                all &= pull::present(engine, image, &machine.platform()).await?.is_some();
            }
            if all {
                return Ok(OfficialImages::Present);
            }
        }
        Ok(known.unwrap_or(OfficialImages::Unknown))
    }
}

/// The components on whose version each recipe depends, by its own keys and those of all that it needs.
fn deciding(wanted: &[Wanted]) -> BTreeMap<String, BTreeSet<Component>> {
    let mut deciding: BTreeMap<String, BTreeSet<Component>> = BTreeMap::new();
    // Needs stand before what needs them.
    for one in wanted {
        let keys = one.recipe.versions.iter().map(|key| key.split('.').next().unwrap_or(key));
        let mut components: BTreeSet<Component> = keys.filter_map(|key| Component::named(key).ok()).collect();
        components.extend(one.recipe.needs.iter().filter_map(|need| deciding.get(need)).flatten());
        deciding.insert(one.recipe.name.clone(), components);
    }
    deciding
}

impl BuiltParts {
    fn say(&self) -> String {
        let size = upkeep::bytes(self.bytes);
        match (self.there, self.untold) {
            (0, 0) => "not built".to_string(),
            (there, _) if there == self.all => format!("built, {size}"),
            (there, untold) if there + untold == self.all => format!("files built, {size}"),
            (there, untold) => format!("{} of {} parts, {size}", there + untold, self.all),
        }
    }
}

impl OfficialImages {
    fn say(&self) -> String {
        match self {
            OfficialImages::Present => "present".to_string(),
            OfficialImages::Digest(_) => "to be pulled by digest".to_string(),
            OfficialImages::Tag(hub) => format!("to be pulled by tag from {hub}"),
            OfficialImages::Unknown => "not known".to_string(),
        }
    }
}

impl Pair {
    fn say(&self) -> String {
        let supported = match self.supported {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        };
        let ready = if self.ready == Some(true) { ", ready" } else { "" };
        format!("{supported}{ready}")
    }
}

/// The overview, for people.
pub fn print_overview(overview: &Overview) -> String {
    let heads = ["component", "version", "", "goes with", "built here", "official images"];
    let mut lines = vec![heads.map(str::to_string).to_vec()];
    for row in &overview.rows {
        let default = if row.is_default { "default" } else { "" };
        let component = row.component.key().to_string();
        let cells = [component, row.version.clone(), default.to_string(), row.with.clone()];
        lines.push([cells.as_slice(), &[row.built.say(), row.official.say()]].concat());
    }
    let mut text = columns(&lines);
    let known = |component| overview.rows.iter().filter(move |row| row.component == component);
    let mut lines = vec![vec!["supported".to_string()]];
    lines[0].extend(known(Component::Istio).map(|row| format!("Istio {}", row.version)));
    for row in known(Component::Kubernetes) {
        let pairs = overview.pairs.iter().filter(|pair| pair.kubernetes == row.version);
        lines.push(std::iter::once(row.version.clone()).chain(pairs.map(Pair::say)).collect());
    }
    let _ = writeln!(text, "\n{}", columns(&lines));
    let _ =
        writeln!(text, "supported: whether the table that Istio publishes has this Kubernetes ({})", versions::FILE);
    let _ = match overview.engine {
        true => writeln!(text, "ready: a lab of the two needs nothing built or pulled"),
        false => writeln!(text, "no Docker engine answers: what is in one is not known"),
    };
    text
}
