//! The parts of a timeline by which a control plane is upgraded: another one by revision, a tag that is set to it, and the
//! traffic that goes on meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Scenario};
use crate::lab::Revision;
use crate::role::Role;

/// Another control plane, installed by revision beside those that are there: Istio's canary upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IstiodWish {
    /// Its version of Istio.
    pub istio: String,
    /// Its revision, such as `1-31-1`.
    pub revision: String,
}

/// A revision tag that is set, as by `istioctl tag set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TagWish {
    /// Where.
    pub cluster: Role,
    /// Its name; `default` is what namespaces with `istio-injection=enabled` go by.
    pub name: String,
    /// The revision that it stands for from now on.
    pub revision: String,
}

/// What becomes of the steady traffic across clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TrafficWish {
    /// It begins, and goes on through all that follows; each round judges it too.
    Start,
    /// It ends.
    Stop,
}

impl TrafficWish {
    /// Both, by the names that scenario files use.
    pub const NAMES: [(&'static str, TrafficWish); 2] = [("start", TrafficWish::Start), ("stop", TrafficWish::Stop)];
}

impl Scenario {
    /// The control planes after so many moments of the timeline: version of Istio by revision, the guide's own among them.
    pub fn control_planes(&self, moments: usize) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([(self.install.revision().name().to_string(), self.istio.clone())]);
        for moment in self.timeline.iter().take(moments) {
            match moment {
                Moment::Istiod(wish) => {
                    all.insert(wish.revision.clone(), wish.istio.clone());
                }
                Moment::Uninstall(revision) => {
                    all.remove(revision);
                }
                _ => {}
            }
        }
        all
    }

    /// Names of the revision tags that the install and the timeline set in a cluster, but for the one that every install makes.
    pub fn tags_in(&self, cluster: Role) -> BTreeSet<String> {
        let by_timeline = self.timeline.iter().filter_map(|moment| match moment {
            Moment::Tag(wish) if wish.cluster == cluster => Some(&wish.name),
            _ => None,
        });
        let usual = Revision::default();
        self.install.tag.iter().chain(by_timeline).filter(|tag| *tag != usual.name()).cloned().collect()
    }

    /// Whether there is steady traffic after so many moments of the timeline.
    pub fn has_traffic(&self, moments: usize) -> bool {
        let said = self.timeline.iter().take(moments).rev().find_map(|moment| match moment {
            Moment::Traffic(wish) => Some(*wish),
            _ => None,
        });
        said == Some(TrafficWish::Start)
    }

    /// Whether the timeline has moments that act on the primary and one remote.
    pub fn upgrades(&self) -> bool {
        let is_of_an_upgrade = |moment: &Moment| {
            use Moment::{EastWestGateway, Istiod, Tag, Traffic, Uninstall};
            matches!(moment, Istiod(_) | Tag(_) | EastWestGateway(_) | Uninstall(_) | Traffic(_))
        };
        self.timeline.iter().any(is_of_an_upgrade)
    }

    /// Versions of Istio that the timeline needs beside the first.
    pub fn further_istio(&self) -> Vec<&str> {
        let mut further: Vec<&str> = Vec::new();
        for moment in &self.timeline {
            if let Moment::Istiod(wish) = moment
                && wish.istio != self.istio
                && !further.contains(&wish.istio.as_str())
            {
                further.push(&wish.istio);
            }
        }
        further
    }
}

#[cfg(test)]
mod tests {
    use rstest::{fixture, rstest};

    use super::{IstiodWish, TagWish, TrafficWish};
    use crate::role::Role;
    use crate::scenario::{Moment, Scenario};
    use crate::versions::Versions;

    #[fixture]
    fn upgrade() -> Scenario {
        let versions = Versions::parse(include_str!("../../../kind/versions.toml")).expect("the project's own");
        let mut scenario = Scenario::default_primary_remote(&versions);
        scenario.istio = "1.29.2".to_string();
        let istiod = |istio: &str, revision: &str| {
            Moment::Istiod(IstiodWish { istio: istio.to_string(), revision: revision.to_string() })
        };
        scenario.timeline = vec![
            Moment::Traffic(TrafficWish::Start),
            istiod("1.31.1", "1-31-1"),
            istiod("1.29.2", "again"),
            Moment::Traffic(TrafficWish::Stop),
            Moment::Uninstall("1-31-1".to_string()),
        ];
        scenario
    }

    #[rstest]
    #[case::before(1, &[("default", "1.29.2")])]
    #[case::beside(3, &[("1-31-1", "1.31.1"), ("again", "1.29.2"), ("default", "1.29.2")])]
    #[case::after(5, &[("again", "1.29.2"), ("default", "1.29.2")])]
    fn control_planes_are_those_that_came_and_did_not_go(
        upgrade: Scenario,
        #[case] moments: usize,
        #[case] wanted: &[(&str, &str)],
    ) {
        let found = upgrade.control_planes(moments);
        let found: Vec<_> = found.iter().map(|(revision, istio)| (revision.as_str(), istio.as_str())).collect();
        assert_eq!(found, wanted);
    }

    #[rstest]
    fn only_another_version_has_to_be_brought(upgrade: Scenario) {
        assert_eq!(upgrade.further_istio(), ["1.31.1"]);
    }

    #[rstest]
    fn tags_are_those_of_install_and_timeline_that_no_install_makes(mut upgrade: Scenario) {
        upgrade.install.tag = Some("prod".to_string());
        for name in ["default", "next", "next"] {
            let (name, revision) = (name.to_string(), "again".to_string());
            upgrade.timeline.push(Moment::Tag(TagWish { cluster: Role::Remote, name, revision }));
        }
        let tags = Role::ALL.map(|role| Vec::from_iter(upgrade.tags_in(role)));
        assert_eq!(tags, [vec!["prod"], vec!["next", "prod"]]);
    }

    #[rstest]
    fn traffic_goes_on_from_its_start_to_its_stop(upgrade: Scenario) {
        let told: Vec<bool> = (0..=upgrade.timeline.len()).map(|moments| upgrade.has_traffic(moments)).collect();
        assert_eq!(told, [false, true, true, true, false, false]);
    }
}
