//! The flags of `capture`, and the bundle that `run` and `plan` can be given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use kube::config::Kubeconfig;

use super::own::{istio_namespace, role};
use super::request::{Rbac, Surroundings};
use super::{Telling, VersionFlags, remotes};
use crate::bundle::rebuild::{Rebuilt, rebuild};
use crate::bundle::{self, ACCOUNT, Wish};
use crate::lab::{Home, LabFile};
use crate::problem::{Problem, Problems};
use crate::reading::rbac::Subject;
use crate::reading::{Contexts, KubeconfigFiles};
use crate::role::Role;
use crate::scenario::check_lab_name;
use crate::versions::Component;

/// Flags of `capture`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Capturing {
    /// Read the clusters of these contexts of your kubeconfig (KUBECONFIG, else ~/.kube/config), the primary's first.
    #[arg(long, value_name = "PRIMARY,REMOTE", value_delimiter = ',')]
    pub contexts: Vec<String>,
    /// Read the clusters of this lab instead.
    #[arg(long, value_name = "NAME")]
    pub lab: Option<String>,
    /// Look for Istio in this namespace of both clusters [default: istio-system].
    #[arg(long, alias = "istioNamespace", value_name = "NAMESPACE", allow_hyphen_values = true)]
    pub istio_namespace: Option<String>,
    /// Write into this folder, which is made, or is empty.
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Replace namespaces of users, addresses, hosts and registries, each by the same word wherever it stands. Ids of
    /// clusters, of the mesh and of the network stay.
    #[arg(long)]
    pub anonymise: bool,
    /// Read this Secret of Istio's namespace in the primary cluster, too: its labels, its keys and the address of the API server
    /// in it; the token in it is not kept. No other Secret is read, and none without this flag [default of a lab: its own].
    #[arg(long, value_name = "NAME")]
    pub remote_secret: Option<String>,
    /// Print the rights that this takes in the primary or the remote cluster, as a manifest; asks no cluster anything.
    #[arg(long, value_name = "primary|remote")]
    pub print_rbac: Option<String>,
    /// Who gets these rights: user:NAME, group:NAME or serviceaccount:NAMESPACE/NAME [default: an account meshproof-capture
    /// in Istio's namespace, which the manifest makes].
    #[arg(long, value_name = "SUBJECT")]
    pub rbac_subject: Option<String>,
    /// How much is said.
    #[command(flatten)]
    pub telling: Telling,
}

/// The bundle that is rebuilt.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Rebuild {
    /// Rebuild the mesh of this bundle, a folder that `meshproof capture` wrote, in the place of a scenario.
    #[arg(value_name = "BUNDLE")]
    pub bundle: Option<PathBuf>,
}

/// What `capture` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum CaptureWish {
    /// A manifest of rights, with the Secret that may be read.
    Rights(Rbac, Option<String>),
    /// A bundle in this folder.
    Bundle {
        /// What is read.
        wish: Box<Wish>,
        /// Where it goes.
        out: PathBuf,
        /// Whether names and addresses are replaced.
        anonymise: bool,
    },
}

