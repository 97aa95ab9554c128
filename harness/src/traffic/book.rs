//! The account of every request of the steady traffic: who sent it, in which moment, who answered it, and what was lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::check::{Evidence, Fault, Finding};
use crate::lab::probe::Calls;
use crate::problem::all_of;

/// A cluster that sends nothing for longer sends no steady traffic, and what it would have lost meanwhile is not known.
const SILENCE: Duration = Duration::from_secs(10);

/// A row of calls that has ended.
#[derive(Debug)]
pub struct Row {
    /// Who called, such as `cluster1 pod meshproof-sample/caller-x`.
    pub caller: String,
    /// Its cluster.
    pub cluster: String,
    /// The moment in which it began.
    pub moment: String,
    /// When that was.
    pub time: jiff::Timestamp,
    /// The same, on a clock that never goes back.
    pub began: Instant,
    /// What came of it, or why that is not known.
    pub calls: Result<Calls, String>,
}

/// What one cluster sent in one moment.
#[derive(Debug, Default)]
struct Stretch {
    moment: String,
    cluster: String,
    calls: Calls,
    /// The longest time between two rows.
    silence: Duration,
    /// One line for each row in which something was lost.
    losses: Vec<String>,
    /// The later moment in which the last of these rows ended, if it was not its own.
    until: Option<String>,
    /// One line for each row of which nothing is known.
    untold: Vec<String>,
}

impl Stretch {
    /// In which moment requests were lost; a row may have ended in a later one than it began in.
    fn when(&self) -> String {
        match &self.until {
            None => format!("in {}", self.moment),
            Some(until) => format!("between {} and {until}", self.moment),
        }
    }
}

/// Why traffic is not one across clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silent {
    /// A cluster sent nothing.
    Caller(String),
    /// A cluster got no answer of one.
    Callee(String),
}

/// The account since it was last judged.
#[derive(Debug)]
pub struct Book {
    clusters: Vec<String>,
    now: String,
    stretches: Vec<Stretch>,
    /// When the last row of each cluster ended, or when it began to be waited for.
    heard: BTreeMap<String, Instant>,
    /// Why a cluster sends nothing at present.
    idle: BTreeMap<String, String>,
    /// Since when the row of a cluster is under way that is.
    under_way: BTreeMap<String, Instant>,
}

impl Book {
    /// For traffic between these clusters, begun in this moment.
    pub fn new(clusters: &[String], moment: &str) -> Book {
        let heard = clusters.iter().map(|cluster| (cluster.clone(), Instant::now())).collect();
        let (clusters, now) = (clusters.to_vec(), moment.to_string());
        Book { clusters, now, stretches: Vec::new(), heard, idle: BTreeMap::new(), under_way: BTreeMap::new() }
    }

    /// The present moment.
    pub fn now(&self) -> &str {
        &self.now
    }

    /// What is sent from now on is of this moment.
    pub fn moment(&mut self, told: &str) {
        self.now = told.to_string();
    }

    /// Writes down that a row of this cluster begins.
    pub fn begun(&mut self, cluster: &str) {
        self.under_way.insert(cluster.to_string(), Instant::now());
    }

    /// A cluster whose row began before this moment and is under way.
    pub fn unsettled(&self, moment: Instant) -> Option<&str> {
        self.under_way.iter().find(|(_, began)| **began < moment).map(|(cluster, _)| cluster.as_str())
    }

    /// Writes down a row that has just ended.
    pub fn add(&mut self, row: Row) {
        self.under_way.remove(&row.cluster);
        let heard = self.heard.insert(row.cluster.clone(), Instant::now());
        self.idle.remove(&row.cluster);
        let until = (row.moment != self.now).then(|| self.now.clone());
        let stretch = self.stretch(&row.moment, &row.cluster);
        let silence = heard.map(|heard| row.began.saturating_duration_since(heard)).unwrap_or_default();
        stretch.silence = stretch.silence.max(silence);
        let told = until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
        let when = format!("{}{told}", row.time.strftime("%H:%M:%SZ"));
        match row.calls {
            Ok(calls) => {
                let lost = calls.sent - calls.answered;
                if lost > 0 {
                    let line = format!("{when}: {lost} of {} of {}: {}", calls.sent, row.caller, calls.failure_line());
                    stretch.losses.push(line);
                    stretch.until = until;
                }
                stretch.calls.add(calls);
            }
            Err(why) => stretch.untold.push(format!("{when}: a row of {}: {why}", row.caller)),
        }
    }

