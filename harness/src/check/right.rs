//! The rights that reading takes: one table for each check, from which the manifest is printed and by which every call
//! to an API server is judged before it is sent.

use std::fmt;

use http::{Method, Uri};

use crate::role::Role;

/// Where the objects are that a right lets read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In Istio's namespace.
    Istio,
    /// In every namespace, or in none.
    Cluster,
}

/// A right: some verbs on one resource of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The cluster.
    pub role: Role,
    /// Where the objects are.
    pub place: Place,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource, with a subresource as `pods/log`.
    pub resource: &'static str,
    /// The only objects that are read, by name; all where there is none.
    pub names: &'static [&'static str],
    /// The verbs.
    pub verbs: &'static [&'static str],
}

impl Right {
    /// The right to do this with a resource.
    pub const fn new(
        role: Role,
        place: Place,
        group: &'static str,
        resource: &'static str,
        verbs: &'static [&'static str],
    ) -> Right {
        Right { role, place, group, resource, names: &[], verbs }
    }

    /// The same, for objects of these names alone.
    pub const fn named(self, names: &'static [&'static str]) -> Right {
        Right { names, ..self }
    }

    /// Whether it allows a call, where Istio is in this namespace.
    pub fn allows(&self, call: &Call, istio_namespace: &str) -> bool {
        self.group == call.group
            && self.resource == call.resource
            && self.verbs.contains(&call.verb)
            && (self.place == Place::Cluster || call.namespace.as_deref() == Some(istio_namespace))
            && (self.names.is_empty() || call.name.as_deref().is_some_and(|name| self.names.contains(&name)))
    }
}

/// What a call of an API server asks for, as its authorization sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The verb.
    pub verb: &'static str,
    /// The API group.
    pub group: String,
    /// The resource, with its subresource.
    pub resource: String,
    /// The namespace; none where it asks for all, and where the resource has none.
    pub namespace: Option<String>,
    /// The object; none where it asks for several.
    pub name: Option<String>,
}

impl Call {
    /// What a request asks for; none where that is no resource, or where it would write.
    pub fn of(method: &Method, uri: &Uri) -> Option<Call> {
        if method != Method::GET {
            return None;
        }
        let words: Vec<&str> = uri.path().split('/').filter(|word| !word.is_empty()).collect();
        let (group, rest) = match words.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return None,
        };
        // `namespaces/x` alone is the namespace itself.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (resource, name, sub) = match rest {
            [resource] => (*resource, None, None),
            [resource, name] => (*resource, Some(*name), None),
            [resource, name, sub] => (*resource, Some(*name), Some(*sub)),
            _ => return None,
        };
        let selected = selected_name(uri);
        let verb = match name {
            Some(_) => "get",
            None if asks(uri, "watch").is_some_and(|value| value != "false" && value != "0") => "watch",
            None => "list",
        };
        Some(Call {
            verb,
            group: group.to_string(),
            resource: sub.map_or(resource.to_string(), |sub| format!("{resource}/{sub}")),
            namespace: namespace.map(String::from),
            name: name.map(String::from).or(selected),
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}

/// The value of a parameter.
fn asks(uri: &Uri, parameter: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == parameter).map(|(_, value)| value.into())
}

/// The one object that a list or a watch asks for: authorization takes its name from this field selector, too.
fn selected_name(uri: &Uri) -> Option<String> {
    let selector = asks(uri, "fieldSelector")?.replace("%3D", "=");
    selector.strip_prefix("metadata.name=").filter(|name| !name.contains(['%', ','])).map(String::from)
}

