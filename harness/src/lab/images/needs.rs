//! What a lab of official images needs, as a list for people who mirror it: known without engine, network or cache.

use std::fmt::Write;

use super::official::{assets, published};
use super::origin::{Image, Machine, Origins};
use super::record::Records;
use super::{ImageError, official};
use crate::lab::state::Home;
use crate::problem::Problems;
use crate::versions::Picked;

/// What stands where a digest is not known.
const UNKNOWN: &str = "-";

/// One line for each image (`image NAME DIGEST`) and each file (`file URL DIGEST`), with where the digest is from.
///
/// # Errors
/// [`ImageError`] where nobody publishes for this machine, or the cache cannot be read.
pub fn print_needs(home: &Home, picked: &Picked, origins: &Origins) -> Result<String, ImageError> {
    let machine = Machine::this().map_err(Problems::from)?;
    let records = Records::read(&home.cache)?;
    let [istio, kind] = assets(picked, machine);
    let fetched = istio.present(&home.cache);
    let images = match &fetched {
        Some(release) => official::needed(picked, Some(release))?,
        None => expected(picked),
    };
    let mut text = String::new();
    for image in images {
        let platform = machine.platform();
        let (digest, from) = match (published(picked, &image), records.get(&image, &platform)) {
            (Some(digest), _) => (digest, "as kind publishes it".to_string()),
            (None, Some(record)) => (
                record.digest.clone(),
                format!("as it was had from {} on {}", record.from, record.when.strftime("%Y-%m-%d")),
            ),
            (None, None) if fetched.is_none() && image.host.is_empty() => {
                (UNKNOWN.to_string(), "its registry stands in the release".to_string())
            }
            (None, None) => (UNKNOWN.to_string(), "nobody publishes it; noted at the first pull".to_string()),
        };
        let name = origins.of_image(&image);
        let _ = writeln!(text, "image {} {digest} {from}", name.trim_start_matches('/'));
    }
    for asset in [istio, kind] {
        let url = format!("{}/{}", origins.releases, asset.path);
        let sum = asset.present(&home.cache).and_then(|present| present.manifest.fetched);
        let sum = sum.map_or(UNKNOWN.to_string(), |fetched| format!("sha256:{}", fetched.sha256));
        let _ = writeln!(text, "file {url} {sum} as the next file says");
        let _ = writeln!(text, "file {}/{} {UNKNOWN} its checksum", origins.releases, asset.checksum);
    }
    Ok(text)
}

/// The images of a release that is not here to be asked, by the hub that releases of this version are known to name.
fn expected(picked: &Picked) -> Vec<Image> {
    let (hub, tag) = (picked.value("istio.hub"), picked.value("istio"));
    let mut images = vec![Image::node(&picked.value("kubernetes"))];
    images.extend(["pilot", "proxyv2"].map(|name| match hub.as_str() {
        "" => Image { host: String::new(), path: name.to_string(), tag: tag.clone() },
        hub => Image::parse(&format!("{hub}/{name}:{tag}")),
    }));
    images
}
