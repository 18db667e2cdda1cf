//! A chain for the nodes on a bus: blocks made of what they broadcast, branches that replace each other.

use super::Bus;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash as _;
use bitcoin::{Block, BlockHash, CompactTarget, Network, Transaction, TxMerkleNode, Txid};
use node::chain::Update;
use node::core::Input;
use std::sync::Arc;
use wallet::chain::{Mempool, NewBlock, News};
use wallet::testkit::{stranger, transaction};
use wallet::{BlockId, CheckPoint};

/// Blocks, and what waits for one.
pub(crate) struct Chain {
    blocks: Vec<BlockId>,
    /// All but the first, whole.
    whole: Vec<NewBlock>,
    pub(crate) mempool: Vec<Transaction>,
    evicted: Vec<Txid>,
    made: u32,
    /// The first output of the first block that had one of ours.
    first: Option<bitcoin::OutPoint>,
}

impl Default for Chain {
    fn default() -> Self {
        let hash = bitcoin::constants::genesis_block(Network::Regtest).block_hash();
        Self {
            blocks: vec![BlockId { height: 0, hash }],
            whole: Vec::new(),
            mempool: Vec::new(),
            evicted: Vec::new(),
            made: 0,
            first: None,
        }
    }
}

impl Chain {
    /// What a node broadcast takes the place of what spends the same.
    pub(super) fn take(&mut self, new: Transaction) {
        let spends = |other: &Transaction| {
            other
                .input
                .iter()
                .any(|input| new.input.iter().any(|ours| ours.previous_output == input.previous_output))
        };
        let txid = new.compute_txid();
        let gone = self.mempool.iter().filter(|other| spends(other)).map(Transaction::compute_txid);
        self.evicted.extend(gone.filter(|other| *other != txid));
        self.mempool.retain(|other| !spends(other));
        self.mempool.push(new);
    }

    fn block(&mut self, transactions: Vec<Transaction>) -> NewBlock {
        self.made += 1;
        let before = *self.blocks.last().unwrap();
        let header = Header {
            version: Version::ONE,
            prev_blockhash: before.hash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: self.made,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let mut coinbase =
            transaction(bitcoin::OutPoint::null(), stranger(), bitcoin::Amount::from_int_btc(50));
        coinbase.lock_time = bitcoin::absolute::LockTime::from_consensus(self.made);
        let first =
            transactions.first().map(|first| bitcoin::OutPoint { txid: first.compute_txid(), vout: 0 });
        self.first = self.first.or(first);
        let txdata = [coinbase].into_iter().chain(transactions).collect();
        let block = Block { header, txdata };
        let height = before.height + 1;
        self.blocks.push(BlockId { height, hash: block.block_hash() });
        let new = NewBlock { block, height, connected_to: before };
        self.whole.push(new.clone());
        new
    }

    /// What follows the last block that `known` has in common with this chain.
    fn after(&self, known: &CheckPoint) -> Vec<NewBlock> {
        let common = |id: &&BlockId| known.get(id.height).is_some_and(|at| at.hash() == id.hash);
        let from = self.blocks.iter().rev().find(common).map_or(0, |id| id.height);
        self.whole.iter().filter(|new| new.height > from).cloned().collect()
    }
}

impl Bus {
    /// The first output that ever came in: see [`Bus::mine`].
    pub(crate) fn guild_anchor(&self) -> bitcoin::OutPoint {
        self.chain.first.expect("something came in")
    }

    /// A block with `transactions`, then empty ones: `count` in all.
    pub(crate) fn mine(&mut self, transactions: Vec<Transaction>, count: u32) {
        let mined: Vec<Txid> = transactions.iter().map(Transaction::compute_txid).collect();
        self.chain.mempool.retain(|waiting| !mined.contains(&waiting.compute_txid()));
        let first = self.chain.block(transactions);
        let rest = (1..count).map(|_| self.chain.block(Vec::new())).collect::<Vec<_>>();
        self.tell([first].into_iter().chain(rest).collect());
    }

    /// Empty blocks up to `height`.
    pub(crate) fn reach(&mut self, height: u32) {
        let tip = self.chain.blocks.last().map_or(0, |tip| tip.height);
        self.mine(Vec::new(), height - tip);
    }

    /// The last `depth` blocks are replaced by one more, empty ones; what they had waits again.
    pub(crate) fn turn(&mut self, depth: u32, had: Vec<Transaction>) {
        let left = self.chain.blocks.len() - usize::try_from(depth).unwrap();
        self.chain.blocks.truncate(left);
        self.chain.whole.truncate(left - 1);
        self.chain.mempool.extend(had);
        self.mine(Vec::new(), depth + 1);
    }

    /// Let all nodes see `blocks` and the mempool.
    pub(crate) fn tell(&mut self, blocks: Vec<NewBlock>) {
        self.chain.made += 1;
        let seen = u64::from(self.chain.made);
        let tip = self.chain.blocks.last().map(|tip| (tip.height, tip.hash)).unwrap();
        let evicted: Vec<(Txid, u64)> = self.chain.evicted.drain(..).map(|txid| (txid, seen)).collect();
        for index in 0..self.nodes.len() {
            let waiting = self.chain.mempool.iter().map(|waiting| (Arc::new(waiting.clone()), seen));
            let mempool = Mempool { seen: waiting.collect(), evicted: evicted.clone() };
            let position = self.nodes[index].as_mut().and_then(|node| node.chain_position().0);
            let news = position.map_or_else(|| blocks.clone(), |at| self.chain.after(&at.checkpoint));
            self.inbox.push_back((index, Input::Chain(Box::new(update(tip, news, mempool)))));
        }
        self.settle();
    }
}

fn update(tip: (u32, BlockHash), blocks: Vec<NewBlock>, mempool: Mempool) -> Update {
    let found = News { blocks, mempool, ..News::default() };
    Update { found, fee_rate: Some(5), ..Update::at(tip.0, tip.1) }
}
