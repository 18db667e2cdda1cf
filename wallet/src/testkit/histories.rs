//! Random histories of a treasury against the real rules: whatever honest signers sign in whatever views
//! they have, whatever of it is mined and however the chain turns, no decision is paid twice, none is
//! misread, none becomes unpayable, no budget is overdrawn and no satoshi is lost.
//!
//! A transaction exists as soon as *some* honest signer, looking at *some* consistent chain, accepts it:
//! all others may be dishonest, crashed, or restored from an old disk. Everything that was ever signed can
//! be mined at any time. The judge reads the chain with code of its own.

#![expect(clippy::indexing_slicing, reason = "a harness that cannot go on ends")]

mod chain;
mod check;
#[cfg(test)]
mod draws;
mod judge;
#[cfg(test)]
mod model;
mod run;
mod scene;
mod world;

pub use run::Run;

use serde::{Deserialize, Serialize};
use world::World;

/// What came of some histories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many there were.
    pub histories: u64,
    /// Payments of a decision, or of one Disburse entry, that a chain has once too often.
    pub double_payments: u64,
    /// Decisions that the lineage reads otherwise than what was signed for says.
    pub misread: u64,
    /// Decisions neither paid nor closed that can never be paid.
    pub unpayable: u64,
    /// Periods of a budget in which more was drawn than its limit, by its markers or by what signers meant.
    pub overdrawn: u64,
    /// Blocks after which the balance is not what an independent scan finds.
    pub unbalanced: u64,
    /// Transactions that were signed, so that the numbers above say something.
    pub signed: u64,
    /// What dishonest coordinators proposed and signers refused.
    pub refused: u64,
    /// Signed transactions in blocks, blocks that were replaced later included.
    pub mined: u64,
    /// Of them payments, draws and closing moves.
    pub ended: u64,
    /// Of those draws.
    pub drawn: u64,
    /// Reorganisations.
    pub reorganisations: u64,
}

impl Outcome {
    /// Whether all that must never happen did not.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.double_payments == 0
            && self.misread == 0
            && self.unpayable == 0
            && self.overdrawn == 0
            && self.unbalanced == 0
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            histories: self.histories + other.histories,
            double_payments: self.double_payments + other.double_payments,
            misread: self.misread + other.misread,
            unpayable: self.unpayable + other.unpayable,
            overdrawn: self.overdrawn + other.overdrawn,
            unbalanced: self.unbalanced + other.unbalanced,
            signed: self.signed + other.signed,
            refused: self.refused + other.refused,
            mined: self.mined + other.mined,
            ended: self.ended + other.ended,
            drawn: self.drawn + other.drawn,
            reorganisations: self.reorganisations + other.reorganisations,
        }
    }
}

/// Live through the history of this seed.
#[must_use]
pub fn history(seed: u64) -> Outcome {
    World::new(seed).live()
}

/// Live through `count` histories from `first` on, until one shows what must never happen.
#[must_use]
pub fn histories(first: u64, count: u64) -> Outcome {
    let mut all = Outcome::default();
    for seed in first..first.saturating_add(count) {
        all = all.and(history(seed));
        if !all.holds() {
            break;
        }
    }
    all
}

/// Randomness that a seed repeats (splitmix64).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Histories where nobody says otherwise.
    const HISTORIES: u64 = 20_000;

    /// S1, S4, S6, S7. How to ask for a long run: [`Run::asked`].
    #[test]
    fn no_history_pays_twice_misreads_loses_or_overdraws() {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let outcome = Run::asked(HISTORIES).unwrap().live(threads).unwrap();
        println!("{outcome:?}");
        assert!(outcome.holds(), "{outcome:?}");
        // and the histories are worth something
        assert!(outcome.signed > 4 * outcome.histories, "{outcome:?}");
        assert!(outcome.mined > outcome.histories && outcome.ended > outcome.histories / 2, "{outcome:?}");
        assert!(outcome.drawn > outcome.histories / 8, "{outcome:?}");
        assert!(outcome.refused > outcome.histories / 4, "{outcome:?}");
        assert!(outcome.reorganisations > outcome.histories, "{outcome:?}");
    }

    #[test]
    fn a_run_that_was_interrupted_goes_on_and_adds_up_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let record = Some(folder.path().join("record"));
        let whole = Run { first: 1, count: 120, record: None }.live(2).unwrap();
        assert_eq!(whole.histories, 120);
        Run { first: 1, count: 100, record: record.clone() }.live(1).unwrap();
        let path = record.as_ref().unwrap();
        let mut written = std::fs::read_to_string(path).unwrap();
        assert_eq!(written.lines().count(), 2, "a lot each");
        written.push_str("{\"first\":101,\"count\":5"); // the machine went off
        std::fs::write(path, &written).unwrap();
        let resumed = Run { first: 1, count: 120, record: record.clone() };
        assert_eq!(resumed.live(2).unwrap(), whole);
        assert!(std::fs::read_to_string(path).unwrap().starts_with(&written), "what was done is kept");
        assert_eq!(resumed.live(2).unwrap(), whole, "nothing is left to do");
    }
}
