//! The order of transactions within a block. The protocol tells it only of one transaction at a time, with
//! the branch that proves it, so it is asked for where it decides something: in the block of the guild
//! anchor, if several outputs of it might be that.

use super::Electrum;
use crate::chain::{ChainError, Position, Source as _};
use bdk_electrum::electrum_client::ElectrumApi as _;
use bdk_electrum::electrum_client::utils::validate_merkle_proof;
use bdk_wallet::chain::{ConfirmationBlockTime, TxUpdate};
use bitcoin::{ScriptBuf, TxOut, Txid};
use crdt::Height;
use crdt::limits::LEAST_COIN_SAT;
use std::collections::{BTreeMap, BTreeSet};

const CALL: &str = "blockchain.transaction.get_merkle";

impl Electrum {
    /// Put what was found in the order of its blocks, as far as it matters.
    pub(super) fn put_in_order(
        &mut self,
        at: &Position,
        found: &mut TxUpdate<ConfirmationBlockTime>,
    ) -> Result<(), ChainError> {
        let Some((height, txids)) = lowest(at, found).filter(|(_, txids)| txids.len() > 1) else {
            return Ok(());
        };
        let known = &at.view.first;
        let places = if known.height == height && txids.iter().all(|txid| known.txids.contains(txid)) {
            known.txids.iter().copied().zip(0..).collect()
        } else {
            self.places(height, &txids)?
        };
        found.txs.sort_by_cached_key(|transaction| places.get(&transaction.compute_txid()).copied());
        Ok(())
    }

    fn places(&mut self, height: Height, txids: &[Txid]) -> Result<BTreeMap<Txid, usize>, ChainError> {
        let root = self.header(height)?.merkle_root;
        let mut places = BTreeMap::new();
        for txid in txids {
            let failed = self.failed(CALL);
            let branch =
                self.client()?.inner.transaction_get_merkle(txid, height as usize).map_err(failed)?;
            if !validate_merkle_proof(txid, &root, &branch) {
                let what = format!("the place of {txid} in its block");
                return Err(ChainError::Proof { who: self.name(), what });
            }
            places.insert(*txid, branch.pos);
        }
        Ok(places)
    }
}

/// The lowest block with outputs of ours that are large enough for an anchor, and what makes them.
fn lowest(at: &Position, found: &TxUpdate<ConfirmationBlockTime>) -> Option<(Height, Vec<Txid>)> {
    let scripts: BTreeSet<&ScriptBuf> = at.scripts.iter().collect();
    let large =
        |output: &TxOut| output.value.to_sat() >= LEAST_COIN_SAT && scripts.contains(&output.script_pubkey);
    let heights: BTreeMap<Txid, Height> =
        found.anchors.iter().map(|(anchor, txid)| (*txid, anchor.block_id.height)).collect();
    let candidates = found.txs.iter().filter(|transaction| transaction.output.iter().any(large));
    let placed = candidates.filter_map(|transaction| {
        let txid = transaction.compute_txid();
        Some((*heights.get(&txid)?, txid))
    });
    let placed: Vec<(Height, Txid)> = placed.collect();
    let lowest = placed.iter().map(|(height, _)| *height).min()?;
    let there = placed.into_iter().filter(|(height, _)| *height == lowest);
    Some((lowest, there.map(|(_, txid)| txid).collect()))
}
