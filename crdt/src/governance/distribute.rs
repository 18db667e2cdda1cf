//! Distributions: money to the members, by shares, by work, or a mix of both (§7, §11).
//!
//! The outputs are written out in the proposal, as in every payment. The basis says how they were worked
//! out, so that every node can do it again and ignore a proposal whose numbers are not those.

use super::{Effect, Output, Payable};
use crate::bounded;
use crate::certificate::Decidable;
use crate::hash::Digest;
use crate::id::{EntryId, MemberId, ProposalId};
use crate::limits::{ENTRY_MAX, MEMBERS_MAX};
use bitcoin::{Amount, OutPoint, ScriptBuf};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A distribution, written out to the satoshi.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribute {
    /// What is divided. More than the outputs add up to by what falls below dust, which [`Carried`] hands on.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub total: Amount,
    /// Who gets how much, in the order of the transaction.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub outputs: Vec<Output>,
    /// The coin whose lineage pays it; by work that is the guild anchor.
    pub anchor: OutPoint,
    /// How the outputs were worked out.
    pub basis: Basis,
}

/// What a distribution goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// The weights of the roll.
    Shares,
    /// Verified work.
    Work(Work),
    /// A part by work, the rest by shares.
    Mixed {
        /// The part by work in percent (1…99).
        work_percent: u8,
        /// Which work.
        work: Work,
    },
    /// The weights of the roll, and what the distribution before left: parts too small to be paid.
    Carried(Carried),
}

/// What distributions by shares hand on, so that no satoshi of a part is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The distribution whose rest this one takes up: the last that was paid; none if it is the first.
    pub after: Option<ProposalId>,
    /// What this one leaves, in satoshis: parts below dust, and what is owed to who has left.
    #[serde(deserialize_with = "bounded::map::<_, _, _, MEMBERS_MAX>")]
    pub left: BTreeMap<MemberId, u64>,
}

/// The receipts that a distribution counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// k: distributions by work form one sequence, and this is the k-th, from 1.
    pub number: u32,
    /// Of each author the last entry up to which receipts count. Those of number k − 1 counted before.
    #[serde(deserialize_with = "bounded::map::<_, _, _, MEMBERS_MAX>")]
    pub heads: BTreeMap<MemberId, EntryId>,
}

/// Divide `total` in proportion to `shares`, in integers: largest remainder, ties to the smaller key. The
/// parts add up to `total`; nobody gets anything if all shares are zero.
#[must_use]
pub fn divide<K: Ord + Copy>(total: Amount, shares: &BTreeMap<K, u64>) -> BTreeMap<K, Amount> {
    let whole: u128 = shares.values().map(|share| u128::from(*share)).sum();
    if whole == 0 {
        return BTreeMap::new();
    }
    let sat = u128::from(total.to_sat());
    let part = |share: u64| {
        let product = sat * u128::from(share);
        (product / whole, product % whole)
    };
    let mut parts: BTreeMap<K, u128> = shares.iter().map(|(key, share)| (*key, part(*share).0)).collect();
    let left = sat - parts.values().sum::<u128>();
    let mut by_remainder: Vec<(u128, K)> = shares.iter().map(|(key, share)| (part(*share).1, *key)).collect();
    by_remainder.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, key) in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        parts.entry(key).and_modify(|part| *part += 1);
    }
    let sat = |part: u128| Amount::from_sat(u64::try_from(part).expect("a part is not more than the whole"));
    parts.into_iter().map(|(key, part)| (key, sat(part))).collect()
}

/// The outputs of a division: what is above dust, to the payout scripts, in the order of the keys.
#[must_use]
pub fn outputs<'a>(
    parts: &BTreeMap<MemberId, Amount>,
    payout: impl Fn(&MemberId) -> Option<&'a ScriptBuf>,
) -> Vec<Output> {
    let output = |(member, amount): (&MemberId, &Amount)| {
        let script = payout(member)?.clone();
        (*amount >= script.minimal_non_dust()).then_some(Output { script, amount: *amount })
    };
    parts.iter().filter_map(output).collect()
}

