//! What Istio is installed by: a release with its istioctl, or a candidate's istioctl and images on top of one.

use std::path::PathBuf;

use super::step::StepError;
use crate::context::Context;

/// What one version of Istio is installed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distribution {
    /// The unpacked release: `samples/`.
    pub release: PathBuf,
    /// Its istioctl.
    pub istioctl: PathBuf,
    /// The hub and tag that istioctl is told, where it would take others by itself.
    pub hub_and_tag: Option<(String, String)>,
}

impl Distribution {
    /// That of the Istio under test.
    pub fn of_lab(context: &Context) -> Distribution {
        let file = &context.lab.file;
        let (release, istioctl) = (file.release.clone(), file.istioctl());
        Distribution { release, istioctl, hub_and_tag: file.hub_and_tag.clone() }
    }

    /// That of a version which the lab has: its own, or one that the timeline brings.
    ///
    /// # Errors
    /// [`StepError`] where the lab has no such version.
    pub fn of(context: &Context, version: &str) -> Result<Distribution, StepError> {
        let file = &context.lab.file;
        if file.scenario.istio == version {
            return Ok(Distribution::of_lab(context));
        }
        let lacks = || StepError(format!("the lab was made without Istio {version}: make it anew by this scenario"));
        let release = file.further.get(version).ok_or_else(lacks)?.release.clone();
        let istioctl = release.join("bin/istioctl");
        Ok(Distribution { release, istioctl, hub_and_tag: None })
    }
}
