//! Waiting, in its three forms: until, steady, never. A wait has a name and remembers what it saw.
//!
//! This is the only file that sleeps. Objects are watched (see [`crate::lab::cluster`]), traffic is polled by these.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::event::{Event, Recorder};

/// What a wait remembers of a look that its end cut off.
const CUT_OFF: &str = "the look itself did not return";

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// It is there.
    Yes(T),
    /// It is not there yet; what stood there instead.
    NotYet(String),
}

/// A wait that ran out of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {:.1} s for {what}; {}", waited.as_secs_f64(), seen_line(.seen))]
pub struct Timeout {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub waited: Duration,
    /// What was seen instead, each with how often, in order of first sight.
    pub seen: Vec<(String, u32)>,
}

impl Timeout {
    /// The last new thing seen; that a look was cut off is the answer only where there is no other.
    pub fn last(&self) -> &str {
        let told = self.seen.iter().rev().find(|(text, _)| text != CUT_OFF).or(self.seen.last());
        told.map_or("nothing was seen", |(text, _)| text)
    }
}

fn seen_line(seen: &[(String, u32)]) -> String {
    match seen {
        [] => "nothing was seen".to_string(),
        many => {
            let from = many.len().saturating_sub(4);
            let parts: Vec<String> = many[from..].iter().map(|(text, count)| format!("{text} (x{count})")).collect();
            format!("saw {}", parts.join(", then "))
        }
    }
}

/// A named wait of one step, case or lab part.
#[derive(Debug, Clone)]
pub struct Wait {
    scope: String,
    what: String,
    budget: Duration,
    pause: Duration,
    recorder: Option<Recorder>,
}

impl Wait {
    /// A wait for `what`, at most `budget`.
    pub fn new(what: impl Into<String>, budget: Duration) -> Self {
        Wait { scope: String::new(), what: what.into(), budget, pause: Duration::from_millis(200), recorder: None }
    }

    /// Shows on the live line of `scope` what is waited for and why.
    pub fn shown(mut self, recorder: &Recorder, scope: impl Into<String>) -> Self {
        self.recorder = Some(recorder.clone());
        self.scope = scope.into();
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
    pub async fn until<T, F, Fut>(&self, mut look: F) -> Result<T, Timeout>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Look<T>>,
    {
        let mut memory = Memory::begin(self);
        loop {
            // A look that hangs must not outlive the wait.
            match tokio::time::timeout(memory.left(), look()).await {
                Ok(Look::Yes(value)) => return Ok(value),
                Ok(Look::NotYet(why)) => memory.saw(why),
                Err(_) => memory.saw(CUT_OFF.to_string()),
            }
            if memory.left().is_zero() {
                return Err(memory.timeout());
            }
            tokio::time::sleep(self.pause.min(memory.left())).await;
        }
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
        let mut memory = Memory::begin(self);
        let mut row = 0;
        loop {
            match tokio::time::timeout(memory.left(), look()).await {
                Ok(Look::Yes(value)) => {
                    row += 1;
                    if row >= times {
                        return Ok(value);
                    }
                    memory.saw(format!("there {row} of {times} times in a row"));
                }
                Ok(Look::NotYet(why)) => {
                    row = 0;
                    memory.saw(why);
                }
                Err(_) => memory.saw(CUT_OFF.to_string()),
            }
            if memory.left().is_zero() {
                return Err(memory.timeout());
            }
            tokio::time::sleep(self.pause.min(memory.left())).await;
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
        let mut memory = Memory::begin(self);
        let mut looks = 0;
        loop {
            match look().await {
                Look::Yes(value) => return Err((value, memory.started.elapsed())),
                Look::NotYet(why) => memory.saw(why),
            }
            looks += 1;
            if memory.left().is_zero() {
                return Ok(looks);
            }
            tokio::time::sleep(self.pause.min(memory.left())).await;
        }
    }

    /// Begins to remember, for waits that follow a watch instead of polling.
    pub fn memory(&self) -> Memory<'_> {
        Memory::begin(self)
    }
}

/// What a wait has seen so far.
#[derive(Debug)]
pub struct Memory<'a> {
    wait: &'a Wait,
    started: Instant,
    seen: Vec<(String, u32)>,
}

impl<'a> Memory<'a> {
    fn begin(wait: &'a Wait) -> Self {
        Memory { wait, started: Instant::now(), seen: Vec::new() }
    }

    /// Time left.
    pub fn left(&self) -> Duration {
        self.wait.budget.saturating_sub(self.started.elapsed())
    }

    /// Remembers what was seen, and shows it when it is new.
    pub fn saw(&mut self, why: String) {
        if let Some((last, count)) = self.seen.last_mut()
            && *last == why
        {
            *count += 1;
            return;
        }
        if let Some(recorder) = &self.wait.recorder {
            recorder.emit(Event::Waiting {
                scope: self.wait.scope.clone(),
                what: self.wait.what.clone(),
                last: why.clone(),
            });
        }
        self.seen.push((why, 1));
    }

    /// The error of this wait; also written to the log, for it is the reason of what follows.
    pub fn timeout(&self) -> Timeout {
        let timeout = Timeout { what: self.wait.what.clone(), waited: self.started.elapsed(), seen: self.seen.clone() };
        tracing::warn!(scope = %self.wait.scope, "{timeout}");
        timeout
    }
}

/// Pauses between two looks of a loop that is not a wait for something, such as a progress line.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
