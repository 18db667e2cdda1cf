//! The chain from Bitcoin's own network: headers, compact block filters (BIP157, BIP158), and the blocks
//! whose filters match. No server hears the treasury's scripts. The default where none is configured.
//!
//! Headers are checked with their work from the guild's birth block on, filters must agree among all peers
//! that were asked, and a block is taken whole, with both its roots. [`bip157`] finds peers and speaks with
//! them, on a thread of its own; a call here only looks at what it has found. There is no mempool: what
//! nobody mined is seen only if we sent it.

mod pump;

use super::{
    BLOCKS_MAX, BroadcastError, ChainError, Delta, Mempool, News, Position, Progress, Source, Tip, now,
};
use bdk_kyoto::bip157::{self, HashCheckpoint, TrustedPeer};
use bdk_wallet::chain::{BlockId, CheckPoint, ConfirmationBlockTime};
use bitcoin::{Block, BlockHash, Network, OutPoint, ScriptBuf, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use pump::{Pump, Shared};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Blocks below the treasury's own that headers are read from, so that a reorganization is noticed.
const REORG_DEPTH: Height = 100;
/// How long a peer may take to ask for what we offer to send.
const BROADCAST_WAIT: Duration = Duration::from_secs(15);
/// How long fetching one block for its fees may take.
const FEE_WAIT: Duration = Duration::from_secs(20);

/// Where the network is met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peers {
    /// Nodes to ask, and no others, as `host:port`; empty: the network's own are looked up.
    pub addresses: Vec<String>,
    /// How many must agree on each filter.
    pub agree: u8,
}

/// Compact block filters over the peer-to-peer network.
#[derive(Debug)]
pub struct Filters {
    network: Network,
    birth: Option<Birth>,
    peers: Peers,
    pump: Option<Pump>,
    sent: BTreeMap<Txid, (Arc<Transaction>, u64)>,
}

impl Filters {
    /// The network, met at `peers`. Nothing is connected yet.
    #[must_use]
    pub const fn new(network: Network, birth: Option<Birth>, peers: Peers) -> Self {
        Self { network, birth, peers, pump: None, sent: BTreeMap::new() }
    }

    fn waiting(&self, why: impl Into<String>) -> ChainError {
        ChainError::Waiting { who: self.name(), why: why.into() }
    }

    /// Where headers are read from: far enough below the treasury's block, but not below the birth.
    fn start(&self, at: Option<&Position>) -> HashCheckpoint {
        let birth = self.birth.as_ref().map_or(0, |birth| birth.height);
        let deep = at.and_then(|at| {
            let tip = at.checkpoint.height();
            let mut blocks = at.checkpoint.iter();
            blocks.find(|block| block.height() > birth && block.height().saturating_add(REORG_DEPTH) <= tip)
        });
        match (deep, &self.birth, self.network) {
            (Some(block), ..) => HashCheckpoint::new(block.height(), block.hash()),
            (None, Some(birth), _) => HashCheckpoint::new(birth.height, birth.hash),
            (None, None, Network::Bitcoin) => HashCheckpoint::taproot_activation(),
            (None, None, network) => HashCheckpoint::from_genesis(network),
        }
    }

    /// Run the network part, with the scripts of `at` if there is one. One that ended is an error once, and
    /// started anew by the next call.
    fn run(&mut self, at: Option<&Position>, anew: bool) -> Result<&Pump, ChainError> {
        let scripts = at.map(|at| Arc::clone(&at.scripts)).unwrap_or_default();
        let other = self.pump.as_ref().is_some_and(|pump| at.is_some() && !pump.watches(&scripts));
        if anew || other {
            self.pump = None;
        }
        if let Some(why) = self.pump.as_ref().and_then(Pump::ended) {
            self.pump = None;
            return Err(self.waiting(why));
        }
        if self.pump.is_none() {
            let start = self.start(at.filter(|_| !anew));
            let peers = self.peers.addresses.iter().map(|address| trusted(address));
            let peers: Vec<TrustedPeer> = peers.collect::<Result<_, _>>().map_err(|why| self.waiting(why))?;
            let agree = self.peers.agree.max(1);
            let pump = Pump::start(self.network, start, peers, agree, scripts);
            self.pump = Some(pump.map_err(|error| self.waiting(error.to_string()))?);
        }
        self.pump.as_ref().ok_or_else(|| ChainError::Waiting { who: String::new(), why: String::new() })
    }

