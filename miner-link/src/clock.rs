//! The only place of this crate that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, as cores are told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Since the program began. Never goes back.
    pub since_start: Duration,
    /// Seconds since 1970, as headers count them.
    pub unix: u32,
}

/// Tells the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the shell's one clock")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "the shell's one clock")]
    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix = u32::try_from(unix.as_secs()).unwrap_or(u32::MAX);
        Now { since_start: self.start.elapsed(), unix }
    }
}
