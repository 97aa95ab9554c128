//! Who wrote an object: by its managed fields, and by the audit log of the remote cluster.

use harness::lab::{Cluster, kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// The last manager of a field such as `f:caBundle`, with operation and time; `nobody` if there is none.
pub fn manager_of(metadata: &ObjectMeta, field: &str) -> String {
    let owners = metadata.managed_fields.iter().flatten().filter(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| fields.0.to_string()).unwrap_or_default();
        fields.contains(&format!("\"{field}\""))
    });
    let last = owners.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    last.map_or("nobody".to_string(), |entry| {
        let time = entry.time.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
        let (manager, operation) =
            (entry.manager.clone().unwrap_or_default(), entry.operation.clone().unwrap_or_default());
        format!("{manager} ({operation} at {time})")
    })
}

/// The last write of an object by a user whose name contains `user`, from the audit log; none if there is none.
pub async fn audit(cluster: &Cluster, resource: &str, name: &str, user: &str) -> Option<String> {
    let node = cluster.nodes.keys().find(|node| node.ends_with("control-plane"))?;
    let needle = format!("\"name\":\"{name}\"");
    let log = cluster.engine.exec(node, &["grep", "-F", &needle, kind::AUDIT_LOG], "").await.ok()?;
    log.lines().rev().find_map(|line| write_by(line, resource, user))
}

/// What one line of an audit log says, if it is a write of this resource by this user.
fn write_by(line: &str, resource: &str, user: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let name = event["user"]["username"].as_str()?;
    if event["objectRef"]["resource"] != resource || !name.contains(user) {
        return None;
    }
    Some(format!(
        "{} by {name} from {} ({}), answered {}, at {}",
        event["verb"].as_str().unwrap_or("?"),
        event["sourceIPs"][0].as_str().unwrap_or("?"),
        event["userAgent"].as_str().unwrap_or("?"),
        event["responseStatus"]["code"],
        event["stageTimestamp"].as_str().unwrap_or("?"),
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::write_by;

    const LINE: &str = r#"{"verb":"update","user":{"username":"system:serviceaccount:istio-system:istio-reader-service-account"},"sourceIPs":["172.30.0.3"],"userAgent":"pilot-discovery/1.31.1","objectRef":{"resource":"configmaps","name":"istio-ca-root-cert"},"responseStatus":{"code":200},"stageTimestamp":"2026-11-21T05:00:00Z"}"#;

    #[rstest]
    #[case::the_writer_asked_for(LINE, "configmaps", "istio-reader", true)]
    #[case::another_resource(LINE, "secrets", "istio-reader", false)]
    #[case::another_user(LINE, "configmaps", "kubernetes-admin", false)]
    #[case::a_torn_line(&LINE[..40], "configmaps", "istio-reader", false)]
    fn only_writes_by_the_asked_user_count(
        #[case] line: &str,
        #[case] resource: &str,
        #[case] user: &str,
        #[case] counts: bool,
    ) {
        assert_eq!(write_by(line, resource, user).is_some(), counts);
    }
}
