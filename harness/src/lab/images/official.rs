//! A lab of official things: kindest/node and the images of the Istio release pulled by name, the release itself and kind
//! fetched, and one image layer over them, so that no node needs a copy of its own at each run.

use std::collections::BTreeMap;
use std::time::Instant;

use super::build::Workshop;
use super::origin::{Image, Machine};
use super::record::{Record, Records};
use super::release::{self, Asset, Kind};
use super::store::Present;
use super::{Built, IMAGES, ImageError, Site, ensure_recipes, finished, pull, required};
use crate::event::Event;
use crate::lab::host::Host;
use crate::lab::recipe::Recipes;
use crate::lab::state::Home;
use crate::versions::Picked;

/// The recipe of the layer over official images.
pub(super) const LAYER: &str = "official-node";

/// The recipes whose results a lab of official images uses.
pub(super) const RECIPES: [&str; 2] = [LAYER, "workload"];

/// Where the recipe of kind puts its program.
const KIND_OF_RECIPE: &str = "bin/kind";

/// Keys of what the layer is made of, beside [`crate::versions::FILE`]'s own.
const NODE: &str = "official.node";
const ISTIO: &str = "official.istio";
const RESTRICTED: &str = "official.restricted";

/// Files of releases that a lab of these versions needs.
pub(super) fn assets(picked: &Picked, machine: Machine) -> [Asset; 2] {
    [Asset::istio(&picked.value("istio"), machine), Asset::kind(&picked.value("kind"), machine)]
}

/// As [`assets`], for this machine; none where nobody publishes for it.
pub(super) fn assets_of(site: &Site<'_>) -> Vec<Asset> {
    Machine::this().map(|machine| assets(site.picked, machine).to_vec()).unwrap_or_default()
}

/// What there is of a lab, before anything is pulled or built.
struct Found {
    release: Option<Present>,
    kind: Option<Kind>,
    /// The node's image and those of the release, with what is known of each and whether the engine has it now.
    images: Vec<(Image, Option<Record>, bool)>,
    records: Records,
}

impl Found {
    async fn look(site: &Site<'_>, machine: Machine) -> Result<Found, ImageError> {
        let [istio, kind] = assets(site.picked, machine);
        let platform = machine.platform();
        let release = istio.present(&site.home.cache);
        let mut kind = release::present_kind(site, &kind).await;
        if kind.is_none() {
            kind = kind_recipe(site).await?;
        }
        let records = Records::read(&site.home.cache)?;
        let mut images = Vec::new();
        for image in needed(site.picked, release.as_ref())? {
            let known = records.get(&image, &platform).cloned();
            let now = pull::present(site.engine, &image, &platform).await?;
            let there = now.is_some();
            // What is known of this very image also says from where it came.
            let known = known.filter(|known| now.as_ref().is_none_or(|now| now.id == known.id));
            images.push((image, known.or(now), there));
        }
        Ok(Found { release, kind, images, records })
    }

    /// All records, if everything is known.
    fn known(&self) -> Option<Vec<Record>> {
        self.release.as_ref()?;
        self.images.iter().map(|(_, record, _)| record.clone()).collect()
    }

    /// Whether everything is there and only a layer may have to be built.
    async fn is_complete(&self, site: &Site<'_>) -> Result<bool, ImageError> {
        let Some(records) = self.known() else { return Ok(false) };
        Ok(self.kind.is_some() && (self.images.iter().all(|(_, _, there)| *there) || has_layer(site, &records).await?))
    }
}

/// The images that a lab needs: the node's, and those of the release as far as it is there to be asked.
pub(super) fn needed(picked: &Picked, release: Option<&Present>) -> Result<Vec<Image>, ImageError> {
    let mut images = vec![Image::node(&picked.value("kubernetes"))];
    if let Some(release) = release {
        images.extend(release::images(release)?);
    }
    Ok(images)
}

