//! The rights that reading takes, as a manifest that can be applied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::find;
use crate::check::case::{Case, Reads};
use crate::check::right::{Place, Right};
use crate::problem::Problem;
use crate::role::Role;
use crate::scenario::IstioNamespace;

/// The name of all objects of the manifest by which a mesh is judged.
pub const READER: &str = "meshproof-reader";

/// Who gets the rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user or a group, by kind and name.
    Named(&'static str, String),
    /// A service account, by namespace and name.
    Account(String, String),
}

impl Subject {
    /// The account of this name, which the manifest makes where nobody is named.
    pub fn usual(istio_namespace: &IstioNamespace, name: &str) -> Subject {
        Subject::Account(istio_namespace.to_string(), name.to_string())
    }

    /// Reads `user:NAME`, `group:NAME` or `serviceaccount:NAMESPACE/NAME`.
    ///
    /// # Errors
    /// A [`Problem`] where it is none of these.
    pub fn parse(text: &str) -> Result<Subject, Problem> {
        let plain = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains(['"', '\'']);
        let parsed = match text.split_once(':') {
            Some(("user", name)) if plain(name) => Some(Subject::Named("User", name.to_string())),
            Some(("group", name)) if plain(name) => Some(Subject::Named("Group", name.to_string())),
            Some(("serviceaccount", account)) => match account.split_once('/') {
                Some((namespace, name)) if plain(namespace) && plain(name) && !name.contains('/') => {
                    Some(Subject::Account(namespace.to_string(), name.to_string()))
                }
                _ => None,
            },
            _ => None,
        };
        parsed.ok_or_else(|| {
            let instead = "user:NAME, group:NAME or serviceaccount:NAMESPACE/NAME";
            Problem::new("--rbac-subject", format!("`{text}` names nobody"), instead)
        })
    }

    fn lines(&self) -> String {
        match self {
            Subject::Named(kind, name) => {
                format!("- {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: \"{name}\"}}\n")
            }
            Subject::Account(namespace, name) => {
                format!("- {{kind: ServiceAccount, namespace: {namespace}, name: {name}}}\n")
            }
        }
    }
}

/// Rules of one place: group, resource and names, with the verbs and who needs them.
type Rules<'a> = BTreeMap<(&'a str, &'a str, &'a [&'a str]), (BTreeSet<&'a str>, Vec<&'a str>)>;

/// All rights that reading takes in one cluster, each with who needs it: a check by its id, or `every clause`.
pub fn rights(cases: &[Case], role: Role) -> Vec<(Right, &'static str)> {
    let found = find::RIGHTS.iter().map(|right| (*right, "every clause"));
    let of_checks = cases.iter().flat_map(|case| match case.reads {
        Reads::Part(reading) => reading.rights.iter().map(|right| (*right, case.id)).collect(),
        Reads::Nothing(_) => Vec::new(),
    });
    found.chain(of_checks).filter(|(right, _)| right.role == role).collect()
}

/// All rights that reading takes, in both clusters.
pub fn all(cases: &[Case]) -> Vec<Right> {
    Role::ALL.into_iter().flat_map(|role| rights(cases, role)).map(|(right, _)| right).collect()
}

/// The manifest for one cluster, with comments that say what each right is for.
pub fn manifest(cases: &[Case], role: Role, istio_namespace: &IstioNamespace, subject: &Subject) -> String {
    let objects = objects(READER, &rights(cases, role), istio_namespace, subject);
    head(cases, role, istio_namespace) + &objects
}

/// The objects of a manifest, all of this name, by which somebody gets these rights; each with who needs it.
pub fn objects(name: &str, rights: &[(Right, &str)], istio_namespace: &IstioNamespace, subject: &Subject) -> String {
    let mut text = String::new();
    // Made only where nobody is named: an account that is there already is left alone.
    if *subject == Subject::usual(istio_namespace, name) {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {istio_namespace}}}\n"
        );
    }
    let places = [
        (Place::Cluster, "ClusterRole", format!("{{name: {name}}}")),
        (Place::Istio, "Role", format!("{{name: {name}, namespace: {istio_namespace}}}")),
    ];
    for (place, kind, metadata) in places {
        let rules = rules(rights.iter().filter(|(right, _)| right.place == place));
        if rules.is_empty() {
            continue;
        }
        let api = "apiVersion: rbac.authorization.k8s.io/v1";
        let _ = write!(text, "---\n{api}\nkind: {kind}\nmetadata: {metadata}\nrules:\n");
        for ((group, resource, names), (verbs, needed)) in &rules {
            let _ = writeln!(text, "# For {}{}", needed.join(", "), remark(resource));
            let _ = writeln!(text, "- apiGroups: [\"{group}\"]\n  resources: [{resource}]");
            if !names.is_empty() {
                let _ = writeln!(text, "  resourceNames: [{}]", names.join(", "));
            }
            let verbs: Vec<&str> = verbs.iter().copied().collect();
            let _ = writeln!(text, "  verbs: [{}]", verbs.join(", "));
        }
        let _ = write!(
            text,
            "---\n{api}\nkind: {kind}Binding\nmetadata: {metadata}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, \
             kind: {kind}, name: {name}}}\nsubjects:\n{}",
            subject.lines()
        );
    }
    text
}

