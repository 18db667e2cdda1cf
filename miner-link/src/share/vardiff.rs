//! How hard the shares of one connection should be.
//!
//! A function of the time and the number of shares since the last change, in integers. One share in
//! ten seconds is enough to see a miner at work, and little enough for a thousand of them.

use crate::share::target::Level;
use std::time::Duration;

/// What it aims at.
const SECONDS_PER_SHARE: u64 = 10;
/// A miner is judged by at least this time…
const WINDOW: Duration = Duration::from_secs(60);
/// …or by this many shares, should they come fast.
const QUICK_SHARES: u64 = 16;
/// A single step is at most this many powers of two: an ASIC that starts at a CPU's difficulty is at
/// its own in three steps.
const STEP_MAX: i32 = 8;
/// How far a silent miner's difficulty falls below where it began, so that one that comes back does
/// not drown us.
const FALL_MAX: i32 = 10;

/// The difficulty of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vardiff {
    level: Level,
    least: Level,
    since: Duration,
    shares: u64,
}

impl Vardiff {
    /// Begin at `level`, and never fall below `floor`.
    #[must_use]
    pub fn new(level: Level, floor: Level, now: Duration) -> Self {
        let level = level.max(floor);
        Self { level, least: level.step(-FALL_MAX).max(floor), since: now, shares: 0 }
    }

    /// The level now.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// A share counted.
    pub const fn count(&mut self) {
        self.shares = self.shares.saturating_add(1);
    }

    /// Choose the level for the next job, when shares were asked for at `asked`: less than the level
    /// where blocks, or a pool's shares, are easier than that. What came says nothing of harder ones.
    pub fn retarget(&mut self, asked: Level, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed < WINDOW && self.shares < QUICK_SHARES {
            return;
        }
        let level = self.level.min(asked).step(steps(self.shares, expected(elapsed))).max(self.least);
        *self = Self { level, least: self.least, since: now, shares: 0 };
    }
}

fn expected(elapsed: Duration) -> u64 {
    elapsed.as_secs().max(1).div_ceil(SECONDS_PER_SHARE)
}

/// How many powers of two lie between what came and what was expected; none within a factor of two.
fn steps(came: u64, expected: u64) -> i32 {
    let powers = |more: u64, less: u64| {
        let powers = (more / less.max(1)).checked_ilog2().unwrap_or(0);
        i32::try_from(powers).unwrap_or(STEP_MAX).min(STEP_MAX)
    };
    if came >= expected { powers(came, expected) } else { -powers(expected, came) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_settles_where_a_share_comes_in_ten_seconds() {
        // (name, shares, seconds, steps)
        let cases = [
            ("as aimed at", 6, 60, 0),
            ("a little fast", 11, 60, 0),
            ("twice as fast", 12, 60, 1),
            ("eight times", 48, 60, 3),
            ("a burst is noticed early", 160, 10, 7),
            ("too early to tell", 3, 10, 0),
            ("half as fast", 3, 60, -1),
            ("silent", 0, 60, -2),
        ];
        for (name, shares, seconds, steps) in cases {
            let mut vardiff = Vardiff::new(Level::new(10), Level::LEAST, Duration::ZERO);
            (0..shares).for_each(|_| vardiff.count());
            vardiff.retarget(Level::new(10), Duration::from_secs(seconds));
            assert_eq!(vardiff.level(), Level::new(10 + steps), "{name}");
        }
    }

    #[test]
    fn it_never_falls_below_what_the_device_wants() {
        let mut vardiff = Vardiff::new(Level::new(3), Level::new(11), Duration::ZERO);
        assert_eq!(vardiff.level(), Level::new(11));
        for minute in 1..100 {
            vardiff.retarget(Level::new(11), Duration::from_secs(minute * 60));
        }
        assert_eq!(vardiff.level(), Level::new(11));
    }

    /// On an easy chain, or for a pool that begins low, shares come as fast as blocks do whatever is
    /// asked: that must not drive the level out of the miner's reach.
    #[test]
    fn shares_at_an_easier_level_do_not_drive_it_up_without_end() {
        let (easy, mut vardiff) = (Level::new(2), Vardiff::new(Level::new(10), Level::LEAST, Duration::ZERO));
        for minute in 1..1_000 {
            (0..600).for_each(|_| vardiff.count());
            vardiff.retarget(easy, Duration::from_secs(minute * 60));
        }
        assert_eq!(vardiff.level(), Level::new(2 + 6), "ten a second are 64 times what is aimed at");
    }
}