impl Capturing {
    /// What is asked for.
    ///
    /// # Errors
    /// Everything that is wrong with the flags.
    pub fn wanted(&self, kubeconfig: &KubeconfigFiles) -> Result<CaptureWish, Problems> {
        let mut problems = Problems::new();
        // What is known of it does not matter to what is wrong with the rest.
        let namespace = istio_namespace(self.istio_namespace.as_deref(), &mut problems).unwrap_or_default();
        if self.remote_secret.as_deref().is_some_and(|name| !is_name(name)) {
            let message = format!("`{}` is no name of a Secret", self.remote_secret.as_deref().unwrap_or_default());
            problems.push("--remote-secret", message, "such as istio-remote-secret-cluster2");
        }
        if let Some(role_name) = &self.print_rbac {
            let subject = self.rbac_subject.as_deref().map(|text| Subject::parse(text).map_err(Problems::from));
            let subject = subject.and_then(|subject| problems.keep(subject));
            let role = problems.keep(role(role_name).map_err(Problems::from)).unwrap_or(Role::Primary);
            let subject = subject.unwrap_or_else(|| Subject::usual(&namespace, ACCOUNT));
            let rbac = Rbac { role, subject, istio_namespace: namespace };
            return problems.or(CaptureWish::Rights(rbac, self.remote_secret.clone()));
        }
        if self.rbac_subject.is_some() {
            problems.push(
                "--rbac-subject",
                "no rights are printed",
                "--print-rbac primary or --print-rbac remote with it",
            );
        }
        let out = self.out.clone().unwrap_or_default();
        if self.out.is_none() {
            problems.push("--out", "no folder is given", "a folder that is made, or is empty: -o bundle");
        } else {
            problems.keep(bundle::free(&out).map_err(Problems::from));
        }
        let (contexts, own_secret) = match (&self.lab, self.contexts.is_empty()) {
            (Some(_), false) => {
                let instead = "one of them: --lab for a lab, --contexts for clusters of your own";
                problems.push("--lab", "--contexts names clusters, too", instead);
                (None, None)
            }
            (Some(lab), true) => match problems.keep(of_lab(lab, self.istio_namespace.is_some())) {
                Some((contexts, secret)) => (Some(contexts), Some(secret)),
                None => (None, None),
            },
            (None, _) => (problems.keep(Contexts::choose(&self.contexts, namespace, kubeconfig)), None),
        };
        let remote_secret = self.remote_secret.clone().or(own_secret);
        match contexts {
            Some(contexts) => {
                let wish = Box::new(Wish { contexts, remote_secret });
                problems.or(CaptureWish::Bundle { wish, out, anonymise: self.anonymise })
            }
            None => Err(problems),
        }
    }
}

/// Whether a text can be the name of a Secret.
fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '.');
    !name.is_empty() && name.len() <= 253 && name.chars().all(letter)
}

/// The contexts of a lab, by its own kubeconfig files, and the name of its remote secret.
fn of_lab(lab: &str, namespace_said: bool) -> Result<(Contexts, String), Problems> {
    let mut problems = Problems::new();
    if let Err((message, instead)) = check_lab_name(lab) {
        return Err(Problem::new("--lab", message, instead).into());
    }
    if namespace_said {
        problems.push("--istio-namespace", "a lab knows its own namespace", "leave it out");
    }
    let home = Home::from_environment();
    let Some(file) = problems.keep(LabFile::read(&home, lab).map_err(Problems::from)) else { return Err(problems) };
    let mut kubeconfig = Kubeconfig::default();
    for role in Role::ALL {
        let path = home.kubeconfig(lab, role);
        let read = Kubeconfig::read_from(&path).and_then(|next| kubeconfig.clone().merge(next));
        match read {
            Ok(merged) => kubeconfig = merged,
            Err(_) => {
                let message = format!("`{}` cannot be read as a kubeconfig", path.display());
                problems.push("--lab", message, "make the lab again: meshproof down, meshproof up");
            }
        }
    }
    if let Some(problem) = remotes::only_one("capture", &file.scenario) {
        return Err(problem.into());
    }
    let plans = file.topology.iter().flat_map(|topology| topology.clusters.iter());
    let names = plans.map(|(member, plan)| (member.role, plan.context.clone())).collect();
    let istio_namespace = file.scenario.istio_namespace_of(Role::Primary).clone();
    let secret = format!("istio-remote-secret-{}", file.scenario.clusters[&Role::Remote].name);
    problems.or((Contexts { names, istio_namespace, kubeconfig }, secret))
}

impl Rebuild {
    /// The mesh of the bundle, if one is named.
    ///
    /// # Errors
    /// Everything that is wrong with the bundle, or keeps it from being rebuilt.
    pub fn wanted(
        &self,
        scenario_given: bool,
        flags: &VersionFlags,
        around: &Surroundings<'_>,
    ) -> Result<Option<Rebuilt>, Problems> {
        let Some(folder) = &self.bundle else { return Ok(None) };
        let mut problems = Problems::new();
        if scenario_given {
            let instead = "one of them: a bundle, or --scenario";
            problems.push("--scenario", "a bundle says already what is built", instead);
        }
        let asked: BTreeMap<Component, String> = Component::ALL
            .into_iter()
            .filter_map(|component| Some((component, flags.of(component)?.to_string())))
            .collect();
        let bundle = problems.keep(bundle::read(folder));
        let rebuilt = bundle.and_then(|bundle| problems.keep(rebuild(&bundle, around.versions, &asked)));
        problems.or(rebuilt)
    }
}
