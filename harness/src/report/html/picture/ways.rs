//! How the ways across a mesh stand at the end of a run: proved, broken, or not told, and by which checks.

use super::parts::Pair;
use crate::check::{Path, Verdict};
use crate::context::own_id;
use crate::report::Summary;
use crate::report::html::mark::Tone;
use crate::report::summary::CaseRun;

/// How a way stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// Which.
    pub path: Path,
    /// Good where it was proved, bad where it broke, a warning where it could not be told, calm where nobody asked.
    pub tone: Tone,
    /// The checks that say so, by their ids in the catalogue.
    pub by: Vec<String>,
}

impl Way {
    /// What it says, in a line.
    pub fn label(&self) -> String {
        let sign = match self.tone {
            Tone::Good => "✓",
            Tone::Bad => "✕",
            Tone::Warn => "?",
            Tone::Calm => return "not asked".to_string(),
        };
        let shown: Vec<&str> = self.by.iter().take(3).map(String::as_str).collect();
        let more = self.by.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        format!("{sign} {}{more}", shown.join(" "))
    }
}

/// All ways of a pair; none where the run does not say which checks are about which, as those recorded long ago.
pub fn of(summary: &Summary, pair: &Pair) -> Vec<Way> {
    if summary.cases.iter().all(|case| case.outline.shows.is_empty()) {
        return Vec::new();
    }
    let cases = last(summary, pair);
    Path::ALL.map(|path| way(path, &cases)).to_vec()
}

/// The cases of this pair that were judged last: those at the end, else those of the last round in which any was.
fn last<'a>(summary: &'a Summary, pair: &Pair) -> Vec<&'a CaseRun> {
    let is_of_pair = |place: &str| match place.rsplit('/').next().filter(|_| !place.is_empty()) {
        Some(word) if word == pair.remote.name => true,
        Some(word) if pair.others.iter().any(|other| other == word) => false,
        _ => pair.first,
    };
    let mut rounds: Vec<(&str, Vec<&CaseRun>)> = Vec::new();
    for case in summary.cases.iter().filter(|case| !case.outline.shows.is_empty()) {
        let place = case.outline.id.rsplit_once('/').map_or("", |(place, _)| place);
        if !is_of_pair(place) {
            continue;
        }
        match rounds.iter_mut().find(|(other, _)| *other == place) {
            Some((_, cases)) => cases.push(case),
            None => rounds.push((place, vec![case])),
        }
    }
    // The plan names rounds first, and the end after them.
    let judged =
        |cases: &Vec<&CaseRun>| cases.iter().any(|case| !matches!(case.verdict, None | Some(Verdict::Skipped { .. })));
    let last = rounds.iter().rposition(|(_, cases)| judged(cases));
    last.map(|at| rounds.swap_remove(at).1).unwrap_or_default()
}

fn way(path: Path, cases: &[&CaseRun]) -> Way {
    let about: Vec<&&CaseRun> = cases.iter().filter(|case| case.outline.shows.contains(&path)).collect();
    let ids = |is: fn(&Verdict) -> bool| -> Vec<String> {
        let those = about.iter().filter(|case| case.verdict.as_ref().is_some_and(is));
        those.map(|case| own_id(&case.outline.id).to_string()).collect()
    };
    let failed = ids(|verdict| matches!(verdict, Verdict::Failed { .. }));
    let passed = ids(Verdict::is_passed);
    let untold = ids(|verdict| matches!(verdict, Verdict::Blocked { .. } | Verdict::Inconclusive { .. }));
    let (tone, by) = if !failed.is_empty() {
        (Tone::Bad, failed)
    } else if !untold.is_empty() {
        (Tone::Warn, untold)
    } else if !passed.is_empty() {
        (Tone::Good, passed)
    } else {
        (Tone::Calm, Vec::new())
    };
    Way { path, tone, by }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Pair, of};
    use crate::check::{Evidence, Finding, Path, Verdict};
    use crate::plan::CaseOutline;
    use crate::report::Summary;
    use crate::report::html::mark::Tone;
    use crate::report::summary::CaseRun;

    /// A case that is about requests, judged so.
    fn case(id: &str, verdict: &str) -> CaseRun {
        let verdict = match verdict {
            "passed" => Some(Verdict::Passed { evidence: Evidence::new() }),
            "failed" => Some(Verdict::Failed { finding: Box::new(Finding::new("503")) }),
            "blocked" => Some(Verdict::Blocked { by: "D3".into(), reason: String::new() }),
            "skipped" => Some(Verdict::Skipped { reason: String::new() }),
            _ => None,
        };
        let outline = CaseOutline {
            id: id.into(),
            slug: String::new(),
            shows: vec![Path::Requests],
            title: String::new(),
            guide: String::new(),
            needs: Vec::new(),
            after_clean_up: false,
        };
        let (expected, failed_attempts) = ("passed".to_string(), Vec::new());
        CaseRun { outline, expected, attempts: 1, verdict, failed_attempts, seconds: 0.0 }
    }

    fn pair(remote: &str) -> Pair {
        let others = ["cluster2", "cluster3"].into_iter().filter(|name| *name != remote).map(String::from).collect();
        let mut pair = Pair { first: remote == "cluster2", others, ..Pair::default() };
        pair.remote.name = remote.to_string();
        pair
    }

    #[rstest]
    #[case::proved("cluster2", &[("D11", "passed"), ("B6", "passed")], Tone::Good, "✓ D11 B6")]
    #[case::one_breaks_it("cluster2", &[("D11", "failed"), ("B6", "passed")], Tone::Bad, "✕ D11")]
    #[case::a_part_is_not_told("cluster2", &[("D11", "blocked"), ("B6", "passed")], Tone::Warn, "? D11")]
    #[case::nobody_asked("cluster2", &[("D11", "skipped")], Tone::Calm, "not asked")]
    #[case::what_was_before_the_end_is_over("cluster2", &[("broken/D11", "failed"), ("D11", "passed")], Tone::Good, "✓ D11")]
    #[case::rounds_alone("cluster2", &[("before/D11", "failed"), ("after/D11", "passed"), ("D11", "skipped")], Tone::Good, "✓ D11")]
    #[case::another_remote("cluster2", &[("D11", "passed"), ("cluster3/D11", "failed")], Tone::Good, "✓ D11")]
    #[case::that_remote("cluster3", &[("D11", "passed"), ("cluster3/D11", "failed")], Tone::Bad, "✕ D11")]
    fn a_way_is_what_the_last_checks_about_it_say(
        #[case] remote: &str,
        #[case] cases: &[(&str, &str)],
        #[case] tone: Tone,
        #[case] label: &str,
    ) {
        let cases = cases.iter().map(|(id, verdict)| case(id, verdict)).collect();
        let ways = of(&Summary { cases, ..Summary::default() }, &pair(remote));
        let way = ways.iter().find(|way| way.path == Path::Requests).expect("all of them are there");
        assert_eq!((way.tone, way.label().as_str()), (tone, label));
    }
}
