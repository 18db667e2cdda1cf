//! The chain as an Esplora server tells it over HTTP: for each script the blocks that hold its
//! transactions, and those blocks whole. A block is taken when it is the one its hash names, its roots
//! cover what is in it, witnesses too, and its header shows enough work.
//!
//! The server hears every script of the treasury, and what it does not tell nobody hears: so it never
//! decides alone (see [`super::Health`]).

mod http;
mod round;

pub(super) use round::checked;

use super::decimal::scaled_up;
use super::electrum::refusal;
use super::pass::{self, Passes as _};
use super::{
    BroadcastError, ChainError, News, Position, Progress, Source, Tip, check_genesis, every, now, work,
};
use bitcoin::block::Header;
use bitcoin::consensus::encode;
use bitcoin::{Block, BlockHash, Network, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use http::Http;
use round::Round;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Seconds between two looks at the tip: an answer costs three requests.
const TIP_EVERY: u64 = 5;

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
        self.go_on(at).inspect_err(|_| self.checked = false)
    }

    fn progress(&self) -> Option<Progress> {
        pass::progress(self.round.as_ref().map(|round| &round.walk))
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
