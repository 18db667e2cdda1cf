//! Room for our own coinbase beside a template's transactions.
//!
//! bitcoind leaves room for a small coinbase, by its own setting, and does not know how many outputs ours
//! has. Where that is not enough, transactions are left out from the end of the template: it is ordered so
//! that what pays best comes first and no transaction stands before one that it spends, so that the rest
//! is a valid block.

use crate::template::Template;
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, Block, ScriptBuf, Transaction, VarInt, WitnessMerkleNode, Wtxid, merkle_tree};
use std::sync::Arc;

/// What consensus allows a block, where bitcoind does not say.
const WEIGHT_LIMIT: u64 = 4_000_000;
/// The same for signature checks.
const SIGOP_LIMIT: u64 = 80_000;
/// Weight of a header.
const HEADER: u64 = 80 * 4;
/// What a script that commits to witnesses begins with: OP_RETURN, 36 bytes, and the mark of BIP141.
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// What something takes of a block's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// In weight units.
    pub weight: u64,
    /// Signature checks, in the units of BIP141.
    pub sigops: u64,
}

/// A transaction of a template, as a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) cost: Cost,
    pub(crate) fee: Amount,
}

pub(super) const fn weight_limit() -> u64 {
    WEIGHT_LIMIT
}

pub(super) const fn sigop_limit() -> u64 {
    SIGOP_LIMIT
}

impl Template {
    /// This template, or as much of it as a block can hold beside `coinbase`.
    #[must_use]
    pub fn beside(self: Arc<Self>, coinbase: Cost) -> Arc<Self> {
        let kept = self.kept_beside(coinbase);
        if kept == self.transactions.len() { self } else { Arc::new(self.cut(kept)) }
    }

    /// How many transactions a block holds beside `coinbase`.
    fn kept_beside(&self, coinbase: Cost) -> usize {
        let count = VarInt::from(self.transactions.len() + 1).size();
        let fixed = HEADER + 4 * u64::try_from(count).unwrap_or(u64::MAX);
        let room = Cost {
            weight: self.limit.weight.saturating_sub(fixed).saturating_sub(coinbase.weight),
            sigops: self.limit.sigops.saturating_sub(coinbase.sigops),
        };
        let taken = self.loads.iter().scan(Cost { weight: 0, sigops: 0 }, |sum, load| {
            sum.weight = sum.weight.saturating_add(load.cost.weight);
            sum.sigops = sum.sigops.saturating_add(load.cost.sigops);
            Some(*sum)
        });
        taken.take_while(|sum| sum.weight <= room.weight && sum.sigops <= room.sigops).count()
    }

    /// The first `kept` transactions, without the fees of the others.
    fn cut(&self, kept: usize) -> Self {
        let lost: Amount = self.loads.iter().skip(kept).map(|load| load.fee).sum();
        let mut cut = self.clone();
        cut.transactions.truncate(kept);
        cut.txids.truncate(kept);
        cut.loads.truncate(kept);
        cut.value = cut.value.checked_sub(lost).unwrap_or(Amount::ZERO);
        cut.commitment = self.commitment.as_ref().map(|_| commitment(&cut.transactions));
        cut
    }
}

/// The output script that commits to the witnesses of `transactions` and of a coinbase before them.
fn commitment(transactions: &[Transaction]) -> ScriptBuf {
    let coinbase = std::iter::once(Wtxid::all_zeros());
    let all = coinbase.chain(transactions.iter().map(Transaction::compute_wtxid));
    let root = merkle_tree::calculate_root(all.map(Wtxid::to_raw_hash)).expect("at least the coinbase");
    let root = WitnessMerkleNode::from_raw_hash(root);
    let hash = Block::compute_witness_commitment(&root, &[0; 32]).to_byte_array();
    ScriptBuf::from_bytes([COMMITMENT.as_slice(), &hash].concat())
}

#[cfg(test)]
mod tests;
