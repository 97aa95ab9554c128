//! `--only` and `--skip` choose from the catalogue, and what a chosen check needs runs with it.

use harness::problem::Problems;
use harness::select::{Because, Selection, select};
use rstest::rstest;

use crate::said::said;

fn chosen(only: &[&str], skip: &[&str]) -> Result<Selection, Problems> {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| pattern.to_string()).collect::<Vec<_>>();
    select(&crate::catalogue::catalogue(), &owned(only), &owned(skip))
}

fn ids(selection: &Selection) -> String {
    selection.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case::everything(&[], &[], "D0 D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D11 D12 D13")]
#[case::one(&["D8"], &[], "D8")]
#[case::any_case(&["d8"], &[], "D8")]
#[case::a_name(&["injection-ca"], &[], "D8")]
#[case::a_name_in_any_case(&["Injection-CA"], &[], "D8")]
#[case::one_is_not_ten(&["D1"], &[], "D1")]
#[case::one_letter(&["D?"], &[], "D0 D1 D2 D3 D4 D5 D6 D7 D8 D9")]
#[case::globs_of_ids(&["D1*"], &["D11", "D13"], "D1 D10 D12")]
#[case::globs_of_names(&["*gateway*"], &[], "D2 D13")]
#[case::needs_run_with_it(&["D3"], &[], "D2 D3")]
#[case::needs_of_needs(&["D11"], &[], "D6 D7 D10 D11")]
#[case::a_step_is_no_case(&["D9"], &[], "D9")]
#[case::two_patterns_in_catalogue_order(&["D8", "D4"], &[], "D4 D8")]
#[case::skipped(&[], &["D11", "D12"], "D0 D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D13")]
#[case::skipping_what_is_not_asked(&["D8"], &["D3"], "D8")]
fn patterns_choose(#[case] only: &[&str], #[case] skip: &[&str], #[case] expected: &str) {
    assert_eq!(ids(&chosen(only, skip).unwrap()), expected);
}

#[test]
fn what_runs_along_says_who_needs_it() {
    let selection = chosen(&["D11", "D10"], &[]).unwrap();
    let because: Vec<String> = selection.cases.iter().map(|case| format!("{}: {}", case.id, case.because)).collect();
    assert_eq!(because, ["D6: needed by D7", "D7: needed by D11", "D10: asked for", "D11: asked for"]);
    assert_eq!(selection.cases[0].because, Because::NeededBy(vec!["D7".to_string()]));
}

#[test]
fn what_does_not_run_says_why_and_nothing_is_lost() {
    let selection = chosen(&["D1*"], &["D12"]).unwrap();
    assert_eq!(selection.reason("D12"), Some("left out by --skip D12"));
    assert_eq!(selection.reason("D5"), Some("not among --only D1*"));
    assert_eq!(selection.reason("D6"), None, "D11 needs it");
    assert_eq!(selection.cases.len() + selection.left_out.len(), 14);
    assert!(!selection.is_everything() && chosen(&[], &[]).unwrap().is_everything());
}

#[rstest]
#[case::no_such_check(&["D99"], &[], &["--only: no check matches `D99`\n    instead: an id, a slug or a glob of them; the ids are D0, D1,"])]
#[case::a_name_misspelt(&["injecton-ca"], &[], &["--only: no check matches `injecton-ca`\n    instead: `injection-ca`"])]
#[case::a_strange_letter(&["D[12]"], &[], &["--only: `D[12]` is not a pattern: it has `[`\n    instead: letters, digits"])]
#[case::empty(&[""], &[], &["--only: a pattern is empty"])]
#[case::all_at_once(&["D99", "D8", "{D1}"], &["X*"], &["3 problems", "`D99`", "`{D1}`", "--skip: no check matches `X*`"])]
#[case::everything_skipped(&[], &["*"], &["--skip: nothing is selected"])]
#[case::all_that_was_asked_is_skipped(&["D8"], &["D8"], &["--only and --skip: nothing is selected"])]
#[case::a_need_is_skipped(&["D11"], &["D6"], &["--skip: `D6` leaves out D6, which D7 needs\n    instead: skip D7 as well, or do not skip D6"])]
#[case::two_needs_are_skipped(&[], &["d7", "pod-*"], &["2 problems", "`d7` leaves out D7, which D11 needs", "`pod-*` leaves out D10, which D11 needs"])]
fn a_choice_that_cannot_be_made_says_all_that_is_wrong(
    #[case] only: &[&str],
    #[case] skip: &[&str],
    #[case] shown: &[&str],
) {
    let problems = said(&chosen(only, skip).unwrap_err());
    for part in shown {
        assert!(problems.contains(part), "`{part}` is not in:\n{problems}");
    }
}

#[test]
fn an_empty_catalogue_is_no_green_run() {
    assert!(select(&[], &[], &[]).is_err());
}
