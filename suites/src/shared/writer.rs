//! Who wrote an object: by its managed fields, and by the audit log of the remote cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::check::Fault;
use harness::lab::{Cluster, Lab, kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

/// The longest that a write may have taken whose line is looked for.
const LONGEST_WRITE: u64 = 10;

/// What stands for a manager where an object was written down without its managed fields, as kubectl does.
pub const NOT_TOLD: &str = "not told";

/// The last manager of a field such as `f:caBundle`, with operation and time; `nobody` if there is none.
pub fn manager_of(metadata: &ObjectMeta, field: &str) -> String {
    if metadata.managed_fields.is_none() {
        return NOT_TOLD.to_string();
    }
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

/// Who holds a field by the object's managed fields. The API server works this out at each write: whoever changes the
/// value takes the field from all others, and whoever writes something else leaves it where it is. But the name is what
/// the writer calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The field manager.
    pub manager: String,
    /// When this manager last changed anything in the object, by the second: `2026-11-21T19:30:05`.
    pub second: String,
    /// The seconds in which the API server may have got that write.
    began: Vec<String>,
}

/// The owners of the field at this path, such as `["f:data", "f:root-cert.pem"]`.
pub fn owners(metadata: &ObjectMeta, path: &[&str]) -> Vec<Owner> {
    let entries = metadata.managed_fields.iter().flatten().filter(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.and_then(|fields| path.iter().try_fold(fields, |fields, key| fields.get(key))).is_some()
    });
    let owner = |entry: &ManagedFieldsEntry| {
        let time = entry.time.as_ref()?.0;
        let second = |ago: u64| (time - Duration::from_secs(ago)).strftime("%FT%T").to_string();
        let manager = entry.manager.clone().unwrap_or_default();
        Some(Owner { manager, second: second(0), began: (0..=LONGEST_WRITE).map(second).collect() })
    };
    entries.filter_map(owner).collect()
}

/// A write that the API server carried out, by its audit log: nobody can claim to be another there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Such as `configmaps istio-system/a`.
    pub object: String,
    /// `create`, `update` or `patch`.
    pub verb: String,
    /// Who it was; not whom they impersonated.
    pub user: String,
    /// What the client calls itself: `pilot-discovery/1.31.1`.
    pub agent: String,
    /// The address it came from.
    pub source: String,
    /// The field manager that it counts for.
    pub manager: String,
    /// The second in which it was received, and in which it was answered.
    seconds: [String; 2],
}

impl Write {
    /// What one line of an audit log says, if it is a write that was carried out.
    pub fn of(line: &str) -> Option<Write> {
        let event: Value = serde_json::from_str(line).ok()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let (verb, uri, place) = (text(&event["verb"]), text(&event["requestURI"]), &event["objectRef"]);
        let written = ["create", "update", "patch"].contains(&verb.as_str())
            && event["responseStatus"]["code"].as_u64().is_some_and(|code| (200..300).contains(&code))
            && place["subresource"].is_null();
        let parameters = uri.split_once('?').map_or("", |(_, parameters)| parameters);
        let parameter = |name: &str| parameters.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if !written || parameter("dryRun").is_some() {
            return None;
        }
        let agent = text(&event["userAgent"]);
        // As the API server does where no manager is named.
        let manager = parameter("fieldManager").unwrap_or_else(|| agent.split('/').next().unwrap_or_default());
        let second = |value: &Value| text(value).chars().take("2026-11-21T19:30:05".len()).collect();
        Some(Write {
            object: place_of(&text(&place["resource"]), &text(&place["namespace"]), &text(&place["name"])),
            verb,
            user: text(&event["user"]["username"]),
            // Proxies put others before it; the last is the one that the API server sees itself.
            source: event["sourceIPs"].as_array().and_then(|all| all.last()).map(&text).unwrap_or_default(),
            manager: manager.to_string(),
            agent,
            seconds: [second(&event["requestReceivedTimestamp"]), second(&event["stageTimestamp"])],
        })
    }

    /// Whether this write may be the one by which the owner came to hold a field of this object.
    fn made(&self, owner: &Owner, object: &str) -> bool {
        let [received, answered] = &self.seconds;
        self.object == object && self.manager == owner.manager && *received <= owner.second && owner.second <= *answered
    }

    /// `create by system:admin (kubectl/v1) from 10.0.0.1 at 2026-11-21T19:30:05`.
    pub fn said(&self, source: &str) -> String {
        format!("{} by {} ({}) from {source} at {}", self.verb, self.user, self.agent, self.seconds[1])
    }
}

/// How a [`Write`] names an object: `configmaps istio-system/a`, `mutatingwebhookconfigurations b`.
pub fn place_of(resource: &str, namespace: &str, name: &str) -> String {
    if namespace.is_empty() { format!("{resource} {name}") } else { format!("{resource} {namespace}/{name}") }
}

/// The writes of the seconds in which these owners wrote, older first, with those of rotated logs.
///
/// # Errors
/// [`Fault`] when the cluster's API server writes no audit log, or it cannot be read.
pub async fn writes(lab: &Lab, cluster: &Cluster, owners: impl Iterator<Item = &Owner>) -> Result<Vec<Write>, Fault> {
    let node = cluster.nodes.keys().find(|node| node.ends_with("control-plane"));
    let node = node.ok_or_else(|| Fault::unknown(format!("{} has no node control-plane", cluster.name)))?;
    let seconds: BTreeSet<&String> = owners.flat_map(|owner| &owner.began).collect();
    let wanted: String = seconds.iter().map(|second| format!("\"requestReceivedTimestamp\":\"{second}\n")).collect();
    // Rotated logs have a time between name and ending, and come first. That no line matches is no error.
    let logs = kind::AUDIT_LOG.trim_end_matches(".log");
    let command = format!("grep -hF -f - {logs}*.log || [ $? -eq 1 ]");
    let lines = lab.engine.exec(node, &["bash", "-c", &command], &wanted).await?;
    Ok(lines.lines().filter_map(Write::of).collect())
}

