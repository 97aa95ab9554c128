//! The live line at the bottom: what is being waited for, why, and for how long.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::open::Open;

/// The live line.
#[derive(Debug)]
pub struct Live {
    bar: Option<ProgressBar>,
}

impl Live {
    /// A live line that shows nothing yet.
    pub fn new() -> Self {
        Live { bar: None }
    }

    /// Shows what was heard of last among all that goes on.
    pub fn show(&mut self, open: &Open, now: f64) {
        let Some(scope) = open.latest() else { return self.hide() };
        let more = open.scopes().len() - 1;
        let more = if more == 0 { String::new() } else { format!("  (+{more} more)") };
        let bar = self.bar.get_or_insert_with(bar);
        bar.set_prefix(scope.kind.verb());
        bar.set_message(format!("{}{more}", scope.doing()));
        bar.set_elapsed(Duration::from_secs_f64((now - scope.since).max(0.0)));
    }

    /// Takes the line away until there is something to show.
    pub fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes something above the line.
    pub fn aside(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix:>12.cyan.bold} [{elapsed}] {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
