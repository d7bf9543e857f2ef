//! How far a command is: a bar on a terminal, a line now and then elsewhere; on stderr.

use crate::report::grouped;
use crate::tell;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

/// How often a progress line is printed where there is no terminal.
const PROGRESS_LINE_EVERY: Duration = Duration::from_secs(10);

/// The steps of a bar whose end is estimated.
const SHARES: u64 = 1000;

/// The progress of one thing.
pub struct Progress {
    name: &'static str,
    total: u64,
    unit: &'static str,
    bar: Option<ProgressBar>,
    told: std::cell::Cell<Duration>,
}

impl Progress {
    /// Of `total` units, called `unit` in the plural, none is done.
    pub fn new(name: &'static str, total: u64, unit: &'static str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg:28} {wide_bar} {human_pos}/{human_len} {pace} {eta}");
            let style = style.expect("the template is sound").with_key("pace", pace);
            ProgressBar::new(total).with_style(style).with_message(name)
        });
        Progress { name, total, unit, bar, told: std::cell::Cell::default() }
    }

    /// So many are done, after this time.
    pub fn tell(&self, done: u64, elapsed: Duration) {
        self.tell_besides(done, elapsed, "");
    }

    /// The same, and these words.
    pub fn tell_besides(&self, done: u64, elapsed: Duration, words: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(format!("{}{words}", self.name));
            }
            None => {
                let (done, total) = (grouped(done), grouped(self.total));
                self.tell_line(elapsed, || format!("{done} of {total} {}{words}", self.unit));
            }
        }
    }

    /// Of something whose end is estimated, nothing is done.
    pub fn of_share(name: &'static str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}").expect("the template is sound");
            ProgressBar::new(SHARES).with_style(style).with_prefix(name)
        });
        Progress { name, total: SHARES, unit: "", bar, told: std::cell::Cell::default() }
    }

    /// This share is done, after this time; `words` say more.
    pub fn tell_share(&self, share: f64, elapsed: Duration, words: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_position((share.clamp(0.0, 1.0) * self.total as f64) as u64);
                bar.set_message(words());
            }
            None => self.tell_line(elapsed, words),
        }
    }

    /// Of something whose end nobody knows, nothing is done.
    pub fn without_end(name: &'static str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {spinner} {msg}").expect("the template is sound");
            ProgressBar::new_spinner().with_style(style).with_prefix(name)
        });
        Progress { name, total: 0, unit: "", bar, told: std::cell::Cell::default() }
    }

    /// These `words` say how far it is, after this time.
    pub fn tell_words(&self, elapsed: Duration, words: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.tick();
                bar.set_message(words());
            }
            None => self.tell_line(elapsed, words),
        }
    }

    /// A line now and then.
    fn tell_line(&self, elapsed: Duration, words: impl FnOnce() -> String) {
        if elapsed.saturating_sub(self.told.get()) >= PROGRESS_LINE_EVERY {
            self.told.set(elapsed);
            tell!("{}: {}", self.name, words());
        }
    }

    /// It is over.
    pub fn end(&self) {
        self.bar.as_ref().inspect(|bar| bar.finish_and_clear());
    }
}

/// How many a second, in whole numbers: indicatif's own word for it has four decimals.
fn pace(state: &ProgressState, words: &mut dyn Write) {
    // what it writes to is a string
    let _ = write!(words, "{}/s", grouped(state.per_sec() as u64));
}