/// The write by which an owner came to hold a field of this object; none where the log does not have it.
pub fn author<'a>(writes: &'a [Write], owner: &Owner, object: &str) -> Option<&'a Write> {
    writes.iter().rev().find(|write| write.made(owner, object))
}

/// The last write of an object by a user whose name contains `user`, from the audit log; none if there is none.
pub async fn audit(lab: &Lab, cluster: &Cluster, resource: &str, name: &str, user: &str) -> Option<String> {
    let node = cluster.nodes.keys().find(|node| node.ends_with("control-plane"))?;
    let needle = format!("\"name\":\"{name}\"");
    let log = lab.engine.exec(node, &["grep", "-F", &needle, kind::AUDIT_LOG], "").await.ok()?;
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use rstest::rstest;
    use serde_json::json;

    use super::{Write, author, owners, write_by};

    const LINE: &str = r#"{"verb":"update","user":{"username":"system:serviceaccount:istio-system:istio-reader-service-account"},"sourceIPs":["172.30.0.3"],"userAgent":"pilot-discovery/1.31.1","objectRef":{"resource":"configmaps","namespace":"a","name":"istio-ca-root-cert"},"responseStatus":{"code":200},"requestURI":"/api/v1/namespaces/a/configmaps/istio-ca-root-cert","requestReceivedTimestamp":"2026-11-21T05:00:00.900000Z","stageTimestamp":"2026-11-21T05:00:02.100000Z"}"#;

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

    #[rstest]
    #[case::carried_out(LINE, true)]
    #[case::refused(&LINE.replace("200", "403"), false)]
    #[case::a_dry_run(&LINE.replace("cert\",\"requestR", "cert?dryRun=All\",\"requestR"), false)]
    #[case::a_status(&LINE.replace(r#""name""#, r#""subresource":"status","name""#), false)]
    #[case::no_write(&LINE.replace("update", "delete"), false)]
    fn only_what_was_carried_out_is_a_write(#[case] line: &str, #[case] is: bool) {
        assert_eq!(Write::of(line).is_some(), is);
    }

    #[rstest]
    #[case::by_its_agent(LINE, "pilot-discovery")]
    #[case::by_its_claim(&LINE.replace("cert\",\"requestR", "cert?a=b&fieldManager=hand\",\"requestR"), "hand")]
    fn a_write_counts_for_the_manager_that_it_names_or_for_its_client(#[case] line: &str, #[case] manager: &str) {
        assert_eq!(Write::of(line).expect("a write").manager, manager);
    }

    fn metadata(manager: &str, field: &str, time: &str) -> ObjectMeta {
        let fields = json!({"f:data": {".": {}, field: {}}});
        serde_json::from_value(json!({"managedFields": [
            {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}
        ]}))
        .expect("metadata")
    }

    #[rstest]
    #[case::in_between("pilot-discovery", "2026-11-21T05:00:01Z", "configmaps a/istio-ca-root-cert", true)]
    #[case::when_it_was_answered("pilot-discovery", "2026-11-21T05:00:02Z", "configmaps a/istio-ca-root-cert", true)]
    #[case::before("pilot-discovery", "2026-11-21T04:59:59Z", "configmaps a/istio-ca-root-cert", false)]
    #[case::later("pilot-discovery", "2026-11-21T05:00:03Z", "configmaps a/istio-ca-root-cert", false)]
    #[case::under_another_name("kubectl", "2026-11-21T05:00:01Z", "configmaps a/istio-ca-root-cert", false)]
    #[case::another_object("pilot-discovery", "2026-11-21T05:00:01Z", "configmaps b/istio-ca-root-cert", false)]
    fn an_owner_has_the_write_of_its_name_and_second_for_author(
        #[case] manager: &str,
        #[case] time: &str,
        #[case] object: &str,
        #[case] is: bool,
    ) {
        let owners = owners(&metadata(manager, "f:root-cert.pem", time), &["f:data", "f:root-cert.pem"]);
        let writes = [Write::of(LINE).expect("a write")];
        assert_eq!(author(&writes, &owners[0], object).is_some(), is);
    }

    #[test]
    fn of_several_writes_in_one_second_the_last_is_the_author() {
        let by_hand = LINE.replace("system:serviceaccount:istio-system:istio-reader-service-account", "admin");
        let writes = [Write::of(LINE).expect("a write"), Write::of(&by_hand).expect("a write")];
        let owner = &owners(&metadata("pilot-discovery", "f:a", "2026-11-21T05:00:01Z"), &["f:data"])[0];
        assert_eq!(
            author(&writes, owner, "configmaps a/istio-ca-root-cert").map(|write| write.user.as_str()),
            Some("admin")
        );
    }

    #[test]
    fn who_wrote_another_field_is_no_owner() {
        let labels = metadata("pilot-discovery", "f:other", "2026-11-21T05:00:00Z");
        assert!(owners(&labels, &["f:data", "f:root-cert.pem"]).is_empty());
        assert_eq!(
            owners(&labels, &["f:data", "f:other"])[0].began.last().map(String::as_str),
            Some("2026-11-21T04:59:50")
        );
    }
}
