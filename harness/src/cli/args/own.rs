//! The flags of `check` for clusters that meshproof did not make.

use super::request::Rbac;
use super::{Common, Own};
use crate::problem::{Problem, Problems};
use crate::reading::rbac::{READER, Subject};
use crate::reading::{Contexts, KubeconfigFiles};
use crate::role::Role;
use crate::scenario::IstioNamespace;

/// Judges these flags together, and names all that is wrong with them.
pub fn read(
    own: &Own,
    common: &Common,
    kubeconfig: &KubeconfigFiles,
    problems: &mut Problems,
) -> (Option<Contexts>, Option<Rbac>) {
    let asked = !own.contexts.is_empty();
    if asked && !own.read_only && own.print_rbac.is_none() {
        let message = "meshproof writes only to labs that it made, and these clusters are yours";
        let instead =
            "add --read-only, which judges what can be told without writing; or leave --contexts out and judge a lab";
        problems.push("--contexts", message, instead);
    }
    if own.read_only && !asked && own.print_rbac.is_none() {
        let instead = "--contexts PRIMARY,REMOTE with it; a lab is judged without --read-only";
        problems.push("--read-only", "which clusters are to be read is not said", instead);
    }
    for (flag, given) in [("--lab", common.lab.is_some()), ("--scenario", common.scenario.is_some())] {
        if given && (asked || own.read_only || own.print_rbac.is_some()) {
            let message = format!("{flag} means a lab that meshproof made, and the other flags clusters of yours");
            problems.push(flag, message, format!("one of them: {flag}, or --contexts with --read-only"));
        }
    }
    let namespace = istio_namespace(own.istio_namespace.as_deref(), problems);
    if own.istio_namespace.is_some() && !asked && own.print_rbac.is_none() {
        let message = "a lab knows its own namespace";
        problems.push("--istio-namespace", message, "leave it out, or judge clusters of yours with --contexts");
    }
    let subject = own.rbac_subject.as_deref().map(|text| problems.keep(Subject::parse(text).map_err(Problems::from)));
    if own.rbac_subject.is_some() && own.print_rbac.is_none() {
        problems.push("--rbac-subject", "no rights are printed", "--print-rbac primary or --print-rbac remote with it");
    }
    let role = own.print_rbac.as_deref().and_then(|name| problems.keep(role(name).map_err(Problems::from)));
    // What is known of the namespace does not matter to what is wrong with the names.
    let contexts = asked.then(|| Contexts::choose(&own.contexts, namespace.clone().unwrap_or_default(), kubeconfig));
    let contexts = contexts.and_then(|contexts| problems.keep(contexts));
    let rbac = role.zip(namespace).map(|(role, istio_namespace)| {
        let subject = subject.flatten().unwrap_or_else(|| Subject::usual(&istio_namespace, READER));
        Rbac { role, subject, istio_namespace }
    });
    (contexts, rbac)
}

/// The namespace that this flag says, or the usual one; none where it can be no namespace of Istio.
pub(super) fn istio_namespace(flag: Option<&str>, problems: &mut Problems) -> Option<IstioNamespace> {
    match flag.map(IstioNamespace::named) {
        None => Some(IstioNamespace::default()),
        Some(Ok(namespace)) => Some(namespace),
        Some(Err((message, instead))) => {
            problems.push("--istio-namespace", message, instead);
            None
        }
    }
}

pub(super) fn role(name: &str) -> Result<Role, Problem> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == name);
    found.ok_or_else(|| {
        let message = format!("`{name}` is no part that a cluster plays");
        Problem::new("--print-rbac", message, "primary or remote: each has rights of its own")
    })
}
