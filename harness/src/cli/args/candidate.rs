//! Flags that put something of the user's in the place of a release's: images, istioctl, operator files.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::lab::images;
use crate::problem::{Problem, Problems, any_of, nearest};
use crate::role::Role;
use crate::scenario::{ScenarioFile, cluster_fields};

const OVERLAY: &str = "--overlay";

/// What is judged in the place of a release's own.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = "A candidate in the place of a release")]
pub struct CandidateFlags {
    /// Take Istio's images pilot and proxyv2 from this hub, such as registry.example.com/istio: what the Docker engine has
    /// under these names, else they are pulled. Goes with --tag; samples and scripts stay those of --istio.
    #[arg(long, value_name = "HUB")]
    pub hub: Option<String>,
    /// The tag of these images.
    #[arg(long, value_name = "TAG", allow_hyphen_values = true)]
    pub tag: Option<String>,
    /// Take these images from an archive of `docker save`; the engine takes them over, as `docker load` does.
    #[arg(long, value_name = "FILE")]
    pub images_tar: Option<PathBuf>,
    /// Install with this istioctl.
    #[arg(long, value_name = "PATH")]
    pub istioctl: Option<PathBuf>,
    /// Lay this operator file over the guide's own for a cluster, such as primary=mesh.yaml: an IstioOperator, or what
    /// stands below its `spec`. Once for each cluster.
    #[arg(long, value_name = "ROLE=FILE")]
    pub overlay: Vec<String>,
}

impl CandidateFlags {
    /// Puts what the flags say into the scenario, before what its file says; all that is wrong with either.
    pub fn apply(&self, file: &mut ScenarioFile) -> Problems {
        let mut problems = Problems::new();
        let candidate = &mut file.scenario.candidate;
        let flags = [("hub", self.hub.is_some()), ("tag", self.tag.is_some())];
        let paths = [("imagesTar", self.images_tar.is_some()), ("istioctl", self.istioctl.is_some())];
        candidate.hub = self.hub.clone().or(candidate.hub.take());
        candidate.tag = self.tag.clone().or(candidate.tag.take());
        candidate.images_tar = self.images_tar.clone().or(candidate.images_tar.take());
        candidate.istioctl = self.istioctl.clone().or(candidate.istioctl.take());
        let mut mistakes = candidate.mistakes();
        mistakes.extend(images::unusable_candidate(candidate));
        for (field, message, instead) in mistakes {
            let path = format!("candidate.{field}");
            let by_flag = flags.iter().chain(&paths).any(|(name, given)| *name == field && *given);
            let flag = if field == "imagesTar" { "--images-tar".to_string() } else { format!("--{field}") };
            problems.push(if by_flag || !file.says(&path) { flag } else { path }, message, instead);
        }
        for text in &self.overlay {
            let (role, spec) = match read(text) {
                Ok(overlay) => overlay,
                Err(problem) => {
                    problems.0.push(problem);
                    continue;
                }
            };
            let places = cluster_fields(&file.scenario);
            let by_file: Vec<bool> = places.iter().map(|place| file.says(&format!("{place}.overlay"))).collect();
            // Of several remotes each gets it.
            let wishes = file.scenario.clusters.values_mut().zip(by_file).enumerate();
            for (_, (wish, by_file)) in wishes.filter(|(at, _)| (*at == 0) == (role == Role::Primary)) {
                if wish.overlay.replace(spec.clone()).is_some() {
                    let message =
                        if by_file { "the scenario has an overlay for it" } else { "it has an overlay already" };
                    problems.push(OVERLAY, format!("{role}: {message}"), "one overlay for each cluster");
                }
            }
        }
        file.locate(problems)
    }
}

/// The cluster and the operator's `spec` of a flag.
fn read(text: &str) -> Result<(Role, Value), Problem> {
    let roles = Role::ALL.map(Role::as_str);
    let refused = |message: String, instead: String| Problem::new(OVERLAY, message, instead);
    let Some((role, path)) = text.split_once('=') else {
        return Err(refused(format!("`{text}` names no cluster"), format!("`primary={text}` or `remote={text}`")));
    };
    let Some(role) = Role::ALL.into_iter().find(|known| known.as_str() == role) else {
        let instead = nearest(role, roles).map_or_else(|| any_of(&roles), |meant| format!("`{meant}={path}`"));
        return Err(refused(format!("`{role}` is no role of a cluster"), instead));
    };
    let place = format!("{OVERLAY} {text}");
    let file = std::fs::read_to_string(Path::new(path))
        .map_err(|error| Problem::new(&place, format!("cannot be read: {error}"), "an operator file"))?;
    spec(&file).map(|spec| (role, spec)).map_err(|(message, instead)| Problem::new(place, message, instead))
}

/// What stands below the `spec` of an operator file; a file without a kind is that itself.
fn spec(text: &str) -> Result<Value, (String, String)> {
    let whole = || "one IstioOperator, or the lines below its `spec`".to_string();
    let documents: Result<Vec<Value>, _> =
        serde_yaml_ng::Deserializer::from_str(text).map(Value::deserialize).collect();
    let documents = documents.map_err(|error| (format!("is not YAML: {error}"), whole()))?;
    let [Value::Object(fields)] = &documents[..] else {
        let message = match documents.len() {
            1 => "is no group of fields".to_string(),
            many => format!("has {many} documents"),
        };
        return Err((message, whole()));
    };
    match (fields.get("kind").and_then(Value::as_str), fields.get("spec")) {
        (None, None) => Ok(Value::Object(fields.clone())),
        (Some("IstioOperator") | None, Some(spec @ Value::Object(_))) => Ok(spec.clone()),
        (Some("IstioOperator") | None, _) => Err(("is an operator that asks for nothing: no `spec`".into(), whole())),
        (Some(kind), _) => Err((format!("is a {kind}"), whole())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::spec;

    #[rstest]
    #[case::an_operator("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {tag: a}\n")]
    #[case::its_spec("spec: {tag: a}\n")]
    #[case::what_is_below_it("tag: a\n")]
    fn an_operator_is_read_as_users_have_it(#[case] text: &str) {
        assert_eq!(spec(text), Ok(json!({"tag": "a"})));
    }

    #[rstest]
    #[case::another_kind("kind: ConfigMap\ndata: {}\n", "is a ConfigMap")]
    #[case::an_empty_operator("kind: IstioOperator\n", "no `spec`")]
    #[case::several("tag: a\n---\ntag: b\n", "has 2 documents")]
    #[case::a_list("- tag: a\n", "is no group of fields")]
    #[case::nothing("", "is no group of fields")]
    #[case::no_yaml("a: [", "is not YAML")]
    fn what_is_no_operator_is_refused(#[case] text: &str, #[case] message: &str) {
        let refused = spec(text).expect_err("it is none").0;
        assert!(refused.contains(message), "{refused}");
    }
}
