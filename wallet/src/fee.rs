//! What a payment costs: sizes as they will be once signed, and rates in whole satoshis.

use bitcoin::{Transaction, Witness};
use crdt::charter::FeeCap;

/// Satoshis per virtual byte when nobody knows better.
pub const DEFAULT_RATE: u64 = 2;
/// Satoshis per virtual byte below which nodes do not relay.
pub const LEAST_RATE: u64 = 1;
/// How often a payment may be replaced by a dearer one.
pub const BUMPS_MAX: u32 = 10;
/// Weight units of a transaction that nodes still relay.
pub const WEIGHT_MAX: u64 = 400_000;
/// Virtual bytes up to which a payment has version 3, which shields it from pinning (BIP431).
pub const VERSION_3_MAX: u64 = 10_000;

/// The witness of a key-path spend, before there is a signature.
pub(crate) fn blank_witness() -> Witness {
    Witness::from_slice(&[[0; 64]])
}

/// The weight of `transaction` once every input carries one 64-byte signature.
#[must_use]
pub fn signed_weight(transaction: &Transaction) -> u64 {
    let mut signed = transaction.clone();
    for input in &mut signed.input {
        input.witness = blank_witness();
    }
    signed.weight().to_wu()
}

/// The virtual size of `transaction` once every input carries one 64-byte signature.
#[must_use]
pub fn signed_vsize(transaction: &Transaction) -> u64 {
    signed_weight(transaction).div_ceil(4)
}

/// The version that a payment of `vsize` virtual bytes has.
#[must_use]
pub const fn version(vsize: u64) -> bitcoin::transaction::Version {
    if vsize <= VERSION_3_MAX { bitcoin::transaction::Version(3) } else { bitcoin::transaction::Version::TWO }
}

/// The rate of the replacement number `bump` of a payment that began at `base` satoshis per virtual
/// byte: half as much again each time, and at least one more.
#[must_use]
pub fn bumped(base: u64, bump: u32) -> u64 {
    (0..bump).fold(base.max(LEAST_RATE), |rate, _| rate.saturating_add((rate / 2).max(1)))
}

/// The most that `cap` lets a transaction of `vsize` virtual bytes pay, in satoshis.
#[must_use]
pub fn ceiling(cap: &FeeCap, vsize: u64) -> u64 {
    cap.sat.min(cap.sat_per_vb.saturating_mul(vsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bump_pays_more_and_ten_of_them_stay_sane() {
        let rates: Vec<u64> = (0..=BUMPS_MAX).map(|bump| bumped(2, bump)).collect();
        assert_eq!(rates, [2, 3, 4, 6, 9, 13, 19, 28, 42, 63, 94]);
        assert_eq!(bumped(0, 0), LEAST_RATE);
        assert_eq!(bumped(u64::MAX, 3), u64::MAX);
    }

    #[test]
    fn the_tighter_cap_holds() {
        for (sat, sat_per_vb, vsize, expected) in [(1_000, 10, 50, 500), (1_000, 10, 200, 1_000)] {
            assert_eq!(ceiling(&FeeCap { sat, sat_per_vb }, vsize), expected);
        }
    }
}
