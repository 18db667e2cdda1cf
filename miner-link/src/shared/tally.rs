//! Shares and the work in them, in integers.

use crate::share::Reason;
use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, Target};
use std::collections::BTreeMap;
use std::time::Duration;

/// The time over which a hash rate is measured: between one and two of these.
const WINDOW: Duration = Duration::from_secs(300);

/// What was counted for one worker or one source.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    /// Expected hashes of what was accepted.
    pub(super) hashes: u128,
    /// The lowest hash, as the target that it just meets.
    pub(super) best: Option<Target>,
    refused: BTreeMap<&'static str, u64>,
    /// The worth of a share at the target seen last: it changes rarely, and takes a long division.
    worth: Option<(Target, u128)>,
    before: (Duration, u128),
    current: (Duration, u128),
}

impl Tally {
    pub(super) fn count(&mut self, outcome: Result<BlockHash, Reason>, target: Target, now: Duration) {
        let hash = match outcome {
            Ok(hash) => Target::from_le_bytes(hash.to_byte_array()),
            Err(reason) => {
                *self.refused.entry(label(reason)).or_default() += 1;
                return;
            }
        };
        self.best = Some(self.best.map_or(hash, |best| best.min(hash)));
        let worth = match self.worth {
            Some((known, worth)) if known == target => worth,
            _ => hashes_of(target),
        };
        self.worth = Some((target, worth));
        self.accepted += 1;
        self.hashes = self.hashes.saturating_add(worth);
        self.turn(now);
        self.current.1 = self.current.1.saturating_add(worth);
    }

    pub(super) fn rejected(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(super) fn refusals(&self) -> BTreeMap<String, u64> {
        self.refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    /// Over the last window and a part, up to now.
    pub(super) fn hashes_per_second(&self, now: Duration) -> u128 {
        let (since, sum) = if now.saturating_sub(self.current.0) >= WINDOW {
            self.current
        } else {
            (self.before.0, self.before.1.saturating_add(self.current.1))
        };
        let elapsed = now.saturating_sub(since);
        if elapsed >= WINDOW * 3 { 0 } else { sum / u128::from(elapsed.as_secs().max(1)) }
    }

    fn turn(&mut self, now: Duration) {
        if self.accepted <= 1 {
            (self.before, self.current) = ((now, 0), (now, 0));
        } else if now.saturating_sub(self.current.0) >= WINDOW {
            self.before = self.current;
            self.current = (now, 0);
        }
    }
}

/// The hashes that a share of `target` is expected to take: 2^256 / (target + 1).
pub(crate) fn hashes_of(target: Target) -> u128 {
    let work = target.to_work().to_be_bytes();
    let (high, low) = work.split_at(16);
    let low = low.iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    if high.iter().all(|byte| *byte == 0) { low } else { u128::MAX }
}

/// As metrics name it.
const fn label(reason: Reason) -> &'static str {
    match reason {
        Reason::Malformed => "malformed",
        Reason::Version => "version",
        Reason::Time => "time",
        Reason::Full => "full",
        Reason::TooFast => "too_fast",
        Reason::UnknownJob => "unknown_job",
        Reason::Stale => "stale",
        Reason::Duplicate => "duplicate",
        Reason::LowDifficulty => "low_difficulty",
        Reason::Unauthorised => "unauthorised",
        Reason::NotSubscribed => "not_subscribed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::target::Level;

    /// A hash whose number is this byte, far up.
    fn hash(byte: u64) -> BlockHash {
        let mut bytes = [0; 32];
        bytes[20] = u8::try_from(byte).unwrap();
        BlockHash::from_byte_array(bytes)
    }

    #[test]
    fn a_share_counts_by_the_target_it_had_to_meet() {
        assert_eq!(
            hashes_of(Level::new(0).target()),
            4_295_032_833,
            "a little above 2^32, as everybody has it"
        );
        let mut tally = Tally::default();
        for second in 0..600 {
            tally.count(Ok(hash(7 + second % 5)), Level::new(10).target(), Duration::from_secs(second));
        }
        assert_eq!(tally.best, Some(Target::from_le_bytes(hash(7).to_byte_array())));
        tally.count(Err(Reason::Stale), Level::new(40).target(), Duration::from_secs(600));
        let share = hashes_of(Level::new(10).target());
        assert_eq!((tally.accepted, tally.hashes, tally.rejected()), (600, 600 * share, 1));
        let rate = tally.hashes_per_second(Duration::from_secs(600));
        assert!(rate >= share * 99 / 100 && rate <= share * 102 / 100, "{rate}, and {share} were sent");
        assert_eq!(tally.hashes_per_second(Duration::from_secs(6_000)), 0);
    }
}
