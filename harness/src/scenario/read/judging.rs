//! Which checks are asked, and the verdicts that are expected of them.

use std::collections::BTreeMap;

use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};

use super::Reader;
use super::fields::{joined, one_of};
use super::upgrade;
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
            let id = key.as_str();
            let under_traffic = id == traffic::ID && path != "expect";
            let known = ids.contains(&id) || under_traffic;
            let place = self.tree.place(key.span());
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
            let path = joined(path, id);
            let verdicts = match value.as_mapping() {
                Some(by_istio) => Some(Expected::ByIstio(self.by_istio(&path, by_istio))),
                None => self.verdict(&path, key, value).map(Expected::Always),
            };
            if let (true, Some(verdicts)) = (known, verdicts) {
                expected.insert(id.to_string(), verdicts);
            }
        }
        expected
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
        if self.known.steps.iter().any(|step| step == text) {
            return Ok(text.to_string());
        }
        let instead = match nearest(text, self.known.steps.iter().map(String::as_str)) {
            Some(meant) => format!("`{meant}`"),
            None => any_of(self.known.steps),
        };
        Err((format!("`{text}` is no step of the install"), instead))
    }
}
