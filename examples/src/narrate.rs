//! What the story says while it runs: every step, and what it waits for when a wait takes long.

#![expect(clippy::disallowed_methods, reason = "the story measures how long it takes")]

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nothing is silent for longer than this.
pub const SPEAK_EVERY: Duration = Duration::from_secs(4);
/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// One step as the summary has it.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Whether it did what it should.
    pub ok: bool,
    /// How long it took.
    pub ms: u128,
    /// What it found: transaction ids, addresses, hashes, refusals.
    pub facts: Map<String, Value>,
}

/// Speaks to the person, and keeps the steps.
#[derive(Debug)]
pub struct Narrator {
    start: Instant,
    steps: Vec<Step>,
    of: usize,
    interrupted: Arc<AtomicBool>,
}

impl Narrator {
    /// For a story of so many steps.
    #[must_use]
    pub fn new(of: usize) -> Self {
        Self { start: Instant::now(), steps: Vec::new(), of, interrupted: Arc::default() }
    }

    /// Set this, and the next wait ends the story: for a handler of Ctrl-C.
    #[must_use]
    pub fn interruption(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// Whether somebody set it.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// A line of detail, on stderr: stdout is for the summary.
    #[expect(clippy::print_stderr, reason = "the story is told on stderr")]
    pub fn detail(&self, line: &str) {
        eprintln!("      {line}");
    }

    #[expect(clippy::print_stderr, reason = "the story is told on stderr")]
    fn headline(&self, line: &str) {
        eprintln!("{:>5.1}s {line}", self.start.elapsed().as_secs_f64());
    }

    /// Tell one step. Its facts are kept even if it fails.
    ///
    /// # Errors
    ///
    /// The step's own, after it was told.
    pub fn step(
        &mut self,
        name: &str,
        work: impl FnOnce(&Self, &mut Map<String, Value>) -> Result<()>,
    ) -> Result<()> {
        self.headline(&format!("{}/{} {name}", self.steps.len() + 1, self.of));
        let (begin, mut facts) = (Instant::now(), Map::new());
        let outcome = work(self, &mut facts);
        if let Err(error) = &outcome {
            facts.insert("error".to_owned(), format!("{error:#}").into());
            self.headline(&format!("    FAILED: {error:#}"));
        }
        let (ok, ms) = (outcome.is_ok(), begin.elapsed().as_millis());
        self.steps.push(Step { name: name.to_owned(), ok, ms, facts });
        outcome
    }

    /// Look again and again until `look` finds what it looks for; say what it waits for meanwhile.
    ///
    /// # Errors
    ///
    /// What `look` cannot recover from, or that the wait took longer than `limit`.
    pub fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        mut look: impl FnMut() -> Result<Result<T, String>>,
    ) -> Result<T> {
        let begin = Instant::now();
        let mut spoke = begin;
        loop {
            let missing = match look()? {
                Ok(found) => return Ok(found),
                Err(missing) => missing,
            };
            if self.interrupted() {
                bail!("interrupted while waiting for {what}");
            }
            if begin.elapsed() > limit {
                bail!("waited {} s for {what}; still missing: {missing}", limit.as_secs());
            }
            if spoke.elapsed() > SPEAK_EVERY {
                spoke = Instant::now();
                self.detail(&format!("… waiting for {what}: {missing}"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// All steps so far.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
