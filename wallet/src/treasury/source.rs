//! What a treasury gives its chain sources and takes from them, and the coins its member leaves alone.

use super::{Treasury, TreasuryError, watched};
use crate::chain::{Delta, NewBlock, News, Position};
use crate::view::First;
use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::{OutPoint, ScriptBuf};
use crdt::Charter;
use crdt::treasury::descriptor;
use std::sync::Arc;

/// Every script whose coins are the guild's.
pub(super) fn scripts(wallet: &Wallet) -> Vec<ScriptBuf> {
    let revealed = wallet.spk_index().revealed_spks(..);
    let ours = revealed.filter_map(|((keychain, number), script)| {
        watched([u32::from(keychain == KeychainKind::Internal), number]).then_some(script)
    });
    ours.collect()
}

impl Treasury {
    /// Take the way to a later block, from a source that gives transactions rather than blocks.
    ///
    /// # Errors
    ///
    /// [`TreasuryError::Delta`] if its chain does not say where it leaves ours; nothing changed.
    pub fn apply_delta(&mut self, delta: Delta) -> Result<(), TreasuryError> {
        let found = First::of_delta(&delta, &self.view.first, |output| self.path(&output.script_pubkey));
        self.wallet.apply_update(delta)?;
        self.follow();
        let known = &self.view.first;
        let gone = |txid| self.view.transaction(txid).and_then(|seen| seen.height) != Some(known.height);
        if known.txids.iter().any(gone) {
            self.look_for_first(First { height: known.height, txids: Vec::new() }); // it left the chain
        }
        if let Some(found) = found {
            self.look_for_first(found);
        }
        Ok(())
    }

    /// Take all that is new, in its order.
    ///
    /// # Errors
    ///
    /// As [`Treasury::apply_block`] and [`Treasury::apply_delta`]: what came before the error is taken.
    pub fn apply(&mut self, news: News) -> Result<(), TreasuryError> {
        for NewBlock { block, height, connected_to } in &news.blocks {
            self.apply_block(block, *height, *connected_to)?;
        }
        if let Some(delta) = news.delta {
            self.apply_delta(delta)?;
        }
        self.apply_mempool(news.mempool.seen, news.mempool.evicted);
        Ok(())
    }

    /// Where a chain source takes up the thread.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            checkpoint: self.checkpoint(),
            key: self.key,
            scripts: Arc::clone(&self.scripts),
            view: self.view(),
            unconfirmed: self.unconfirmed(),
        }
    }

    /// Leave this coin alone, or no more: see [`crate::View::left_alone`]. Kept with the rest of what the
    /// treasury stores. False if it is no coin of this treasury.
    pub fn leave_alone(&mut self, outpoint: OutPoint, alone: bool) -> bool {
        if self.view.coin(&outpoint).is_none() {
            return false;
        }
        if alone {
            self.wallet.lock_outpoint(outpoint);
        } else {
            self.wallet.unlock_outpoint(outpoint);
        }
        self.follow();
        self.show_left_alone();
        true
    }

    pub(super) fn show_left_alone(&mut self) {
        self.view.left_alone = Arc::new(self.wallet.list_locked_outpoints().collect());
    }

    /// The whole descriptor with its checksum, to watch the treasury with: Bitcoin Core and Sparrow read
    /// it.
    #[must_use]
    pub fn descriptor(&self, charter: &Charter) -> String {
        let text = descriptor(charter, self.key);
        let checksum = bdk_wallet::descriptor::checksum::calc_checksum(&text).unwrap_or_default();
        format!("{text}#{checksum}")
    }
}
