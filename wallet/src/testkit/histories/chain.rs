//! A chain of blocks as lists of transactions, and what a treasury that saw it would look like.

use super::scene::{Own, SCENE};
use crate::view::{Coin, Seen, Spender, View};
use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use crdt::Height;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A transaction, its name, and which of its outputs are the treasury's, worked out once.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) txid: Txid,
    pub(super) transaction: Arc<Transaction>,
    own: Arc<[(u32, &'static Own)]>,
}

impl Named {
    pub(super) fn new(transaction: Transaction) -> Self {
        let outputs = (0..).zip(&transaction.output);
        let own = outputs.filter_map(|(vout, output)| Some((vout, SCENE.own.get(&output.script_pubkey)?)));
        let own = own.collect();
        Self { txid: transaction.compute_txid(), transaction: Arc::new(transaction), own }
    }

    /// The outputs that are the treasury's: place, output, key.
    pub(super) fn own(&self) -> impl Iterator<Item = (u32, &TxOut, &'static Own)> {
        self.own.iter().map(|(vout, own)| {
            let index = usize::try_from(*vout).expect("few");
            (*vout, &self.transaction.output[index], *own)
        })
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
        let tip = (self.tip(), BlockHash::all_zeros());
        let (change, coins, transactions) = (SCENE.change[epoch].clone(), BTreeMap::new(), BTreeMap::new());
        let view = View::made_of(SCENE.guild, tip, change, coins, transactions);
        let mut view = View { first: Arc::clone(&SCENE.first), ..view };
        self.transactions().for_each(|(height, named)| take(&mut view, Some(height), named));
        with(view, mempool, epoch)
    }
}

/// What the treasury looks like when a block comes on top of `view`.
pub(super) fn grow(view: &mut View, block: &[Named]) {
    view.tip += 1;
    for coin in Arc::make_mut(&mut view.coins).values_mut() {
        coin.depth += 1;
    }
    let tip = view.tip;
    block.iter().for_each(|named| take(view, Some(tip), named));
}

/// The same chain as somebody else sees it.
pub(super) fn with(mut view: View, mempool: Option<&Named>, epoch: usize) -> View {
    view.change = SCENE.change[epoch].clone();
    if let Some(named) = mempool {
        take(&mut view, None, named);
    }
    view
}

fn take(view: &mut View, height: Option<Height>, named: &Named) {
    let depth = view.depth(height);
    let coins = Arc::make_mut(&mut view.coins);
    add(coins, (height, depth), named);
    for input in &named.transaction.input {
        if let Some(coin) = coins.get_mut(&input.previous_output) {
            coin.spent = Some(Spender { txid: named.txid, height, key_path: true });
        }
    }
    let seen = Seen { transaction: Arc::clone(&named.transaction), height, time: 0 };
    Arc::make_mut(&mut view.transactions).insert(named.txid, seen);
}

fn add(coins: &mut BTreeMap<OutPoint, Coin>, (height, depth): (Option<Height>, Height), named: &Named) {
    for (vout, output, own) in named.own() {
        let outpoint = OutPoint { txid: named.txid, vout };
        let coin = Coin {
            outpoint,
            output: output.clone(),
            height,
            depth,
            coinbase: false,
            path: own.path,
            merkle_root: own.merkle_root,
            spent: None,
        };
        coins.insert(outpoint, coin);
    }
}
