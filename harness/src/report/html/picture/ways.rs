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
    /// Good where all that is about it passed, bad where one of these failed, a warning where one could not be told, calm where one
    /// was not asked.
    pub tone: Tone,
    /// The checks that say so, by their ids in the catalogue.
    pub by: Vec<String>,
    /// The checks about it that were not asked, where others passed.
    pub not_asked: Vec<String>,
}

impl Way {
    /// What it says, in a line.
    pub fn label(&self) -> String {
        let sign = match self.tone {
            Tone::Good => "✓",
            Tone::Bad => "✕",
            Tone::Warn => "?",
            Tone::Calm if self.by.is_empty() => return "not asked".to_string(),
            Tone::Calm => return format!("✓ {}, not {}", few(&self.by, 2), few(&self.not_asked, 2)),
        };
        format!("{sign} {}", few(&self.by, 3))
    }
}

/// As many of these ids, and how many more there are.
fn few(ids: &[String], most: usize) -> String {
    let more = ids.len().saturating_sub(most);
    let more = if more > 0 { format!(" +{more}") } else { String::new() };
    ids.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(" ") + &more
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
    let last = rounds.iter().rposition(|(_, cases)| cases.iter().any(|case| is_asked(case)));
    last.map(|at| rounds.swap_remove(at).1).unwrap_or_default()
}

/// Whether something was said of it, be it that it could not be told.
fn is_asked(case: &CaseRun) -> bool {
    !matches!(case.verdict, None | Some(Verdict::Skipped { .. }))
}

fn way(path: Path, cases: &[&CaseRun]) -> Way {
    let about: Vec<&&CaseRun> = cases.iter().filter(|case| case.outline.shows.contains(&path)).collect();
    let ids = |is: &dyn Fn(Option<&Verdict>) -> bool| -> Vec<String> {
        let those = about.iter().filter(|case| is(case.verdict.as_ref()));
        those.map(|case| own_id(&case.outline.id).to_string()).collect()
    };
    let failed = ids(&|verdict| matches!(verdict, Some(Verdict::Failed { .. })));
    let passed = ids(&|verdict| verdict.is_some_and(Verdict::is_passed));
    let skipped = ids(&|verdict| matches!(verdict, Some(Verdict::Skipped { .. })));
    // What a run that was cut off did not come to is not told either.
    let untold = ids(&|verdict| {
        !matches!(verdict, Some(Verdict::Passed { .. } | Verdict::Failed { .. } | Verdict::Skipped { .. }))
    });
    let (tone, by, not_asked) = if !failed.is_empty() {
        (Tone::Bad, failed, Vec::new())
    } else if !about.iter().any(|case| is_asked(case)) {
        (Tone::Calm, Vec::new(), Vec::new())
    } else if !untold.is_empty() {
        (Tone::Warn, untold, Vec::new())
    } else if skipped.is_empty() {
        (Tone::Good, passed, Vec::new())
    } else {
        (Tone::Calm, passed, skipped)
    };
    Way { path, tone, by, not_asked }
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
    #[case::a_part_is_not_judged("cluster2", &[("D11", "missing"), ("B6", "passed")], Tone::Warn, "? D11")]
    #[case::nothing_is_judged("cluster2", &[("D11", "missing"), ("B6", "skipped")], Tone::Calm, "not asked")]
    #[case::a_part_is_not_asked("cluster2", &[("D11", "passed"), ("B6", "skipped"), ("B8", "skipped"), ("B9", "skipped")], Tone::Calm, "✓ D11, not B6 B8 +1")]
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