/// What `parts` and what was left `before` come to: the outputs of those for whom it is enough, in the
/// order of the keys, and what is left of all others, in satoshis.
#[must_use]
pub(crate) fn carry<'a>(
    mut parts: BTreeMap<MemberId, Amount>,
    before: &BTreeMap<MemberId, u64>,
    payout: impl Fn(&MemberId) -> Option<&'a ScriptBuf>,
) -> (Vec<Output>, BTreeMap<MemberId, u64>) {
    for (member, sat) in before {
        let part = parts.entry(*member).or_insert(Amount::ZERO);
        *part = part.checked_add(Amount::from_sat(*sat)).unwrap_or(Amount::MAX_MONEY);
    }
    let paid = outputs(&parts, &payout);
    let small = parts.iter().filter(|(member, part)| {
        payout(member).is_none_or(|script| **part < script.minimal_non_dust()) && **part > Amount::ZERO
    });
    (paid, small.map(|(member, part)| (*member, part.to_sat())).collect())
}

impl Distribute {
    /// What it hands on and from where it took it up, if it does.
    #[must_use]
    pub const fn carried(&self) -> Option<&Carried> {
        match &self.basis {
            Basis::Carried(carried) => Some(carried),
            Basis::Shares | Basis::Work(_) | Basis::Mixed { .. } => None,
        }
    }

    /// The work it counts, if any.
    #[must_use]
    pub const fn work(&self) -> Option<&Work> {
        match &self.basis {
            Basis::Shares | Basis::Carried(_) => None,
            Basis::Work(work) | Basis::Mixed { work, .. } => Some(work),
        }
    }
}

impl Decidable for Distribute {
    fn effect_hash(&self) -> Digest {
        Effect::Distribute(self.clone()).hash()
    }
}

impl Payable for Distribute {
    fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    fn anchor(&self) -> OutPoint {
        self.anchor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_division_adds_up_to_the_whole() {
        let table: [(u64, &[u64], &[u64]); 6] = [
            (100, &[1, 1, 1], &[34, 33, 33]),
            (101, &[1, 1, 1], &[34, 34, 33]),
            (10, &[0, 3, 7], &[0, 3, 7]),
            (1, &[1, 2], &[0, 1]),
            (0, &[5, 5], &[0, 0]),
            (2_100_000_000_000_000, &[u64::MAX, 1], &[2_100_000_000_000_000, 0]),
        ];
        for (total, shares, expected) in table {
            let shares: BTreeMap<usize, u64> = shares.iter().copied().enumerate().collect();
            let parts = divide(Amount::from_sat(total), &shares);
            let parts: Vec<u64> = parts.values().map(|part| part.to_sat()).collect();
            assert_eq!(parts, expected, "{total} by {shares:?}");
        }
        assert!(divide(Amount::ONE_BTC, &BTreeMap::from([(1, 0)])).is_empty(), "no shares, no parts");
    }

    #[test]
    fn what_is_too_small_is_handed_on_until_it_is_enough() {
        let people = crate::testkit::people(3);
        let ids: Vec<MemberId> = people.iter().map(crate::testkit::Person::id).collect();
        let script = crate::testkit::payee(1);
        let dust = script.minimal_non_dust().to_sat();
        let shares = BTreeMap::from([(ids[0], 1_000), (ids[1], 1)]);
        // the third left and is owed something for ever
        let mut before = BTreeMap::from([(ids[2], 5)]);
        let (mut paid, mut divided) = (0, 5);
        for round in 1..=20_u64 {
            let total = Amount::from_sat(100_100 + round);
            let payout = |id: &MemberId| (*id != ids[2]).then_some(&script);
            let (outputs, left) = carry(divide(total, &shares), &before, payout);
            assert!(outputs.iter().all(|output| output.amount.to_sat() >= dust), "round {round}");
            assert!(left.values().all(|sat| *sat < dust));
            paid += outputs.iter().map(|output| output.amount.to_sat()).sum::<u64>();
            divided += total.to_sat();
            assert_eq!(paid + left.values().sum::<u64>(), divided, "not a satoshi is lost");
            before = left;
        }
        assert!(paid > 20 * 100_100, "the small part was paid when it was enough");
        assert_eq!(before.get(&ids[2]), Some(&5));
    }
}
