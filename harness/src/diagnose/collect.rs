//! Collects what a person needs to see why something is red, from all clusters, before anything is cleaned up.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::folder::{FILE_LIMIT, Folder, TOTAL_LIMIT};
use super::item::{Item, Limits, gather};
use super::{causes, hints, nodes, objects};
use crate::context::Context;
use crate::install::facts::Fact;
use crate::lab::Lab;

/// Items at once: enough that one silent cluster does not hold up the other, few enough for a small machine.
pub(super) const AT_ONCE: usize = 8;

/// What was collected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    /// Number of files.
    pub files: usize,
    /// What could not be collected, and why.
    pub missing: Vec<String>,
    /// What the texts point to, a line each.
    pub hints: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Writes diagnostics below `folder`; it never fails the run, and says what it could not get.
pub async fn collect(context: &Context, folder: &Path) -> Collected {
    let began = Instant::now();
    let lab = &context.lab;
    let mut files = Folder::new(folder, FILE_LIMIT, TOTAL_LIMIT);
    files.write("causes.txt", "what is not passed, and why", &causes::of(&context.recorder.records()));
    files.write("versions.txt", "what was under test", &versions(lab));
    match serde_json::to_string_pretty(&lab.file) {
        Ok(text) => files.write("lab.json", "the lab, with the facts that the install learnt", &text),
        Err(error) => files.miss("lab.json", &error.to_string()),
    }
    let root = context.facts.get(Fact::RootCert);
    // API servers first: from them it is known what else to ask for.
    let mut items: Vec<Item> = lab.all_clusters().map(|cluster| objects::of(cluster, root.as_deref())).collect();
    items.extend(nodes::of(lab));
    let budget = context.budgets.diagnose();
    // The rest is for hints and for the index.
    let limits = Limits {
        at_once: AT_ONCE,
        item: Duration::from_secs(10).mul_f64(context.budgets.slow),
        all: budget.mul_f64(0.95),
    };
    gather(items, &mut files, limits).await;
    let hints = hints::hints(files.texts(), &context.primary().istio_namespace);
    let (files, missing) = files.close(&head(lab), &hints);
    let hints = hints.iter().map(ToString::to_string).collect();
    Collected { files, missing, hints, seconds: began.elapsed().as_secs_f64() }
}

fn versions(lab: &Lab) -> String {
    let file = &lab.file;
    let mut text = format!("meshproof {}, lab made by {}\n", crate::version(), file.meshproof);
    let _ =
        writeln!(text, "Istio {}, Kubernetes {}, {}", file.scenario.istio, file.scenario.kubernetes, file.data_plane);
    for (member, cluster) in file.clusters.iter() {
        let _ = writeln!(text, "{member}: {} {} uid {}", cluster.name, cluster.kubernetes, cluster.kube_system_uid);
    }
    for (image, digest) in &file.images {
        let _ = writeln!(text, "image {image} {digest}");
    }
    text
}

/// When it was, and how to use the commands of the hints while the lab is there.
fn head(lab: &Lab) -> String {
    let mut text = format!(
        "Taken at {:.0} from lab {}, before any clean-up. Begin with causes.txt. Secrets are left out.\n",
        jiff::Timestamp::now(),
        lab.file.scenario.lab
    );
    let mut paths = Vec::new();
    let mut contexts = String::new();
    for (number, cluster) in lab.all_clusters().enumerate() {
        paths.extend(cluster.kubeconfig.iter().map(|path| path.display().to_string()));
        let _ = write!(contexts, " CTX_CLUSTER{}={}", number + 1, cluster.context);
    }
    let _ = write!(
        text,
        "While the lab is there, commands work after:\n\n    export KUBECONFIG={}{contexts}\n",
        crate::tool::quote(&paths.join(":"))
    );
    text
}
