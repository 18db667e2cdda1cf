//! Dividing a sum among members: by shares, by verified work, or a mix of both. Integers only, largest
//! remainder, and every satoshi accounted for: what is paid and what is carried over add up to the whole
//! and what was carried before.

use bitcoin::Amount;
use crdt::governance::divide;
use std::collections::BTreeMap;

/// What a distribution goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By<K> {
    /// Weights of the roll.
    Shares(BTreeMap<K, u64>),
    /// Verified work.
    Work(BTreeMap<K, u64>),
    /// A part by work, the rest by shares.
    Mixed {
        /// The part by work, in percent.
        work_percent: u8,
        /// Verified work.
        work: BTreeMap<K, u64>,
        /// Weights of the roll.
        shares: BTreeMap<K, u64>,
    },
}

/// A sum divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<K> {
    /// Who gets how much now: nothing below what each can be paid.
    pub paid: BTreeMap<K, Amount>,
    /// What stays for the next time: parts too small to be paid.
    pub carried: BTreeMap<K, Amount>,
}

/// Why a sum cannot be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// Nobody has a share.
    #[error("nobody has a share in what is to be divided")]
    Nobody,
    /// More than there can ever be.
    #[error("more bitcoin than can exist")]
    Sum,
    /// Not a percentage between 1 and 99.
    #[error("the part by work is 1 to 99 percent, not {0}")]
    Percent(u8),
}

/// Divide `total`, add to each part what was `carried` for its owner, and pay what is at least `least` for
/// that owner.
///
/// # Errors
///
/// [`SplitError`]; nothing is divided then.
pub fn split<K: Ord + Copy>(
    total: Amount,
    by: &By<K>,
    carried: &BTreeMap<K, Amount>,
    least: impl Fn(&K) -> Amount,
) -> Result<Split<K>, SplitError> {
    let mut parts = parts(total, by)?;
    for (key, before) in carried {
        let part = parts.entry(*key).or_insert(Amount::ZERO);
        *part = part.checked_add(*before).ok_or(SplitError::Sum)?;
    }
    let whole = parts.values().try_fold(Amount::ZERO, |sum, part| sum.checked_add(*part));
    if whole.is_none_or(|whole| whole > Amount::MAX_MONEY) {
        return Err(SplitError::Sum);
    }
    let parts = parts.into_iter().filter(|(_, part)| *part > Amount::ZERO);
    let (paid, carried) = parts.partition(|(key, part)| *part >= least(key));
    Ok(Split { paid, carried })
}

/// The parts of `total`: they add up to it.
fn parts<K: Ord + Copy>(total: Amount, by: &By<K>) -> Result<BTreeMap<K, Amount>, SplitError> {
    let some =
        |parts: BTreeMap<K, Amount>| if parts.is_empty() { Err(SplitError::Nobody) } else { Ok(parts) };
    match by {
        By::Shares(shares) | By::Work(shares) => some(divide(total, shares)),
        By::Mixed { work_percent, work, shares } => {
            if !(1..=99).contains(work_percent) {
                return Err(SplitError::Percent(*work_percent));
            }
            let part = u128::from(total.to_sat()) * u128::from(*work_percent) / 100;
            let by_work = Amount::from_sat(u64::try_from(part).map_err(|_| SplitError::Sum)?);
            let mut parts = some(divide(by_work, work))?;
            for (key, part) in some(divide(total - by_work, shares))? {
                *parts.entry(key).or_insert(Amount::ZERO) += part;
            }
            Ok(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(of: &[u64]) -> BTreeMap<usize, u64> {
        of.iter().copied().enumerate().collect()
    }

    fn sat(parts: &BTreeMap<usize, Amount>) -> Vec<(usize, u64)> {
        parts.iter().map(|(key, part)| (*key, part.to_sat())).collect()
    }

    #[test]
    fn parts_below_dust_are_carried_to_the_next_time() {
        let dust = |_: &usize| Amount::from_sat(330);
        let by = By::Shares(shares(&[98, 1, 1]));
        let first = split(Amount::from_sat(20_000), &by, &BTreeMap::new(), dust).unwrap();
        assert_eq!(sat(&first.paid), [(0, 19_600)]);
        assert_eq!(sat(&first.carried), [(1, 200), (2, 200)]);
        let second = split(Amount::from_sat(20_000), &by, &first.carried, dust).unwrap();
        assert_eq!(sat(&second.paid), [(0, 19_600), (1, 400), (2, 400)]);
        assert!(second.carried.is_empty());
    }

    #[test]
    fn a_mix_pays_work_and_shares() {
        let by = By::Mixed { work_percent: 70, work: shares(&[0, 10]), shares: shares(&[1, 1]) };
        let divided = split(Amount::from_sat(1_000), &by, &BTreeMap::new(), |_| Amount::ZERO).unwrap();
        assert_eq!(sat(&divided.paid), [(0, 150), (1, 850)]);
        let nobody = By::Work(shares(&[0, 0]));
        let error = split(Amount::from_sat(1_000), &nobody, &BTreeMap::new(), |_| Amount::ZERO);
        assert_eq!(error, Err(SplitError::Nobody));
        let all = By::Mixed { work_percent: 100, work: shares(&[1]), shares: shares(&[1]) };
        let error = split(Amount::from_sat(1_000), &all, &BTreeMap::new(), |_| Amount::ZERO);
        assert_eq!(error, Err(SplitError::Percent(100)));
    }

    proptest! {
        /// M4: every split sums to the whole, what is carried included.
        #[test]
        fn nothing_is_lost(
            total in 0u64..=2_100_000_000_000_000,
            work in prop::collection::vec(any::<u64>(), 1..30),
            weights in prop::collection::vec(0u64..1_000_000, 1..30),
            before in prop::collection::vec(0u64..1_000, 0..30),
            percent in 1u8..100,
        ) {
            let before: BTreeMap<usize, Amount> = before.into_iter().map(Amount::from_sat).enumerate().collect();
            let all = [
                By::Shares(shares(&weights)),
                By::Work(shares(&work)),
                By::Mixed { work_percent: percent, work: shares(&work), shares: shares(&weights) },
            ];
            for by in all {
                let Ok(divided) = split(Amount::from_sat(total), &by, &before, |_| Amount::from_sat(546)) else { continue };
                let after: Amount = divided.paid.values().chain(divided.carried.values()).copied().sum();
                prop_assert_eq!(after, Amount::from_sat(total) + before.values().copied().sum::<Amount>());
                prop_assert!(divided.paid.values().all(|part| part.to_sat() >= 546));
                prop_assert!(divided.carried.values().all(|part| part.to_sat() < 546));
            }
        }
    }
}
