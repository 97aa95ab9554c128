//! The flags of `run` and `uninstall` for clusters that the user brings.

use std::path::PathBuf;

use clap::Args;

use super::{Common, Run};
use crate::problem::Problems;
use crate::reading::{Contexts, KubeconfigFiles};
use crate::scenario::IstioNamespace;

/// Clusters that the user brings for an install.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = "Clusters of your own")]
pub struct Bringing {
    /// Install on the clusters of these contexts of your kubeconfig (KUBECONFIG, else ~/.kube/config), the primary's first,
    /// judge them, and remove exactly what was made. Goes with --allow-install; the kubeconfig is only read.
    #[arg(long, value_name = "PRIMARY,REMOTE", value_delimiter = ',')]
    pub contexts: Vec<String>,
    /// Allow what --contexts asks for: the plan is shown first, with all that will be made, and you are asked.
    #[arg(long)]
    pub allow_install: bool,
    /// The image of the test workload, from a registry that both clusters can pull from.
    #[arg(long, value_name = "IMAGE")]
    pub workload_image: Option<String>,
    /// Do not ask: for CI, after you have read the plan once.
    #[arg(long)]
    pub yes: bool,
}

/// Flags of `uninstall`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Uninstalling {
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Remove what this record says that `run --allow-install` made in clusters of yours: the created.json in the folder of
    /// that run.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Judges these flags with those beside them that only a lab has, and names all that is wrong with them; the clusters, if
/// some are brought.
pub fn read(
    run: &Run,
    istio_namespace: &IstioNamespace,
    files: &KubeconfigFiles,
    problems: &mut Problems,
) -> Option<Contexts> {
    let Bringing { contexts, allow_install, workload_image, yes } = &run.bringing;
    if contexts.is_empty() {
        let flags =
            [("--allow-install", *allow_install), ("--workload-image", workload_image.is_some()), ("--yes", *yes)];
        for (flag, _) in flags.into_iter().filter(|(_, given)| *given) {
            let message = "which clusters are meant is not said";
            let instead = "--contexts PRIMARY,REMOTE with it; a lab of meshproof's own needs none of these flags";
            problems.push(flag, message, instead);
        }
        return None;
    }
    if !allow_install {
        let message = "meshproof writes only to labs that it made, and these clusters are yours";
        let instead =
            "add --allow-install, and the plan is shown first; or `meshproof check --read-only`, which writes nothing";
        problems.push("--contexts", message, instead);
    }
    match workload_image.as_deref() {
        None => {
            let message = "the test workload has to be an image that the clusters can pull";
            let instead = "--workload-image IMAGE: push the one that `meshproof images list` calls workload to a registry of yours";
            problems.push("--workload-image", message, instead);
        }
        Some(image) if image.trim().is_empty() || image.contains([' ', '"', '\'', '\n']) => {
            problems.push(
                "--workload-image",
                format!("`{image}` is no image"),
                "such as registry.example.com/workload:1",
            );
        }
        Some(_) => {}
    }
    let of_lab = [
        ("--lab", run.common.lab.is_some()),
        ("--scenario", run.common.scenario.is_some()),
        ("BUNDLE", run.rebuild.bundle.is_some()),
        ("--nodes", run.shape.nodes.is_some()),
        ("--remotes", run.shape.remotes.is_some()),
        ("--kubernetes", run.shape.versions.kubernetes.is_some()),
        ("--envoy", run.shape.versions.envoy.is_some()),
        ("--images-tar", run.shape.candidate.images_tar.is_some()),
        ("--repeat", run.repeat.is_some()),
        ("--until-fail", run.until_fail),
        (
            "--pause-after with a step of the lab",
            run.pause_after.as_deref().is_some_and(|step| step.starts_with("pod-network-")),
        ),
    ];
    for (flag, _) in of_lab.into_iter().filter(|(_, given)| *given) {
        let message = format!("{flag} means a lab that meshproof makes, and --contexts clusters of yours");
        problems.push(flag, message, format!("one of them: {flag}, or --contexts"));
    }
    problems.keep(Contexts::choose(contexts, istio_namespace.clone(), files))
}
