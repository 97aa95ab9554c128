//! The view at the bottom of a terminal, drawn anew as events come and time passes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::Manner;
use super::view::{View, lines};
use crate::event::{Event, Record};
use crate::report::expected::Expected;

/// The view and since when it holds.
#[derive(Debug)]
struct Shown {
    view: View,
    at: f64,
    since: Instant,
}

/// The live view.
#[derive(Debug)]
pub struct Live {
    manner: Manner,
    shown: Arc<Mutex<Shown>>,
    bar: Option<ProgressBar>,
    paused: bool,
}

impl Live {
    /// A view that shows nothing yet.
    pub fn new(manner: Manner) -> Self {
        let shown = Shown { view: View::default(), at: 0.0, since: Instant::now() };
        Live { manner, shown: Arc::new(Mutex::new(shown)), bar: None, paused: false }
    }

    /// Says how long runs like this one took.
    pub fn expects(&mut self, expected: Option<Expected>) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).view.expects(expected);
    }

    /// Takes the next event, and shows what goes on.
    pub fn on(&mut self, record: &Record) {
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.view.on(record);
            (shown.at, shown.since) = (record.at, Instant::now());
        }
        match record.event {
            // A person is asked something; the view would write over the answer.
            Event::Paused { .. } => self.paused = true,
            Event::Resumed { .. } => self.paused = false,
            _ => {}
        }
        match record.event {
            Event::RunFinished { .. } => self.hide(),
            _ if self.paused => self.hide(),
            _ => {
                let (manner, shown) = (self.manner, &self.shown);
                self.bar.get_or_insert_with(|| bar(manner, shown.clone())).tick();
            }
        }
    }

    /// Takes the view away until there is something to show.
    pub fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes something above the view.
    pub fn aside(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// Draws what is shown, as wide as the terminal is at that moment.
fn bar(manner: Manner, shown: Arc<Mutex<Shown>>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{view}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let view = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = shown.at + shown.since.elapsed().as_secs_f64();
        let size = terminal_size::terminal_size_of(std::io::stderr());
        let (width, height) = size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        // The last column stays free: some terminals break a line that fills it.
        let mut lines = lines(&shown.view, now, width.saturating_sub(1), manner);
        lines.truncate(height.saturating_sub(2));
        let _ = out.write_str(&lines.join("\n"));
    };
    bar.set_style(style.with_key("view", view));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
