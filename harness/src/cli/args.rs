//! The command line: verbs, flags and the help that teaches them. What the flags say is judged in [`Cli::request`],
//! all of it at once, before anything is created.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit::Exit;

mod brought;
mod bundle;
mod candidate;
mod explain;
mod field;
mod images;
mod inspect;
mod matrix;
mod own;
mod past;
pub mod remotes;
mod request;
mod scenario;
mod shell;
mod telling;
mod versions;

pub use brought::{Bringing, Uninstalling};
pub use bundle::{CaptureWish, Capturing, Rebuild};
pub use candidate::CandidateFlags;
pub use explain::Explaining;
pub use field::{FieldArgs, FieldListing, FieldRun, FieldVerb};
pub use images::{Archive, Getting, Images, ImagesVerb, Listing, Making};
pub use inspect::Inspecting;
pub use matrix::{MatrixArgs, MatrixVerb, Merging};
pub use past::{Diffing, FailOn, Form, Past};
pub use request::{EngineUse, Keep, Rbac, Request, Surroundings};
pub use scenario::{Scenario, ScenarioPath, ScenarioPaths, ScenarioVerb};
pub use shell::{Completing, Manual};
pub use telling::Telling;
pub use versions::{Adding, VersionFlags, VersionsArgs, VersionsVerb};

