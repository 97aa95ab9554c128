//! Items to collect, and the loop that asks for them: some at once, each with its own time limit, all with one deadline.

use std::collections::{BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::folder::Folder;

/// Something to ask for that becomes a file.
pub struct Item {
    /// Path of the file in the folder of diagnostics.
    pub path: String,
    /// One line that says what the file is.
    pub title: String,
    ask: BoxFuture<'static, Result<Found, String>>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Item").field(&self.path).finish()
    }
}

/// What came of an item.
#[derive(Debug, Default)]
pub struct Found {
    /// The text of its file.
    pub text: String,
    /// Items that are known only now.
    pub more: Vec<Item>,
}

impl From<String> for Found {
    fn from(text: String) -> Found {
        Found { text, more: Vec::new() }
    }
}

impl Item {
    /// An item whose question is answered by a text, or by a text and further items.
    pub fn new<F, T>(path: impl Into<String>, title: impl Into<String>, ask: F) -> Item
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
        T: Into<Found>,
    {
        Item { path: path.into(), title: title.into(), ask: ask.map(|answer| answer.map(Into::into)).boxed() }
    }
}

/// How much is asked at once, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items at once.
    pub at_once: usize,
    /// Time for one item.
    pub item: Duration,
    /// Time for all items.
    pub all: Duration,
}

/// Asks for all items, in order; what came is written at once, and what did not is noted by its name.
pub async fn gather(items: Vec<Item>, folder: &mut Folder, limits: Limits) {
    let deadline = Instant::now() + limits.all;
    let mut waiting = VecDeque::from(items);
    let mut asked = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < limits.at_once
            && let Some(item) = waiting.pop_front()
        {
            asked.insert(item.path.clone());
            running.push(answer(item, limits.item));
        }
        match tokio::time::timeout_at(deadline, running.next()).await {
            Ok(Some((path, title, answer))) => {
                asked.remove(&path);
                match answer {
                    Ok(found) => {
                        folder.write(&path, &title, &found.text);
                        waiting.extend(found.more);
                    }
                    Err(why) => folder.miss(&path, &why),
                }
            }
            Ok(None) => return,
            Err(_) => break,
        }
    }
    let why = format!("the {} s for all diagnostics were over", limits.all.as_secs());
    for path in asked.iter().chain(waiting.iter().map(|item| &item.path)) {
        folder.miss(path, &why);
    }
}

async fn answer(item: Item, limit: Duration) -> (String, String, Result<Found, String>) {
    // A panic while looking for the cause of a failure must not become the failure.
    let ask = AssertUnwindSafe(item.ask).catch_unwind();
    let answer = match tokio::time::timeout(limit, ask).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err("the question itself panicked, which is a fault of meshproof".to_string()),
        Err(_) => Err(format!("no answer within {:.0} s", limit.as_secs_f64())),
    };
    (item.path, item.title, answer)
}
