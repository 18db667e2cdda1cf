//! Which of all transactions that were ever seen count now: those in blocks of the best chain, and of the
//! others those that may still get there.
//!
//! The rules are BDK's, which works them out anew, over everything, whenever it is asked: seconds for a long
//! history. Here they follow what changed. The transactions in blocks are never gone through again; only the
//! loose ones are, which are few. A test holds this against BDK after every step.

use crate::view::Seen;
use bdk_wallet::ChangeSet;
use bdk_wallet::chain::tx_graph::TxNode;
use bdk_wallet::chain::{ConfirmationBlockTime, TxGraph};
use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use crdt::Height;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) type Graph = TxGraph<ConfirmationBlockTime>;
type Node<'a> = TxNode<'a, Arc<Transaction>, ConfirmationBlockTime>;

/// Where a transaction that counts stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its block; none while it is in the mempool.
    pub(crate) height: Option<Height>,
    /// The time in its block's header, or when it was first seen, in Unix seconds.
    pub(crate) time: u64,
}

impl Place {
    pub(crate) const fn of(self, transaction: Arc<Transaction>) -> Seen {
        Seen { transaction, height: self.height, time: self.time }
    }
}

/// What counts, as far as the changes taken say.
#[derive(Debug, Default)]
pub(crate) struct Canonical {
    chain: BTreeMap<Height, BlockHash>,
    /// Transactions in blocks of the chain.
    mined: BTreeSet<(Height, Txid)>,
    /// Full transactions that are in no block of the chain.
    loose: BTreeSet<Txid>,
    /// Those of them that count.
    standing: BTreeMap<Txid, Place>,
}

impl Canonical {
    /// Take what changed. Gives the transactions that came, moved or went, and where they stand now.
    pub(crate) fn follow(&mut self, graph: &Graph, change: &ChangeSet) -> BTreeMap<Txid, Option<Place>> {
        let mut touched = self.follow_chain(change);
        touched.extend(change.tx_graph.txs.iter().map(|transaction| transaction.compute_txid()));
        touched.extend(change.tx_graph.anchors.iter().map(|(_, txid)| *txid));
        touched.extend(self.loose.iter().copied());
        self.settle(graph, touched)
    }

    /// Take all that a wallet knows. Gives all transactions that count, in the order of their ids.
    pub(crate) fn catch_up(
        &mut self,
        graph: &Graph,
        chain: impl IntoIterator<Item = (Height, BlockHash)>,
    ) -> Vec<(Txid, Seen)> {
        self.chain = chain.into_iter().collect();
        let (mut all, mut mined) = (Vec::new(), Vec::new());
        for node in graph.full_txs() {
            match self.anchor(&node) {
                Some(place) => {
                    mined.push((place.height.unwrap_or_default(), node.txid));
                    all.push((node.txid, place.of(node.tx)));
                }
                None => {
                    self.loose.insert(node.txid);
                }
            }
        }
        self.mined = mined.into_iter().collect();
        self.standing = Judge::of(self, graph);
        let standing = self.standing.iter();
        all.extend(standing.filter_map(|(txid, place)| Some((*txid, place.of(graph.get_tx(*txid)?)))));
        all.sort_unstable_by_key(|(txid, _)| *txid);
        all
    }

    /// Where a transaction that counts stands.
    pub(crate) fn place(&self, graph: &Graph, txid: Txid) -> Option<Place> {
        let mined = graph.get_tx_node(txid).and_then(|node| self.anchor(&node));
        mined.or_else(|| self.standing.get(&txid).copied())
    }

    /// The hash of the best chain's block at `height`, if it is known.
    pub(crate) fn block_hash(&self, height: Height) -> Option<BlockHash> {
        self.chain.get(&height).copied()
    }

    /// The transactions that count and are in no block.
    pub(crate) fn unconfirmed(&self) -> impl Iterator<Item = Txid> {
        self.standing.iter().filter(|(_, place)| place.height.is_none()).map(|(txid, _)| *txid)
    }

    /// Take the new blocks. What was mined in those that left is looked at again.
    fn follow_chain(&mut self, change: &ChangeSet) -> BTreeSet<Txid> {
        let mut touched = BTreeSet::new();
        for (height, hash) in &change.local_chain.blocks {
            let before = match hash {
                Some(hash) => self.chain.insert(*height, *hash),
                None => self.chain.remove(height),
            };
            if before.is_some() && before != *hash {
                touched.append(&mut self.dig_up(*height));
            }
        }
        touched
    }

    fn dig_up(&mut self, height: Height) -> BTreeSet<Txid> {
        let [least, most] = [[0; 32], [0xff; 32]].map(|bytes| (height, Txid::from_byte_array(bytes)));
        let dug: BTreeSet<Txid> = self.mined.range(least..=most).map(|(_, txid)| *txid).collect();
        for txid in &dug {
            self.mined.remove(&(height, *txid));
        }
        dug
    }

