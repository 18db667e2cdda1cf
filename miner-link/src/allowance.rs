//! How much of something one connection may have: a little at once, and as much again as time passes.
//!
//! Pure. What was had is kept as the time it takes to be given again.

use std::time::Duration;

/// What one connection may have.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    /// In which one more is given.
    each: Duration,
    /// The time that what may be had at once stands for.
    burst: Duration,
    /// When all that was had is given again.
    until: Duration,
}

impl Allowance {
    /// `per_second`, and `at_once` of them after a rest.
    pub(crate) fn new(per_second: u32, at_once: u32, now: Duration) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        Self { each, burst: each * at_once, until: now }
    }

    /// Whether one more is allowed.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let until = self.until.max(now) + self.each;
        let allowed = until.saturating_sub(now) <= self.burst;
        if allowed {
            self.until = until;
        }
        allowed
    }

    /// Have `count` more in any case; how long to wait before any others.
    pub(crate) fn have(&mut self, count: u32, now: Duration) -> Duration {
        self.until = self.until.max(now) + self.each.saturating_mul(count);
        self.until.saturating_sub(now).saturating_sub(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_no_more_than_the_rate() {
        let mut allowance = Allowance::new(100, 500, Duration::ZERO);
        let at_once = (0..10_000).filter(|_| allowance.take(Duration::ZERO)).count();
        assert_eq!(at_once, 500);
        let millis = (0..10_000).filter(|ms| allowance.take(Duration::from_millis(*ms))).count();
        assert_eq!(millis, 999, "ten seconds");
    }

    #[test]
    fn who_has_too_much_waits_until_it_is_given_again() {
        let mut allowance = Allowance::new(1_000, 2_000, Duration::ZERO);
        assert_eq!(allowance.have(2_000, Duration::ZERO), Duration::ZERO);
        assert_eq!(allowance.have(500, Duration::ZERO), Duration::from_millis(500));
        assert_eq!(allowance.have(0, Duration::from_millis(400)), Duration::from_millis(100));
        assert_eq!(allowance.have(1_000, Duration::from_secs(10)), Duration::ZERO);
    }
}
