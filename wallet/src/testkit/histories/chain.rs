//! A chain of blocks as lists of transactions, and what a treasury that saw it would look like.

use super::scene::SCENE;
use crate::view::{Coin, Seen, Spender, View};
use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use crdt::Height;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A transaction and its name, worked out once.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) txid: Txid,
    pub(super) transaction: Arc<Transaction>,
}

impl Named {
    pub(super) fn new(transaction: Transaction) -> Self {
        Self { txid: transaction.compute_txid(), transaction: Arc::new(transaction) }
    }
}

/// Blocks from height 1 on.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    pub(super) blocks: Vec<Arc<[Named]>>,
}

impl Chain {
    pub(super) fn tip(&self) -> Height {
        Height::try_from(self.blocks.len()).expect("short")
    }

    pub(super) fn transactions(&self) -> impl Iterator<Item = (Height, &Named)> {
        (1..).zip(&self.blocks).flat_map(|(height, block)| block.iter().map(move |named| (height, named)))
    }

    /// Its first blocks.
    pub(super) fn until(&self, height: usize) -> Self {
        Self { blocks: self.blocks.iter().take(height).cloned().collect() }
    }

    /// Whether `named` could be in the next block, after `block`.
    pub(super) fn takes(&self, block: &[Named], named: &Named) -> bool {
        let before = self.transactions().map(|(_, before)| before).chain(block);
        let locked = named.transaction.lock_time.to_consensus_u32() <= self.tip();
        let mut there = 0;
        for other in before {
            let spends = |outpoint: &OutPoint| {
                named.transaction.input.iter().any(|input| input.previous_output == *outpoint)
            };
            if other.txid == named.txid
                || other.transaction.input.iter().any(|input| spends(&input.previous_output))
            {
                return false;
            }
            let made = |input: &bitcoin::TxIn| input.previous_output.txid == other.txid;
            there += named.transaction.input.iter().filter(|input| made(input)).count();
        }
        locked && there == named.transaction.input.len()
    }

    /// The treasury at the tip of this chain, with `mempool` on top; change goes to the key of `epoch`.
    pub(super) fn view(&self, mempool: Option<&Named>, epoch: usize) -> View {
        let (mut coins, mut transactions) = (BTreeMap::new(), BTreeMap::new());
        let tip = self.tip();
        let confirmed = self.transactions().map(|(height, named)| (Some(height), named));
        for (height, named) in confirmed.chain(mempool.map(|named| (None, named))) {
            add(&mut coins, (height, tip), named);
            for input in &named.transaction.input {
                if let Some(coin) = coins.get_mut(&input.previous_output) {
                    coin.spent = Some(Spender { txid: named.txid, height, key_path: true });
                }
            }
            let seen = Seen { transaction: Arc::clone(&named.transaction), height, time: 0 };
            transactions.insert(named.txid, seen);
        }
        let change = SCENE.change[epoch].clone();
        let tip_hash = BlockHash::all_zeros();
        View::made_of(SCENE.guild, (tip, tip_hash), change, coins, transactions)
    }
}

fn add(coins: &mut BTreeMap<OutPoint, Coin>, (height, tip): (Option<Height>, Height), named: &Named) {
    for (vout, output) in (0..).zip(&named.transaction.output) {
        let Some(own) = SCENE.own.get(&output.script_pubkey) else { continue };
        let outpoint = OutPoint { txid: named.txid, vout };
        let coin = Coin {
            outpoint,
            output: output.clone(),
            height,
            depth: height.map_or(0, |height| tip + 1 - height),
            coinbase: false,
            path: own.path,
            merkle_root: own.merkle_root,
            spent: None,
        };
        coins.insert(outpoint, coin);
    }
}
