//! A repository of small recipes, and a cache to build them into.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bollard::Docker;
use harness::budget::Budgets;
use harness::event::{Event, Recorder};
use harness::lab::host::Host;
use harness::lab::images::{self, ImageError, Origins, Present, Site};
use harness::lab::{Engine, Home};
use harness::scenario::{Candidate, ImageSource, Scenario};
use harness::versions::{Picked, Versions};
use tempfile::TempDir;

const VERSIONS: &str = r#"
[defaults]
kubernetes = "v1.0.0"
istio = "1.0.0"
flour = "fine"

[kubernetes."v1.0.0"]
yeast = "dry"

[kubernetes."v1.1.0"]
yeast = "fresh"

[istio."1.0.0"]
spices = ["salt", "pepper"]
"#;

pub struct Yard {
    _folder: TempDir,
    pub root: PathBuf,
    pub home: Home,
    pub recorder: Recorder,
    pub engine: Engine,
    host: Host,
    origins: Origins,
    candidate: Candidate,
    budgets: Budgets,
}

impl Yard {
    /// Three recipes: `bread` needs `dough`, and `soup` stands for itself.
    pub fn new() -> Yard {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let home = Home { state: folder.path().join("state"), cache: folder.path().join("cache") };
        // Recipes that make files never ask the engine, so nothing has to listen there.
        let docker =
            Docker::connect_with_http("http://127.0.0.1:9", 1, bollard::API_DEFAULT_VERSION).expect("a client");
        let root = folder.path().join("repository");
        let yard = Yard {
            _folder: folder,
            root,
            home,
            recorder: Recorder::new(Vec::new()),
            engine: Engine { docker },
            host: Host::default(),
            origins: Origins::default(),
            candidate: Candidate::default(),
            budgets: Budgets::default(),
        };
        yard.write("kind/versions.toml", VERSIONS);
        yard.write("kind/recipes/lib.sh", "set -euo pipefail\n");
        yard.write("fixtures/salt", "white\n");
        yard.recipe("dough", "", "kubernetes.yeast flour", "", r#"echo "$V_FLOUR $V_KUBERNETES_YEAST" >"$OUT/dough""#);
        yard.recipe("bread", "dough", "", "", r#"cat "$IN_DOUGH/dough" >"$OUT/bread""#);
        yard.recipe("soup", "", "istio.spices", "fixtures/salt", r#"cat "$REPO/fixtures/salt" >"$OUT/soup""#);
        yard
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is made");
        fs::write(path, text).expect("the file is written");
    }

    /// Writes a recipe that makes files.
    pub fn recipe(&self, name: &str, needs: &str, versions: &str, inputs: &str, code: &str) {
        let path = format!("kind/recipes/{name}/build");
        let head = format!(
            "# title: The {name}\n# makes: files\n# needs: {needs}\n# versions: {versions}\n# inputs: {inputs}\n"
        );
        let text = format!("#!/usr/bin/env bash\n{head}. \"$(dirname \"$0\")/../lib.sh\"\n{code}\n");
        self.write(&path, &text);
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    pub fn picked(&self, kubernetes: &str) -> Picked {
        let text = fs::read_to_string(self.root.join("kind/versions.toml")).expect("the versions are there");
        let versions = Versions::parse(&text).expect("the versions can be read");
        let mut scenario = Scenario::default_primary_remote(&versions);
        scenario.kubernetes = kubernetes.to_string();
        versions.pick(&scenario)
    }

    pub fn site<'a>(&'a self, picked: &'a Picked) -> Site<'a> {
        Site {
            home: &self.home,
            root: &self.root,
            picked,
            engine: &self.engine,
            host: &self.host,
            source: ImageSource::Local,
            candidate: &self.candidate,
            origins: &self.origins,
            recorder: &self.recorder,
            budgets: &self.budgets,
        }
    }

    pub async fn ensure(&self) -> Result<BTreeMap<String, Present>, ImageError> {
        self.ensure_these(&[]).await
    }

    pub async fn ensure_these(&self, names: &[&str]) -> Result<BTreeMap<String, Present>, ImageError> {
        let picked = self.picked("v1.0.0");
        images::ensure_recipes(&self.site(&picked), &picked, names).await
    }

    /// Builds, and says what was really built, in order of their ends.
    pub async fn built(&self) -> Vec<String> {
        let before = self.recorder.records().len();
        self.ensure().await.expect("the recipes are sound");
        let finished = |record: harness::event::Record| match record.event {
            Event::LabFinished { id, error: None, .. } => id.strip_prefix("image-").map(str::to_string),
            _ => None,
        };
        let mut built: Vec<String> = self.recorder.records().into_iter().skip(before).filter_map(finished).collect();
        built.sort();
        built
    }

    /// What the last event of this id says.
    pub fn last_finished(&self, wanted: &str) -> Option<(String, Option<String>)> {
        self.recorder.records().into_iter().rev().find_map(|record| match record.event {
            Event::LabFinished { id, detail, error, .. } if id == wanted => Some((detail, error)),
            _ => None,
        })
    }
}

pub fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("the file is there")
}
