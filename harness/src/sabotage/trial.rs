//! What one sabotage came to: what was expected of each clause, and what it said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Layer, Sabotage};
use crate::check::{self, Verdict};
use crate::report::summary::Summary;

/// What one check of the whole catalogue said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Got {
    /// Name of each clause's verdict, in the order of the catalogue.
    pub verdicts: Vec<(String, String)>,
    /// Cause line of each clause that did not pass.
    pub causes: BTreeMap<String, String>,
    /// Hint of each red clause that has one.
    pub hints: BTreeMap<String, String>,
    /// The first broken layer that a red clause names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken: BTreeMap<String, check::Layer>,
    /// Clauses that passed only at the second attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<String>,
}

impl Got {
    /// Reads it from the events of a check.
    pub fn of(summary: &Summary) -> Got {
        let mut got = Got::default();
        for case in &summary.cases {
            let id = case.outline.id.clone();
            let name = case.verdict_name();
            got.verdicts.push((id.clone(), name.to_string()));
            if case.flaky() {
                got.flaky.push(id.clone());
            }
            let Some(verdict) = case.verdict.as_ref().filter(|verdict| !verdict.is_passed()) else { continue };
            got.causes.insert(id.clone(), verdict.cause());
            if let Verdict::Failed { finding } = verdict {
                got.hints.extend(finding.hint.iter().map(|hint| (id.clone(), hint.clone())));
                got.broken.extend(finding.broken.iter().map(|broken| (id.clone(), broken.layer)));
            }
        }
        got
    }

    /// Clauses that are neither passed nor left out on purpose, each with why.
    pub fn not_green(&self) -> Vec<String> {
        let fine = |verdict: &str| matches!(verdict, "passed" | "skipped");
        let bad = self.verdicts.iter().filter(|(_, verdict)| !fine(verdict));
        bad.map(|(id, verdict)| {
            let why = self.causes.get(id).map(String::as_str).unwrap_or_default();
            format!("{id} is {verdict}: {why}")
        })
        .collect()
    }
}

/// What one sabotage came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Id of the sabotage.
    pub id: String,
    /// What was broken.
    pub what: String,
    /// Where.
    pub layer: Layer,
    /// What each clause that shall not pass must say.
    pub expected: BTreeMap<String, String>,
    /// What the check said on the broken lab.
    pub got: Got,
    /// The clause whose cause and hint must have the expected words.
    pub first: String,
    /// Seconds from the first act to the last verdict.
    pub to_verdict: f64,
    /// Seconds of all of it, with mending and the check after that.
    pub seconds: f64,
    /// What is otherwise than expected, one line each.
    pub misses: Vec<String>,
    /// What was not green after everything was put back, one line each.
    pub unmended: Vec<String>,
}

impl Trial {
    /// Whether the suite said what it should, and was green again afterwards.
    pub fn is_as_expected(&self) -> bool {
        self.misses.is_empty() && self.unmended.is_empty()
    }

    /// The cause line of the first clause; empty where it passed.
    pub fn cause(&self) -> &str {
        self.got.causes.get(&self.first).map_or("", String::as_str)
    }

    /// Judges what a check said against what the sabotage expects; `fill` puts in the names of the lab.
    pub fn judge(sabotage: &Sabotage, got: Got, fill: impl Fn(&str) -> String) -> Trial {
        let mut expected = BTreeMap::new();
        for (clauses, verdict) in
            [(&sabotage.red, "failed"), (&sabotage.blocked, "blocked"), (&sabotage.untold, "inconclusive")]
        {
            expected.extend(clauses.iter().map(|id| (id.clone(), verdict.to_string())));
        }
        let mut misses = Vec::new();
        for (id, verdict) in got.verdicts.iter().filter(|(_, verdict)| verdict != "skipped") {
            let wanted = expected.get(id).map_or("passed", String::as_str);
            if verdict != wanted {
                let why = got.causes.get(id).map(|cause| format!(": {cause}")).unwrap_or_default();
                misses.push(format!("{id} is {verdict}, not {wanted}{why}"));
            }
        }
        let judged = |id: &str| got.verdicts.iter().any(|(other, verdict)| other == id && verdict != "skipped");
        misses.extend(expected.keys().filter(|id| !judged(id)).map(|id| format!("{id} is not judged")));
        let first = sabotage.first().to_string();
        for (what, words, said) in [("cause", &sabotage.cause, &got.causes), ("hint", &sabotage.hint, &got.hints)] {
            let said = said.get(&first).map(String::as_str).unwrap_or_default();
            let lacks = |word: &&String| !said.to_lowercase().contains(&fill(word).to_lowercase());
            let missing = words.iter().filter(lacks);
            misses.extend(missing.map(|word| format!("the {what} of {first} lacks `{}`: {said}", fill(word))));
        }
        let named = got.broken.get(&first).copied();
        if sabotage.broken_layer.is_some() && named != sabotage.broken_layer {
            let name = |layer: Option<check::Layer>| layer.map_or("none", check::Layer::name);
            misses.push(format!(
                "the first broken layer that {first} names is {}, not {}",
                name(named),
                name(sabotage.broken_layer)
            ));
        }
        Trial {
            id: sabotage.id.clone(),
            what: fill(&sabotage.what),
            layer: sabotage.layer,
            expected,
            got,
            first,
            to_verdict: 0.0,
            seconds: 0.0,
            misses,
            unmended: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Got, Trial};
    use crate::sabotage::{Layer, Sabotage};

    fn sabotage() -> Sabotage {
        let list = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        Sabotage {
            id: "x".to_string(),
            what: "x".to_string(),
            layer: Layer::Network,
            threads: Vec::new(),
            after: Default::default(),
            without: Vec::new(),
            remote_namespace: None,
            acts: Vec::new(),
            holds_off: None,
            mend: Vec::new(),
            red: list(&["D1"]),
            blocked: list(&["D2"]),
            untold: Vec::new(),
            cause: list(&["${CLUSTER1}"]),
            hint: list(&["kubectl"]),
            broken_layer: None,
        }
    }

    fn got(verdicts: [&str; 3], cause: &str, hint: &str) -> Got {
        let ids = ["D1", "D2", "D3"].map(str::to_string);
        Got {
            verdicts: ids.into_iter().zip(verdicts.map(str::to_string)).collect(),
            causes: [("D1".to_string(), cause.to_string())].into(),
            hints: [("D1".to_string(), hint.to_string())].into(),
            ..Got::default()
        }
    }

    #[rstest]
    #[case::as_expected(got(["failed", "blocked", "passed"], "Cluster1 is ill", "kubectl get"), 0)]
    #[case::not_noticed(got(["passed", "blocked", "passed"], "cluster1", "kubectl"), 1)]
    #[case::red_where_it_should_be_blocked(got(["failed", "failed", "passed"], "cluster1", "kubectl"), 1)]
    #[case::red_elsewhere_too(got(["failed", "blocked", "failed"], "cluster1", "kubectl"), 1)]
    #[case::for_another_reason(got(["failed", "blocked", "passed"], "cluster9", "kubectl"), 1)]
    #[case::without_the_hint(got(["failed", "blocked", "passed"], "cluster1", "")  , 1)]
    #[case::could_not_tell(got(["inconclusive", "blocked", "passed"], "cluster1", "kubectl"), 1)]
    fn every_clause_cause_and_hint_must_be_as_listed(#[case] got: Got, #[case] misses: usize) {
        let trial = Trial::judge(&sabotage(), got, |text| text.replace("${CLUSTER1}", "cluster1"));
        assert_eq!(trial.misses.len(), misses, "{:?}", trial.misses);
    }
}
