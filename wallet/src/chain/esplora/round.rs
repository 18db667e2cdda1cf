//! One pass: for each script the blocks that hold its transactions, then those blocks, whole.

use super::Esplora;
use crate::chain::pass::{Passes, Walk};
use crate::chain::{ChainError, Delta, Mempool, News, Position, Tip, every, now, work};
use bdk_wallet::chain::{BlockId, CheckPoint, ConfirmationBlockTime};
use bitcoin::consensus::deserialize;
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::hex::DisplayHex as _;
use bitcoin::{Block, BlockHash, Network, Script, Transaction, Txid};
use crdt::Height;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Scripts asked about in one call of [`crate::chain::Source::follow`], so that a scan shows progress.
const SCRIPTS_PER_CALL: usize = 100;
/// Blocks fetched in one call.
const BLOCKS_PER_CALL: usize = 16;
/// Seconds between two looks at the mempool while no block comes.
const MEMPOOL_EVERY: u64 = 60;
/// Pages of 25 transactions read for one script: a quarter million of them.
const PAGES_MAX: usize = 10_000;

/// One pass over all scripts at one tip.
#[derive(Debug)]
pub(in crate::chain) struct Round {
    tip: Tip,
    /// The last of the treasury's blocks that is in the best chain.
    base: CheckPoint,
    /// Blocks that take the place of the treasury's own above it.
    instead: BTreeMap<Height, BlockHash>,
    pub(super) walk: Walk,
    confirmed: BTreeMap<Height, (BlockHash, BTreeSet<Txid>)>,
    mempool: BTreeSet<Txid>,
}

impl AsMut<Walk> for Round {
    fn as_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }
}

/// A transaction in the list of a script.
#[derive(Debug, Deserialize)]
struct Listed {
    txid: Txid,
    status: Status,
}

/// Where it is.
#[derive(Debug, Deserialize)]
struct Status {
    confirmed: bool,
    block_height: Option<Height>,
    block_hash: Option<BlockHash>,
}

impl Esplora {
    /// Note where the transactions of `script` are.
    fn look(&self, script: &Script, round: &mut Round) -> Result<(), ChainError> {
        let id = sha256::Hash::hash(script.as_bytes()).to_byte_array().to_lower_hex_string();
        let mut path = format!("scripthash/{id}/txs");
        for _ in 0..PAGES_MAX {
            let page: Vec<Listed> = self.http.json("scripthash/txs", &path)?.unwrap_or_default();
            let mut last = None;
            for Listed { txid, status } in page {
                match (status.confirmed, status.block_height, status.block_hash) {
                    (true, Some(height), Some(hash)) => {
                        last = Some(txid);
                        let (known, txids) = round.confirmed.entry(height).or_insert((hash, BTreeSet::new()));
                        if *known == hash {
                            txids.insert(txid);
                        } else {
                            return Err(self.http.unexpected("scripthash/txs", "two blocks at one height"));
                        }
                    }
                    _ => drop(round.mempool.insert(txid)),
                }
            }
            let Some(last) = last else { return Ok(()) };
            path = format!("scripthash/{id}/txs/chain/{last}");
        }
        Err(self.http.unexpected("scripthash/txs", "pages without an end"))
    }

    pub(super) fn block(&self, hash: BlockHash) -> Result<Block, ChainError> {
        let bytes = self.http.bytes("block/raw", &format!("block/{hash}/raw"))?.unwrap_or_default();
        let block: Block = self.http.read("block/raw", deserialize(&bytes), "what is no block")?;
        checked(&block, hash, self.network).map_err(|what| self.http.lie(what))?;
        Ok(block)
    }

    fn take(
        &self,
        height: Height,
        hash: BlockHash,
        txids: &BTreeSet<Txid>,
        delta: &mut Delta,
    ) -> Result<(), ChainError> {
        let block = self.block(hash)?;
        let confirmation_time = block.header.time.into();
        let anchor = ConfirmationBlockTime { block_id: BlockId { height, hash }, confirmation_time };
        let mut missing = txids.clone();
        for transaction in block.txdata {
            let txid = transaction.compute_txid();
            if missing.remove(&txid) {
                delta.transactions.txs.push(Arc::new(transaction));
                delta.transactions.anchors.insert((anchor, txid));
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(txid) => Err(self.http.lie(format!("{txid} in block {hash}"))),
        }
    }

    fn mempool(&self, at: &Position, round: &Round) -> Result<Mempool, ChainError> {
        let (time, mut mempool) = (now(), Mempool::default());
        for txid in &round.mempool {
            let transaction = match at.view.transaction(txid) {
                Some(seen) => Arc::clone(&seen.transaction),
                None => match self.transaction(*txid)? {
                    Some(transaction) => Arc::new(transaction),
                    None => continue,
                },
            };
            mempool.seen.push((transaction, time));
        }
        let ours = at.unconfirmed.iter().map(|transaction| transaction.compute_txid());
        let gone = ours.filter(|txid| !round.mempool.contains(txid));
        mempool.evicted = gone.map(|txid| (txid, time)).collect();
        Ok(mempool)
    }

    fn transaction(&self, txid: Txid) -> Result<Option<Transaction>, ChainError> {
        let Some(bytes) = self.http.bytes("tx/raw", &format!("tx/{txid}/raw"))? else { return Ok(None) };
        let transaction: Transaction =
            self.http.read("tx/raw", deserialize(&bytes), "what is no transaction")?;
        if transaction.compute_txid() != txid {
            return Err(self.http.lie(format!("transaction {txid}")));
        }
        Ok(Some(transaction))
    }
}

impl Passes for Esplora {
    type Pass = Round;