    /// Writes down that a cluster has nobody who could call.
    pub fn idle(&mut self, cluster: &str, why: &str) {
        self.idle.insert(cluster.to_string(), why.to_string());
    }

    /// Why the traffic is not one across clusters: a cluster that sent nothing, or got no answer of one; none where each
    /// was answered by all.
    pub fn silent(&self) -> Option<Silent> {
        let sent = self.sent();
        self.clusters.iter().find_map(|cluster| {
            let Some(calls) = sent.get(cluster).filter(|calls| calls.sent > 0) else {
                let why = self.idle.get(cluster).map(|why| format!(": {why}")).unwrap_or_default();
                return Some(Silent::Caller(format!("{cluster} sent no request{why}")));
            };
            let all: Vec<&str> = self.clusters.iter().map(String::as_str).collect();
            let silent = calls.silent(&all)?;
            let lost = if calls.failures.is_empty() { String::new() } else { format!(": {}", calls.failure_line()) };
            Some(Silent::Callee(format!("{silent} answered none of {} requests of {cluster}{lost}", calls.sent)))
        })
    }

    /// What came of all requests since this was last asked; each is judged once.
    ///
    /// # Errors
    /// A finding where one was lost, or one cluster never answered another; unknown where the account has a gap.
    pub fn judged(&mut self) -> Result<Evidence, Fault> {
        let (silent, gap) = (self.silent(), self.gap());
        let sent: u32 = self.sent().values().map(|calls| calls.sent).sum();
        let stretches = self.turn();
        let mut evidence = Evidence::new();
        for stretch in &stretches {
            let Stretch { moment, cluster, calls, silence, .. } = stretch;
            let object = format!("{cluster}, {moment}");
            let what = format!("answers to {} requests by cluster", calls.sent);
            evidence.saw(&object, what, split(&calls.by_cluster()));
            evidence.saw(
                &object,
                "longest time between two rows of requests",
                format!("{:.1} s", silence.as_secs_f64()),
            );
            for loss in &stretch.losses {
                evidence.saw(&object, "lost", loss);
            }
        }
        let losing: Vec<&Stretch> = stretches.iter().filter(|stretch| !stretch.losses.is_empty()).collect();
        if let Some(first) = losing.first() {
            let mut failures = Calls::default();
            losing.iter().for_each(|stretch| failures.add(stretch.calls.clone()));
            let lost = failures.sent - failures.answered;
            let when = first.when();
            let others = if losing.iter().any(|other| other.moment != first.moment) { " and later" } else { "" };
            let why = failures.failure_line();
            let cause = format!("{lost} of {sent} requests across clusters were lost, {when}{others}: {why}");
            let lines: Vec<&str> = losing.iter().flat_map(|stretch| &stretch.losses).map(String::as_str).collect();
            return Err(Finding::new(cause)
                .expected_got("an answer to each request", lines.join("; "))
                .hint(format!(
                    "see what happened {when} to the endpoints, proxies and certificates of whom these requests met"
                ))
                .evidence(&evidence)
                .into());
        }
        if let Some(untold) = stretches.iter().flat_map(|stretch| &stretch.untold).next() {
            return Err(Fault::unknown(format!("requests are not accounted for: {untold}")));
        }
        if let Some(gap) = gap {
            return Err(Fault::unknown(gap));
        }
        match silent {
            None => Ok(evidence),
            Some(Silent::Callee(why)) => Err(Finding::new(why)
                .expected_got(format!("answers of {}", all_of(&self.clusters)), "those of one cluster")
                .hint("see whether the proxies of the callers list endpoints of both clusters")
                .evidence(&evidence)
                .into()),
            Some(Silent::Caller(why)) => Err(Fault::unknown(why)),
        }
    }

