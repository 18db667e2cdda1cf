//! The one place of this crate that reads the clock.

use std::time::Instant;

/// The time, for waits and progress lines.
#[expect(clippy::disallowed_methods, reason = "waiting for processes is what this crate does")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