/// The digest that kind publishes for the node image of this version, if it is written down.
pub(super) fn published(picked: &Picked, image: &Image) -> Option<String> {
    let digest = picked.value("kubernetes.node");
    (*image == Image::node(&picked.value("kubernetes")) && !digest.is_empty()).then_some(digest)
}

/// The versions together with what the layer is made of.
fn with_images(picked: &Picked, records: &[Record], restricted: bool) -> Picked {
    let line = |record: &Record| format!("{}@{}", record.image, record.digest);
    let istio: Vec<String> = records.iter().skip(1).map(line).collect();
    let restricted = if restricted { "yes" } else { "no" };
    picked.with([
        (NODE.to_string(), records.first().map(line).unwrap_or_default()),
        (ISTIO.to_string(), istio.join("\n")),
        (RESTRICTED.to_string(), restricted.to_string()),
    ])
}

/// The versions with what the layer was last made of, if that is known without asking the engine.
pub(super) fn as_recorded(home: &Home, picked: &Picked, host: &Host) -> Option<Picked> {
    let machine = Machine::this().ok()?;
    let [istio, _] = assets(picked, machine);
    let release = istio.present(&home.cache)?;
    let records = Records::read(&home.cache).ok()?;
    let platform = machine.platform();
    let images = needed(picked, Some(&release)).ok()?;
    let known: Option<Vec<Record>> = images.iter().map(|image| records.get(image, &platform).cloned()).collect();
    Some(with_images(picked, &known?, host.restricted()))
}

async fn has_layer(site: &Site<'_>, records: &[Record]) -> Result<bool, ImageError> {
    let picked = with_images(site.picked, records, site.host.restricted());
    let wanted = Recipes::read(site.root)?.wanted(&picked, &RECIPES)?;
    let present = super::look(&site.home.cache, &wanted, site.engine).await?;
    Ok(required(&wanted, &present, &RECIPES).is_empty())
}

/// kind as our recipe made it, if it did.
async fn kind_recipe(site: &Site<'_>) -> Result<Option<Kind>, ImageError> {
    let wanted = Recipes::read(site.root)?.wanted(site.picked, &["kind"])?;
    let mut present = super::look(&site.home.cache, &wanted, site.engine).await?;
    Ok(present.remove("kind").map(|kind| Kind::kept(kind, KIND_OF_RECIPE)))
}

/// Whether a lab needs nothing from the network; a layer over what is there may still have to be built.
pub(super) async fn is_present(site: &Site<'_>) -> Result<bool, ImageError> {
    let Ok(machine) = Machine::this() else { return Ok(false) };
    Found::look(site, machine).await?.is_complete(site).await
}

/// What a lab needs of the cache, the names of what it needs of the engine, and what is known of them; nothing unless all
/// of it is there.
pub(super) async fn holdings(site: &Site<'_>) -> Result<Option<(Vec<Present>, Vec<String>, Records)>, ImageError> {
    let Ok(machine) = Machine::this() else { return Ok(None) };
    let found = Found::look(site, machine).await?;
    let (Some(known), Some(kind), Some(release)) = (found.known(), found.kind, found.release) else { return Ok(None) };
    let picked = with_images(site.picked, &known, site.host.restricted());
    let wanted = Recipes::read(site.root)?.wanted(&picked, &RECIPES)?;
    let mut present = super::look(&site.home.cache, &wanted, site.engine).await?;
    present.retain(|name, _| RECIPES.contains(&name.as_str()));
    if present.len() != RECIPES.len() {
        return Ok(None);
    }
    // The user's own kind is none of the cache's: the release's goes into an archive, so it has to be there.
    let kind = match kind.kept {
        Some(kept) => kept,
        None => {
            let [_, asset] = assets(site.picked, machine);
            match asset.present(&site.home.cache) {
                Some(kept) => kept,
                None => release::fetch_kind(site, &asset).await?.kept.expect("what is fetched is kept"),
            }
        }
    };
    // A layer that is there holds the images that it was made of; where the engine still has them, it can be made again.
    let mut images: Vec<String> =
        found.images.iter().filter(|(_, _, there)| *there).map(|(image, ..)| image.to_string()).collect();
    images.extend(present.values().filter_map(|one| one.image.clone()));
    let mut records = Records::default();
    for record in known {
        records.learn(record);
    }
    Ok(Some(([release, kind].into_iter().chain(present.into_values()).collect(), images, records)))
}

