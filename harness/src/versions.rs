//! `kind/versions.toml`: the versions that are known, and what each is made of.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problems, all_of, any_of, nearest};
use crate::scenario::Scenario;

mod component;
pub mod entry;
pub mod istio;
pub mod kubernetes;
pub mod modules;

pub use component::{Component, Release};
pub use entry::Entry;

/// The name that problems give the file.
pub const FILE: &str = "kind/versions.toml";

const DEFAULTS: &str = "defaults";

/// So many known versions are named to who asks for one that is not.
const NEIGHBOURS: usize = 3;

/// A field of a version: the lines of its value, one for a string.
type Fields = BTreeMap<String, Vec<String>>;

/// All that the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    defaults: BTreeMap<String, String>,
    tables: BTreeMap<String, BTreeMap<String, Fields>>,
}

impl Versions {
    /// Reads the file's text, and names every mistake with its line.
    pub fn parse(text: &str) -> Result<Versions, Problems> {
        let table = DeTable::parse(text).map_err(|error| {
            let mut problems = Problems::new();
            let place = place(text, error.span().unwrap_or_default());
            let message = error.message().lines().next().unwrap_or_default().to_string();
            problems.push(place, format!("this is not TOML: {message}"), "a table, or a line `key = \"value\"`");
            problems.quoting(FILE, text)
        })?;
        let read = Reader { text, problems: Problems::new() }.read(table.get_ref());
        read.map_err(|problems| problems.quoting(FILE, text))
    }

    /// Versions that can be built, in the file's own spelling, the newest first.
    pub fn known(&self, component: Component) -> Vec<String> {
        let table = self.tables.get(component.key());
        let mut known: Vec<String> = table.into_iter().flat_map(|table| table.keys().cloned()).collect();
        // What is not written as a version comes last.
        known.sort_by_cached_key(|version| std::cmp::Reverse(component.release(version).ok()));
        known
    }

    /// The version that is taken if a scenario says nothing.
    pub fn default_of(&self, component: Component) -> &str {
        &self.defaults[component.key()]
    }

    /// The Kubernetes version that is taken if a scenario says nothing.
    pub fn default_kubernetes(&self) -> &str {
        self.default_of(Component::Kubernetes)
    }

    /// The Istio version that is taken if a scenario says nothing.
    pub fn default_istio(&self) -> &str {
        self.default_of(Component::Istio)
    }

    /// A field of a version: one item a line, nothing if the field is not there.
    pub fn field(&self, component: Component, version: &str, field: &str) -> &[String] {
        let fields = self.tables.get(component.key()).and_then(|table| table.get(version));
        fields.and_then(|fields| fields.get(field)).map_or(&[], Vec::as_slice)
    }

    /// Whether this version of Istio supports this version of Kubernetes, by the table that Istio publishes; nothing if
    /// that is not written down.
    pub fn supports(&self, istio: &str, kubernetes: &str) -> Option<bool> {
        let lines = self.field(Component::Istio, istio, "supports");
        let line = Component::Kubernetes.release(kubernetes).ok()?.line();
        (!lines.is_empty()).then(|| lines.contains(&line))
    }

    /// Whether a version is known.
    ///
    /// # Errors
    /// What is wrong with it, and what to write or do instead.
    pub fn check(&self, component: Component, version: &str) -> Result<(), (String, String)> {
        let mut known = self.known(component);
        if known.iter().any(|one| one == version) {
            return Ok(());
        }
        let message = format!("{component} `{version}` is not known");
        let bare = |version: &str| version.trim_start_matches('v').to_string();
        if let Some(meant) = known.iter().find(|one| bare(one) == bare(version)) {
            return Err((message, format!("`{meant}`")));
        }
        let Some((written, wanted)) = component.meant(version) else { return Err((message, any_of(&known))) };
        let distance = |one: &String| component.release(one).ok().map(|one| wanted.distance(&one));
        known.sort_by_key(distance);
        known.truncate(NEIGHBOURS);
        let add = format!("`meshproof versions add {} {written}`", component.key());
        Err((message, format!("{}; or add it: {add}", any_of(&known))))
    }

    /// One version of each component: the scenario's, and the default where a scenario cannot choose.
    pub fn pick(&self, scenario: &Scenario) -> Picked {
        let of = |istio| self.picked(&[(Component::Istio, istio), (Component::Kubernetes, &scenario.kubernetes)]);
        let further = scenario.further_istio().into_iter().map(|istio| (istio.to_string(), of(istio))).collect();
        let envoy = scenario.envoy.iter().map(|envoy| ("istio.envoy".to_string(), envoy.clone()));
        Picked { further, ..of(&scenario.istio).with(envoy) }
    }

    /// One version of each component: these, and the default of all others.
    pub fn picked(&self, wanted: &[(Component, &str)]) -> Picked {
        let mut versions = self.defaults.clone();
        versions.extend(wanted.iter().map(|(component, version)| (component.key().to_string(), version.to_string())));
        let mut values = BTreeMap::new();
        for (component, version) in versions {
            let fields = self.tables.get(&component).and_then(|table| table.get(&version));
            for (field, lines) in fields.into_iter().flatten() {
                values.insert(format!("{component}.{field}"), lines.join("\n"));
            }
            values.insert(component, version);
        }
        // What official images are is learnt when they are pulled; until then the component is known, and empty.
        values.insert("official".to_string(), String::new());
        // Nor does any file know what a candidate is.
        values.insert("candidate".to_string(), String::new());
        Picked { values, flags: String::new(), further: BTreeMap::new() }
    }
}

