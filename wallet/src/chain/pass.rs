//! One pass over all scripts of the treasury, for servers that are asked about each: some scripts at a time,
//! so that a long scan shows progress and no call takes long.

use super::{ChainError, News, Position, Progress};
use bitcoin::ScriptBuf;

/// How far a pass is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    next: usize,
    of: usize,
}

impl Walk {
    pub(super) fn over(at: &Position) -> Self {
        Self { next: 0, of: at.scripts.len() }
    }

    /// The next scripts, at most `count`.
    pub(super) fn take<'a>(&mut self, at: &'a Position, count: usize) -> &'a [ScriptBuf] {
        let end = self.next.saturating_add(count).min(self.of);
        let scripts = at.scripts.get(self.next..end).unwrap_or_default();
        self.next = end;
        scripts
    }

    fn progress(self) -> Progress {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Progress { done: count(self.next), of: count(self.of) }
    }
}

/// A source that goes over all scripts again and again.
pub(super) trait Passes {
    /// What one pass found so far.
    type Pass: AsMut<Walk>;

    /// The pass under way, if there is one.
    fn under_way(&mut self) -> &mut Option<Self::Pass>;

    /// A new pass; none if there is nothing to look for yet.
    fn begin(&mut self, at: &Position) -> Result<Option<Self::Pass>, ChainError>;

    /// Ask about the next scripts.
    fn step(&mut self, at: &Position, pass: &mut Self::Pass) -> Result<(), ChainError>;

    /// Tell what a pass over all scripts found.
    fn end(&mut self, at: &Position, pass: Self::Pass) -> Result<News, ChainError>;

    /// Go on with the pass under way, or begin one.
    fn go_on(&mut self, at: &Position) -> Result<News, ChainError> {
        let mut kept = self.under_way().take();
        if kept.as_mut().is_none_or(|pass| pass.as_mut().of != at.scripts.len()) {
            kept = self.begin(at)?;
        }
        let Some(mut pass) = kept else { return Ok(News::default()) };
        self.step(at, &mut pass)?;
        let Walk { next, of } = *pass.as_mut();
        if next < of {
            *self.under_way() = Some(pass);
            return Ok(News { more: true, ..News::default() });
        }
        self.end(at, pass)
    }
}

/// How far `walk` is, if there is one.
pub(super) fn progress(walk: Option<&Walk>) -> Option<Progress> {
    walk.map(|walk| walk.progress())
}