fn rules<'a>(rights: impl Iterator<Item = &'a (Right, &'a str)>) -> Rules<'a> {
    let mut rules = Rules::new();
    for (right, needed) in rights {
        let (verbs, all) = rules.entry((right.group, right.resource, right.names)).or_default();
        verbs.extend(right.verbs);
        if !all.contains(needed) {
            all.push(needed);
        }
    }
    rules
}

/// What has to be said of a right that looks like more than reading.
fn remark(resource: &str) -> &'static str {
    match resource {
        "pods/portforward" => {
            ".\n# Reaches the port of istiod's debug pages, and runs nothing in its pod: `pods/exec` would. It changes no \
             object;\n# API servers ask for `create` besides `get` since Kubernetes 1.35. Without it these clauses cannot \
             be told, and all\n# others can: leave it out if you would rather not give it"
        }
        "pods/log" => ".\n# istiod's log says whether it decided to lead in the remote cluster",
        "secrets" => {
            ".\n# Who may read this Secret may use the token in it. What is taken from it is its labels, its keys, and the \
             address of the\n# API server; leave it out if you would rather not give it"
        }
        _ => "",
    }
}

fn head(cases: &[Case], role: Role, istio_namespace: &IstioNamespace) -> String {
    let mut text = format!(
        "# What `meshproof check --contexts PRIMARY,REMOTE --read-only` reads in the {role} cluster, and no more: no \
         secrets,\n# and nothing that writes. Istio is looked for in namespace {istio_namespace}. For the other cluster: \
         --print-rbac {}.\n#\n#     meshproof check --print-rbac {role} | kubectl --context CONTEXT apply -f -\n#\n",
        role.other()
    );
    let _ = writeln!(text, "# Clauses that reading alone cannot tell, and why:");
    for case in cases {
        if let Reads::Nothing(why) = case.reads {
            let _ = writeln!(text, "#   {:4} {why}", case.id);
        }
    }
    let _ = writeln!(text, "# Of the others, what is not asked:");
    for case in cases {
        if let Reads::Part(reading) = case.reads {
            let rest = if reading.not_asked.is_empty() { "nothing is left out" } else { reading.not_asked };
            let _ = writeln!(text, "#   {:4} {rest}", case.id);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Subject;

    #[rstest]
    #[case::a_user("user:alice@example.com", Some(Subject::Named("User", "alice@example.com".to_string())))]
    #[case::a_group("group:sre", Some(Subject::Named("Group", "sre".to_string())))]
    #[case::an_account("serviceaccount:ci/reader", Some(Subject::Account("ci".to_string(), "reader".to_string())))]
    #[case::without_a_kind("alice", None)]
    #[case::an_account_without_a_namespace("serviceaccount:reader", None)]
    #[case::nobody("user:", None)]
    #[case::more_than_a_name("user:a\"}, {kind: Group", None)]
    fn a_subject_is_named_with_its_kind(#[case] text: &str, #[case] subject: Option<Subject>) {
        assert_eq!(Subject::parse(text).ok(), subject);
    }
}
