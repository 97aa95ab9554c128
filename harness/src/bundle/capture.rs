//! Reads a mesh, and nothing else: each part is asked for, and what cannot be read is written down with its reason.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::{Value, json};

use super::part::{self, PARTS, Part};
use super::tell::{self, Proxies};
use super::{Bundle, ClusterIndex, FORM, FileEntry, Index, KnownCluster, NotRead, path, shape};
use crate::budget::Budgets;
use crate::check::right::{Place, Right};
use crate::check::verdict::chain;
use crate::event::{Event, Recorder};
use crate::lab::{Cluster, up};
use crate::mesh::Mesh;
use crate::reading::Contexts;
use crate::reading::find::{self, FindError, USUAL_ID};
use crate::role::Role;

/// What is to be captured.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The clusters.
    pub contexts: Contexts,
    /// The remote secret whose shape is read; none where no Secret is.
    pub remote_secret: Option<String>,
}

/// A mesh that was not captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is no mesh to capture.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A part without which the others say nothing could not be read.
    #[error("{what} could not be read, without which a bundle is of no use: {why}")]
    Needed {
        /// What.
        what: String,
        /// Why not.
        why: String,
    },
}

/// So many objects are asked for at a time.
const PAGE: usize = 500;

/// The port of istiod's debug pages.
const MONITORING: u16 = 15014;

/// Captures a mesh; the events say what came of it.
///
/// # Errors
/// [`CaptureError`] where there is nothing to be captured.
pub async fn capture(wish: &Wish, recorder: &Recorder, budgets: Budgets) -> Result<Bundle, CaptureError> {
    let rights: Vec<Right> = part::rights(wish.remote_secret.as_deref()).into_iter().map(|(right, _)| right).collect();
    let mesh = find::find(&wish.contexts, &rights, recorder, budgets).await?;
    up::part(recorder, "find-parts", "The parts of the mesh are read", async {
        let mut reading = Reading { mesh: &mesh, files: BTreeMap::new(), not_read: Vec::new() };
        let index = reading.index(wish, &kubernetes(recorder)).await?;
        let bundle = Bundle { index, files: reading.files };
        let (documents, files) =
            (bundle.index.files.iter().map(|file| file.documents).sum::<usize>(), bundle.files.len());
        Ok((bundle, format!("{documents} documents in {files} files")))
    })
    .await
}

/// The versions that the API servers said when the mesh was found.
fn kubernetes(recorder: &Recorder) -> BTreeMap<Role, String> {
    let records = recorder.records();
    let found = records.iter().find_map(|record| match &record.event {
        Event::MeshFound { clusters, .. } => Some(clusters),
        _ => None,
    });
    found.into_iter().flatten().map(|(role, facts)| (*role, facts.kubernetes.clone())).collect()
}

struct Reading<'a> {
    mesh: &'a Mesh,
    files: BTreeMap<String, Vec<Value>>,
    not_read: Vec<NotRead>,
}

