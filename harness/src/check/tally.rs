//! Load-balancing statistics: how many requests a tally needs, and what its counts say.
//!
//! "Both answered once" is no verdict: a fair split fails it now and then, and a split of 99 to 1 passes it. Here each
//! tally has a false-alarm rate, a part of that of the whole run, and enough requests to see a split of 90:10 or a
//! backend that never answers with the stated power. The requests must be sent one after the other: with several in
//! flight the proxy prefers the idle backend, and the counts are not binomial.

use std::collections::BTreeMap;
use std::fmt;

use statrs::distribution::{Binomial, DiscreteCDF};

/// What a tally must be able to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// Backends that should answer equally often.
    pub backends: usize,
    /// Chance that a run with a fair mesh has any false alarm, over all its tallies.
    pub false_alarm: f64,
    /// Tallies of the run, which share that chance.
    pub tallies: usize,
    /// Chance to see a split as bad as `against`.
    pub power: f64,
    /// Share of the favoured backend in the split that must be seen; the others share the rest.
    pub against: f64,
}

impl Default for Design {
    fn default() -> Self {
        Design { backends: 2, false_alarm: 1e-4, tallies: 1, power: 0.999, against: 0.9 }
    }
}

impl Design {
    /// A design for two backends in a run with so many tallies.
    pub fn pair(tallies: usize) -> Design {
        Design { tallies, ..Design::default() }
    }

    /// Chance of a false alarm of one tally.
    pub fn false_alarm_each(&self) -> f64 {
        self.false_alarm / self.tallies.max(1) as f64
    }

    /// The smallest number of requests, in tens, that keeps the false-alarm rate and has the power.
    ///
    /// It also makes a silent backend an alarm by itself, so a missing endpoint is always seen.
    pub fn sample_size(&self) -> u32 {
        (1..).map(|tens| tens * 10).find(|n| self.is_enough(*n)).expect("power goes to 1 as the sample grows")
    }

    fn is_enough(&self, requests: u32) -> bool {
        if self.backends < 2 {
            return true;
        }
        let (first_calm, last_calm) = self.calm(requests);
        // A silent backend must be an alarm.
        if first_calm == 0 {
            return false;
        }
        let bad = binomial(requests, self.against);
        let seen = below(&bad, first_calm) + bad.sf(last_calm.into());
        seen >= self.power
    }

    /// The smallest and the largest count of one backend among so many requests that is no alarm: the p-value grows from
    /// each end to the middle, so the counts without alarm are one range.
    pub fn calm(&self, requests: u32) -> (u32, u32) {
        let fair = binomial(requests, 1.0 / self.backends as f64);
        let each = self.false_alarm_each();
        let is_calm = |count: &u32| self.corrected(two_sided(&fair, *count)) > each;
        let first = (0..=requests).find(is_calm).unwrap_or(requests);
        (first, (first..=requests).rev().find(is_calm).unwrap_or(first))
    }

    /// Corrects the p-value of one backend for looking at all of them; with two, one count says both.
    fn corrected(&self, p_value: f64) -> f64 {
        let looks = if self.backends == 2 { 1.0 } else { self.backends as f64 };
        (p_value * looks).min(1.0)
    }

    /// Judges the counts by backend; the backends expected are those of the design, by name.
    pub fn judge(&self, counts: &BTreeMap<String, u32>, expected: &[String]) -> Judgement {
        let design = Design { backends: expected.len(), ..*self };
        let got: u32 = counts.values().sum();
        let unexpected = counts.iter().find(|(backend, count)| **count > 0 && !expected.contains(backend));
        if let Some((backend, count)) = unexpected {
            return Judgement::Unexpected { backend: backend.clone(), count: *count };
        }
        let needed = design.sample_size();
        if got < needed {
            return Judgement::TooFew { needed, got };
        }
        let count = |backend: &String| counts.get(backend).copied().unwrap_or(0);
        if let Some(backend) = expected.iter().find(|backend| count(backend) == 0) {
            return Judgement::Missing { backend: backend.clone(), of: got };
        }
        if expected.len() < 2 {
            return Judgement::Even { p_value: 1.0, split: split(counts, expected) };
        }
        let fair = binomial(got, 1.0 / expected.len() as f64);
        let smallest = expected.iter().map(|backend| two_sided(&fair, count(backend))).fold(1.0, f64::min);
        let p_value = design.corrected(smallest);
        let split = split(counts, expected);
        let limit = design.false_alarm_each();
        if p_value <= limit { Judgement::Skewed { p_value, limit, split } } else { Judgement::Even { p_value, split } }
    }
}