/// Judges Istio's "Install Primary-Remote" guide on two real clusters.
///
/// Brings up two kind clusters on one Docker network, follows the guide step by step, and judges every statement of it
/// with evidence. `meshproof run` does all of it and cleans up.
#[derive(Debug, Clone, Parser)]
#[command(name = "meshproof", version, max_term_width = 110, propagate_version = true)]
#[command(after_help = exit_codes(), after_long_help = format!("{}\n\n{ENVIRONMENT}\n\n{}", examples(), exit_codes()))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Verb {
    /// Create the lab: images, two clusters, one network.
    ///
    /// Uses the Docker engine that runs, or gets one running; pulls or builds images that are missing. Nothing of Istio
    /// is installed yet.
    ///
    /// Example: `meshproof up --lab mine`
    Up(Up),
    /// Follow the guide on a lab that is up.
    ///
    /// Applies and proves each step of the guide, and stops at the first that cannot be proved.
    ///
    /// Example: `meshproof install --lab mine`
    Install(Common),
    /// Judge the guide's statements on a lab with the mesh installed.
    ///
    /// Changes nothing for good, and can be repeated: break something by hand, and see which clause notices.
    ///
    /// With --contexts and --read-only it judges a mesh of your own instead, as far as reading can tell, and writes nothing.
    ///
    /// Example: `meshproof check --lab mine --only 'D1*,D8'`
    ///
    /// Example: `meshproof check --contexts prod-a,prod-b --read-only`
    Check(Checking),
    /// Follow the guide's clean-up on a lab, which stays.
    ///
    /// With --record it removes what `run --allow-install` made in clusters of your own, and exactly that.
    ///
    /// Example: `meshproof uninstall --lab mine`
    ///
    /// Example: `meshproof uninstall --record runs/latest/created.json`
    Uninstall(Uninstalling),
    /// Remove a lab, whatever is left of it.
    ///
    /// Finds what belongs to the lab by its Docker network, after a crash too, and touches nothing else.
    ///
    /// Example: `meshproof down --lab mine`
    Down(Down),
    /// Say which labs there are, and how to look inside.
    ///
    /// Example: `meshproof status`
    Status(Common),
    /// Do all of it: up, install, check, uninstall, down.
    ///
    /// Leaves `junit.xml` and `events.jsonl` in a new folder below --runs, and diagnostics if something is not as
    /// expected.
    ///
    /// With a BUNDLE that `capture` wrote, the mesh that it tells of is rebuilt and judged.
    ///
    /// Example: `meshproof run --pause-after annotate-namespace --keep on-failure`
    ///
    /// With --contexts and --allow-install all of it is done on clusters of your own, and what was made is removed.
    ///
    /// Example: `meshproof run bundle`
    ///
    /// Example: `meshproof run --contexts lab-a,lab-b --allow-install --workload-image registry.example.com/workload:1`
    Run(Run),
    /// Read a mesh of your own, and write a folder that tells of it: a bundle, from which `run` rebuilds it.
    ///
    /// Only reads, and writes nothing but that folder: versions, values, mesh config, annotations, webhooks, the gateway,
    /// the shape of the remote secret. No token, no key, no certificate; a person can read all of it before sharing it.
    ///
    /// Example: `meshproof capture --contexts prod-a,prod-b --anonymise -o bundle`
    Capture(Capturing),
    /// Judge two archives of `istioctl bug-report`, the primary's first, as far as they tell; no cluster is asked.
    ///
    /// The same clauses as `check --read-only`; what a bug report does not hold cannot be told. Nothing is unpacked onto the
    /// disk.
    ///
    /// Example: `meshproof inspect primary.tar.gz remote.tar.gz`
    Inspect(Inspecting),
    /// Run combinations of versions and scenarios one after the other, and print one table of them.
    ///
    /// Does what `run` does for each, and goes on whatever comes of it. Leaves a table (`table.txt`, `table.md`), one
    /// `junit.xml` with each run as a testsuite, and a folder for each run. The exit code is that of the worst run.
    ///
    /// Example: `meshproof matrix --istio 1.31.1,1.29.2 --kubernetes v1.36.3,v1.34.4`
    ///
    /// Example: `meshproof matrix --istio 1.31.1,1.29.2 --scenario env.yaml,value.yaml --pairwise --shard 1/2`
    ///
    /// Example: `meshproof matrix --istio 1.31.1,1.29.2 --format github`, for `strategy.matrix` of a workflow
    Matrix(MatrixArgs),
    /// Print what a run would do, in the guide's own commands, and do nothing.
    ///
    /// Example: `meshproof plan --scenario suites/scenarios/primary-remote.yaml`
    Plan(Planning),
    /// Break a healthy lab in every way of the catalogue, and see that the right clause says so.
    ///
    /// Breaks one thing at a time, judges the guide's statements, puts it back, and judges again: the suite proves that
    /// its red and its green mean something. Takes the lab that is there and keeps it, else makes one. Prints a table of
    /// sabotages by clauses; each sabotage is a file in fixtures/faults.
    ///
    /// Example: `meshproof prove --lab mine --only 'route-*,remote-secret-missing'`
    Prove(Proving),
    /// List the checks of the catalogue.
    ///
    /// Example: `meshproof list --only '*gateway*'`
    List(Judging),
    /// Say what is known of a check, a step or a hint: what is judged, why, and how to look by hand.
    ///
    /// With it the guide's section, what it needs, the sabotages that turn it red, and the issues in which users met it. Commands
    /// have the contexts of the lab of --lab, or of --contexts, filled in. Asks no cluster.
    ///
    /// Example: `meshproof explain D8`
    ///
    /// Example: `meshproof explain webhook-without-ca remote-secret --contexts prod-a,prod-b`
    Explain(Explaining),
    /// Rebuild the reports of a run from its events.
    ///
    /// Example: `meshproof report runs/latest/events.jsonl --out /tmp/report`
    Report(Report),
    /// Say what is otherwise in one run than in another: verdicts, versions, times beyond noise, evidence.
    ///
    /// Numbers, addresses, hashes and names of pods are another in every run, and are no difference. A time counts if it differs by
    /// more than 25 % and 2 s. Of several runs on a side the worst verdict counts, and times beyond their whole range. Exit code 1
    /// if something got worse.
    ///
    /// Example: `meshproof diff runs/20261122T000939Z-main runs/latest --fail-on any`
    Diff(Diffing),
    /// List the runs of a folder, the newest last, with how long they took and how often each check passed.
    ///
    /// Example: `meshproof history --html history.html`
    History(Past),
    /// Write, check or show a scenario file: what mesh to build, what to do to it, and what to expect.
    ///
    /// Example: `meshproof scenario new mine.yaml`
    Scenario(Scenario),
    /// List or run field issues: what users met, reproduced on a lab.
    ///
    /// Example: `meshproof field list`, then `meshproof field run f05-secret-rotated --istio 1.29.2`
    Field(FieldArgs),
    /// List, get, verify, prune, save or load the images of a lab.
    ///
    /// Example: `meshproof images build`
    Images(Images),
    /// Say which versions of Istio and Kubernetes there are to choose from.
    ///
    /// Example: `meshproof versions`, then `meshproof run --istio 1.29.2 --kubernetes v1.34.4`
    Versions(VersionsArgs),
    /// Print a script by which a shell completes verbs and flags.
    ///
    /// Example: `meshproof completions bash > ~/.local/share/bash-completion/completions/meshproof`
    ///
    /// Example: `source <(meshproof completions zsh)`
    Completions(Completing),
    /// Print the page of the manual, or write one for each verb.
    ///
    /// Example: `meshproof man | man -l -`
    ///
    /// Example: `meshproof man --out ~/.local/share/man/man1`, then `man meshproof-run`
    Man(Manual),
}

