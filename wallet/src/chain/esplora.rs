//! The chain as an Esplora server tells it over HTTP: for each script the blocks that hold its
//! transactions, and those blocks whole. A block is taken when it is the one its hash names, its roots
//! cover what is in it, witnesses too, and its header shows enough work.
//!
//! The server hears every script of the treasury, and what it does not tell nobody hears: so it never
//! decides alone (see [`super::Health`]).

mod http;

use super::decimal::scaled_up;
use super::electrum::refusal;
use super::{
    BroadcastError, ChainError, Delta, Mempool, News, Position, Progress, Source, Tip, check_genesis, every,
    now, work,
};
use bdk_wallet::chain::{BlockId, CheckPoint, ConfirmationBlockTime};
use bitcoin::block::Header;
use bitcoin::consensus::{deserialize, encode};
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::hex::DisplayHex as _;
use bitcoin::{Block, BlockHash, Network, Script, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use http::Http;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Scripts asked about in one call of [`Source::follow`], so that a scan shows progress.
const SCRIPTS_PER_CALL: usize = 100;
/// Blocks fetched in one call.
const BLOCKS_PER_CALL: usize = 16;
/// Seconds between two looks at the mempool while no block comes.
const MEMPOOL_EVERY: u64 = 60;
/// Seconds between two looks at the tip: an answer costs three requests.
const TIP_EVERY: u64 = 5;
/// Pages of 25 transactions read for one script: a quarter million of them.
const PAGES_MAX: usize = 10_000;

/// An Esplora server.
#[derive(Debug)]
pub struct Esplora {
    http: Http,
    network: Network,
    birth: Option<Birth>,
    checked: bool,
    round: Option<Round>,
    last: u64,
    /// The tip, and when it was asked for.
    tip: Option<(Tip, u64)>,
}

/// One pass over all scripts at one tip.
#[derive(Debug)]
struct Round {
    tip: Tip,
    /// The last of the treasury's blocks that is in the best chain.
    base: CheckPoint,
    /// Blocks that take the place of the treasury's own above it.
    instead: BTreeMap<Height, BlockHash>,
    next: usize,
    of: usize,
    confirmed: BTreeMap<Height, (BlockHash, BTreeSet<Txid>)>,
    mempool: BTreeSet<Txid>,
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

/// Where a block is.
#[derive(Debug, Deserialize)]
struct Place {
    in_best_chain: bool,
    height: Option<Height>,
}

impl Esplora {
    /// The server whose API begins at `url`, such as `https://blockstream.info/api`. Nothing is asked yet.
    #[must_use]
    pub fn new(url: &str, network: Network, birth: Option<Birth>) -> Self {
        Self { http: Http::new(url), network, birth, checked: false, round: None, last: 0, tip: None }
    }

    fn check(&mut self) -> Result<(), ChainError> {
        if !self.checked {
            let genesis = self.hash_at(0)?;
            let none = || self.http.unexpected("block-height", "no genesis block");
            check_genesis(&self.name(), self.network, genesis.ok_or_else(none)?)?;
            self.checked = true;
            if let Some(birth) = self.birth.clone() {
                super::check_birth(self, &birth).inspect_err(|_| self.checked = false)?;
            }
        }
        Ok(())
    }

    fn hash_at(&self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        let text = self.http.text("block-height", &format!("block-height/{height}"))?;
        text.map(|text| self.http.read("block-height", text.trim().parse(), &text)).transpose()
    }

    fn header(&self, hash: BlockHash) -> Result<Header, ChainError> {
        const CALL: &str = "block/header";
        let text = self.http.text(CALL, &format!("block/{hash}/header"))?.unwrap_or_default();
        let header: Header = self.http.read(CALL, encode::deserialize_hex(text.trim()), &text)?;
        if header.block_hash() != hash {
            return Err(self.http.lie(format!("the header of block {hash}")));
        }
        if !work::enough(self.network, &header) {
            return Err(ChainError::Work { who: self.name(), hash, network: self.network });
        }
        Ok(header)
    }

    fn ask_tip(&mut self) -> Result<Tip, ChainError> {
        self.check()?;
        if let Some((tip, asked)) = self.tip
            && now() < asked.saturating_add(every(self.network, TIP_EVERY))
        {
            return Ok(tip);
        }
        let tip = self.newest()?;
        self.tip = Some((tip, now()));
        Ok(tip)
    }

    fn newest(&self) -> Result<Tip, ChainError> {
        let text = self.http.text("blocks/tip/hash", "blocks/tip/hash")?.unwrap_or_default();
        let hash: BlockHash = self.http.read("blocks/tip/hash", text.trim().parse(), &text)?;
        let time = self.header(hash)?.time;
        let place: Option<Place> = self.http.json("block/status", &format!("block/{hash}/status"))?;
        let height = place.filter(|place| place.in_best_chain).and_then(|place| place.height);
        let height = height.ok_or_else(|| self.http.unexpected("block/status", "a tip that is none"))?;
        Ok(Tip { height, hash, time })
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
                let (next, of) = (0, at.scripts.len());
                let (confirmed, mempool) = (BTreeMap::new(), BTreeSet::new());
                return Ok(Some(Round { tip, base, instead, next, of, confirmed, mempool }));
            }
            instead.extend(here.map(|hash| (base.height(), hash)));
        }
        Err(self.http.unexpected("block-height", "another genesis block"))
    }

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

    fn block(&self, hash: BlockHash) -> Result<Block, ChainError> {
        let bytes = self.http.bytes("block/raw", &format!("block/{hash}/raw"))?.unwrap_or_default();
        let block: Block = self.http.read("block/raw", deserialize(&bytes), "what is no block")?;
        checked(&block, hash, self.network).map_err(|what| self.http.lie(what))?;
        Ok(block)
    }

    fn step(&self, at: &Position, round: &mut Round) -> Result<(), ChainError> {
        for script in at.scripts.iter().skip(round.next).take(SCRIPTS_PER_CALL) {
            self.look(script, round)?;
        }
        round.next = (round.next + SCRIPTS_PER_CALL).min(round.of);
        Ok(())
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

    fn round(&mut self, at: &Position) -> Result<News, ChainError> {
        let round = match self.round.take() {
            Some(round) if round.of == at.scripts.len() => Some(round),
            _ => self.begin(at)?,
        };
        let Some(mut round) = round else { return Ok(News::default()) };
        self.step(at, &mut round)?;
        if round.next < round.of {
            self.round = Some(round);
            return Ok(News { more: true, ..News::default() });
        }
        self.end(at, round)
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
pub(super) fn checked(block: &Block, hash: BlockHash, network: Network) -> Result<(), String> {
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

impl Source for Esplora {
    fn name(&self) -> String {
        self.http.name()
    }

    fn decides(&self) -> bool {
        false
    }

    fn tip(&mut self) -> Result<Tip, ChainError> {
        self.ask_tip()
    }

    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        self.check()?;
        self.hash_at(height)
    }

    fn header(&mut self, hash: BlockHash) -> Result<Header, ChainError> {
        self.check()?;
        Self::header(self, hash)
    }

    fn block(&mut self, hash: BlockHash) -> Result<Block, ChainError> {
        self.check()?;
        Self::block(self, hash)
    }

    fn follow(&mut self, at: &Position, anew: bool) -> Result<News, ChainError> {
        if anew {
            self.round = None;
            self.last = 0;
        }
        self.round(at).inspect_err(|_| self.checked = false)
    }

    fn progress(&self) -> Option<Progress> {
        let round = self.round.as_ref()?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Some(Progress { done: count(round.next), of: count(round.of) })
    }

    fn estimate_fee(&mut self, target: u16) -> Result<Option<u64>, ChainError> {
        let rates: Option<BTreeMap<String, serde_json::Number>> =
            self.http.json("fee-estimates", "fee-estimates")?;
        let rates = rates.unwrap_or_default();
        let fitting = rates.iter().filter_map(|(blocks, rate)| Some((blocks.parse::<u16>().ok()?, rate)));
        let nearest = fitting.filter(|(blocks, _)| *blocks <= target).max_by_key(|(blocks, _)| *blocks);
        Ok(nearest.and_then(|(_, rate)| scaled_up(&rate.to_string(), 0)).filter(|rate| *rate > 0))
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        let txid = transaction.compute_txid();
        match self.http.post("tx", "tx", &encode::serialize_hex(transaction))? {
            Ok(_) => Ok(txid),
            Err(words) => refusal(txid, &words),
        }
    }
}
