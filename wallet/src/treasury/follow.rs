//! How the view follows the wallet: by what changed, never by going through the whole history again.

use super::Treasury;
use crate::Path;
use crate::canonical::Place;
use crate::view::{Coin, First, Seen};
use bdk_wallet::Update;
use bdk_wallet::chain::TxUpdate;
use bitcoin::{OutPoint, ScriptBuf, Txid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Treasury {
    /// Show all that the wallet knows.
    pub(super) fn catch_up(&mut self) {
        self.staged = self.wallet.take_staged().unwrap_or_default().into();
        self.note_all_seals();
        let chain = self.wallet.local_chain().iter_checkpoints();
        let chain = chain.map(|block| (block.height(), block.hash()));
        let seen = self.canonical.catch_up(self.wallet.tx_graph(), chain);
        self.add(seen);
    }

    /// Take what the wallet learnt since the last time.
    pub(super) fn follow(&mut self) {
        let Some(change) = self.wallet.take_staged() else { return };
        self.note_new_seals(&change);
        let moved = self.canonical.follow(self.wallet.tx_graph(), &change);
        self.staged.merge(change.into());
        self.show(&moved);
        self.touched.extend(moved.into_keys());
    }

    /// Forget what left the mempool. Only of what counts: BDK would work out for itself what does, over the
    /// whole history.
    pub(super) fn evict(&mut self, evicted: impl IntoIterator<Item = (Txid, u64)>) {
        let waiting: BTreeSet<Txid> = self.canonical.unconfirmed().collect();
        let pending = |txid: &Txid| waiting.contains(txid);
        let evicted = evicted.into_iter().filter(|(txid, _)| pending(txid));
        let mut tx_update = TxUpdate::default();
        tx_update.evicted_ats.extend(evicted);
        if !tx_update.evicted_ats.is_empty() {
            let update = Update { tx_update, ..Update::default() };
            self.wallet.apply_update(update).expect("the chain, which might not connect, does not change");
        }
    }

    /// Note the block of the guild anchor. Blocks come in their order; one at or below a height that is
    /// known takes the place of all from there on.
    pub(super) fn look_for_first(&mut self, found: First) {
        let known = &self.view.first;
        let nothing = known.txids.is_empty() && found.txids.is_empty();
        if known.is_below(found.height) || nothing || **known == found {
            return;
        }
        self.view.first = Arc::new(found.clone());
        self.staged.first = Some(found);
    }

    fn show(&mut self, moved: &BTreeMap<Txid, Option<Place>>) {
        let mut seen = Vec::new();
        for (txid, place) in moved {
            let transaction = self.wallet.tx_graph().get_tx(*txid);
            match place.zip(transaction) {
                Some((place, transaction)) => seen.push((*txid, place.of(transaction))),
                None => self.view.remove(txid),
            }
        }
        self.add(seen);
        self.view.rise(self.wallet.latest_checkpoint().block_id());
    }

    fn add(&mut self, seen: Vec<(Txid, Seen)>) {
        let mut coins = Vec::new();
        for (txid, seen) in &seen {
            self.coins(&mut coins, *txid, seen);
        }
        self.view.add(coins, seen);
    }

    /// Where the key of one of our scripts lies, and its script tree.
    fn own(&mut self, script: &ScriptBuf) -> Option<(Path, [u8; 32])> {
        if let Some(own) = self.own.get(script) {
            return Some(*own);
        }
        let path = self.path(script)?;
        let own = (path, self.merkle_root(path)?);
        self.own.insert(script.clone(), own);
        Some(own)
    }

    /// The coins that a transaction makes.
    fn coins(&mut self, coins: &mut Vec<Coin>, txid: Txid, seen: &Seen) {
        let taproot =
            (0..).zip(&seen.transaction.output).filter(|(_, output)| output.script_pubkey.is_p2tr());
        for (vout, output) in taproot {
            let Some((path, merkle_root)) = self.own(&output.script_pubkey) else { continue };
            coins.push(Coin {
                outpoint: OutPoint { txid, vout },
                output: output.clone(),
                height: seen.height,
                depth: self.view.depth(seen.height),
                coinbase: seen.transaction.is_coinbase(),
                path,
                merkle_root,
                spent: None,
            });
        }
    }
}

#[cfg(test)]
mod tests;
