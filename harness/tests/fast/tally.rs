//! A split is judged by exact statistics: a fair mesh is not accused, and 90:10 or a silent backend is seen.

use std::collections::BTreeMap;

use harness::check::tally::{Design, Judgement};
use rstest::rstest;

/// The binomial distribution by plain multiplication, independent of the library that is used.
fn probability(n: u32, k: u32, p: f64) -> f64 {
    let choose = (0..k).map(|i| f64::from(n - i) / f64::from(k - i)).product::<f64>();
    choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
}

fn at_most(n: u32, k: u32, p: f64) -> f64 {
    (0..=k).map(|i| probability(n, i, p)).sum()
}

fn counts(of: &[(&str, u32)]) -> BTreeMap<String, u32> {
    of.iter().map(|(backend, count)| (backend.to_string(), *count)).collect()
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| name.to_string()).collect()
}

fn p_value(judgement: &Judgement) -> f64 {
    match judgement {
        Judgement::Even { p_value, .. } | Judgement::Skewed { p_value, .. } => *p_value,
        other => panic!("{other:?} has no p-value"),
    }
}

/// The sample size by summing: the region of alarms at both ends, and its weight if the split is 90:10.
fn sample_size_by_hand(design: &Design) -> u32 {
    let each = design.false_alarm / design.tallies as f64;
    (1..)
        .map(|tens| tens * 10)
        .find(|n| {
            let alarms = (0..n / 2).take_while(|k| 2.0 * at_most(*n, *k, 0.5) <= each).count() as u32;
            alarms > 0 && {
                let low = at_most(*n, alarms - 1, 0.9);
                let high: f64 = (n - alarms + 1..=*n).map(|k| probability(*n, k, 0.9)).sum();
                low + high >= design.power
            }
        })
        .unwrap()
}

#[rstest]
#[case(Design::pair(1))]
#[case(Design::pair(4))]
#[case(Design::pair(16))]
#[case(Design { false_alarm: 0.05, power: 0.8, ..Design::pair(1) })]
#[case(Design { false_alarm: 1e-6, ..Design::pair(8) })]
#[case(Design { against: 0.9, power: 0.99999, ..Design::pair(2) })]
fn the_sample_size_is_the_smallest_by_hand_too(#[case] design: Design) {
    assert_eq!(design.sample_size(), sample_size_by_hand(&design));
}

#[test]
fn the_sample_sizes_are_known() {
    let sizes = [1, 4, 8, 16].map(|tallies| Design::pair(tallies).sample_size());
    assert_eq!(sizes, [60, 70, 70, 70]);
    assert_eq!(Design { false_alarm: 0.05, power: 0.8, ..Design::pair(1) }.sample_size(), 20);
}

#[rstest]
#[case::fair(60, 30)]
#[case::a_little_off(60, 24)]
#[case::far_off(60, 9)]
#[case::larger(100, 35)]
fn the_p_value_is_the_one_by_summing(#[case] total: u32, #[case] count: u32) {
    let judgement = Design::pair(1).judge(&counts(&[("v1", count), ("v2", total - count)]), &names(&["v1", "v2"]));
    let by_hand = (2.0 * at_most(total, count, 0.5)).min(1.0);
    assert!((p_value(&judgement) - by_hand).abs() <= 1e-9 * by_hand, "{} is not {by_hand}", p_value(&judgement));
}

#[test]
fn the_alarm_begins_where_the_rate_says() {
    let design = Design::pair(1);
    let n = design.sample_size();
    let first_calm = (0..n).find(|k| 2.0 * at_most(n, *k, 0.5) > design.false_alarm).unwrap();
    let judge = |k: u32| design.judge(&counts(&[("v1", k), ("v2", n - k)]), &names(&["v1", "v2"]));
    assert!(judge(first_calm).is_even() && judge(n - first_calm).is_even());
    assert!(matches!(judge(first_calm - 1), Judgement::Skewed { .. }), "{}", judge(first_calm - 1));
    assert!(matches!(judge(n - first_calm + 1), Judgement::Skewed { .. }));
}

