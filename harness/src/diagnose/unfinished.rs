//! Diagnostics of a lab that could not be finished: there is no `lab.json`, so its network says which nodes there are.

use std::path::Path;
use std::time::{Duration, Instant};

use bollard::query_parameters::LogsOptions;
use futures::StreamExt;

use super::collect::{AT_ONCE, Collected};
use super::folder::{FILE_LIMIT, Folder, TOTAL_LIMIT};
use super::item::{Item, Limits, gather};
use super::nodes::{self, CONTAINERS, HOST, NETWORK};
use super::{causes, hints};
use crate::budget::Budgets;
use crate::check::verdict::chain;
use crate::event::Record;
use crate::lab::{Engine, Home, kind};
use crate::scenario::IstioNamespace;
use crate::topology::network_name;

/// Lines of each journal and of each container's own output.
const LINES: &str = "500";

/// A lab that could not be finished.
#[derive(Debug, Clone, Copy)]
pub struct Unfinished<'a> {
    /// The engine that it runs on.
    pub engine: &'a Engine,
    /// Where it is remembered.
    pub home: &'a Home,
    /// Its name.
    pub lab: &'a str,
    /// Where Istio would be in it.
    pub istio_namespace: &'a IstioNamespace,
}

/// Writes what kind said and what the nodes say below `folder`; it never fails the run, and says what it could not get.
pub async fn collect_unfinished(
    what: Unfinished<'_>,
    records: &[Record],
    budgets: &Budgets,
    folder: &Path,
) -> Collected {
    let began = Instant::now();
    let network = network_name(what.lab);
    let mut files = Folder::new(folder, FILE_LIMIT, TOTAL_LIMIT);
    files.write("causes.txt", "what could not be made, and why", &causes::of(records));
    for (cluster, text) in kind::logs(&what.home.lab(what.lab)) {
        files.write(&kind::diagnosed(&cluster), "what kind said", &text);
    }
    let mut items = vec![nodes::containers(what.engine, &network)];
    match what.engine.containers("network", &network).await {
        Ok(found) => {
            let names = found.into_iter().filter_map(|container| container.names?.into_iter().next());
            items.extend(names.flat_map(|name| node(what.engine, name.trim_start_matches('/'))));
        }
        Err(error) => files.miss("nodes", &chain(&error)),
    }
    let limits = Limits {
        at_once: AT_ONCE,
        item: Duration::from_secs(10).mul_f64(budgets.slow),
        all: budgets.diagnose().mul_f64(0.95),
    };
    gather(items, &mut files, limits).await;
    let hints = hints::hints(files.texts(), what.istio_namespace);
    let head = format!(
        "Taken at {:.0} from lab {}, which could not be finished. Begin with causes.txt. Secrets are left out.\n",
        jiff::Timestamp::now(),
        what.lab
    );
    let (files, missing) = files.close(&head, &hints);
    let hints = hints.iter().map(ToString::to_string).collect();
    Collected { files, missing, hints, seconds: began.elapsed().as_secs_f64() }
}

fn node(engine: &Engine, name: &str) -> Vec<Item> {
    let journal = |unit: &str| format!("journalctl --unit {unit} --lines {LINES} --no-pager");
    let mut items = vec![output(engine, name)];
    for (file, title, command) in [
        ("kubelet.log", "the end of the kubelet's journal on", journal("kubelet")),
        ("containerd.log", "the end of containerd's journal on", journal("containerd")),
        ("containers.txt", "containers of", CONTAINERS.to_string()),
        ("network.txt", "routes and addresses of", NETWORK.to_string()),
        ("host.txt", "limits, load, memory and disk of", HOST.to_string()),
    ] {
        let (engine, container) = (engine.clone(), name.to_string());
        items.push(Item::new(format!("nodes/{name}/{file}"), format!("{title} {name}"), async move {
            engine.exec(&container, &["sh", "-c", &command], "").await.map_err(|error| chain(&error))
        }));
    }
    items
}

/// What the node itself said as it came up.
fn output(engine: &Engine, name: &str) -> Item {
    let (docker, container) = (engine.docker.clone(), name.to_string());
    Item::new(format!("nodes/{name}/output.log"), format!("what {name} said as it came up"), async move {
        let options = LogsOptions { stdout: true, stderr: true, tail: LINES.to_string(), ..LogsOptions::default() };
        let mut lines = docker.logs(&container, Some(options));
        let mut text = String::new();
        while let Some(line) = lines.next().await {
            text.push_str(&line.map_err(|error| chain(&error))?.to_string());
        }
        Ok(text)
    })
}