/// One version of each component, by the keys that recipes use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    values: BTreeMap<String, String>,
    flags: String,
    further: BTreeMap<String, Picked>,
}

impl Picked {
    /// Notes the flags by which a command picks these versions again.
    pub fn by_flags(mut self, flags: impl Into<String>) -> Picked {
        self.flags = flags.into();
        self
    }

    /// A command that works on these versions.
    pub fn command(&self, command: &str) -> String {
        if self.flags.is_empty() { command.to_string() } else { format!("{command} {}", self.flags) }
    }

    /// The value of `kubernetes` (a version) or `istio.replace` (a field of that version): a list has one item a line,
    /// and a field that is not there is empty.
    pub fn value(&self, key: &str) -> String {
        self.values.get(key).cloned().unwrap_or_default()
    }

    /// The same with further values, which no file knows beforehand.
    pub fn with(&self, more: impl IntoIterator<Item = (String, String)>) -> Picked {
        let mut values = self.values.clone();
        values.extend(more);
        Picked { values, ..self.clone() }
    }

    /// Versions of Istio that come beside the first one, each with what it is made of.
    pub fn further(&self) -> &BTreeMap<String, Picked> {
        &self.further
    }

    /// Whether the key's component is one of the file: if not, the key is misspelt rather than empty.
    pub fn has_component(&self, key: &str) -> bool {
        let component = key.split_once('.').map_or(key, |(component, _)| component);
        self.values.contains_key(component)
    }
}

struct Reader<'a> {
    text: &'a str,
    problems: Problems,
}

impl Reader<'_> {
    fn read(mut self, file: &DeTable<'_>) -> Result<Versions, Problems> {
        let mut defaults = BTreeMap::new();
        let mut picked_at = BTreeMap::new();
        match file.get(DEFAULTS).and_then(|entry| entry.get_ref().as_table()) {
            Some(table) => {
                for (name, version) in table {
                    let name = name.get_ref().to_string();
                    picked_at.insert(name.clone(), version.span());
                    if let Some(version) = self.string(&format!("defaults.{name}"), version) {
                        defaults.insert(name, version);
                    }
                }
            }
            None => {
                self.problems.push(FILE, "the table [defaults] is missing", "[defaults] with a version a component")
            }
        }
        let mut tables = BTreeMap::new();
        for (name, entry) in file {
            let component = name.get_ref().to_string();
            if component == DEFAULTS {
                continue;
            }
            if !picked_at.contains_key(&component) {
                let known: Vec<&str> = picked_at.keys().map(String::as_str).collect();
                let instead = match nearest(&component, known.iter().copied()) {
                    Some(meant) => format!("`{meant}`"),
                    None => format!("a component that [defaults] names: {}", all_of(&known)),
                };
                self.complain(name.span(), format!("`{component}` is no component"), instead);
                continue;
            }
            if let Some(versions) = self.table(&component, entry) {
                tables.insert(component, versions);
            }
        }
        for component in ["kubernetes", "istio"] {
            if !defaults.contains_key(component) && file.contains_key(DEFAULTS) && !picked_at.contains_key(component) {
                self.problems.push(
                    FILE,
                    format!("[defaults] names no {component}"),
                    format!("{component} = \"VERSION\""),
                );
            }
            tables.entry(component.to_string()).or_default();
        }
        for (component, versions) in &tables {
            let Some(version) = defaults.get(component) else { continue };
            if !versions.contains_key(version) {
                let known: Vec<&str> = versions.keys().map(String::as_str).collect();
                let message = format!("{component} {version} has no table of its own");
                let instead = format!("[{component}.\"{version}\"], or one of the versions there: {}", all_of(&known));
                self.complain(picked_at[component].clone(), message, instead);
            }
        }
        self.problems.or(Versions { defaults, tables })
    }

    /// The table of one component: a table of fields for each of its versions.
    fn table(&mut self, component: &str, entry: &Spanned<DeValue<'_>>) -> Option<BTreeMap<String, Fields>> {
        let Some(table) = entry.get_ref().as_table() else {
            self.complain(entry.span(), format!("`{component}` is not a table"), format!("[{component}.\"VERSION\"]"));
            return None;
        };
        let mut versions = BTreeMap::new();
        for (version, fields) in table {
            let path = format!("{component}.\"{}\"", version.get_ref());
            let Some(entries) = fields.get_ref().as_table() else {
                self.complain(version.span(), format!("`{path}` is not a table"), format!("[{path}]"));
                continue;
            };
            let mut lines = Fields::new();
            for (field, value) in entries {
                let path = format!("{path}.{}", field.get_ref());
                let items = match value.get_ref().as_array() {
                    Some(list) => list.iter().filter_map(|item| self.string(&path, item)).collect(),
                    None => self.string(&path, value).into_iter().collect(),
                };
                lines.insert(field.get_ref().to_string(), items);
            }
            versions.insert(version.get_ref().to_string(), lines);
        }
        Some(versions)
    }

    fn string(&mut self, path: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty()).map(str::to_string);
        if text.is_none() {
            self.complain(
                value.span(),
                format!("`{path}` is not a text"),
                "a version or a name in \"quotes\"".to_string(),
            );
        }
        text
    }

    fn complain(&mut self, span: Range<usize>, message: String, instead: String) {
        self.problems.push(place(self.text, span), message, instead);
    }
}

/// `kind/versions.toml:LINE:COLUMN` of a place in the text.
fn place(text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{FILE}:{line}:{column}")
}