/// Flags of every verb that concerns a lab.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Common {
    /// Read what is wanted from this file; without it, the guide's own names on the default versions.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Name the lab; several can stand side by side [default: the scenario's, else meshproof].
    #[arg(long, value_name = "NAME")]
    pub lab: Option<String>,
    /// Multiply every time limit, for slow machines (1 or more) [default: 1].
    #[arg(long, value_name = "FACTOR", allow_hyphen_values = true)]
    pub slow: Option<String>,
    /// Put the folder of each run here.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// How much is said.
    #[command(flatten)]
    pub telling: Telling,
    /// `existing` never installs or starts a Docker engine; `auto` does where none runs [default: auto].
    #[arg(long, env = "ENGINE", hide_env_values = true, value_name = "auto|existing")]
    pub engine: Option<String>,
}

/// Where images come from.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Sources {
    /// Take official images (kindest/node and Istio's own), or build all of them here. `auto` takes what is present for
    /// these versions, official ones first; else it pulls; else it builds [default: the scenario's, else auto].
    #[arg(long, env = "MESHPROOF_IMAGES", hide_env_values = true, value_name = "auto|official|local")]
    pub images: Option<String>,
    /// Pull official images from MIRROR/PATH with their official path, such as mirror.example.com/kindest/node:v1.36.4; they are
    /// used under their official names. Credentials are those of `docker login`.
    #[arg(long, env = "MESHPROOF_REGISTRY", hide_env_values = true, value_name = "MIRROR")]
    pub registry: Option<String>,
    /// Fetch files of releases from URL/PATH with their path on github.com, which URL stands in for; HTTPS_PROXY and
    /// NO_PROXY count.
    #[arg(long, env = "MESHPROOF_RELEASES", hide_env_values = true, value_name = "URL")]
    pub releases: Option<String>,
}

/// Flags of verbs that decide what a lab is like.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Shape {
    /// Give each cluster so many nodes, one of them the control plane [default: the scenario's, else 1].
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub nodes: Option<String>,
    /// Join so many remotes to the primary: cluster2, cluster3 and so on, each judged with the primary [default: the
    /// scenario's, else 1].
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub remotes: Option<String>,
    /// Install Istio into this namespace of all clusters [default: the scenario's, else istio-system].
    #[arg(long, alias = "istioNamespace", value_name = "NAMESPACE", allow_hyphen_values = true)]
    pub istio_namespace: Option<String>,
    /// What it is made of.
    #[command(flatten)]
    pub versions: VersionFlags,
    /// What is judged in the place of a release's own.
    #[command(flatten)]
    pub candidate: CandidateFlags,
}

/// Flags of `up`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Up {
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
    /// What the lab is like.
    #[command(flatten)]
    pub shape: Shape,
}

/// Flags of `plan`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Planning {
    /// What is rebuilt, if that is what is wanted.
    #[command(flatten)]
    pub rebuild: Rebuild,
    /// Flags of verbs that concern checks.
    #[command(flatten)]
    pub judging: Judging,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
    /// What the lab is like.
    #[command(flatten)]
    pub shape: Shape,
}

/// Flags of verbs that concern checks.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Judging {
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Which checks.
    #[command(flatten)]
    pub choice: Choice,
}

/// Flags of `check`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Checking {
    /// Flags of verbs that concern checks.
    #[command(flatten)]
    pub judging: Judging,
    /// Which clusters, if meshproof did not make them.
    #[command(flatten)]
    pub own: Own,
}

/// Clusters that meshproof did not make.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Own {
    /// Judge the clusters of these contexts of your kubeconfig (KUBECONFIG, else ~/.kube/config), the primary's first.
    #[arg(long, value_name = "PRIMARY,REMOTE", value_delimiter = ',')]
    pub contexts: Vec<String>,
    /// Write nothing, and judge what can be told without: what a clause asks beyond that is said.
    #[arg(long)]
    pub read_only: bool,
    /// Look for Istio in this namespace of both clusters of --contexts [default: istio-system].
    #[arg(long, alias = "istioNamespace", value_name = "NAMESPACE", allow_hyphen_values = true)]
    pub istio_namespace: Option<String>,
    /// Print the rights that --read-only takes in the primary or the remote cluster, as a manifest, and which clauses it
    /// cannot judge and why; asks no cluster anything.
    #[arg(long, value_name = "primary|remote")]
    pub print_rbac: Option<String>,
    /// Who gets these rights: user:NAME, group:NAME or serviceaccount:NAMESPACE/NAME [default: an account
    /// meshproof-reader in Istio's namespace, which the manifest makes].
    #[arg(long, value_name = "SUBJECT")]
    pub rbac_subject: Option<String>,
}

