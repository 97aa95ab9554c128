//! Made-up runs: a plan with three steps and three cases, and events on a clock that the test winds.

use std::collections::BTreeMap;

use harness::check::{Evidence, Finding, Verdict};
use harness::event::{ClusterFacts, Event, Record, StepOutcome};
use harness::per_cluster::PerCluster;
use harness::plan::{Deviation, Plan};
use serde_json::json;

/// The plan of every story; `expect` as in a scenario file.
pub fn plan(expect: &[(&str, &str)]) -> Plan {
    let cluster = |name: &str, pods: &str, services: &str| {
        json!({
            "name": name, "kindName": format!("meshproof-{name}"), "context": format!("kind-meshproof-{name}"),
            "podSubnet": pods, "serviceSubnet": services,
        })
    };
    let plan = json!({
        "scenario": {
            "name": "primary-remote", "lab": "meshproof", "kubernetes": "v1.36.3", "istio": "1.31.1",
            "images": "local", "meshId": "mesh1", "network": "network1",
            "clusters": { "primary": { "name": "cluster1" }, "remote": { "name": "cluster2" } },
            "expect": expect.iter().copied().collect::<BTreeMap<_, _>>(),
        },
        "topology": {
            "lab": "meshproof",
            "network": {
                "name": "meshproof", "subnet": "172.30.0.0/24",
                "nodes": "172.30.0.0/25", "gateways": "172.30.0.128/25",
            },
            "clusters": {
                "primary": cluster("cluster1", "10.10.0.0/16", "10.11.0.0/16"),
                "remote": cluster("cluster2", "10.20.0.0/16", "10.21.0.0/16"),
            },
        },
        "steps": [
            {
                "id": "primary-istiod", "title": "The control plane runs in cluster1",
                "guide": "Configure cluster1 as a primary", "role": "primary", "phase": "install",
                "commands": ["cat <<EOF > cluster1.yaml\napiVersion: install.istio.io/v1alpha1\nEOF",
                    "istioctl install --context=\"${CTX_CLUSTER1}\" -f cluster1.yaml"],
                "proof": "istiod is ready and has EXTERNAL_ISTIOD", "after": [], "needs": [], "teaches": [],
            },
            {
                "id": "eastwest-gateway", "title": "The east-west gateway runs in cluster1",
                "guide": "Install the east-west gateway in cluster1", "role": "primary", "phase": "install",
                "commands": ["samples/multicluster/gen-eastwest-gateway.sh --network network1 | istioctl install -f -"],
                "proof": "its Service has an address that answers", "after": ["primary-istiod"], "needs": [],
                "teaches": ["gateway-address"],
            },
            {
                "id": "uninstall", "title": "Istio is removed from both clusters", "guide": "Cleanup",
                "role": "primary", "phase": "clean-up",
                "commands": ["istioctl uninstall --context=\"${CTX_CLUSTER1}\" -y --purge"],
                "proof": "its objects are gone", "after": [], "needs": ["gateway-address"], "teaches": [],
            },
        ],
        "cases": [
            {
                "id": "D0", "slug": "both-clusters-ready", "title": "Both clusters are ready",
                "guide": "Before you begin", "needs": [],
            },
            {
                "id": "D1", "slug": "primary-control-plane", "title": "The control plane of cluster1 serves both",
                "guide": "Configure cluster1 as a primary", "needs": ["primary-istiod"],
            },
            {
                "id": "D12", "slug": "nothing-left", "title": "The clean-up leaves nothing behind",
                "guide": "Cleanup", "needs": ["uninstall"],
            },
        ],
        "deviations": [{ "what": "images are never pulled", "why": "the nodes hold them already" }],
    });
    serde_json::from_value(plan).expect("the plan of the stories is a plan")
}

/// Events in order, each a moment after the one before.
#[derive(Debug, Clone)]
pub struct Story {
    now: f64,
    pub records: Vec<Record>,
}

impl Story {
    /// A run that has just begun.
    pub fn of(verb: &str, expect: &[(&str, &str)]) -> Story {
        let mut story = Story { now: 0.0, records: Vec::new() };
        story.add(Event::RunStarted {
            run: "primary-remote-1".into(),
            meshproof: "0.1.0 (abc1234)".into(),
            verb: verb.into(),
            plan: Box::new(plan(expect)),
        });
        story
    }

    /// `meshproof run` as it goes when nothing is expected but passes.
    pub fn run() -> Story {
        Story::of("run", &[])
    }

    pub fn add(&mut self, event: Event) -> &mut Self {
        let start: jiff::Timestamp = "2026-10-01T04:00:00Z".parse().expect("a time");
        let time = start + jiff::SignedDuration::from_secs_f64(self.now);
        self.records.push(Record { at: self.now, time, event });
        self
    }