    /// Begins a new account: what came up to now is no part of it.
    pub fn begin(&mut self) {
        self.turn();
    }

    fn turn(&mut self) -> Vec<Stretch> {
        std::mem::take(&mut self.stretches)
    }

    fn stretch(&mut self, moment: &str, cluster: &str) -> &mut Stretch {
        let found = self.stretches.iter().position(|one| one.moment == moment && one.cluster == cluster);
        let at = found.unwrap_or_else(|| {
            let (moment, cluster) = (moment.to_string(), cluster.to_string());
            self.stretches.push(Stretch { moment, cluster, ..Stretch::default() });
            self.stretches.len() - 1
        });
        &mut self.stretches[at]
    }

    /// What each cluster sent in all moments.
    fn sent(&self) -> BTreeMap<String, Calls> {
        let mut sent: BTreeMap<String, Calls> = BTreeMap::new();
        for stretch in &self.stretches {
            sent.entry(stretch.cluster.clone()).or_default().add(stretch.calls.clone());
        }
        sent
    }

    /// A time in which a cluster sent nothing, if there is one that is too long.
    fn gap(&self) -> Option<String> {
        let said = |cluster: &str, moment: &str, silence: Duration| {
            let why = self.idle.get(cluster).map(|why| format!(": {why}")).unwrap_or_default();
            format!("{cluster} sent no request for {:.0} s in {moment}{why}", silence.as_secs_f64())
        };
        let between = self.stretches.iter().find(|stretch| stretch.silence > SILENCE);
        let now = self.heard.iter().find(|(_, heard)| heard.elapsed() > SILENCE);
        between
            .map(|stretch| said(&stretch.cluster, &stretch.moment, stretch.silence))
            .or_else(|| now.map(|(cluster, heard)| said(cluster, &self.now, heard.elapsed())))
    }
}

