//! The moments of an upgrade: another control plane, tags, and the traffic meanwhile.

use std::collections::BTreeMap;

use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};

use super::{Reader, Refusal};
use crate::lab::Revision;
use crate::problem::{any_of, nearest};
use crate::role::Role;
use crate::scenario::{IstiodWish, Moment, TagWish, TrafficWish, names};
use crate::versions::Component;

/// Refuses a revision that is not among these control planes.
pub(super) fn among(text: &str, control_planes: &BTreeMap<String, String>) -> Result<String, Refusal> {
    if control_planes.contains_key(text) {
        return Ok(text.to_string());
    }
    let known: Vec<&str> = control_planes.keys().map(String::as_str).collect();
    let instead = match nearest(text, known.iter().copied()) {
        Some(meant) => format!("`{meant}`"),
        None => format!("{}, or `istiod` before it", any_of(&known)),
    };
    Err((format!("no control plane of revision `{text}` is installed here"), instead))
}

/// Names of the moments of [`Scenario::upgrades`](crate::scenario::Scenario::upgrades).
const OF_AN_UPGRADE: [&str; 5] = ["istiod", "tag", "eastWestGateway", "uninstall", "traffic"];

impl Reader<'_> {
    /// Refuses the moments of an upgrade in a mesh of several remotes.
    pub(super) fn of_one_remote(&mut self, key: &MarkedScalarNode) {
        if OF_AN_UPGRADE.contains(&key.as_str()) && self.scenario.clusters.remotes().len() > 1 {
            let message = format!("`{}` is not known for a mesh of several remotes", key.as_str());
            self.tree.problems.push(self.tree.place(key.span()), message, "one entry of `clusters.remotes`");
        }
    }

    fn control_planes(&self) -> BTreeMap<String, String> {
        self.scenario.control_planes(self.scenario.timeline.len())
    }

    pub(super) fn istiod(&mut self, path: &str, node: &Node) -> Option<IstiodWish> {
        let wish = self.as_mapping(path, node, "`istio: 1.31.1` and `revision: 1-31-1`")?;
        self.fields(path, &wish, &["istio", "revision"]);
        self.all_said(path, node, &wish, &["istio", "revision"]);
        let versions = self.known.versions;
        let istio =
            self.read(path, &wish, "istio", |text| versions.check(Component::Istio, text).map(|()| text.to_string()));
        let (there, own, tags) = (
            self.control_planes(),
            self.scenario.install.revision(),
            Role::ALL.map(|role| self.scenario.tags_in(role)),
        );
        let revision = self.read(path, &wish, "revision", |text| {
            names::check_revision(text)?;
            if text == own.name() {
                let message = format!("revision `{text}` is the one that the install makes");
                return Err((message, "another name for the second control plane".to_string()));
            }
            if there.contains_key(text) {
                let instead = format!("`uninstall: {text}` before it");
                return Err((format!("revision `{text}` is installed already"), instead));
            }
            if tags.iter().any(|tags| tags.contains(text)) {
                return Err((
                    format!("`{text}` is a tag already"),
                    "another name: tags and revisions are told by it".to_string(),
                ));
            }
            Ok(text.to_string())
        });
        Some(IstiodWish { istio: istio?, revision: revision? })
    }

    pub(super) fn tag(&mut self, path: &str, node: &Node) -> Option<TagWish> {
        let wish = self.as_mapping(path, node, "`cluster: primary`, `name: default` and `revision: 1-31-1`")?;
        self.fields(path, &wish, &["cluster", "name", "revision"]);
        self.all_said(path, node, &wish, &["name", "revision"]);
        let place = self.tree.place(node.span());
        let cluster = self.role(path, &wish, &place);
        let there = self.control_planes();
        let name = self.read(path, &wish, "name", |text| {
            names::check_tag(text)?;
            match there.contains_key(text) && text != Revision::default().name() {
                true => Err((format!("`{text}` is a revision already"), "another name, such as `prod`".to_string())),
                false => Ok(text.to_string()),
            }
        });
        let revision = self.read(path, &wish, "revision", |text| among(text, &there));
        Some(TagWish { cluster: cluster?, name: name?, revision: revision? })
    }

    /// A revision that is installed at this moment.
    pub(super) fn installed_revision(&self, text: &str) -> Result<String, Refusal> {
        among(text, &self.control_planes())
    }

    /// A revision that can be uninstalled at this moment.
    pub(super) fn further_revision(&self, text: &str) -> Result<String, Refusal> {
        if text == self.scenario.install.revision().name() {
            let instead = "`scale` to 0 replicas, or leave it to the clean-up, which takes all of Istio";
            return Err((format!("revision `{text}` is the one that the install makes"), instead.to_string()));
        }
        self.installed_revision(text)
    }

    pub(super) fn traffic(&mut self, path: &str, key: &MarkedScalarNode, node: &Node) -> Option<Moment> {
        let now = self.scenario.has_traffic(self.scenario.timeline.len());
        let wish = self.one(path, key, node, |_, text| {
            let found = TrafficWish::NAMES.into_iter().find(|(name, _)| *name == text);
            let Some((_, wish)) = found else {
                return Err((
                    format!("`{text}` is nothing that traffic does"),
                    any_of(&TrafficWish::NAMES.map(|(name, _)| name)),
                ));
            };
            match (wish, now) {
                (TrafficWish::Start, true) => {
                    Err(("there is traffic already".to_string(), "`traffic: stop` before it".to_string()))
                }
                (TrafficWish::Stop, false) => {
                    Err(("there is no traffic".to_string(), "`traffic: start` before it".to_string()))
                }
                _ => Ok(wish),
            }
        })?;
        if wish == TrafficWish::Stop && !matches!(self.scenario.timeline.last(), Some(Moment::Judge(_))) {
            let message = "what the traffic loses after the last round is told by none";
            self.tree.problems.push(self.tree.place(node.span()), message, "a `judge` right before it");
        }
        Some(Moment::Traffic(wish))
    }

    /// Refuses a timeline whose traffic never ends.
    pub(super) fn traffic_is_judged(&mut self) {
        if self.scenario.has_traffic(self.scenario.timeline.len()) {
            let place = self.tree.places().get("timeline").cloned().unwrap_or_default();
            let instead = "a `judge` and `traffic: stop` at its end";
            self.tree.problems.push(place, "the traffic that the timeline starts is never stopped", instead);
        }
    }

    fn all_said(&mut self, path: &str, node: &Node, wish: &MarkedMappingNode, keys: &[&str]) {
        for key in keys.iter().filter(|key| wish.get_node(key).is_none()) {
            let place = self.tree.place(node.span());
            self.tree.problems.push(place, format!("`{path}.{key}` is missing"), format!("a line `{key}: ...`"));
        }
    }
}