    pub fn pass(&mut self, seconds: f64) -> &mut Self {
        self.now += seconds;
        self
    }

    pub fn lab(&mut self, id: &str, seconds: f64, error: Option<&str>) -> &mut Self {
        self.add(Event::LabStarted { id: id.into(), title: format!("The lab has {id}") }).pass(seconds);
        let detail = if error.is_some() { "not made" } else { "ready" }.to_string();
        self.add(Event::LabFinished { id: id.into(), detail, error: error.map(str::to_string), seconds })
    }

    pub fn ready(&mut self) -> &mut Self {
        let facts = |name: &str, uid: &str| ClusterFacts {
            name: name.into(),
            kubernetes: "v1.36.3".into(),
            kube_system_uid: uid.into(),
            context: format!("kind-meshproof-{name}"),
            nodes: BTreeMap::new(),
        };
        self.add(Event::LabReady {
            clusters: PerCluster::new(facts("cluster1", "uid-of-cluster1"), vec![facts("cluster2", "uid-of-cluster2")]),
            images: BTreeMap::from([("node".to_string(), "sha256:0123".to_string())]),
            image_source: "official, from docker.io/kindest/node".into(),
            data_plane: "upstream Envoy 1.39.3".into(),
            deviations: vec![Deviation { what: "filters are off".into(), why: "upstream Envoy has none".into() }],
        })
    }

    pub fn step(&mut self, id: &str, seconds: f64, outcome: StepOutcome) -> &mut Self {
        self.add(Event::StepStarted { id: id.into() }).pass(seconds);
        self.add(Event::StepFinished { id: id.into(), outcome, seconds })
    }

    pub fn waits(&mut self, scope: &str, what: &str, last: &str) -> &mut Self {
        self.add(Event::Waiting { scope: scope.into(), what: what.into(), last: last.into() })
    }

    pub fn case(&mut self, id: &str, seconds: f64, verdict: Verdict) -> &mut Self {
        self.attempts(id, seconds, verdict, &[])
    }

    pub fn attempts(&mut self, id: &str, seconds: f64, verdict: Verdict, failed: &[&str]) -> &mut Self {
        let failed_attempts: Vec<String> = failed.iter().map(|cause| cause.to_string()).collect();
        self.add(Event::CaseStarted { id: id.into(), attempt: failed.len() as u32 + 1 }).pass(seconds);
        self.add(Event::CaseFinished { id: id.into(), verdict, failed_attempts, seconds })
    }

    /// All cases pass but those named.
    pub fn others_pass(&mut self, but: &[&str]) -> &mut Self {
        for id in ["D0", "D1", "D12"].into_iter().filter(|id| !but.contains(id)) {
            self.case(id, 0.5, passed());
        }
        self
    }

    pub fn finish(&mut self, exit: harness::exit::Exit) -> &mut Self {
        self.add(Event::RunFinished { exit: exit.code(), meaning: exit.meaning().into(), lab_kept: false, usage: None })
    }
}

pub fn proved() -> StepOutcome {
    let mut evidence = Evidence::new();
    evidence.saw("cluster1 Deployment istio-system/istiod", "status.readyReplicas", 1);
    StepOutcome::Proved { evidence }
}

pub fn passed() -> Verdict {
    let mut evidence = Evidence::new();
    evidence.saw("cluster1 Node meshproof-cluster1", "status.conditions[Ready]", "True");
    evidence.note("the guide names no version");
    Verdict::Passed { evidence }
}

pub fn failed() -> Verdict {
    let mut evidence = Evidence::new();
    evidence.saw("cluster1 Deployment istio-system/istiod", "env EXTERNAL_ISTIOD", "false");
    let finding = Finding::new("istiod of cluster1 does not serve other clusters")
        .expected_got("EXTERNAL_ISTIOD is true", "it is false")
        .hint("set values.global.externalIstiod")
        .evidence(&evidence);
    Verdict::Failed { finding: Box::new(finding) }
}

pub fn inconclusive() -> Verdict {
    Verdict::Inconclusive { error: "only 3 of 80 calls were answered".into() }
}

pub fn skipped() -> Verdict {
    Verdict::Skipped { reason: "the lab is kept".into() }
}

pub fn blocked() -> Verdict {
    Verdict::Blocked { by: "step eastwest-gateway".into(), reason: "no address".into() }
}

/// A verdict by its name; none for `missing`.
pub fn verdict(name: &str) -> Option<Verdict> {
    match name {
        "passed" => Some(passed()),
        "failed" => Some(failed()),
        "inconclusive" => Some(inconclusive()),
        "skipped" => Some(skipped()),
        "blocked" => Some(blocked()),
        "missing" => None,
        other => panic!("no verdict is called {other}"),
    }
}
