//! The reading parts of all clauses, over bug reports that the real istioctl made of a real lab.

use std::collections::BTreeMap;
use std::path::Path;

use harness::budget::Budgets;
use harness::check::Verdict;
use harness::event::{Event, Recorder};
use harness::inspect::open;
use harness::reading::find;
use harness::reading::judging::{self, CancellationToken};
use harness::role::Role;
use harness::scenario::IstioNamespace;
use rstest::rstest;

use crate::registry;

async fn judged(remote: &str) -> BTreeMap<String, Verdict> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/bug-report");
    let reports = open(&folder.join("primary.tar.gz"), &folder.join(remote), &IstioNamespace::default());
    let reports = reports.expect("two reports");
    let recorder = Recorder::new(Vec::new());
    let clusters = Role::ALL.map(|role| reports.cluster(role));
    let mesh = find::mesh_of(clusters, &recorder, Budgets { slow: 1.0 }).await.expect("a mesh");
    judging::judge(&mesh, &registry(), &CancellationToken::new()).await;
    let records = recorder.records().into_iter();
    let finished = records.filter_map(|record| match record.event {
        Event::CaseFinished { id, verdict, .. } => Some((id, verdict)),
        _ => None,
    });
    finished.collect()
}

#[rstest]
#[case::of_a_sound_mesh("remote.tar.gz", &[])]
#[case::of_one_without_the_annotation("remote-without-annotation.tar.gz", &["D4"])]
#[tokio::test]
async fn a_bug_report_is_red_where_the_mesh_was(#[case] remote: &str, #[case] red: &[&str]) {
    let verdicts = judged(remote).await;
    let of = |wanted: fn(&Verdict) -> bool| {
        verdicts.iter().filter(move |(_, verdict)| wanted(verdict)).map(|(id, _)| id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(|verdict| matches!(verdict, Verdict::Failed { .. })), red, "{verdicts:#?}");
    let told: Vec<&str> = of(|verdict| !matches!(verdict, Verdict::Skipped { .. }));
    assert_eq!(told, ["D1", "D2", "D4", "D5", "D8", "D9"], "{verdicts:#?}");
    assert_eq!(of(Verdict::is_passed).len() + red.len(), told.len(), "nothing is left untold: {verdicts:#?}");
    assert!(verdicts["D6"].cause().contains("no debug pages of istiod"), "{:?}", verdicts["D6"]);
}

#[tokio::test]
async fn a_hint_takes_no_archive_for_a_context() {
    let verdicts = judged("remote-without-annotation.tar.gz").await;
    let Verdict::Failed { finding } = &verdicts["D4"] else { panic!("{:?}", verdicts["D4"]) };
    assert!(finding.cause.contains("remote-without-annotation.tar.gz"), "{}", finding.cause);
    let hint = finding.hint.as_deref().expect("a hint");
    assert!(hint.starts_with("kubectl --context \"${CTX_CLUSTER2}\" annotate "), "{hint}");
    let advice: Vec<String> = verdicts.values().flat_map(Verdict::advice).collect();
    assert!(advice.iter().all(|line| !line.contains(".tar.gz")), "{advice:?}");
}