/// Makes sure that everything is there: pulls and fetches what is missing, and builds the layer.
///
/// `required` is whether a failure to get something is one of the run; if not, the caller goes on otherwise and says so.
pub(super) async fn ensure(site: &Site<'_>, is_required: bool) -> Result<Built, ImageError> {
    let began = Instant::now();
    let machine = Machine::this().map_err(crate::problem::Problems::from)?;
    let title = "Official images are looked for".to_string();
    site.recorder.emit(Event::LabStarted { id: IMAGES.to_string(), title });
    let had = async {
        let found = Found::look(site, machine).await?;
        if found.is_complete(site).await? {
            let known = found.known().unwrap_or_default();
            // What the engine had already is written down too, so that another image of this name is noticed later.
            learn(site, found.records, &known)?;
            return Ok((found.release, found.kind, known, 0));
        }
        let workshop = Workshop::of(site);
        let _lock = workshop.lock().await?;
        get(site, machine).await
    }
    .await;
    let (release, kind, records) = match had {
        Ok((Some(release), kind, records, pulled)) => {
            let detail =
                if pulled == 0 { "official, all present".to_string() } else { format!("official, {pulled} pulled") };
            finished(site.recorder, &detail, None, began);
            (release, kind, records)
        }
        Ok(_) => unreachable!("a release that is missing is fetched or an error"),
        Err(error) => {
            let told = is_required || !error.is_out_of_reach();
            let detail = if told { "" } else { "to be built here" };
            finished(site.recorder, detail, told.then(|| crate::check::verdict::chain(&error)), began);
            return Err(error);
        }
    };
    for record in &records {
        note_other_than_published(site, record);
    }
    let kind = match kind {
        Some(kind) => kind,
        None => {
            let mut built = ensure_recipes(site, site.picked, &["kind"]).await?;
            built.remove("kind").map(|kind| Kind::kept(kind, KIND_OF_RECIPE)).expect("what is ensured is there")
        }
    };
    let picked = with_images(site.picked, &records, site.host.restricted());
    let present = ensure_recipes(site, &picked, &RECIPES).await?;
    Ok(built(site, release, kind, &records, &present))
}

/// kind publishes node images for some versions of Kubernetes only, so a missing one is no fault of the registry.
fn with_versions_of_kind(error: ImageError, image: &Image) -> ImageError {
    match error {
        ImageError::Pull { image: name, why, hint }
            if image.path == "kindest/node" && hint.contains("no such image") =>
        {
            let hint =
                format!("{hint}; kind publishes only some versions: those with `node` in {}", crate::versions::FILE);
            ImageError::Pull { image: name, why, hint }
        }
        other => other,
    }
}

/// What the engine has under an official name is used as it is; it is said if that is not what its publisher names.
fn note_other_than_published(site: &Site<'_>, record: &Record) {
    let image = &record.image;
    let Some(published) = published(site.picked, &Image::parse(image)) else { return };
    // An image that came without a digest cannot be compared.
    if record.digest != published && record.digest != record.id {
        let has = format!("{image} is {}, and kind publishes {published} for it", record.digest);
        site.recorder.note(format!("{has}; `docker image rm {image}` has it pulled again"));
    }
}

