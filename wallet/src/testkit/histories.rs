//! Random histories of a treasury against the real rules: whatever honest signers sign in whatever views
//! they have, whatever of it is mined and however the chain turns, no decision is paid twice, none is
//! misread, none becomes unpayable, no budget is overdrawn and no satoshi is lost.
//!
//! A transaction exists as soon as *some* honest signer, looking at *some* consistent chain, accepts it:
//! all others may be dishonest, crashed, or restored from an old disk. Everything that was ever signed can
//! be mined at any time. The judge reads the chain with code of its own.

#![expect(clippy::indexing_slicing, reason = "a harness that cannot go on ends")]

mod chain;
mod judge;
#[cfg(test)]
mod model;
mod scene;
mod world;

use world::World;

/// What came of some histories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many there were.
    pub histories: u64,
    /// Decisions that a chain pays more than once.
    pub double_payments: u64,
    /// Decisions that the lineage reads otherwise than what was signed for says.
    pub misread: u64,
    /// Decisions neither paid nor closed that can never be paid.
    pub unpayable: u64,
    /// Periods of a budget in which more was drawn than its limit.
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

    /// S1, S4, S6, S7. `HISTORIES=1000000 cargo test --release -p wallet histories` for the long run.
    #[test]
    fn no_history_pays_twice_misreads_loses_or_overdraws() {
        let asked = std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok());
        let count: u64 = asked.unwrap_or(HISTORIES);
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
        let share = count.div_ceil(threads);
        let lots = (0..threads).map(|lot| std::thread::spawn(move || histories(1 + lot * share, share)));
        let lived = lots.collect::<Vec<_>>().into_iter().map(|lot| lot.join().unwrap());
        let outcome = lived.fold(Outcome::default(), Outcome::and);
        println!("{outcome:?}");
        assert!(outcome.holds(), "{outcome:?}");
        // and the histories are worth something
        assert!(outcome.signed > 4 * outcome.histories, "{outcome:?}");
        assert!(outcome.mined > outcome.histories && outcome.ended > outcome.histories / 2, "{outcome:?}");
        assert!(outcome.refused > outcome.histories / 4, "{outcome:?}");
        assert!(outcome.reorganisations > outcome.histories, "{outcome:?}");
    }
}
