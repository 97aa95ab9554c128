//! Waiting, in its three forms: until, steady, never. A wait has a name and remembers what it saw.
//!
//! A budget is time in which this process could look. Time in which it stood still (stopped by a signal, paused with its
//! machine, starved of its processor) is not counted: nothing was seen then because nobody looked.
//!
//! This is the only file that sleeps. Objects are watched (see [`crate::lab::cluster`]), traffic is polled by these.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::budget::Limit;
use crate::event::{Event, Recorder};

/// The longest that a wait sleeps before it looks at its clock. What one of these takes beyond [`LATE`] was no waiting.
const SLICE: Duration = Duration::from_millis(250);

/// How late a wait that did not stand still is woken at most: 4 ms were measured on 2 cores kept busy by 8 processes.
const LATE: Duration = Duration::from_millis(250);

/// What a wait remembers of a look that its end cut off.
const CUT_OFF: &str = "the look itself did not return";

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// It is there.
    Yes(T),
    /// It is not there yet; what stood there instead.
    NotYet(String),
    /// It could not be looked at, and why: this says nothing about it.
    Unable(String),
}

impl<T> Look<T> {
    /// The same look, with what was found made into something else.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Look<U> {
        match self {
            Look::Yes(value) => Look::Yes(into(value)),
            Look::NotYet(why) => Look::NotYet(why),
            Look::Unable(why) => Look::Unable(why),
        }
    }

    /// It could not be looked at, because of an error.
    pub fn unable(error: impl std::fmt::Display) -> Self {
        Look::Unable(error.to_string())
    }
}

/// A wait that ran out of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {:.1} s for {what}; {}", waited.as_secs_f64(), seen_line(.seen))]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// How long, without the time in which this process stood still.
    pub waited: Duration,
    /// What was seen instead, in order of first sight.
    pub seen: Vec<Seen>,
}

/// What a wait saw several times in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// In words.
    pub text: String,
    /// How often in a row.
    pub times: u32,
    /// What kind of look it was.
    pub kind: Sight,
}

/// What a look without success is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It tells what stood there.
    Told,
    /// It could not be made.
    Unable,
    /// The end of the wait cut it off.
    CutOff,
}

impl Timeout {
    /// What stood there at the last look that was not cut off.
    ///
    /// # Errors
    /// The timeout itself, where that look could not be made, or no look came to an end: then it is not known what stood
    /// there, and nothing may be blamed for it.
    pub fn last(&self) -> Result<&str, Timeout> {
        match self.seen.iter().rev().find(|seen| seen.kind != Sight::CutOff) {
            Some(Seen { text, kind: Sight::Told, .. }) => Ok(text),
            _ => Err(self.clone()),
        }
    }
}

fn seen_line(seen: &[Seen]) -> String {
    match seen {
        [] => "nothing was seen".to_string(),
        many => {
            let from = many.len().saturating_sub(4);
            let parts: Vec<String> =
                many[from..].iter().map(|seen| format!("{} (x{})", seen.text, seen.times)).collect();
            format!("saw {}", parts.join(", then "))
        }
    }
}

/// Tells waits that little hangs on them any more: from then on they have only so much time, whatever their budget. One that
/// begins when that is used up still has time for a look.
#[derive(Debug, Clone, Default)]
pub struct Hurry(Arc<OnceLock<Instant>>);

impl Hurry {
    /// From now on.
    pub fn up(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// What is left of `limit` since then; none where nobody is hurried.
    fn left(&self, limit: Duration) -> Option<Duration> {
        self.0.get().map(|since| limit.saturating_sub(since.elapsed()))
    }
}

/// What a wait has once it is hurried.
#[derive(Debug, Clone)]
struct Hurried {
    hurry: Hurry,
    /// Since it was hurried, with all waits before it.
    limit: Duration,
    /// For itself, of its budget.
    look: Duration,
}

/// A named wait of one step, case or lab part.
#[derive(Debug, Clone)]
pub struct Wait {
    scope: String,
    what: String,
    budget: Limit,
    pause: Duration,
    recorder: Option<Recorder>,
    hurry: Option<Hurried>,
}

impl Wait {
    /// A wait for `what`, at most `budget`.
    pub fn new(what: impl Into<String>, budget: impl Into<Limit>) -> Self {
        let pause = Duration::from_millis(200);
        Wait { scope: String::new(), what: what.into(), budget: budget.into(), pause, recorder: None, hurry: None }
    }

    /// Shows on the live line of `scope` what is waited for and why.
    pub fn shown(mut self, recorder: &Recorder, scope: impl Into<String>) -> Self {
        self.recorder = Some(recorder.clone());
        self.scope = scope.into();
        self
    }

    /// Has at most `limit` once it is hurried, or what is left of `look` since it began where that is more.
    pub fn hurried(mut self, hurry: &Hurry, limit: impl Into<Duration>, look: impl Into<Duration>) -> Self {
        self.hurry = Some(Hurried { hurry: hurry.clone(), limit: limit.into(), look: look.into() });
        self
    }

    /// Looks again after `pause` (200 ms if not said).
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Looks until it is there.
    ///
    /// # Errors
    /// [`Timeout`] with everything that was seen instead.
    pub async fn until<T, F, Fut>(&self, look: F) -> Result<T, Timeout>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Look<T>>,
    {
        self.steady(1, look).await
    }