    /// What is new in `shared` since `at`.
    fn news(&self, at: &Position, shared: &Shared) -> Result<News, ChainError> {
        let Some(tip) = shared.synced() else { return Ok(News::default()) };
        let (base, mut blocks) = shared.fork(&at.checkpoint);
        let above = shared.matched.range(base.height() + 1..=tip.height.max(base.height() + 1));
        let new: Vec<(Height, &Arc<Block>)> =
            above.map(|(height, block)| (*height, block)).take(BLOCKS_MAX + 1).collect();
        let more = new.len() > BLOCKS_MAX;
        let mut delta = Delta::of(base.clone());
        let mut coins: BTreeSet<OutPoint> = at.view.coins.keys().copied().collect();
        let scripts: BTreeSet<&ScriptBuf> = at.scripts.iter().collect();
        for (height, block) in new.into_iter().take(BLOCKS_MAX) {
            let block_id = BlockId { height, hash: block.block_hash() };
            let anchor = ConfirmationBlockTime { block_id, confirmation_time: block.header.time.into() };
            for transaction in touching(block, &scripts, &mut coins) {
                delta.transactions.anchors.insert((anchor, transaction.compute_txid()));
                delta.transactions.txs.push(Arc::new(transaction.clone()));
            }
            blocks.insert(height, block_id.hash);
        }
        if !more {
            blocks.insert(tip.height, tip.hash);
        }
        let above = blocks.into_iter().filter(|(height, _)| *height > base.height());
        let chain = base.clone().extend(above.map(|(height, hash)| BlockId { height, hash }));
        delta.chain = chain.map_err(|_| self.waiting("the blocks of the network go in a circle"))?;
        let unchanged = delta.chain.hash() == at.checkpoint.hash() && delta.transactions.txs.is_empty();
        Ok(News {
            delta: Some(delta).filter(|_| !unchanged),
            more,
            mempool: self.mempool(),
            ..News::default()
        })
    }

    /// What we sent ourselves: the treasury forgets it when a block has something else in its place.
    fn mempool(&self) -> Mempool {
        Mempool { seen: self.sent.values().cloned().collect(), evicted: Vec::new() }
    }
}

/// The transactions of a block that pay one of `scripts` or spend one of `coins`, which grow with them.
fn touching<'a>(
    block: &'a Block,
    scripts: &BTreeSet<&ScriptBuf>,
    coins: &mut BTreeSet<OutPoint>,
) -> Vec<&'a Transaction> {
    let mut touching = Vec::new();
    for transaction in &block.txdata {
        let spends = transaction.input.iter().any(|input| coins.contains(&input.previous_output));
        let txid = transaction.compute_txid();
        let paid =
            (0..).zip(&transaction.output).filter(|(_, output)| scripts.contains(&output.script_pubkey));
        let paid: Vec<OutPoint> = paid.map(|(vout, _)| OutPoint { txid, vout }).collect();
        if spends || !paid.is_empty() {
            touching.push(transaction);
        }
        coins.extend(paid);
    }
    touching
}

/// A peer from `host:port`.
fn trusted(address: &str) -> Result<TrustedPeer, String> {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return Ok(TrustedPeer::from_socket_addr(address));
    }
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = parts.ok_or_else(|| format!("peer '{address}' is not host:port"))?;
    Ok(TrustedPeer::from_hostname(host, port))
}

impl Source for Filters {
    fn name(&self) -> String {
        match self.peers.addresses.as_slice() {
            [] => format!("block filters of the {} network", self.network),
            some => format!("block filters from {}", some.join(", ")),
        }
    }

    fn decides(&self) -> bool {
        true
    }

    fn tip(&mut self) -> Result<Tip, ChainError> {
        let (tip, why) = {
            let shared = self.run(None, false)?.shared();
            (shared.best(), shared.standing())
        };
        tip.ok_or_else(|| self.waiting(why))
    }

    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        Ok(self.run(None, false)?.shared().hash(height))
    }

    fn follow(&mut self, at: &Position, anew: bool) -> Result<News, ChainError> {
        self.run(Some(at), anew)?;
        self.sent.retain(|txid, _| at.view.transaction(txid).is_none_or(|seen| seen.height.is_none()));
        let Some(pump) = &self.pump else { return Ok(News::default()) };
        let news = self.news(at, &pump.shared())?;
        pump.shared().forget_below(at.checkpoint.height().saturating_sub(REORG_DEPTH));
        Ok(news)
    }

    fn progress(&self) -> Option<Progress> {
        self.pump.as_ref()?.shared().progress()
    }

    fn estimate_fee(&mut self, _target: u16) -> Result<Option<u64>, ChainError> {
        let tip = self.tip()?;
        let Some(pump) = &self.pump else { return Ok(None) };
        // what the last block's transactions paid on average: nobody is asked for an estimate
        let rate = pump.wait(FEE_WAIT, pump.requester().average_fee_rate(tip.hash));
        Ok(rate.and_then(Result::ok).map(|rate| rate.to_sat_per_vb_ceil()).filter(|rate| *rate > 0))
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        let txid = transaction.compute_txid();
        let known = self.sent.contains_key(&txid);
        let pump = self.run(None, false)?;
        let package = bip157::Package::new_single(transaction.clone());
        // a peer that has it already does not ask for it
        let wait = if known { Duration::from_secs(1) } else { BROADCAST_WAIT };
        let taken =
            pump.wait(wait, pump.requester().submit_package(package)).is_some_and(|sent| sent.is_ok());
        if !taken && !known {
            return Err(self.waiting(format!("no peer asked for transaction {txid}")).into());
        }
        self.sent.entry(txid).or_insert_with(|| (Arc::new(transaction.clone()), now()));
        Ok(txid)
    }
}

/// The highest block of `from` that `holds`, and the heights above it.
fn highest(from: &CheckPoint, holds: impl Fn(&CheckPoint) -> bool) -> (CheckPoint, Vec<Height>) {
    let mut above = Vec::new();
    for block in from.iter() {
        if holds(&block) {
            return (block, above);
        }
        above.push(block.height());
    }
    (from.clone(), Vec::new())
}

#[cfg(test)]
mod tests;
