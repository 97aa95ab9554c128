//! What istiod's reader account may do in the remote cluster.

use serde_json::{Value, json};

use super::Rows;
use super::acts::{Acts, has_variables};
use crate::bundle::shape::array;
use crate::role::Role;

const REMOTE: Role = Role::Remote;

const HOOKS: &str = "admissionregistration.k8s.io";

/// What istiod needs there: group, resource, verb.
const NEEDED: [(&str, &str, &str); 14] = [
    ("", "configmaps", "create"),
    ("", "configmaps", "update"),
    ("", "configmaps", "list"),
    ("", "endpoints", "list"),
    ("", "namespaces", "list"),
    ("", "nodes", "list"),
    ("", "pods", "list"),
    ("", "secrets", "list"),
    ("", "services", "list"),
    ("discovery.k8s.io", "endpointslices", "list"),
    ("authentication.k8s.io", "tokenreviews", "create"),
    (HOOKS, "mutatingwebhookconfigurations", "list"),
    (HOOKS, "mutatingwebhookconfigurations", "watch"),
    (HOOKS, "mutatingwebhookconfigurations", "update"),
];

pub(super) fn acts(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(REMOTE, "reader-role") {
        return;
    }
    let name = acts.bundle.index.istio_namespace.reader_role(&acts.revision);
    let target = acts.target("rbac.authorization.k8s.io/v1", "ClusterRole", &name);
    let Some(role) = acts.bundle.documents(REMOTE, "reader-role").first() else {
        return acts.delete(REMOTE, target);
    };
    let rules = &role["rules"];
    if NEEDED.iter().all(|needed| allows(rules, *needed)) {
        return;
    }
    if has_variables(rules) {
        return rows.push(format!("ClusterRole {name}"), "it has ${...} in it");
    }
    acts.json(REMOTE, target, json!([{"op": "replace", "path": "/rules", "value": rules}]));
}

/// Whether rules allow a call for every object.
fn allows(rules: &Value, (group, resource, verb): (&str, &str, &str)) -> bool {
    let has = |list: &Value, word: &str| array(list).iter().any(|one| one == word || one == "*");
    array(rules).iter().any(|rule| {
        has(&rule["apiGroups"], group)
            && has(&rule["resources"], resource)
            && has(&rule["verbs"], verb)
            && array(&rule["resourceNames"]).is_empty()
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::allows;

    #[rstest]
    #[case::said(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]), true)]
    #[case::by_stars(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]), true)]
    #[case::of_another_group(json!([{"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["list"]}]), false)]
    #[case::for_some_alone(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"], "resourceNames": ["a"]}]), false)]
    #[case::none(Value::Null, false)]
    fn a_rule_allows_what_it_says_for_every_object(#[case] rules: Value, #[case] allowed: bool) {
        assert_eq!(allows(&rules, ("", "pods", "list")), allowed);
    }
}