    /// Looks until it was there `times` in a row.
    ///
    /// # Errors
    /// [`Timeout`] with everything that was seen instead.
    pub async fn steady<T, F, Fut>(&self, times: u32, mut look: F) -> Result<T, Timeout>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Look<T>>,
    {
        let mut memory = self.memory();
        let mut row = 0;
        loop {
            // A look that hangs must not outlive the wait.
            row = match memory.within(look()).await {
                Some(Look::Yes(value)) if row + 1 >= times => return Ok(value),
                Some(Look::Yes(_)) => {
                    memory.saw(format!("there {} of {times} times in a row", row + 1));
                    row + 1
                }
                Some(Look::NotYet(why)) => {
                    memory.saw(why);
                    0
                }
                Some(Look::Unable(why)) => {
                    memory.unable(why);
                    0
                }
                None => {
                    memory.remember(CUT_OFF.to_string(), Sight::CutOff);
                    return Err(memory.timeout());
                }
            };
            memory.pause(self.pause).await;
            if memory.left().is_zero() {
                return Err(memory.timeout());
            }
        }
    }

    /// Looks for the whole window and wants never to find it; returns how often it looked.
    ///
    /// # Errors
    /// What was found, and after how long.
    pub async fn never<T, F, Fut>(&self, mut look: F) -> Result<u32, (T, Duration)>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Look<T>>,
    {
        // A window cut short would prove less than it says, and it is always used up.
        let unhurried = Wait { hurry: None, budget: self.budget.time.into(), ..self.clone() };
        let mut memory = unhurried.memory();
        let mut looks = 0;
        loop {
            match memory.through(look()).await {
                Look::Yes(value) => return Err((value, memory.waited)),
                Look::NotYet(why) => {
                    memory.saw(why);
                    looks += 1;
                }
                Look::Unable(why) => memory.unable(why),
            }
            if memory.left().is_zero() {
                return Ok(looks);
            }
            memory.pause(self.pause).await;
        }
    }

    /// Begins to remember, for waits that follow a watch instead of polling.
    pub fn memory(&self) -> Memory<'_> {
        Memory { wait: self, waited: Duration::ZERO, seen: Vec::new() }
    }
}

/// What a wait has seen so far, and how much of its budget is used.
#[derive(Debug)]
pub struct Memory<'a> {
    wait: &'a Wait,
    waited: Duration,
    seen: Vec<Seen>,
}

impl Memory<'_> {
    /// Time left.
    pub fn left(&self) -> Duration {
        let left = self.wait.budget.saturating_sub(self.waited);
        let hurried =
            self.wait.hurry.as_ref().and_then(|Hurried { hurry, limit, look }| {
                Some(hurry.left(*limit)?.max(look.saturating_sub(self.waited)))
            });
        hurried.map_or(left, |hurried| left.min(hurried))
    }

    /// What comes of `future` while there is time left; it is asked at least once.
    pub async fn within<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let slice = SLICE.min(self.left());
            if let Some(output) = self.slice(slice, future.as_mut()).await {
                return Some(output);
            }
            if self.left().is_zero() {
                return None;
            }
        }
    }

    /// What comes of `future`, however long it takes.
    async fn through<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            if let Some(output) = self.slice(SLICE, future.as_mut()).await {
                return output;
            }
        }
    }

    /// Sleeps, not beyond the end of the wait.
    pub async fn pause(&mut self, pause: Duration) {
        self.slice(pause.min(self.left()), std::future::pending::<()>()).await;
    }

    /// Awaits `future` for `slice` and counts the time, but none in which this process stood still.
    async fn slice<F: Future + Unpin>(&mut self, slice: Duration, future: F) -> Option<F::Output> {
        let began = Instant::now();
        let output = tokio::time::timeout(slice, future).await;
        self.waited += began.elapsed().min(slice + LATE);
        output.ok()
    }

    /// Remembers what was seen, and shows it when it is new.
    pub fn saw(&mut self, why: String) {
        self.remember(why, Sight::Told);
    }

    /// Remembers that a look could not be made, and shows it when it is new.
    pub fn unable(&mut self, why: String) {
        self.remember(why, Sight::Unable);
    }

    fn remember(&mut self, text: String, kind: Sight) {
        if let Some(last) = self.seen.last_mut()
            && last.text == text
        {
            last.times += 1;
            return;
        }
        if let Some(recorder) = &self.wait.recorder {
            recorder.emit(Event::Waiting {
                scope: self.wait.scope.clone(),
                what: self.wait.what.clone(),
                last: text.clone(),
            });
        }
        self.seen.push(Seen { text, times: 1, kind });
    }

    /// The error of this wait; also written to the log, for it is the reason of what follows.
    pub fn timeout(&self) -> Timeout {
        let timeout = Timeout { what: self.wait.what.clone(), waited: self.waited, seen: self.seen.clone() };
        tracing::warn!(scope = %self.wait.scope, "{timeout}");
        timeout
    }
}

impl Drop for Memory<'_> {
    /// Tells how long it took, where it did not end with the first look.
    fn drop(&mut self) {
        let Wait { recorder: Some(recorder), scope, what, budget, .. } = self.wait else { return };
        if self.seen.is_empty() || budget.name.is_empty() {
            return;
        }
        recorder.emit(Event::Waited {
            scope: scope.clone(),
            what: what.clone(),
            seconds: self.waited.as_secs_f64(),
            limit: budget.name.to_string(),
            limit_seconds: budget.as_secs_f64(),
        });
    }
}

/// Pauses between two looks of a loop that is not a wait for something, such as a progress line.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
