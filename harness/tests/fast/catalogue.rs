//! A catalogue of the shape of the real one.

use harness::plan::CaseOutline;

/// D0 to D13; D7 needs D6, D11 needs D7 and D10, and D9 needs a step.
pub fn catalogue() -> Vec<CaseOutline> {
    [
        ("before-you-begin", &[][..]),
        ("control-plane", &[]),
        ("gateway-address", &[]),
        ("istiod-exposed", &["D2"]),
        ("annotation", &[]),
        ("remote-profile", &[]),
        ("trust", &[]),
        ("endpoints", &["D6"]),
        ("injection-ca", &[]),
        ("configmaps", &["remote-secret"]),
        ("pod-to-pod", &[]),
        ("load-balancing", &["D7", "D10"]),
        ("clean-up", &[]),
        ("gateway-traffic", &["D2"]),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (slug, needs))| CaseOutline {
        id: format!("D{number}"),
        slug: slug.to_string(),
        shows: Vec::new(),
        title: slug.to_string(),
        guide: "guide".to_string(),
        needs: needs.iter().map(|need| need.to_string()).collect(),
        after_clean_up: slug == "clean-up",
    })
    .collect()
}
