//! The order within one block: which of several outputs was the first. BDK keeps the block of a
//! transaction, not its place there, and only one block's order ever decides anything: that of the guild
//! anchor (§9).

use crate::Path;
use crate::chain::Delta;
use crate::treasury::ADDRESSES;
use bitcoin::{Block, OutPoint, Transaction, TxOut, Txid};
use crdt::Height;
use crdt::limits::LEAST_COIN_SAT;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The lowest block that has an output which can be the guild anchor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct First {
    /// Its height.
    pub height: Height,
    /// The transactions that make such outputs, in the order of the block; none: there is no such block.
    pub txids: Vec<Txid>,
}

impl First {
    /// What can be an anchor in the block at `height`, by `path`, which knows the treasury's outputs.
    pub(crate) fn of_block(block: &Block, height: Height, path: impl Fn(&TxOut) -> Option<Path>) -> Self {
        let candidates = block.txdata.iter().filter(|transaction| makes_anchor(transaction, &path));
        Self { height, txids: candidates.map(Transaction::compute_txid).collect() }
    }

    /// The same of the lowest block of a delta that is not above `known`; none if it has none.
    pub(crate) fn of_delta(
        delta: &Delta,
        known: &Self,
        path: impl Fn(&TxOut) -> Option<Path>,
    ) -> Option<Self> {
        let anchors = delta.transactions.anchors.iter();
        let low = anchors.map(|(anchor, txid)| (*txid, anchor.block_id.height));
        let heights: BTreeMap<Txid, Height> = low.filter(|(_, height)| !known.is_below(*height)).collect();
        let low = delta.transactions.txs.iter().filter_map(|transaction| {
            let txid = transaction.compute_txid();
            let height = *heights.get(&txid)?;
            makes_anchor(transaction, &path).then_some((height, txid))
        });
        let low: Vec<(Height, Txid)> = if heights.is_empty() { Vec::new() } else { low.collect() };
        let height = low.iter().map(|(height, _)| *height).min()?;
        let txids = low.iter().filter(|(other, _)| *other == height).map(|(_, txid)| *txid);
        Some(Self { height, txids: txids.collect() })
    }

    /// Whether it is known, and below a block at `height`, which then cannot be the first.
    pub(crate) const fn is_below(&self, height: Height) -> bool {
        !self.txids.is_empty() && self.height < height
    }

    /// Where an output stands in the order of the chain, compared with others of the same block.
    pub(crate) fn place(&self, height: Height, coin: OutPoint) -> Option<(usize, u32)> {
        let mut txids = self.txids.iter().filter(|_| self.height == height);
        Some((txids.position(|txid| *txid == coin.txid)?, coin.vout))
    }
}

fn makes_anchor(transaction: &Transaction, path: impl Fn(&TxOut) -> Option<Path>) -> bool {
    transaction.output.iter().any(|output| {
        output.script_pubkey.is_p2tr() && path(output).is_some_and(|path| can_be_anchor(path, output))
    })
}

/// Whether an output at `path` is large enough, and of an address that the guild anchor can be at.
pub(crate) fn can_be_anchor([keychain, index]: Path, output: &TxOut) -> bool {
    keychain == 0 && index < ADDRESSES && output.value.to_sat() >= LEAST_COIN_SAT
}