/// Which checks.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Choice {
    /// Ask only these checks and what they need: ids, names or globs such as `D8,D1*`.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out these checks: ids, names or globs.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub skip: Vec<String>,
}

/// Flags of `run`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Run {
    /// What is rebuilt, if that is what is wanted.
    #[command(flatten)]
    pub rebuild: Rebuild,
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Which clusters, if meshproof does not make them.
    #[command(flatten)]
    pub bringing: Bringing,
    /// What the lab is like.
    #[command(flatten)]
    pub shape: Shape,
    /// Which checks.
    #[command(flatten)]
    pub choice: Choice,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
    /// Keep the lab afterwards: always, on-failure or never [default: on-failure on a terminal, never in CI].
    #[arg(long, value_name = "WHEN")]
    pub keep: Option<String>,
    /// End the run in order after this time, such as `20m` or `1h 30m`, images included [default: 40m after the images,
    /// times --slow]. What was not judged by then has no verdict. Diagnostics and removal come on top: up to 3 minutes.
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<String>,
    /// Do all of it so many times, each on a new lab, and sum up: passes, failures by check, and how long each part took.
    /// No lab is kept then unless --keep says so, which ends the row.
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub repeat: Option<String>,
    /// Repeat until a run is not green, and stop there; with --repeat at most so many times.
    #[arg(long)]
    pub until_fail: bool,
    /// Wait for Enter after this step of the install, to look or to break something by hand; `meshproof plan` lists them.
    #[arg(long, value_name = "STEP")]
    pub pause_after: Option<String>,
}

/// Flags of `prove`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Proving {
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
    /// What the lab is made of; a lab that is there has to be of these versions.
    #[command(flatten)]
    pub versions: VersionFlags,
    /// Try only these sabotages: ids or globs such as `route-*`.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// List the sabotages, and break nothing.
    #[arg(long)]
    pub list: bool,
    /// Keep a lab that was made for this: always, on-failure or never [default: on-failure on a terminal, else never].
    /// A lab that was there before is always kept; if it cannot be mended, the proof ends there.
    #[arg(long, value_name = "WHEN")]
    pub keep: Option<String>,
    /// Judge the mended mesh once, after the last sabotage, and after each that was not told as expected: about half of the
    /// time, but of several sabotages nobody can say then which one left something behind.
    #[arg(long)]
    pub judge_once: bool,
}

/// Flags of `down`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Down {
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Remove every lab that meshproof made on this host.
    #[arg(long)]
    pub all: bool,
}

/// Flags of `report`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Report {
    /// A run: its folder or its `events.jsonl`.
    #[arg(value_name = "RUN")]
    pub events: PathBuf,
    /// Write the reports here, with the events.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

