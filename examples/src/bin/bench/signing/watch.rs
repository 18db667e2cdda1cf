//! The nodes' own log, with the time of each line: when a ceremony opened, and when its result was there.

use crate::measure::Stopwatch;
use anyhow::{Context as _, Result};
use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Since the bench began.
    pub(crate) at: Duration,
    /// What it says, then its fields.
    pub(crate) text: String,
}

/// All lines of all nodes, as they come.
pub(crate) struct Watch {
    lines: Mutex<Receiver<Line>>,
}

struct Ear {
    clock: Stopwatch,
    lines: Sender<Line>,
}

impl Watch {
    /// Listen to every node in this process.
    pub(crate) fn start() -> Result<Self> {
        let (lines_in, lines) = channel();
        let ear = Ear { clock: Stopwatch::start(), lines: lines_in };
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ear))?;
        Ok(Self { lines: Mutex::new(lines) })
    }

    /// Forget what was said.
    pub(crate) fn forget(&self) {
        let Ok(lines) = self.lines.lock() else { return };
        while lines.try_recv().is_ok() {}
    }

    /// The next line that holds all of `words`.
    pub(crate) fn next(&self, words: &[&str], patience: Duration) -> Result<Line> {
        let lines = self.lines.lock().ok().context("another listener died")?;
        let waited = Stopwatch::start();
        loop {
            let left = patience.saturating_sub(waited.elapsed());
            let line = lines.recv_timeout(left).with_context(|| format!("nobody said {words:?}"))?;
            if words.iter().all(|word| line.text.contains(word)) {
                return Ok(line);
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let most = if std::env::var_os("BENCH_LOG").is_some() { Level::DEBUG } else { Level::INFO };
        if *about.level() > most || !about.target().starts_with("guild::") {
            return;
        }
        let at = self.clock.elapsed();
        let mut text = Text(String::new());
        event.record(&mut text);
        if std::env::var_os("BENCH_LOG").is_some() {
            crate::report::note(&format!("{at:?} {}", text.0));
        }
        drop(self.lines.send(Line { at, text: text.0 }));
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}