#[rstest]
#[case::even(&[("v1", 31), ("v2", 29)], "the split is even: v1 31 and v2 29 of 60 answers (p = 0.90)")]
#[case::skewed(&[("v1", 54), ("v2", 6)], "the split is uneven: v1 54 and v2 6 of 60 answers (p = 9.7e-11, alarm at 1.0e-4)")]
#[case::missing(&[("v1", 60)], "v2 never answered; the others gave 60 answers")]
#[case::missing_with_a_zero(&[("v1", 0), ("v2", 60)], "v1 never answered; the others gave 60 answers")]
#[case::unexpected(&[("v1", 30), ("v2", 29), ("v3", 1)], "v3 answered once and should not answer at all")]
#[case::unexpected_among_few(&[("v3", 2)], "v3 answered 2 times and should not answer at all")]
#[case::none_of_an_unexpected_one(&[("v1", 30), ("v2", 30), ("v3", 0)], "the split is even: v1 30 and v2 30 of 60 answers (p = 1.00)")]
#[case::too_few(&[("v1", 30), ("v2", 29)], "too few answers to judge the split: 59, and it takes 60")]
#[case::too_few_for_missing(&[("v1", 5)], "too few answers to judge the split: 5, and it takes 60")]
#[case::none(&[], "too few answers to judge the split: 0, and it takes 60")]
fn counts_are_judged_in_a_sentence(#[case] of: &[(&str, u32)], #[case] sentence: &str) {
    let judgement = Design::pair(1).judge(&counts(of), &names(&["v1", "v2"]));
    assert_eq!(judgement.to_string(), sentence);
    assert_eq!(judgement.is_even(), sentence.contains("is even"));
    assert_eq!(judgement.could_tell(), !sentence.contains("too few"));
}

#[test]
fn a_fair_split_is_not_accused_more_often_than_stated() {
    // A loose rate, so that the runs that can be afforded would show a rate that is broken.
    let design = Design { false_alarm: 0.02, power: 0.9, ..Design::pair(1) };
    let mut random = fastrand::Rng::with_seed(20260806);
    let runs = 10_000;
    let alarms = (0..runs).filter(|_| !drawn(&design, 0.5, &mut random).is_even()).count();
    assert!(alarms <= runs * 2 / 100, "{alarms} of {runs}");
    assert!(alarms > 0, "a draw that never alarms tests nothing");
}

#[test]
fn ninety_to_ten_is_seen_as_often_as_stated() {
    let design = Design::pair(4);
    let mut random = fastrand::Rng::with_seed(7);
    let runs = 10_000;
    let missed = (0..runs).filter(|_| drawn(&design, 0.9, &mut random).is_even()).count();
    assert!(missed <= runs / 1000, "{missed} of {runs} were taken as even");
}

#[test]
fn a_fair_split_passes_at_the_real_design() {
    let mut random = fastrand::Rng::with_seed(42);
    let design = Design::pair(4);
    assert!((0..1_000).all(|_| drawn(&design, 0.5, &mut random).is_even()));
}

fn drawn(design: &Design, share: f64, random: &mut fastrand::Rng) -> Judgement {
    let n = design.sample_size();
    let first = (0..n).filter(|_| random.f64() < share).count() as u32;
    design.judge(&counts(&[("v1", first), ("v2", n - first)]), &names(&["v1", "v2"]))
}

#[test]
fn three_backends_are_judged_one_by_one_with_a_correction() {
    let design = Design { backends: 3, ..Design::pair(1) };
    let n = design.sample_size();
    let three = names(&["a", "b", "c"]);
    assert!(design.judge(&counts(&[("a", n / 3), ("b", n / 3), ("c", n - 2 * (n / 3))]), &three).is_even());
    let skewed = counts(&[("a", n - 2 * (n / 20)), ("b", n / 20), ("c", n / 20)]);
    assert!(matches!(design.judge(&skewed, &three), Judgement::Skewed { .. }));
    let silent = counts(&[("a", n / 2), ("b", n - n / 2)]);
    assert_eq!(design.judge(&silent, &three), Judgement::Missing { backend: "c".to_string(), of: n });
    // A silent backend is so rare in a fair mesh that calling it missing keeps the false-alarm rate.
    assert!(3.0 * 2.0 * (2.0_f64 / 3.0).powi(n as i32) <= design.false_alarm);
}

#[test]
fn one_backend_has_nothing_to_be_split() {
    let design = Design { backends: 1, ..Design::pair(1) };
    assert!(design.judge(&counts(&[("v1", 10)]), &names(&["v1"])).is_even());
    assert!(!design.judge(&counts(&[("v1", 9)]), &names(&["v1"])).could_tell());
}