    fn under_way(&mut self) -> &mut Option<Round> {
        &mut self.round
    }

    fn begin(&mut self, at: &Position) -> Result<Option<Round>, ChainError> {
        let tip = self.ask_tip()?;
        if tip.hash == at.checkpoint.hash()
            && now() < self.last.saturating_add(every(self.network, MEMPOOL_EVERY))
        {
            return Ok(None);
        }
        let mut instead = BTreeMap::new();
        for base in at.checkpoint.iter() {
            let here = if base.height() > tip.height { None } else { self.hash_at(base.height())? };
            if here == Some(base.hash()) {
                let (confirmed, mempool) = (BTreeMap::new(), BTreeSet::new());
                return Ok(Some(Round { tip, base, instead, walk: Walk::over(at), confirmed, mempool }));
            }
            instead.extend(here.map(|hash| (base.height(), hash)));
        }
        Err(self.http.unexpected("block-height", "another genesis block"))
    }

    fn step(&mut self, at: &Position, round: &mut Round) -> Result<(), ChainError> {
        let scripts = round.walk.take(at, SCRIPTS_PER_CALL);
        scripts.iter().try_for_each(|script| self.look(script, round))
    }

    /// Everything is looked at: fetch the blocks that are new, some at a time, and then tell it all.
    fn end(&mut self, at: &Position, mut round: Round) -> Result<News, ChainError> {
        if round.confirmed.keys().next_back().is_some_and(|height| *height > round.tip.height)
            || self.hash_at(round.tip.height)? != Some(round.tip.hash)
        {
            return Ok(News { more: true, ..News::default() }); // the chain moved: begin anew
        }
        round.confirmed.retain(|height, (hash, txids)| !known(at, *height, *hash, txids));
        let mut delta = Delta::of(round.base.clone());
        // blocks that take another's place are told first, or the treasury would keep the other
        let mut blocks = std::mem::take(&mut round.instead);
        for (height, (hash, txids)) in round.confirmed.iter().take(BLOCKS_PER_CALL) {
            self.take(*height, *hash, txids, &mut delta)?;
            blocks.insert(*height, *hash);
        }
        let more = round.confirmed.len() > BLOCKS_PER_CALL;
        if !more {
            blocks.insert(round.tip.height, round.tip.hash);
        }
        let above = blocks.into_iter().filter(|(height, _)| *height > round.base.height());
        let chain = round.base.clone().extend(above.map(|(height, hash)| BlockId { height, hash }));
        delta.chain = chain.map_err(|_| self.http.unexpected("blocks", "a loop"))?;
        let mempool = if more { Mempool::default() } else { self.mempool(at, &round)? };
        if more {
            round.base = delta.chain.clone();
            self.round = Some(round);
        } else {
            self.last = now();
        }
        Ok(News { delta: Some(delta), more, mempool, ..News::default() })
    }
}

/// Whether the treasury has all of `txids` in this block already.
fn known(at: &Position, height: Height, hash: BlockHash, txids: &BTreeSet<Txid>) -> bool {
    let same = at.checkpoint.get(height).is_some_and(|block| block.hash() == hash);
    let there = |txid| at.view.transaction(txid).is_some_and(|seen| seen.height == Some(height));
    same && txids.iter().all(there)
}

/// Whether a block is the one that `hash` names, its roots cover all of it, and it has work enough.
///
/// # Errors
///
/// In words, what does not fit.
pub(in crate::chain) fn checked(block: &Block, hash: BlockHash, network: Network) -> Result<(), String> {
    if block.block_hash() != hash || !block.check_merkle_root() {
        return Err(format!("a block as {hash}"));
    }
    if !block.check_witness_commitment() {
        return Err(format!("witnesses in block {hash}"));
    }
    if !work::enough(network, &block.header) {
        return Err(format!("block {hash} with too little work"));
    }
    Ok(())
}