/// What the counts of a tally say.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// Nothing speaks against an even split.
    Even {
        /// Chance of a split at least as uneven, if the mesh is fair.
        p_value: f64,
        /// The counts, as `v1 61 and v2 59 of 120`.
        split: String,
    },
    /// A fair mesh gives such counts more rarely than the false-alarm rate.
    Skewed {
        /// Chance of a split at least as uneven, if the mesh is fair.
        p_value: f64,
        /// The false-alarm rate of one tally.
        limit: f64,
        /// The counts.
        split: String,
    },
    /// A backend never answered.
    Missing {
        /// Its name.
        backend: String,
        /// Answers of all the others.
        of: u32,
    },
    /// A backend answered that should not.
    Unexpected {
        /// Its name.
        backend: String,
        /// Its answers.
        count: u32,
    },
    /// There are too few answers to say anything.
    TooFew {
        /// Answers that the design asks for.
        needed: u32,
        /// Answers there are.
        got: u32,
    },
}

impl Judgement {
    /// Whether the counts are those of an even split.
    pub fn is_even(&self) -> bool {
        matches!(self, Judgement::Even { .. })
    }

    /// Whether the counts say something about the mesh; too few do not.
    pub fn could_tell(&self) -> bool {
        !matches!(self, Judgement::TooFew { .. })
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judgement::Even { p_value, split } => {
                write!(f, "the split is even: {split} answers (p = {})", chance(*p_value))
            }
            Judgement::Skewed { p_value, limit, split } => write!(
                f,
                "the split is uneven: {split} answers (p = {}, alarm at {})",
                chance(*p_value),
                chance(*limit)
            ),
            Judgement::Missing { backend, of } => write!(f, "{backend} never answered; the others gave {of} answers"),
            Judgement::Unexpected { backend, count } => {
                let times = if *count == 1 { "once".to_string() } else { format!("{count} times") };
                write!(f, "{backend} answered {times} and should not answer at all")
            }
            Judgement::TooFew { needed, got } => {
                write!(f, "too few answers to judge the split: {got}, and it takes {needed}")
            }
        }
    }
}

/// A chance as people read it: `0.52`, and `4.1e-9` where that is clearer.
fn chance(p: f64) -> String {
    if p >= 0.001 { format!("{p:.2}").replace("0.00", "0.001") } else { format!("{p:.1e}") }
}

fn split(counts: &BTreeMap<String, u32>, expected: &[String]) -> String {
    let each: Vec<String> =
        expected.iter().map(|backend| format!("{backend} {}", counts.get(backend).copied().unwrap_or(0))).collect();
    format!("{} of {}", crate::problem::all_of(&each), counts.values().sum::<u32>())
}

fn binomial(requests: u32, share: f64) -> Binomial {
    Binomial::new(share, requests.into()).expect("a share lies between 0 and 1")
}

/// The exact two-sided p-value of a count: twice the smaller tail.
fn two_sided(fair: &Binomial, count: u32) -> f64 {
    let at_most = fair.cdf(count.into());
    let at_least = if count == 0 { 1.0 } else { fair.sf(u64::from(count) - 1) };
    (2.0 * at_most.min(at_least)).min(1.0)
}

/// Chance of fewer than this count.
fn below(distribution: &Binomial, count: u32) -> f64 {
    if count == 0 { 0.0 } else { distribution.cdf(u64::from(count) - 1) }
}
