//! Istio that is not a release.

use std::path::PathBuf;

use marked_yaml::types::MarkedMappingNode;

use super::Reader;
use crate::scenario::Candidate;

const CANDIDATE_FIELDS: [&str; 4] = ["hub", "tag", "imagesTar", "istioctl"];

impl Reader<'_> {
    pub(super) fn candidate(&mut self, root: &MarkedMappingNode) {
        const PATH: &str = "candidate";
        let Some(group) = self.mapping("", root, PATH) else { return };
        self.fields(PATH, &group, &CANDIDATE_FIELDS);
        let mut text = |key: &str| self.read(PATH, &group, key, |text| Ok(text.to_string()));
        let (hub, tag) = (text("hub"), text("tag"));
        let [images_tar, istioctl] = ["imagesTar", "istioctl"].map(|key| text(key).map(PathBuf::from));
        self.scenario.candidate = Candidate { hub, tag, images_tar, istioctl };
        for (field, message, instead) in self.scenario.candidate.mistakes() {
            let place = self.tree.places().get(&format!("{PATH}.{field}")).cloned().unwrap_or_else(|| PATH.to_string());
            self.tree.problems.push(place, message, instead);
        }
    }
}
