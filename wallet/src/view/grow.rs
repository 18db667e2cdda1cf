//! How a view changes when the chain or the mempool does.

use super::{Coin, Seen, Spender, View};
use bdk_wallet::chain::BlockId;
use bitcoin::{OutPoint, ScriptBuf, Txid};
use crdt::GuildId;
use std::collections::BTreeMap;
use std::sync::Arc;

impl View {
    /// An empty treasury at `tip`.
    pub(crate) fn new(guild: GuildId, tip: BlockId, change: ScriptBuf) -> Self {
        let (coins, transactions) = (Arc::default(), Arc::default());
        let (frozen, left_alone, first) = (Arc::default(), Arc::default(), Arc::default());
        let (tip, tip_hash) = (tip.height, tip.hash);
        Self { guild, tip, tip_hash, change, coins, transactions, frozen, left_alone, first }
    }

    /// Take away a transaction that does not count any more.
    pub(crate) fn remove(&mut self, txid: &Txid) {
        if !self.transactions.contains_key(txid) {
            return;
        }
        let Some(seen) = Arc::make_mut(&mut self.transactions).remove(txid) else { return };
        let coins = Arc::make_mut(&mut self.coins);
        for (vout, _) in (0..).zip(&seen.transaction.output) {
            coins.remove(&OutPoint { txid: *txid, vout });
        }
        for input in &seen.transaction.input {
            if let Some(coin) = coins.get_mut(&input.previous_output)
                && coin.spent.is_some_and(|spender| spender.txid == *txid)
            {
                coin.spent = None;
            }
        }
    }

    /// Add transactions, or tell of them that they are in another block now, with the coins they make, in
    /// the same order. Those that neither make nor spend one are not the treasury's.
    pub(crate) fn add(&mut self, made: Vec<Coin>, mut transactions: Vec<(Txid, Seen)>) {
        if transactions.is_empty() {
            return;
        }
        let makers: Vec<Txid> = made.iter().map(|coin| coin.outpoint.txid).collect();
        let mut makers = makers.into_iter().peekable();
        let coins = Arc::make_mut(&mut self.coins);
        if coins.is_empty() {
            *coins = made.into_iter().map(|coin| (coin.outpoint, coin)).collect();
        } else {
            for coin in made {
                let spent = coins.get(&coin.outpoint).and_then(|known| known.spent);
                coins.insert(coin.outpoint, Coin { spent, ..coin });
            }
        }
        transactions.retain(|(txid, seen)| {
            let makes = makers.next_if_eq(txid).is_some();
            while makers.next_if_eq(txid).is_some() {}
            mark_spent(coins, *txid, seen) || makes
        });
        let all = Arc::make_mut(&mut self.transactions);
        if all.is_empty() {
            *all = transactions.into_iter().collect();
        } else {
            all.extend(transactions);
        }
    }

    /// Move to another best block.
    pub(crate) fn rise(&mut self, tip: BlockId) {
        if tip.hash == self.tip_hash {
            return;
        }
        (self.tip, self.tip_hash) = (tip.height, tip.hash);
        for coin in Arc::make_mut(&mut self.coins).values_mut() {
            coin.depth = coin.height.map_or(0, |height| (tip.height + 1).saturating_sub(height));
        }
    }
}

/// Mark what a transaction spends. Whether it spends anything.
fn mark_spent(coins: &mut BTreeMap<OutPoint, Coin>, txid: Txid, seen: &Seen) -> bool {
    let mut spends = false;
    for input in &seen.transaction.input {
        if let Some(coin) = coins.get_mut(&input.previous_output) {
            let key_path = is_key_path(&input.witness);
            coin.spent = Some(Spender { txid, height: seen.height, key_path });
            spends = true;
        }
    }
    spends
}

/// BIP341: an annex apart, a key-path spend has one item, a script-path spend two or more.
fn is_key_path(witness: &bitcoin::Witness) -> bool {
    let annex = witness.len() >= 2 && witness.last().is_some_and(|last| last.first() == Some(&0x50));
    witness.len() - usize::from(annex) == 1
}