impl Reading<'_> {
    async fn index(&mut self, wish: &Wish, kubernetes: &BTreeMap<Role, String>) -> Result<Index, CaptureError> {
        for part in &PARTS {
            self.listed(part).await;
        }
        self.configs().await;
        self.reader_role().await;
        if let Some(name) = &wish.remote_secret {
            self.remote_secret(name).await;
        }
        let deployments = path(Role::Primary, "deployments");
        let istiods = self.files.get(&deployments).into_iter().flatten();
        if istiods.filter(|object| object["metadata"]["labels"]["app"] == "istiod").count() == 0 {
            let why = self.not_read.iter().find(|not| not.what.starts_with(&deployments)).map(|not| not.why.clone());
            let why = why.unwrap_or_else(|| "there is none".to_string());
            return Err(CaptureError::Needed { what: "the Deployment of istiod".to_string(), why });
        }
        let known_to_istiod = self.known_to_istiod().await;
        let mut proxies = BTreeMap::new();
        let mut clusters = BTreeMap::new();
        for role in Role::ALL {
            let counted = self.proxies(role).await;
            let nodes = self.nodes(role).await;
            let index = ClusterIndex {
                id: String::new(),
                kubernetes: kubernetes.get(&role).cloned().unwrap_or_default(),
                nodes,
                proxies: counted.by_namespace.clone(),
            };
            proxies.insert(role, counted);
            clusters.insert(role, index);
        }
        let known = known_to_istiod.clone().unwrap_or_default();
        let ids = tell::ids(&self.files, &known, &proxies);
        for (role, cluster) in &mut clusters {
            cluster.id = ids.get(role).cloned().unwrap_or_else(|| USUAL_ID.to_string());
        }
        let data_plane = proxies.values().fold(BTreeMap::new(), |mut all: BTreeMap<String, usize>, counted| {
            counted.images.iter().for_each(|(image, count)| *all.entry(image.clone()).or_default() += count);
            all
        });
        let config = self.files.get(&path(Role::Primary, "mesh-config")).and_then(|all| all.first());
        let mesh_id =
            config.and_then(|config| config["defaultConfig"]["meshId"].as_str()).unwrap_or_default().to_string();
        let holds = |file: &str| {
            let name = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".yaml");
            part::HOLDS.iter().find(|(known, _)| *known == name).map_or("", |(_, holds)| holds).to_string()
        };
        let entry = |(path, all): (&String, &Vec<Value>)| FileEntry {
            path: path.clone(),
            documents: all.len(),
            holds: holds(path),
        };
        Ok(Index {
            form: FORM,
            meshproof: crate::version().to_string(),
            captured: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            anonymised: false,
            istio_namespace: wish.contexts.istio_namespace.clone(),
            revision: self.mesh.primary().revision.to_string(),
            istio: tell::istio(&self.files),
            data_plane,
            mesh_id,
            network: tell::network(&self.files, &proxies),
            clusters,
            known_to_istiod,
            files: self.files.iter().map(entry).collect(),
            not_read: std::mem::take(&mut self.not_read),
        })
    }

    fn missing(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.not_read.push(NotRead { what: what.into(), why: why.into() });
    }

    /// All objects of a part, as they are written.
    async fn listed(&mut self, part: &Part) {
        let (cluster, file) = (self.mesh.cluster(part.right.role), path(part.right.role, part.file));
        let istio = cluster.istio_namespace.to_string();
        let namespace = (part.right.place == Place::Istio).then_some(istio.as_str());
        match list(cluster, part.api, part.right.resource, namespace, part.label).await {
            Ok(objects) => {
                let ours = |object: &&Value| {
                    !object["metadata"]["name"].as_str().unwrap_or_default().starts_with("meshproof-")
                };
                let kept: Vec<Value> =
                    objects.iter().filter(ours).filter_map(|object| shape::of(part.api, part.kind, object)).collect();
                let all = self.files.entry(file).or_default();
                all.extend(kept);
            }
            Err(why) => self.missing(format!("{file}: {} {}", part.right.resource, part.label).trim().to_string(), why),
        }
    }

    /// Mesh config, values and root: what stands in ConfigMaps, as data of its own.
    async fn configs(&mut self) {
        let primary = self.mesh.primary();
        let revision = &primary.revision;
        let values = if revision.name() == "default" { "values".to_string() } else { format!("values-{revision}") };
        let wanted = [
            (Role::Primary, "mesh-config", revision.mesh_config(), "mesh"),
            (Role::Primary, "injection-values", revision.injector(), "values"),
            (Role::Primary, "values", values.clone(), "original-values"),
            (Role::Remote, "values", values, "original-values"),
            (Role::Primary, "root", "istio-ca-root-cert".to_string(), "root-cert.pem"),
        ];
        for (role, file, name, key) in wanted {
            let cluster = self.mesh.cluster(role);
            let namespace = cluster.istio_namespace.to_string();
            let path = path(role, file);
            let object = get(cluster, "v1", "configmaps", Some(&namespace), &name).await;
            match object.map(|object| object.map(|object| object["data"][key].as_str().map(String::from))) {
                Ok(Some(Some(text))) => {
                    let mut document = match file {
                        "root" => json!({"root": shape::fingerprint(&text)}),
                        _ => serde_yaml_ng::from_str(&text).unwrap_or_default(),
                    };
                    crate::diagnose::redact::json(&mut document);
                    self.files.insert(path, vec![document]);
                }
                Ok(_) => self.missing(path, format!("ConfigMap {namespace}/{name} has no {key}")),
                Err(why) => self.missing(path, why),
            }
        }
    }

    async fn reader_role(&mut self) {
        let remote = self.mesh.remote();
        let (name, file) = (remote.istio_namespace.reader_role(&remote.revision), path(Role::Remote, "reader-role"));
        let api = "rbac.authorization.k8s.io/v1";
        match get(remote, api, "clusterroles", None, &name).await {
            Ok(found) => {
                let kept = found.and_then(|object| shape::of(api, "ClusterRole", &object));
                self.files.insert(file, kept.into_iter().collect());
            }
            Err(why) => self.missing(file, why),
        }
    }

    async fn remote_secret(&mut self, name: &str) {
        let primary = self.mesh.primary();
        let (namespace, file) = (primary.istio_namespace.to_string(), path(Role::Primary, "remote-secrets"));
        match get(primary, "v1", "secrets", Some(&namespace), name).await {
            Ok(found) => {
                self.files.insert(file, found.iter().map(shape::remote_secret).collect());
            }
            Err(why) => self.missing(file, why),
        }
    }

    /// The clusters that an istiod knows, by its own words.
    async fn known_to_istiod(&mut self) -> Option<Vec<KnownCluster>> {
        let what = "the clusters that istiod knows";
        let primary = self.mesh.primary();
        let pods = match primary.pods(&primary.istio_namespace, &primary.revision.selector()).await {
            Ok(pods) => pods,
            Err(error) => {
                self.missing(what, chain(&error));
                return None;
            }
        };
        let mut why = "there is no pod of istiod".to_string();
        for pod in &pods {
            let page = async {
                primary
                    .forward(&primary.istio_namespace, &pod.name_any(), MONITORING)
                    .await?
                    .json("/debug/clusterz")
                    .await
            };
            match page.await {
                Ok(page) => return Some(tell::known(&page)),
                Err(error) => why = chain(&error),
            }
        }
        self.missing(what, why);
        None
    }

    async fn proxies(&mut self, role: Role) -> Proxies {
        match list(self.mesh.cluster(role), "v1", "pods", None, "").await {
            Ok(pods) => Proxies::of(&pods),
            Err(why) => {
                self.missing(format!("{role}: the number of proxies"), why);
                Proxies::default()
            }
        }
    }

    async fn nodes(&mut self, role: Role) -> Option<usize> {
        match list(self.mesh.cluster(role), "v1", "nodes", None, "").await {
            Ok(nodes) => Some(nodes.len()),
            Err(why) => {
                self.missing(format!("{role}: the number of nodes"), why);
                None
            }
        }
    }
}

