//! The timeline of a scenario.

use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use serde_json::{Map, Value};

use super::fields::joined;
use super::{Reader, Refusal};
use crate::problem::{any_of, nearest};
use crate::sabotage::{Act, VARIABLES};
use crate::scenario::{Moment, Round, timeline, value};

impl Reader<'_> {
    pub(super) fn timeline(&mut self, root: &MarkedMappingNode) {
        for (index, node) in self.list("", root, "timeline").iter().enumerate() {
            let path = format!("timeline[{index}]");
            if let Some(moment) = self.moment(&path, node) {
                self.scenario.timeline.push(moment);
            }
        }
        self.traffic_is_judged();
    }

    fn moment(&mut self, path: &str, node: &Node) -> Option<Moment> {
        let moment = self.as_mapping(path, node, "`pause: 45s`")?;
        let mut fields = moment.iter();
        let (Some((key, value)), None) = (fields.next(), fields.next()) else {
            let message = format!("`{path}` has {} fields", moment.len());
            self.tree.problems.push(self.tree.place(node.span()), message, "one a moment, each after a `-` of its own");
            return None;
        };
        self.of_one_remote(key);
        let path = joined(path, key.as_str());
        match key.as_str() {
            "judge" => self.round_of(&path, value),
            "step" => self.one(&path, key, value, Self::step_id).map(Moment::Step),
            "pause" => self
                .one(&path, key, value, |_, text| timeline::length(text).map(|_| text.to_string()))
                .map(Moment::Pause),
            "sabotage" => self.one(&path, key, value, Self::sabotage_id).map(Moment::Sabotage),
            "putBack" => self.one(&path, key, value, Self::broken_id).map(Moment::PutBack),
            "istiod" => self.istiod(&path, value).map(Moment::Istiod),
            "tag" => self.tag(&path, value).map(Moment::Tag),
            "eastWestGateway" => self.one(&path, key, value, Self::installed_revision).map(Moment::EastWestGateway),
            "uninstall" => self.one(&path, key, value, Self::further_revision).map(Moment::Uninstall),
            "traffic" => self.traffic(&path, key, value),
            act if Act::NAMES.contains(&act) => self.act(&path, act, value).map(Moment::Act),
            other => {
                let names: Vec<&str> = Moment::NAMES.into_iter().chain(Act::NAMES).collect();
                let instead = match nearest(other, names.iter().copied()) {
                    Some(meant) => format!("`{meant}`"),
                    None => any_of(&names),
                };
                self.tree.problems.push(self.tree.place(key.span()), format!("`{other}` cannot be done"), instead);
                None
            }
        }
    }

    fn round_of(&mut self, path: &str, node: &Node) -> Option<Moment> {
        let round = self.round(path, node)?;
        if self.scenario.rounds().any(|Round { name, .. }| *name == round.name) {
            let message = format!("there is a round `{}` already", round.name);
            let place = self.tree.places().get(&joined(path, "name")).cloned().unwrap_or_default();
            self.tree.problems.push(place, message, "a name of its own: reports tell checks by it");
        }
        Some(Moment::Judge(round))
    }

    /// The one text of a moment.
    pub(super) fn one<T: Clone>(
        &mut self,
        path: &str,
        key: &MarkedScalarNode,
        node: &Node,
        check: impl Fn(&Self, &str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let node = self.as_text(path, key, node)?;
        let checked = check(self, node.as_str());
        self.refused(&node, |_| checked.clone())
    }

    fn sabotage_id(&self, text: &str) -> Result<String, Refusal> {
        let usable = self.known.sabotages.iter().filter(|sabotage| sabotage.is_of_a_moment());
        let usable: Vec<&str> = usable.map(|sabotage| sabotage.id.as_str()).collect();
        if !usable.contains(&text) {
            if self.known.sabotages.iter().any(|sabotage| sabotage.id == text) {
                let message = format!("sabotage `{text}` needs an install or a clean-up of its own");
                return Err((message, "`install.without`, or `meshproof prove`".to_string()));
            }
            let instead = match nearest(text, usable) {
                Some(meant) => format!("`{meant}`"),
                None => "an id of `meshproof prove --list`".to_string(),
            };
            return Err((format!("there is no sabotage `{text}`"), instead));
        }
        if self.is_broken(text) {
            return Err((format!("`{text}` is carried out already"), format!("`putBack: {text}` before it")));
        }
        Ok(text.to_string())
    }

    fn broken_id(&self, text: &str) -> Result<String, Refusal> {
        if self.is_broken(text) {
            return Ok(text.to_string());
        }
        Err((format!("`{text}` is not broken here"), format!("`sabotage: {text}` before it")))
    }

    /// Whether a sabotage was carried out and not put back, by the timeline so far.
    fn is_broken(&self, id: &str) -> bool {
        let about = |moment: &&Moment| matches!(moment, Moment::Sabotage(one) | Moment::PutBack(one) if one == id);
        self.scenario.timeline.iter().rfind(about).is_some_and(|moment| matches!(moment, Moment::Sabotage(_)))
    }

    fn act(&mut self, path: &str, name: &str, node: &Node) -> Option<Act> {
        self.variables(node, &VARIABLES);
        if name == "apply"
            && let Some(manifest) = node.as_mapping().and_then(|act| act.get_node("manifest"))
        {
            self.object(&joined(path, "manifest"), manifest)?;
        }
        let act: Result<Act, _> =
            serde_json::from_value(Value::Object(Map::from_iter([(name.to_string(), value::of(node))])));
        act.map_err(|error| {
            let message = format!("`{path}` cannot be used: {error}");
            self.tree.problems.push(
                self.tree.place(node.span()),
                message,
                "CONTRIBUTING.md and the schema have each act",
            );
        })
        .ok()
    }
}
