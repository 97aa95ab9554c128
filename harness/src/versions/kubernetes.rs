//! What a new version of Kubernetes needs, from its own module: etcd and CoreDNS as its kubeadm asks for them.

use std::fs;

use super::entry::{Entry, Value};
use super::modules::{Modules, asking, lacks, reason};
use super::{Component, Release};
use crate::problem::{Problem, Problems};

const MODULE: &str = "k8s.io/kubernetes";

/// What the recipe builds.
const PROGRAMS: [&str; 7] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm", "kubectl"];

/// Where kubeadm says which etcd and CoreDNS it wants.
const CONSTANTS: &str = "cmd/kubeadm/app/constants/constants.go";

/// Resolves a version of Kubernetes.
///
/// # Errors
/// Everything that it needs and that cannot be had.
pub async fn resolve(modules: &Modules<'_>, release: &Release) -> Result<Entry, Problems> {
    let version = Component::Kubernetes.written(release);
    let folder = modules.fetch(&format!("{MODULE}@{version}")).await?;
    let path = folder.join(CONSTANTS);
    let unknown =
        |why: String| Problem::new(CONSTANTS, why, "add the table by hand: kind/README.md says what it needs");
    let text = fs::read_to_string(&path).map_err(|error| unknown(format!("cannot be read: {error}")))?;
    let (etcd, coredns) = asked_for(&text).map_err(unknown)?;
    let gomod = folder.join("go.mod");
    let requirements = modules.go(&["mod", "edit", "-json", &gomod.to_string_lossy()]).await;
    let requirements = requirements.map_err(|(error, _)| asking(&error))?;
    // Its staging modules are published as v0.X.Y beside each v1.X.Y.
    let staging = format!("v0.{}", version.trim_start_matches("v1."));
    let replace: Vec<String> = staged(&requirements).into_iter().map(|module| format!("{module} {staging}")).collect();
    let programs = PROGRAMS.map(|program| format!("{MODULE}/cmd/{program}"));
    let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
    let instead = "a version of Kubernetes all parts of which your module proxy serves (`go env GOPROXY`)";
    let mut problems = Problems::new();
    let parts = [format!("go.etcd.io/etcd/server/v3@{etcd}"), format!("github.com/coredns/coredns@{coredns}")];
    for module in modules.list(&parts).await? {
        if let Some(why) = module.why() {
            problems.push(format!("{}@{}", module.path, module.version), why, instead);
        }
    }
    if let Err(said) = modules.packages(MODULE, &version, &replace, &programs).await? {
        let lacks = lacks(&said);
        for lack in &lacks {
            let why = if lack.unverified { "the checksum database does not know it" } else { "is not served" };
            problems.push(format!("{}@{}", lack.module, lack.version), why, instead);
        }
        if lacks.is_empty() {
            problems.push(format!("{MODULE}@{version}"), reason(&said), instead);
        }
    }
    problems.or(Entry {
        component: Component::Kubernetes,
        version,
        fields: vec![("etcd", Value::One(etcd)), ("coredns", Value::One(coredns))],
        notes: vec![
            format!("etcd and CoreDNS as {CONSTANTS} names them"),
            format!(
                "all packages of its {} programs, with {} staging modules {staging}",
                PROGRAMS.len(),
                replace.len()
            ),
            "no digest of an official node image is known: add `node` if the notes of kind name one".to_string(),
        ],
    })
}

/// etcd and CoreDNS as kubeadm's constants name them.
///
/// # Errors
/// What is not there.
pub fn asked_for(constants: &str) -> Result<(String, String), String> {
    let value = |name: &str| {
        let lines = constants.lines().filter_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='));
        let found = lines.filter_map(|value| value.trim().strip_prefix('"')?.split_once('"')).next();
        found.map(|(value, _)| value.to_string()).ok_or_else(|| format!("no constant {name} in it"))
    };
    // An image of etcd has a number of its own after the version.
    let etcd = value("DefaultEtcdVersion")?;
    let etcd = etcd.split('-').next().unwrap_or_default().trim_start_matches('v').to_string();
    Ok((format!("v{etcd}"), value("CoreDNSVersion")?))
}

/// The modules that stand in the folder of Kubernetes and are published on their own, from `go mod edit -json`.
pub fn staged(gomod: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct GoMod {
        #[serde(default)]
        replace: Vec<Replace>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Replace {
        old: Side,
        new: Side,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Side {
        path: String,
    }
    let Ok(gomod) = serde_json::from_str::<GoMod>(gomod) else { return Vec::new() };
    let staged = gomod.replace.into_iter().filter(|replace| replace.new.path.starts_with("./staging/"));
    staged.map(|replace| replace.old.path).collect()
}