    fn settle(
        &mut self,
        graph: &Graph,
        touched: impl IntoIterator<Item = Txid>,
    ) -> BTreeMap<Txid, Option<Place>> {
        let mut moved = BTreeMap::new();
        let mut left = BTreeMap::new();
        for txid in touched {
            let Some(node) = graph.get_tx_node(txid) else { continue }; // only outputs of it are known
            match self.anchor(&node) {
                Some(place) => {
                    self.loose.remove(&txid);
                    if self.mined.insert((place.height.unwrap_or_default(), txid)) {
                        moved.insert(txid, Some(place));
                    }
                }
                None if self.loose.insert(txid) => {
                    left.insert(txid, None);
                }
                None => {}
            }
        }
        let standing = Judge::of(self, graph);
        let gone = self.standing.keys().filter(|txid| !standing.contains_key(*txid)).copied();
        let gone: Vec<_> = gone.filter(|txid| !moved.contains_key(txid)).map(|txid| (txid, None)).collect();
        let new = standing.iter().filter(|(txid, place)| self.standing.get(*txid) != Some(*place));
        left.extend(gone);
        left.extend(new.map(|(txid, place)| (*txid, Some(*place))));
        self.standing = standing;
        moved.extend(left);
        moved
    }

    /// The block of the chain that a transaction is in.
    fn anchor(&self, node: &Node<'_>) -> Option<Place> {
        let in_chain = |anchor: &&ConfirmationBlockTime| {
            self.chain.get(&anchor.block_id.height) == Some(&anchor.block_id.hash)
        };
        let anchor = node.anchors.iter().find(in_chain)?;
        Some(Place { height: Some(anchor.block_id.height), time: anchor.confirmation_time })
    }
}

/// One pass over the loose transactions.
struct Judge<'a> {
    known: &'a Canonical,
    graph: &'a Graph,
    standing: BTreeMap<Txid, Place>,
}

impl<'a> Judge<'a> {
    fn of(known: &'a Canonical, graph: &'a Graph) -> BTreeMap<Txid, Place> {
        let mut judge = Self { known, graph, standing: BTreeMap::new() };
        judge.ancestors_of_mined();
        judge.seen();
        judge.fallen_out();
        judge.standing
    }

    fn nodes(&self) -> impl Iterator<Item = Node<'a>> {
        let graph = self.graph;
        self.known.loose.iter().filter_map(|txid| graph.get_tx_node(*txid))
    }

    fn mined(&self, txid: Txid) -> Option<Place> {
        self.known.anchor(&self.graph.get_tx_node(txid)?)
    }

    /// What a mined transaction spends is mined too, even if nobody said where.
    fn ancestors_of_mined(&mut self) {
        loop {
            let spender = |txid: Txid| {
                let spenders = self.graph.tx_spends(txid).flat_map(|(_, spenders)| spenders);
                let mined = spenders.filter_map(|spender| {
                    self.mined(*spender).or_else(|| self.standing.get(spender).copied())
                });
                mined.max_by_key(|place| place.height)
            };
            let found = self.nodes().filter(|node| !self.standing.contains_key(&node.txid));
            let found = found.filter_map(|node| Some((node.txid, spender(node.txid)?))).collect::<Vec<_>>();
            if found.is_empty() {
                return;
            }
            self.standing.extend(found);
        }
    }

    /// What was in the mempool and did not leave it: the latest seen first.
    fn seen(&mut self) {
        let present = |node: &Node<'_>| {
            let evicted = self.graph.get_last_evicted(node.txid);
            node.last_seen.filter(|seen| evicted.is_none_or(|evicted| evicted < *seen))
        };
        let nodes = self.nodes().filter(|node| !node.tx.is_coinbase());
        let mut order: Vec<_> =
            nodes.filter_map(|node| Some(Reverse((present(&node)?, node.txid)))).collect();
        order.sort_unstable();
        order.into_iter().for_each(|Reverse((_, txid))| self.stand(txid));
    }

    /// What was in a block that is in the chain no more, and was not evicted since.
    fn fallen_out(&mut self) {
        let evicted = |node: &Node<'_>| match (node.last_seen, self.graph.get_last_evicted(node.txid)) {
            (_, None) => false,
            (Some(seen), Some(evicted)) => evicted >= seen,
            (None, Some(_)) => true,
        };
        let highest = |node: &Node<'_>| node.anchors.iter().map(|anchor| anchor.block_id.height).max();
        let nodes = self.nodes().filter(|node| !node.tx.is_coinbase() && !evicted(node));
        let mut order: Vec<_> =
            nodes.filter_map(|node| Some(Reverse((highest(&node)?, node.txid)))).collect();
        order.sort_unstable();
        order.into_iter().for_each(|Reverse((_, txid))| self.stand(txid));
    }

    /// Let a transaction and all that it builds on stand, unless that conflicts with what stands.
    fn stand(&mut self, txid: Txid) {
        let mut new = BTreeMap::new();
        let mut spent = BTreeMap::<OutPoint, Txid>::new();
        let mut ahead = vec![txid];
        while let Some(txid) = ahead.pop() {
            if new.contains_key(&txid) || self.standing.contains_key(&txid) || self.mined(txid).is_some() {
                continue;
            }
            let Some(node) = self.graph.get_tx_node(txid) else { continue };
            for input in &node.tx.input {
                let rivals = self.graph.outspends(input.previous_output);
                let lost = rivals.iter().any(|rival| *rival != txid && self.counts(*rival));
                if lost || spent.insert(input.previous_output, txid).is_some_and(|other| other != txid) {
                    return;
                }
                ahead.push(input.previous_output.txid);
            }
            let time = node.first_seen.or(node.last_seen).unwrap_or_default();
            new.insert(txid, Place { height: None, time });
        }
        self.standing.extend(new);
    }

    fn counts(&self, txid: Txid) -> bool {
        self.standing.contains_key(&txid) || self.mined(txid).is_some()
    }
}
