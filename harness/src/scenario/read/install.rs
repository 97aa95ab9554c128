//! Where a scenario follows the guide otherwise.

use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use serde_json::Value;

use super::fields::joined;
use super::{Reader, Refusal};
use crate::problem::{all_of, any_of, nearest};
use crate::role::Role;
use crate::sabotage::PLANNED;
use crate::scenario::{Ca, ExternalIstiod, InstallWish, ManifestWish, names, value};

impl Reader<'_> {
    pub(super) fn install(&mut self, install: &MarkedMappingNode) {
        self.fields("install", install, &["externalIstiod", "ca", "revision", "tag", "without", "manifests"]);
        let external_istiod =
            self.read("install", install, "externalIstiod", |text| one_of(text, ExternalIstiod::NAMES));
        let ca = self.read("install", install, "ca", |text| one_of(text, Ca::NAMES));
        let revision = self.read("install", install, "revision", |text| {
            names::check_revision(text)?;
            Ok(text.to_string())
        });
        let tag = self.tag_of(install, revision.as_deref());
        let (external_istiod, ca) = (external_istiod.unwrap_or_default(), ca.unwrap_or_default());
        // What is left out may be a step that these add.
        self.scenario.install = InstallWish { external_istiod, ca, revision, tag, ..InstallWish::default() };
        let without = self.texts("install", install, "without");
        let without = without.iter().filter_map(|node| self.step_of(node)).collect();
        let manifests = self.list("install", install, "manifests");
        let manifests = manifests.iter().enumerate();
        let manifests =
            manifests.filter_map(|(index, node)| self.manifest(&format!("install.manifests[{index}]"), node)).collect();
        let install = InstallWish { without, manifests, ..self.scenario.install.clone() };
        for wish in install.manifests.iter().filter(|wish| install.without.iter().any(|step| step == wish.step())) {
            let message = format!("step {} is left out, and {} goes with it", wish.step(), wish.object());
            let place = self.tree.places().get("install.manifests").cloned().unwrap_or_default();
            self.tree.problems.push(place, message, "another step for the manifest, or the step not under `without`");
        }
        self.scenario.install = install;
    }

    /// The tag of the revision that is installed.
    fn tag_of(&mut self, install: &MarkedMappingNode, revision: Option<&str>) -> Option<String> {
        let said = install.get_node("revision").is_some();
        self.read("install", install, "tag", |text| {
            names::check_tag(text)?;
            if !said {
                let instead = "`revision: canary` beside it; without one, istioctl sets tag `default` by itself";
                return Err((format!("tag `{text}` stands for no revision"), instead.to_string()));
            }
            if revision == Some(text) {
                let message = format!("`{text}` is the revision already, and a tag has another name");
                return Err((message, "`prod`; or leave it out, and namespaces ask by the revision".to_string()));
            }
            Ok(text.to_string())
        })
    }

    fn step_of(&mut self, node: &MarkedScalarNode) -> Option<String> {
        let step = self.step_id(node.as_str());
        self.refused(node, |_| step.clone())
    }

    fn manifest(&mut self, path: &str, node: &Node) -> Option<ManifestWish> {
        let wish = self.as_mapping(path, node, "`after: primary-install`, `cluster: primary` and `manifest:`")?;
        self.fields(path, &wish, &["before", "after", "cluster", "manifest"]);
        let [before, after] = ["before", "after"].map(|key| {
            let node = self.text(path, &wish, key)?;
            self.step_of(&node)
        });
        let place = self.tree.place(node.span());
        let said = ["before", "after"].into_iter().filter(|key| wish.get_node(key).is_some()).count();
        if said != 1 {
            let found = if said == 0 { "neither `before` nor `after`" } else { "`before` and `after`" };
            self.tree.problems.push(place.clone(), format!("`{path}` has {found}"), "one of them, with a step");
        }
        let cluster = self.role(path, &wish, &place);
        let manifest = self.mapping(path, &wish, "manifest");
        if wish.get_node("manifest").is_none() {
            self.tree.problems.push(place, format!("`{path}.manifest` is missing"), "an object, as in a manifest");
        }
        let manifest = Node::Mapping(manifest?);
        self.variables(&manifest, &PLANNED);
        let manifest = self.object(&joined(path, "manifest"), &manifest)?;
        Some(ManifestWish { before, after, cluster: cluster?, manifest })
    }

    pub(super) fn role(&mut self, path: &str, node: &MarkedMappingNode, place: &str) -> Option<Role> {
        let names = Role::ALL.map(Role::as_str);
        if node.get_node("cluster").is_none() {
            self.tree.problems.push(place, format!("`{path}.cluster` is missing"), any_of(&names));
        }
        self.read(path, node, "cluster", |text| {
            let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
            found.ok_or_else(|| (format!("`{text}` is no cluster of the guide"), any_of(&names)))
        })
    }

    /// An object of Kubernetes, as far as a file alone can tell.
    pub(super) fn object(&mut self, path: &str, node: &Node) -> Option<Value> {
        let object = value::of(node);
        let fields = ["/apiVersion", "/kind", "/metadata/name"];
        let said = |field: &&str| object.pointer(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let missing: Vec<String> =
            fields.iter().filter(|field| !said(field)).map(|field| field[1..].replace('/', ".")).collect();
        if missing.is_empty() {
            return Some(object);
        }
        let message = format!("`{path}` has no text for {}", all_of(&missing));
        self.tree.problems.push(self.tree.place(node.span()), message, "one object, as `kubectl apply` takes it");
        None
    }

    /// Refuses `${NAME}` that stands for nothing.
    pub(super) fn variables(&mut self, node: &Node, known: &[&str]) {
        match node {
            Node::Scalar(scalar) => {
                for (at, _) in scalar.as_str().match_indices("${") {
                    let name = scalar.as_str()[at + 2..].split('}').next().unwrap_or_default();
                    if !known.contains(&name) {
                        let instead = match nearest(name, known.iter().copied()) {
                            Some(meant) => format!("`${{{meant}}}`"),
                            None => format!("one of these: {}", all_of(known)),
                        };
                        let place = self.tree.place(scalar.span());
                        self.tree.problems.push(place, format!("`${{{name}}}` stands for nothing here"), instead);
                    }
                }
            }
            Node::Sequence(items) => items.iter().for_each(|item| self.variables(item, known)),
            Node::Mapping(fields) => fields.values().for_each(|value| self.variables(value, known)),
        }
    }
}

/// The value of this name.
fn one_of<T, const N: usize>(text: &str, names: [(&'static str, T); N]) -> Result<T, Refusal> {
    let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let instead = any_of(&known);
    let found = names.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| value).ok_or_else(|| (format!("`{text}` is no way to do it"), instead))
}
