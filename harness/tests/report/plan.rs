//! A plan reads like the guide.

#[test]
fn a_plan_shows_commands_proofs_cases_and_deviations() {
    insta::assert_snapshot!(harness::report::plan::render(&crate::story::plan(&[("D1", "failed")])));
}