/// `cluster1 9 and cluster2 11`.
fn split(counts: &BTreeMap<String, u32>) -> String {
    all_of(&counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rstest::rstest;

    use super::{Book, Row};
    use crate::check::{Fault, Verdict, verdict::decide};
    use crate::lab::probe::Calls;

    fn calls(by: &[(&str, u32)], failures: &[(&str, u32)]) -> Result<Calls, String> {
        let answered = by.iter().map(|(_, count)| count).sum::<u32>();
        Ok(Calls {
            sent: answered + failures.iter().map(|(_, count)| count).sum::<u32>(),
            answered,
            by: by.iter().map(|(who, count)| (format!("{who}/v1/moved-a"), *count)).collect(),
            failures: failures.iter().map(|(why, count)| ((*why).to_string(), *count)).collect(),
            ..Calls::default()
        })
    }

    fn row(cluster: &str, moment: &str, calls: Result<Calls, String>) -> Row {
        let caller = format!("{cluster} pod sample/caller-a");
        let time = "2026-11-22T09:00:00Z".parse().expect("a time");
        Row { caller, cluster: cluster.to_string(), moment: moment.to_string(), time, began: Instant::now(), calls }
    }

    fn book() -> Book {
        Book::new(&["cluster1".to_string(), "cluster2".to_string()], "timeline-1")
    }

    const BOTH: [(&str, u32); 2] = [("cluster1", 9), ("cluster2", 11)];

    fn verdict(judged: Result<crate::check::Evidence, Fault>) -> (String, String) {
        let verdict: Verdict = decide(judged);
        let cause = if verdict.is_passed() { String::new() } else { verdict.cause() };
        (verdict.name().to_string(), cause)
    }

    #[test]
    fn a_request_that_is_lost_is_told_once_with_its_moment_and_its_reason() {
        let mut book = book();
        book.add(row("cluster1", "timeline-1", calls(&BOTH, &[])));
        book.moment("timeline-2");
        book.add(row("cluster2", "timeline-2", calls(&BOTH, &[("HTTP 503: no healthy upstream", 2)])));
        let (name, cause) = verdict(book.judged());
        assert_eq!(name, "failed");
        assert_eq!(
            cause,
            "2 of 42 requests across clusters were lost, in timeline-2: HTTP 503: no healthy upstream (x2)"
        );
        book.add(row("cluster1", "timeline-2", calls(&BOTH, &[])));
        book.add(row("cluster2", "timeline-2", calls(&BOTH, &[])));
        assert_eq!(verdict(book.judged()).0, "passed");
    }

    #[test]
    fn a_row_that_ended_in_a_later_moment_is_told_with_both() {
        let mut book = book();
        book.moment("timeline-2");
        book.add(row("cluster1", "timeline-1", calls(&BOTH, &[("timeout after 20000 ms", 1)])));
        let (_, cause) = verdict(book.judged());
        assert!(cause.contains("were lost, between timeline-1 and timeline-2: timeout"), "{cause}");
    }

    #[rstest]
    #[case::both_by_both(calls(&BOTH, &[]), calls(&BOTH, &[]), "passed", "")]
    #[case::one_at_home(calls(&[("cluster1", 20)], &[]), calls(&BOTH, &[]), "failed", "cluster2 answered none of 20 requests of cluster1")]
    #[case::a_row_unknown(calls(&BOTH, &[]), Err("the connection ended".to_string()), "inconclusive", "the connection ended")]
    #[case::a_loss_beside_a_row_unknown(calls(&BOTH, &[("HTTP 500", 1)]), Err("the connection ended".to_string()), "failed", "1 of 21")]
    fn each_cluster_is_answered_by_both_or_it_is_no_traffic_across_clusters(
        #[case] first: Result<Calls, String>,
        #[case] second: Result<Calls, String>,
        #[case] name: &str,
        #[case] words: &str,
    ) {
        let mut book = book();
        book.add(row("cluster1", "timeline-1", first));
        book.add(row("cluster2", "timeline-1", second));
        let (got, cause) = verdict(book.judged());
        assert_eq!(got, name, "{cause}");
        assert!(cause.contains(words), "{cause}");
    }

    #[test]
    fn a_cluster_without_a_caller_leaves_the_verdict_open() {
        let mut book = book();
        book.add(row("cluster1", "timeline-1", calls(&BOTH, &[])));
        book.idle("cluster2", "cluster2 has no ready pod app=caller in sample");
        let (name, cause) = verdict(book.judged());
        assert_eq!((name.as_str(), cause.contains("no ready pod app=caller")), ("inconclusive", true), "{cause}");
    }

    #[test]
    fn a_row_is_settled_when_it_has_ended_and_a_later_one_is_another() {
        let mut book = book();
        book.begun("cluster1");
        let now = Instant::now() + Duration::from_millis(1);
        assert_eq!(book.unsettled(now), Some("cluster1"));
        book.add(row("cluster1", "timeline-1", calls(&BOTH, &[])));
        assert_eq!(book.unsettled(now), None);
        let before = Instant::now() - Duration::from_millis(1);
        book.begun("cluster1");
        assert_eq!(book.unsettled(before), None);
    }

    #[test]
    fn a_silence_that_is_too_long_leaves_the_verdict_open() {
        let mut book = book();
        book.add(row("cluster1", "timeline-1", calls(&BOTH, &[])));
        let late =
            Row { began: Instant::now() + Duration::from_secs(11), ..row("cluster2", "timeline-1", calls(&BOTH, &[])) };
        book.add(late);
        let (name, cause) = verdict(book.judged());
        assert_eq!(name, "inconclusive");
        assert!(cause.contains("cluster2 sent no request for 11 s in timeline-1"), "{cause}");
    }

    #[test]
    fn what_came_before_the_beginning_is_not_judged() {
        let mut book = book();
        book.add(row("cluster1", "timeline-1", calls(&BOTH, &[("connect: connection refused", 3)])));
        book.begin();
        for cluster in ["cluster1", "cluster2"] {
            book.add(row(cluster, "timeline-1", calls(&BOTH, &[])));
        }
        assert_eq!(verdict(book.judged()).0, "passed");
    }
}
