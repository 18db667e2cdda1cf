//! How often one miner may submit: a bucket of tokens that fills with time.

use crate::stratum::limits::{SUBMITS_BURST, SUBMITS_PER_SECOND};
use std::time::Duration;

/// Thousandths of a submission, so that a bucket fills evenly.
const WHOLE: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Allowance {
    left: u64,
    since: Duration,
}

impl Allowance {
    pub(super) const fn new(now: Duration) -> Self {
        Self { left: SUBMITS_BURST * WHOLE, since: now }
    }

    /// Whether one more is allowed.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let elapsed = u64::try_from(now.saturating_sub(self.since).as_millis()).unwrap_or(u64::MAX);
        self.since = now.max(self.since);
        let filled = self.left.saturating_add(elapsed.saturating_mul(SUBMITS_PER_SECOND * WHOLE / 1_000));
        self.left = filled.min(SUBMITS_BURST * WHOLE);
        let allowed = self.left >= WHOLE;
        if allowed {
            self.left -= WHOLE;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_no_more_than_the_rate() {
        let mut allowance = Allowance::new(Duration::ZERO);
        let at_once = (0..10_000).filter(|_| allowance.take(Duration::ZERO)).count();
        assert_eq!(u64::try_from(at_once).unwrap(), SUBMITS_BURST);
        let millis = (0..10_000).filter(|ms| allowance.take(Duration::from_millis(*ms))).count();
        assert_eq!(u64::try_from(millis).unwrap(), SUBMITS_PER_SECOND * 10 - 1, "ten seconds");
    }
}