/// Fetches and pulls what is missing; also says how many images were pulled.
async fn get(
    site: &Site<'_>,
    machine: Machine,
) -> Result<(Option<Present>, Option<Kind>, Vec<Record>, usize), ImageError> {
    let [istio, kind_asset] = assets(site.picked, machine);
    let release = release::istio(&site.files(), &istio).await?;
    // Whoever had the lock may have got what was missing; and now the release can say which images it wants.
    let Found { images, kind, mut records, .. } = Found::look(site, machine).await?;
    let (mut known, mut pulled) = (Vec::new(), 0);
    for (image, record, there) in images {
        let record = match record.filter(|_| there) {
            Some(record) => record,
            None => {
                let published = published(site.picked, &image);
                let platform = machine.platform();
                pulled += 1;
                let got = pull::pull(
                    site.engine,
                    &image,
                    published.as_deref(),
                    &platform,
                    site.origins,
                    site.budgets,
                    |line| site.progress(line),
                );
                let got = got.await.map_err(|error| with_versions_of_kind(error, &image))?;
                // Each is written down at once: what follows may fail.
                records = learn(site, records, std::slice::from_ref(&got))?;
                got
            }
        };
        known.push(record);
    }
    learn(site, records, &known)?;
    let kind = match kind {
        Some(kind) => Some(kind),
        None => match release::fetch_kind(site, &kind_asset).await {
            Ok(kind) => Some(kind),
            Err(error) => {
                let why = crate::check::verdict::chain(&error).replace('\n', "; ");
                site.recorder.note(format!("kind is built here from its Go module: {why}"));
                None
            }
        },
    };
    Ok((Some(release), kind, known, pulled))
}

fn learn(site: &Site<'_>, mut records: Records, new: &[Record]) -> Result<Records, ImageError> {
    let before = records.clone();
    for record in new {
        if let Some(change) = records.learn(record.clone()) {
            site.recorder.note(change);
        }
    }
    if records != before {
        records.write(&site.home.cache)?;
    }
    Ok(records)
}

fn built(
    site: &Site<'_>,
    release: Present,
    kind: Kind,
    records: &[Record],
    present: &BTreeMap<String, Present>,
) -> Built {
    let image = |name: &str| present[name].image.clone().unwrap_or_default();
    let mut digests: BTreeMap<String, String> =
        records.iter().map(|record| (record.image.clone(), record.digest.clone())).collect();
    for one in present.values() {
        digests.extend(one.manifest.images.clone());
    }
    for one in [Some(&release), kind.kept.as_ref()].into_iter().flatten() {
        if let Some(fetched) = &one.manifest.fetched {
            digests.insert(one.manifest.title.clone(), format!("sha256:{}", fetched.sha256));
        }
    }
    let mut from: Vec<&str> = records.iter().map(|record| record.from.as_str()).collect();
    from.sort_unstable();
    from.dedup();
    let proxy = records.iter().map(|record| record.proxy.as_str()).find(|proxy| !proxy.is_empty());
    Built {
        node_image: image(LAYER),
        workload_image: image("workload"),
        istioctl: release.folder.join("bin/istioctl"),
        hub_and_tag: None,
        release: release.folder,
        kind: kind.program,
        digests,
        source: format!("official, from {}", from.join(", ")),
        data_plane: data_plane(&site.picked.value("istio"), proxy.unwrap_or_default()),
        further: BTreeMap::new(),
    }
}

/// What serves the data plane, by what the proxy's image says of itself: an image under Istio's name may hold upstream
/// Envoy all the same, and then istiod must not configure Istio's own filters.
pub fn data_plane(istio: &str, proxy: &str) -> String {
    match proxy.split_once(':') {
        Some(("envoy", version)) => format!("upstream Envoy {version}, in what was pulled as Istio's proxyv2 {istio}"),
        Some((_, commit)) => {
            let short: String = commit.chars().take(12).collect();
            format!("Istio's own proxyv2 {istio} (istio-proxy {short})")
        }
        None => format!("Istio's proxyv2 {istio}, which does not say of what it was built"),
    }
}
