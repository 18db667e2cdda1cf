//! What a payment costs: sizes as they will be once signed, and rates in whole satoshis.

use bitcoin::{Transaction, TxIn, TxOut, Witness};
use crdt::charter::FeeCap;

/// Satoshis per virtual byte when nobody knows better.
pub const DEFAULT_RATE: u64 = 2;
/// Satoshis per virtual byte below which nodes do not relay.
pub const LEAST_RATE: u64 = 1;
/// How many times its own estimate a signer lets a transaction pay for each virtual byte.
pub const TIMES_ESTIMATE: u64 = 10;
/// Which part of its own estimate a signer wants paid at least: a rate that never confirms holds up its
/// coins.
pub const PART_OF_ESTIMATE: u64 = 10;
/// How often a payment may be replaced by a dearer one.
pub const BUMPS_MAX: u32 = 10;
/// Weight units of a transaction that nodes still relay.
pub const WEIGHT_MAX: u64 = 400_000;
/// Virtual bytes up to which a payment has version 3, which shields it from pinning (BIP431).
pub const VERSION_3_MAX: u64 = 10_000;

/// Weight units of one signed key-path input: outpoint, empty script, sequence, one signature.
pub const INPUT_WEIGHT: u32 = 4 * 41 + 66;

/// What a signer lets a transaction pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The charter's caps.
    pub cap: FeeCap,
    /// The signer's own estimate in satoshis per virtual byte, if it has one.
    pub estimate: Option<u64>,
}

impl From<&FeeCap> for Bounds {
    fn from(cap: &FeeCap) -> Self {
        Self { cap: cap.clone(), estimate: None }
    }
}

impl Bounds {
    /// The most that a transaction of `vsize` virtual bytes may pay, in satoshis.
    #[must_use]
    pub fn most(&self, vsize: u64) -> u64 {
        let estimate =
            self.estimate.map_or(u64::MAX, |rate| rate.max(LEAST_RATE).saturating_mul(TIMES_ESTIMATE));
        ceiling(&self.cap, vsize).min(estimate.saturating_mul(vsize))
    }

    /// The least that a transaction of `vsize` virtual bytes must pay, in satoshis: what relays, and a
    /// part of the estimate as far as the charter's caps allow.
    #[must_use]
    pub fn least(&self, vsize: u64) -> u64 {
        let estimate = self.estimate.map_or(0, |rate| rate / PART_OF_ESTIMATE);
        let wanted = estimate.saturating_mul(vsize).min(ceiling(&self.cap, vsize));
        wanted.max(vsize.saturating_mul(LEAST_RATE))
    }

    /// `rate` in satoshis per virtual byte, moved to where this signer accepts it.
    #[must_use]
    pub fn rate(&self, rate: u64) -> u64 {
        let most = self.estimate.map_or(u64::MAX, |own| own.max(LEAST_RATE).saturating_mul(TIMES_ESTIMATE));
        rate.min(most).min(self.cap.sat_per_vb).max(LEAST_RATE)
    }
}

/// The weight of a transaction with these outputs, its inputs apart.
#[must_use]
pub fn frame_weight(outputs: &[TxOut]) -> u64 {
    let input = vec![TxIn { witness: blank_witness(), ..TxIn::default() }];
    let transaction = Transaction {
        version: version(0),
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input,
        output: outputs.to_vec(),
    };
    transaction.weight().to_wu() - u64::from(INPUT_WEIGHT)
}

/// The witness of a key-path spend, before there is a signature.
pub(crate) fn blank_witness() -> Witness {
    Witness::from_slice(&[[0; 64]])
}

/// The weight of `transaction` once every input carries one 64-byte signature.
#[must_use]
pub fn signed_weight(transaction: &Transaction) -> u64 {
    /// A signature and the two lengths before it.
    const WITNESS: u64 = 66;
    /// What says that there are witnesses.
    const SEGWIT: u64 = 2;
    let inputs = transaction.input.len() as u64;
    let stripped = transaction.base_size() as u64;
    stripped * 4 + inputs * WITNESS + if inputs > 0 { SEGWIT } else { 0 }
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
    fn sizes_are_those_of_signed_transactions() {
        for (inputs, outputs) in [(1, 2), (2, 1), (3, 300), (200, 2)] {
            let output = TxOut { value: bitcoin::Amount::ZERO, script_pubkey: bitcoin::ScriptBuf::new() };
            let mut transaction = Transaction {
                version: version(0),
                lock_time: bitcoin::absolute::LockTime::ZERO,
                input: vec![TxIn::default(); inputs],
                output: vec![output; outputs],
            };
            let measured = signed_weight(&transaction);
            let framed = frame_weight(&transaction.output) + inputs as u64 * u64::from(INPUT_WEIGHT);
            transaction.input.iter_mut().for_each(|input| input.witness = blank_witness());
            assert_eq!(measured, transaction.weight().to_wu());
            assert_eq!(framed, transaction.weight().to_wu());
        }
    }

    #[test]
    fn a_signers_own_estimate_bounds_the_rate_from_both_sides() {
        let cap = FeeCap { sat: 1_000_000, sat_per_vb: 200 };
        let bounds = |estimate| Bounds { cap: cap.clone(), estimate };
        for (estimate, least, most) in [
            (None, 1, 200),
            (Some(0), 1, 10),
            (Some(3), 1, 30),
            (Some(15), 1, 150),
            (Some(50), 5, 200),
            (Some(9_999), 200, 200),
        ] {
            assert_eq!(bounds(estimate).least(100), least * 100, "{estimate:?}");
            assert_eq!(bounds(estimate).most(100), most * 100, "{estimate:?}");
        }
        assert_eq!(bounds(Some(3)).rate(77), 30);
        assert_eq!(bounds(None).rate(777), 200);
        assert_eq!(bounds(None).rate(0), 1);
    }

    #[test]
    fn the_tighter_cap_holds() {
        for (sat, sat_per_vb, vsize, expected) in [(1_000, 10, 50, 500), (1_000, 10, 200, 1_000)] {
            assert_eq!(ceiling(&FeeCap { sat, sat_per_vb }, vsize), expected);
        }
    }
}