/// What an API server says was not allowed: `list pods in namespace a`, and whose right it would be; none where it said
/// something else.
pub fn refused(message: &str) -> Option<(String, String)> {
    // `pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "a"`.
    let quoted = |text: &str| Some(text.split('"').nth(1)?.to_string());
    let (_, rest) = message.split_once("User ")?;
    let user = quoted(rest)?;
    let (_, rest) = rest.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource ")?;
    let resource = quoted(rest)?;
    let place = match rest.split_once("in the namespace ") {
        Some((_, namespace)) => format!("in namespace {}", quoted(namespace)?),
        None => "in the whole cluster".to_string(),
    };
    Some((format!("{verb} {resource} {place}"), user))
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};
    use rstest::rstest;

    use super::{Call, Place, Right, refused};
    use crate::role::Role;

    fn call(path: &str) -> Option<Call> {
        Call::of(&Method::GET, &path.parse::<Uri>().expect("a path"))
    }

    #[rstest]
    #[case::an_object("/api/v1/namespaces/a/configmaps/b", "get configmaps in namespace a")]
    #[case::several("/api/v1/namespaces/a/pods?&labelSelector=app", "list pods in namespace a")]
    #[case::all("/api/v1/pods", "list pods in the whole cluster")]
    #[case::as_they_change("/api/v1/namespaces/a/pods?&watch=true", "watch pods in namespace a")]
    #[case::of_a_group("/apis/apps/v1/namespaces/a/deployments/b", "get deployments in namespace a")]
    #[case::without_a_namespace("/apis/b/v1/webhooks?limit=5", "list webhooks in the whole cluster")]
    #[case::a_namespace("/api/v1/namespaces/a", "get namespaces in the whole cluster")]
    #[case::a_part("/api/v1/namespaces/a/pods/b/log?&container=c", "get pods/log in namespace a")]
    fn a_call_is_what_authorization_sees(#[case] path: &str, #[case] told: &str) {
        assert_eq!(call(path).expect("a call").to_string(), told);
    }

    #[rstest]
    #[case::it_writes(Method::POST, "/api/v1/namespaces/a/configmaps")]
    #[case::it_changes(Method::PATCH, "/api/v1/namespaces/a/configmaps/b")]
    #[case::it_takes_away(Method::DELETE, "/api/v1/namespaces/a/configmaps/b")]
    #[case::no_resource(Method::GET, "/metrics")]
    fn what_is_not_read_is_no_call(#[case] method: Method, #[case] path: &str) {
        assert_eq!(Call::of(&method, &path.parse().expect("a path")), None);
    }

    #[rstest]
    #[case::the_object("/api/v1/namespaces/a/configmaps/root", true)]
    #[case::it_alone_of_a_list("/api/v1/configmaps?&fieldSelector=metadata.name%3Droot", true)]
    #[case::another("/api/v1/namespaces/a/configmaps/b", false)]
    #[case::all_of_them("/api/v1/configmaps", false)]
    #[case::another_resource("/api/v1/namespaces/a/secrets/root", false)]
    fn a_right_for_a_name_lets_read_nothing_else(#[case] path: &str, #[case] allowed: bool) {
        let right = Right::new(Role::Remote, Place::Cluster, "", "configmaps", &["get", "list"]).named(&["root"]);
        assert_eq!(right.allows(&call(path).expect("a call"), "istio-system"), allowed);
    }

    #[rstest]
    #[case::there("/api/v1/namespaces/istio-system/pods", true)]
    #[case::elsewhere("/api/v1/namespaces/a/pods", false)]
    #[case::everywhere("/api/v1/pods", false)]
    fn a_right_for_istios_namespace_ends_there(#[case] path: &str, #[case] allowed: bool) {
        let right = Right::new(Role::Primary, Place::Istio, "", "pods", &["list"]);
        assert_eq!(right.allows(&call(path).expect("a call"), "istio-system"), allowed);
    }

    #[rstest]
    #[case::in_a_namespace(
        r#"pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "a""#,
        Some(("list pods in namespace a", "u"))
    )]
    #[case::everywhere(
        r#"namespaces is forbidden: User "u" cannot list resource "namespaces" in API group "" at the cluster scope"#,
        Some(("list namespaces in the whole cluster", "u"))
    )]
    #[case::by_something_else("admission webhook denied the request", None)]
    fn a_refusal_names_the_right_and_its_user(#[case] message: &str, #[case] told: Option<(&str, &str)>) {
        assert_eq!(refused(message), told.map(|(right, user)| (right.to_string(), user.to_string())));
    }
}
