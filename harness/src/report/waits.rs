//! What was waited for in a run, and what was seen meanwhile.

use crate::event::{Event, Record};

/// One wait that did not end at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// The step, case or lab part that waited.
    pub scope: String,
    /// What it waited for.
    pub what: String,
    /// When it was first heard of, in seconds of the run.
    pub from: f64,
    /// When it ended, well or not, in seconds of the run.
    pub to: f64,
    /// What was seen, each with its second of the run; the same is not told twice in a row.
    pub seen: Vec<(f64, String)>,
    /// Name of its time limit and its seconds; none where its end was not told.
    pub limit: Option<(String, f64)>,
}

/// The waits of a run, in the order in which they began.
pub fn of(records: &[Record]) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    // Those that go on, by their place in the list.
    let mut open: Vec<usize> = Vec::new();
    let mut now: f64 = 0.0;
    for record in records {
        now = now.max(record.at);
        match &record.event {
            Event::Waiting { scope, what, last } => {
                let is = |at: &&usize| waits[**at].scope == *scope && waits[**at].what == *what;
                let at = open.iter().find(is).copied().unwrap_or_else(|| {
                    let (scope, what) = (scope.clone(), what.clone());
                    waits.push(Wait { scope, what, from: record.at, to: record.at, seen: Vec::new(), limit: None });
                    open.push(waits.len() - 1);
                    waits.len() - 1
                });
                if waits[at].seen.last().is_none_or(|(_, before)| before != last) {
                    waits[at].seen.push((record.at, last.clone()));
                }
            }
            Event::Waited { scope, what, seconds, limit, limit_seconds } => {
                let is = |at: &usize| waits[*at].scope == *scope && waits[*at].what == *what;
                let at = match open.iter().position(is) {
                    Some(place) => open.swap_remove(place),
                    None => {
                        let (scope, what, from) = (scope.clone(), what.clone(), (record.at - seconds).max(0.0));
                        waits.push(Wait { scope, what, from, to: from, seen: Vec::new(), limit: None });
                        waits.len() - 1
                    }
                };
                waits[at].to = record.at;
                waits[at].limit = Some((limit.clone(), *limit_seconds));
            }
            Event::LabFinished { id, .. } | Event::StepFinished { id, .. } | Event::CaseFinished { id, .. } => {
                let ended: Vec<usize> = open.extract_if(.., |at| waits[*at].scope == *id).collect();
                ended.into_iter().for_each(|at| waits[at].to = record.at);
            }
            _ => {}
        }
    }
    for at in open {
        waits[at].to = now;
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::event::{Event, Record};

    fn at(at: f64, event: Event) -> Record {
        Record { at, time: jiff::Timestamp::UNIX_EPOCH, event }
    }

    fn waiting(scope: &str, last: &str) -> Event {
        Event::Waiting { scope: scope.into(), what: "an address".into(), last: last.into() }
    }

    fn waited(scope: &str, seconds: f64) -> Event {
        let (what, limit) = ("an address".into(), "converge".into());
        Event::Waited { scope: scope.into(), what, seconds, limit, limit_seconds: 30.0 }
    }

    #[test]
    fn a_wait_knows_what_was_seen_and_when_it_ended() {
        let records = [
            at(1.0, waiting("a", "none")),
            at(1.5, waiting("b", "none")),
            at(2.0, waiting("a", "none")),
            at(3.0, waiting("a", "pending")),
            at(4.0, waited("a", 3.0)),
            at(5.0, Event::CaseStarted { id: "c".into(), attempt: 1 }),
        ];
        let waits = of(&records);
        assert_eq!(waits[0].seen, [(1.0, "none".to_string()), (3.0, "pending".to_string())]);
        assert_eq!((waits[0].from, waits[0].to, waits[0].limit.clone()), (1.0, 4.0, Some(("converge".into(), 30.0))));
        assert_eq!(
            (waits[1].to, waits[1].limit.clone()),
            (5.0, None),
            "one that never ended goes on to the last event"
        );
    }

    #[test]
    fn a_second_wait_for_the_same_is_another() {
        let waits = of(&[
            at(1.0, waiting("a", "none")),
            at(2.0, waited("a", 1.0)),
            at(3.0, waiting("a", "none")),
            at(9.0, waited("b", 2.0)),
        ]);
        assert_eq!(waits.len(), 3);
        assert_eq!((waits[1].from, waits[1].to), (3.0, 9.0));
        assert_eq!((waits[2].from, waits[2].to), (7.0, 9.0), "one that was told at its end alone began so long before");
    }
}