fn at(api: &str, resource: &str, namespace: Option<&str>) -> String {
    let root = if api == "v1" { "/api/v1".to_string() } else { format!("/apis/{api}") };
    match namespace {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{resource}"),
        None => format!("{root}/{resource}"),
    }
}

async fn asked(cluster: &Cluster, uri: &str, what: String) -> Result<Option<Value>, String> {
    let request = http::Request::get(uri).body(Vec::new()).map_err(|error| error.to_string())?;
    match cluster.client.request::<Value>(request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(chain(&cluster.refused(what)(error))),
    }
}

/// One object; none where it is not there.
async fn get(
    cluster: &Cluster,
    api: &str,
    resource: &str,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Value>, String> {
    asked(cluster, &format!("{}/{name}", at(api, resource, namespace)), format!("show {resource} {name}")).await
}

/// All objects, page by page; none of a kind that the API server does not know.
async fn list(
    cluster: &Cluster,
    api: &str,
    resource: &str,
    namespace: Option<&str>,
    label: &str,
) -> Result<Vec<Value>, String> {
    let base = at(api, resource, namespace);
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let selected =
            if label.is_empty() { String::new() } else { format!("&labelSelector={}", label.replace('=', "%3D")) };
        let page = if next.is_empty() { String::new() } else { format!("&continue={next}") };
        let uri = format!("{base}?limit={PAGE}{selected}{page}");
        let Some(mut answer) = asked(cluster, &uri, format!("list {resource} {label}")).await? else { return Ok(all) };
        if let Some(items) = answer["items"].as_array_mut() {
            all.append(items);
        }
        match answer["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => next = token.to_string(),
            _ => return Ok(all),
        }
    }
}