impl Verb {
    /// The verb as it is typed, for events and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Up(_) => "up",
            Verb::Install(_) => "install",
            Verb::Check(_) => "check",
            Verb::Uninstall(_) => "uninstall",
            Verb::Down(_) => "down",
            Verb::Status(_) => "status",
            Verb::Run(_) => "run",
            Verb::Matrix(_) => "matrix",
            Verb::Plan(_) => "plan",
            Verb::Prove(_) => "prove",
            Verb::List(_) => "list",
            Verb::Explain(_) => "explain",
            Verb::Report(_) => "report",
            Verb::Diff(_) => "diff",
            Verb::History(_) => "history",
            Verb::Scenario(_) => "scenario",
            Verb::Field(_) => "field",
            Verb::Images(_) => "images",
            Verb::Versions(_) => "versions",
            Verb::Capture(_) => "capture",
            Verb::Inspect(_) => "inspect",
            Verb::Completions(_) => "completions",
            Verb::Man(_) => "man",
        }
    }

    /// The flags of every verb; those that make no lab and judge nothing have none of them.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Verb::Install(common) | Verb::Status(common) => Some(common),
            Verb::Uninstall(uninstalling) => Some(&uninstalling.common),
            Verb::Up(up) => Some(&up.common),
            Verb::Check(checking) => Some(&checking.judging.common),
            Verb::List(judging) => Some(&judging.common),
            Verb::Plan(planning) => Some(&planning.judging.common),
            Verb::Prove(proving) => Some(&proving.common),
            Verb::Down(down) => Some(&down.common),
            Verb::Run(run) => Some(&run.common),
            Verb::Field(FieldArgs { verb: FieldVerb::Run(run) }) => Some(&run.common),
            Verb::Matrix(args) => Some(&args.common),
            Verb::Field(_) | Verb::Report(_) | Verb::Scenario(_) | Verb::Versions(_) | Verb::Explain(_) => None,
            Verb::Capture(_) | Verb::Inspect(_) | Verb::Diff(_) | Verb::History(_) => None,
            Verb::Completions(_) | Verb::Man(_) => None,
            Verb::Images(images) => Some(&images.verb.making().common),
        }
    }

    /// Whether its exit code is a verdict.
    pub fn judges(&self) -> bool {
        match self {
            Verb::Run(_) | Verb::Check(_) | Verb::Uninstall(_) | Verb::Inspect(_) => true,
            Verb::Prove(proving) => !proving.list,
            Verb::Matrix(args) => !args.list && args.format.is_none(),
            Verb::Field(args) => matches!(args.verb, FieldVerb::Run(_)),
            _ => false,
        }
    }

    /// How much is said.
    pub fn telling(&self) -> Telling {
        match self {
            Verb::Inspect(inspecting) => inspecting.telling,
            Verb::Capture(capturing) => capturing.telling,
            _ => self.common().map(|common| common.telling).unwrap_or_default(),
        }
    }

    /// Where images come from; nothing said for verbs that need none.
    pub fn sources(&self) -> Sources {
        match self {
            Verb::Up(up) => up.sources.clone(),
            Verb::Run(run) => run.sources.clone(),
            Verb::Plan(planning) => planning.sources.clone(),
            Verb::Prove(proving) => proving.sources.clone(),
            Verb::Field(FieldArgs { verb: FieldVerb::Run(run) }) => run.sources.clone(),
            Verb::Images(images) => images.verb.making().sources.clone(),
            _ => Sources::default(),
        }
    }

    /// The bundle that is rebuilt, where the verb takes one.
    pub fn rebuild(&self) -> Rebuild {
        match self {
            Verb::Run(run) => run.rebuild.clone(),
            Verb::Plan(planning) => planning.rebuild.clone(),
            _ => Rebuild::default(),
        }
    }

    /// What the lab shall be like; what the scenario says for verbs that make none.
    pub fn shape(&self) -> Shape {
        match self {
            Verb::Up(up) => up.shape.clone(),
            Verb::Run(run) => run.shape.clone(),
            Verb::Plan(planning) => planning.shape.clone(),
            _ => Shape::default(),
        }
    }

    /// The versions that are asked for; what the scenario says for verbs that neither make a lab nor get images.
    pub fn versions(&self) -> VersionFlags {
        match self {
            Verb::Prove(proving) => proving.versions.clone(),
            Verb::Field(FieldArgs { verb: FieldVerb::Run(run) }) => {
                VersionFlags { kubernetes: run.kubernetes.clone(), ..VersionFlags::default() }
            }
            Verb::Images(images) => images.verb.versions(),
            _ => self.shape().versions,
        }
    }

    /// Which checks are wanted; everything for verbs that do not choose.
    pub fn choice(&self) -> Choice {
        match self {
            Verb::Check(checking) => checking.judging.choice.clone(),
            Verb::List(judging) => judging.choice.clone(),
            Verb::Inspect(inspecting) => inspecting.choice.clone(),
            Verb::Plan(planning) => planning.judging.choice.clone(),
            Verb::Run(run) => run.choice.clone(),
            _ => Choice::default(),
        }
    }
}

const ENVIRONMENT: &str = "\
Environment:
  ENGINE=existing       never install or start a Docker engine, as --engine
  MESHPROOF_HOME=DIR    keep labs and what was built there, instead of in ~/.local/state and ~/.cache
  MESHPROOF_IMAGES, MESHPROOF_REGISTRY, MESHPROOF_RELEASES   as --images, --registry and --releases
  NO_COLOR=1, CI=true, TERM=dumb   no colours; plain lines; plain lines without colours
  HTTPS_PROXY, NO_PROXY  how to reach files of releases; images are pulled by the engine, by its own proxy settings";

fn examples() -> String {
    "\
Examples:
  meshproof run                           from nothing to a verdict, and clean again
  meshproof run --istio 1.29.2            on another version; `meshproof versions` lists them
  meshproof run --only D8 --keep always   one check and what it needs; the lab stays
  meshproof check --contexts a,b --read-only   a mesh of your own, which is only read
  meshproof field list                    what users met, and with which Istio it shows
  meshproof plan                          the steps as the guide's own commands
  meshproof up; meshproof install; meshproof check; meshproof down   the same, verb by verb"
        .to_string()
}

fn exit_codes() -> String {
    let all = [Exit::Green, Exit::Red, Exit::Usage, Exit::NoVerdict, Exit::LeftOver, Exit::Interrupted];
    let rows = all.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", rows.join("\n"))
}
