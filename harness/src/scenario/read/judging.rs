//! Which checks are asked, and the verdicts that are expected of them.

use std::collections::BTreeMap;

use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};

use super::Reader;
use super::fields::{joined, one_of};
use super::upgrade;
use crate::install::per_remote;
use crate::plan::CaseOutline;
use crate::problem::{any_of, nearest};
use crate::scenario::tree::is_repeated;
use crate::scenario::{CheckWish, Expected, Round, VERDICTS, names};
use crate::select::{Selection, select};
use crate::traffic;
use crate::versions::Component;

impl Reader<'_> {
    /// What is judged in the end.
    pub(super) fn judging(&mut self, root: &MarkedMappingNode) {
        let everything = self.known.cases;
        if let Some(checks) = self.mapping("", root, "checks") {
            self.fields("checks", &checks, &["only", "skip"]);
            self.scenario.checks = CheckWish {
                only: self.patterns("checks", &checks, "only"),
                skip: self.patterns("checks", &checks, "skip"),
            };
        }
        let CheckWish { only, skip } = self.scenario.checks.clone();
        let selection = self.selection("checks", everything, &only, &skip);
        if let Some(expect) = self.mapping("", root, "expect") {
            self.scenario.expect = self.expect("expect", &expect, everything, selection.as_ref());
        }
    }

    /// A round of checks within the timeline.
    pub(super) fn round(&mut self, path: &str, node: &Node) -> Option<Round> {
        let round = self.as_mapping(path, node, "`name: late`")?;
        self.fields(path, &round, &["name", "only", "skip", "revision", "expect"]);
        let name = self.read(path, &round, "name", |text| names::check_round_name(text).map(|()| text.to_string()));
        if round.get_node("name").is_none() {
            let message = format!("`{path}.name` is missing");
            self.tree.problems.push(self.tree.place(node.span()), message, "a word for it, such as `name: late`");
        }
        if let Some(name) = name.as_ref().filter(|name| self.further_remotes().contains(name)) {
            let message = format!("a remote is called `{name}` too, and `{name}/D8` would mean both");
            self.tree.problems.push(self.tree.place(node.span()), message, "another name for the round");
        }
        let installed: Vec<CaseOutline> =
            self.known.cases.iter().filter(|case| !case.after_clean_up).cloned().collect();
        let only = self.patterns(path, &round, "only");
        let skip = self.patterns(path, &round, "skip");
        let selection = self.selection(path, &installed, &only, &skip);
        let installed_now = self.scenario.control_planes(self.scenario.timeline.len());
        let revision = self.read(path, &round, "revision", |text| upgrade::among(text, &installed_now));
        let expect = self.mapping(path, &round, "expect");
        let expect = expect.map(|expect| self.expect(&joined(path, "expect"), &expect, &installed, selection.as_ref()));
        Some(Round { name: name?, only, skip, revision, expect: expect.unwrap_or_default() })
    }

    fn further_remotes(&self) -> Vec<String> {
        self.scenario.clusters.remotes().iter().skip(1).map(|wish| wish.name.clone()).collect()
    }

    fn patterns(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Vec<String> {
        self.texts(path, node, key).iter().map(|node| node.as_str().to_string()).collect()
    }

    /// The checks that are asked; what is wrong with `only` and `skip` is said where they stand.
    fn selection(&mut self, path: &str, cases: &[CaseOutline], only: &[String], skip: &[String]) -> Option<Selection> {
        match select(cases, only, skip) {
            Ok(selection) => Some(selection),
            Err(problems) => {
                for mut problem in problems.0 {
                    let field = if problem.place == "--skip" { "skip" } else { "only" };
                    let path = joined(path, field);
                    problem.place = self.tree.places().get(&path).cloned().unwrap_or(path);
                    self.tree.problems.0.push(problem);
                }
                None
            }
        }
    }

    fn expect(
        &mut self,
        path: &str,
        expect: &MarkedMappingNode,
        cases: &[CaseOutline],
        selection: Option<&Selection>,
    ) -> BTreeMap<String, Expected> {
        let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        let mut expected = BTreeMap::new();
        for (key, value) in expect.iter().filter(|(key, _)| !is_repeated(key)) {
            // On a remote after the first a check is told with its name: `cluster3/D8`.
            let (remote, id) = match key.as_str().split_once('/') {
                Some((remote, id)) => (Some(remote), id),
                None => (None, key.as_str()),
            };
            let place = self.tree.place(key.span());
            let further = self.further_remotes();
            if let Some(remote) = remote.filter(|remote| !further.iter().any(|name| name == remote)) {
                let instead = match further.as_slice() {
                    [] => format!("`{id}`: there is one remote"),
                    some => format!("`{id}` for the first remote, or the name of a further one: {}", any_of(some)),
                };
                self.tree.problems.push(place, format!("`{remote}` is no remote after the first"), instead);
                continue;
            }
            let under_traffic = id == traffic::ID && remote.is_none() && path != "expect";
            let known = ids.contains(&id) || under_traffic;
            if !known {
                let by_slug = cases.iter().find(|case| case.slug == id).map(|case| case.id.as_str());
                let after_clean_up = self.known.cases.iter().any(|case| case.id == id);
                let instead = match by_slug.or_else(|| ids.iter().copied().find(|known| known.eq_ignore_ascii_case(id)))
                {
                    Some(meant) => format!("`{meant}`"),
                    None if after_clean_up => {
                        "the `expect` of the whole scenario: it is asked after the clean-up".to_string()
                    }
                    None => format!("the id of a check: {}", any_of(&ids)),
                };
                self.tree.problems.push(place, format!("there is no check `{id}`"), instead);
            } else if under_traffic && !self.scenario.has_traffic(self.scenario.timeline.len()) {
                let instead = "`traffic: start` before it, or no expectation: where nobody calls, nothing is lost";
                self.tree.problems.push(place, "there is no traffic in this round", instead);
            } else if !under_traffic && selection.is_some_and(|selection| !selection.contains(id)) {
                let instead = "it among those that are asked, or no expectation: what is not asked has no verdict";
                self.tree.problems.push(place, format!("{id} is not asked here"), instead);
            }
            let path = joined(path, key.as_str());
            let verdicts = match value.as_mapping() {
                Some(by_istio) => Some(Expected::ByIstio(self.by_istio(&path, by_istio))),
                None => self.verdict(&path, key, value).map(Expected::Always),
            };
            if let (true, Some(verdicts)) = (known, verdicts) {
                expected.insert(key.as_str().to_string(), verdicts);
            }
        }
        expected
    }

    /// What a red check says where it is this scenario's issue: of the checks that are expected to be red alone.
    pub(super) fn symptom(&mut self, root: &MarkedMappingNode) {
        let Some(symptom) = self.mapping("", root, "symptom") else { return };
        let expected: Vec<String> = self.scenario.expected_red().into_iter().map(str::to_string).collect();
        for (key, value) in symptom.iter().filter(|(key, _)| !is_repeated(key)) {
            let id = key.as_str();
            if !expected.iter().any(|red| red == id) {
                let instead = format!("a check of which `failed` is expected: {}", any_of(&expected));
                self.tree.problems.push(
                    self.tree.place(key.span()),
                    format!("{id} is not expected to be red"),
                    instead,
                );
            }
            let Some(node) = self.as_text(&joined("symptom", id), key, value) else { continue };
            let cause = self.refused(&node, |text| match text.chars().any(char::is_alphanumeric) {
                true => Ok(text.to_string()),
                false => {
                    Err((format!("`{text}` says nothing"), "words of its cause line, `*` for the rest".to_string()))
                }
            });
            self.scenario.symptom.extend(cause.map(|cause| (id.to_string(), cause)));
        }
    }

    fn verdict(&mut self, path: &str, key: &MarkedScalarNode, value: &Node) -> Option<String> {
        let node = self.as_text(path, key, value)?;
        self.refused(&node, |text| one_of("a verdict", text, &VERDICTS))
    }

    /// A verdict for each of some versions of Istio.
    fn by_istio(&mut self, path: &str, node: &MarkedMappingNode) -> BTreeMap<String, String> {
        let mut verdicts = BTreeMap::new();
        if node.is_empty() {
            let message = format!("`{path}` names no version");
            self.tree.problems.push(
                self.tree.place(node.span()),
                message,
                "a verdict, or one a version: `{1.29.2: failed}`",
            );
        }
        for (key, value) in node.iter().filter(|(key, _)| !is_repeated(key)) {
            let versions = self.known.versions;
            let known = self.refused(key, |text| versions.check(Component::Istio, text));
            let verdict = self.verdict(&joined(path, key.as_str()), key, value);
            if let (Some(()), Some(verdict)) = (known, verdict) {
                verdicts.insert(key.as_str().to_string(), verdict);
            }
        }
        verdicts
    }

    /// Refuses a name that is no step of the install.
    pub(super) fn step_id(&self, text: &str) -> Result<String, super::Refusal> {
        // Of several remotes each has its own: `remote-install-cluster3`.
        let base = per_remote::base(text, &self.scenario);
        let steps = self.scenario.install.steps(self.known.steps);
        if steps.contains(&base) {
            return Ok(text.to_string());
        }
        let instead = match nearest(text, steps.iter().copied()) {
            Some(meant) => format!("`{meant}`"),
            None => any_of(&steps),
        };
        Err((format!("`{text}` is no step of the install"), instead))
    }
}
