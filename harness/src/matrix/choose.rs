//! Which combinations are run: all of them, or so few that every two values still meet.

use std::collections::BTreeSet;

/// All combinations of so many values of each factor, by their indices; the last factor changes fastest.
pub fn all(factors: &[usize]) -> Vec<Vec<usize>> {
    factors.iter().fold(vec![Vec::new()], |rows, values| {
        let longer = |row: &Vec<usize>| (0..*values).map(|value| [&row[..], &[value]].concat()).collect::<Vec<_>>();
        rows.iter().flat_map(longer).collect()
    })
}

/// Combinations in which every value of each factor meets every value of every other factor at least once, in the order of
/// [`all`]. There have to be two factors at least; of two these are all combinations.
///
/// Greedy: of all combinations that one is taken next in which most values meet for the first time. That is not always the
/// smallest selection there is, but the same one on every machine, as shards need it.
pub fn pairwise(factors: &[usize]) -> Vec<Vec<usize>> {
    let rows = all(factors);
    let mut unmet: BTreeSet<_> = rows.iter().flat_map(|row| meetings(row)).collect();
    let mut chosen = BTreeSet::new();
    while !unmet.is_empty() {
        let news = |row: &Vec<usize>| meetings(row).filter(|meeting| unmet.contains(meeting)).count();
        // Of several that are as good, the first.
        let Some(best) = rows.iter().rev().max_by_key(|row| news(row)) else { break };
        meetings(best).for_each(|meeting| {
            unmet.remove(&meeting);
        });
        chosen.insert(best.clone());
    }
    chosen.into_iter().collect()
}

/// Each two values of a combination, with their factors.
fn meetings(row: &[usize]) -> impl Iterator<Item = [(usize, usize); 2]> + '_ {
    let with =
        move |first: usize| (first + 1..row.len()).map(move |second| [(first, row[first]), (second, row[second])]);
    (0..row.len()).flat_map(with)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{all, meetings, pairwise};

    #[rstest]
    #[case::one_version(&[1, 1, 1], 1, 1)]
    #[case::versions_of_one_component(&[3, 1, 1], 3, 3)]
    #[case::two_components(&[2, 3, 1], 6, 6)]
    #[case::three_factors(&[2, 2, 2], 8, 4)]
    #[case::many_scenarios(&[3, 3, 4], 36, 12)]
    fn of_two_factors_pairwise_is_everything_and_of_three_it_is_less(
        #[case] factors: &[usize],
        #[case] everything: usize,
        #[case] at_most: usize,
    ) {
        let (rows, chosen) = (all(factors), pairwise(factors));
        assert_eq!(rows.len(), everything);
        assert!(chosen.len() >= at_most, "fewer than that cannot meet");
        // What the greedy choice takes more than the fewest possible.
        assert!(chosen.len() <= at_most + at_most / 3, "{} of {everything}", chosen.len());
    }

    #[rstest]
    #[case(&[2, 2, 2])]
    #[case(&[3, 2, 5])]
    #[case(&[4, 4, 4, 4])]
    fn every_two_values_meet_in_a_selection_in_order(#[case] factors: &[usize]) {
        let chosen = pairwise(factors);
        for meeting in all(factors).iter().flat_map(|row| meetings(row)) {
            let met = chosen.iter().any(|row| meetings(row).any(|other| other == meeting));
            assert!(met, "{meeting:?}");
        }
        assert!(chosen.is_sorted());
        assert_eq!(chosen, pairwise(factors), "shards choose the same");
    }
}
