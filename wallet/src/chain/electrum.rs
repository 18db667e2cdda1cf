//! The chain as an Electrum server tells it: for each script its transactions, with a merkle branch into
//! the header of the block. [`bdk_electrum`] speaks the protocol and checks the branches.
//!
//! The server hears every script of the treasury. What it does not tell nobody hears, and witnesses, which
//! no branch covers, it can alter: so it never decides alone (see [`super::Health`]).

mod order;
mod transport;

use super::decimal::scaled_up;
use super::pass::{self, Passes, Walk};
use super::{
    BroadcastError, ChainError, Delta, Mempool, News, Position, Progress, Source, Tip, check_genesis, every,
    now, work,
};
use bdk_electrum::BdkElectrumClient;
use bdk_electrum::electrum_client::{self, ElectrumApi as _, Param};
use bdk_wallet::chain::spk_client::SyncRequest;
use bdk_wallet::chain::{CheckPoint, ConfirmationBlockTime, TxUpdate};
use bitcoin::block::Header;
use bitcoin::{BlockHash, Network, ScriptBuf, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use std::collections::BTreeMap;
use std::fmt;
use transport::Client;

/// Scripts asked about in one call of [`Source::follow`], so that a scan shows progress.
const SCRIPTS_PER_CALL: usize = 250;
/// Scripts asked about in one message.
const BATCH: usize = 50;
/// Seconds between two looks at the mempool while no block comes.
const MEMPOOL_EVERY: u64 = 30;

/// An Electrum server.
pub struct Electrum {
    url: String,
    network: Network,
    birth: Option<Birth>,
    client: Option<BdkElectrumClient<Client>>,
    round: Option<Round>,
    /// When the last round ended.
    last: u64,
}

/// One pass over all scripts at one tip.
pub(super) struct Round {
    tip: Tip,
    chain: CheckPoint,
    walk: Walk,
    found: TxUpdate<ConfirmationBlockTime>,
}

impl AsMut<Walk> for Round {
    fn as_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }
}

impl fmt::Debug for Electrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Electrum").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Electrum {
    /// The server at `url`: `ssl://host:50002` or `tcp://host:50001`. Nothing is asked yet.
    #[must_use]
    pub const fn new(url: String, network: Network, birth: Option<Birth>) -> Self {
        Self { url, network, birth, client: None, round: None, last: 0 }
    }

    fn failed(&self, call: &'static str) -> impl FnOnce(electrum_client::Error) -> ChainError + use<> {
        let who = self.name();
        move |source| ChainError::Call { who, call, source: source.into() }
    }

    /// The connection, made if there is none. A server that is on another chain is not talked to.
    fn client(&mut self) -> Result<&BdkElectrumClient<Client>, ChainError> {
        if self.client.is_none() {
            let client = transport::connect(&self.url).map_err(|source| ChainError::Call {
                who: self.name(),
                call: "the connection",
                source,
            })?;
            let genesis = client.block_header(0).map_err(self.failed("blockchain.block.header"))?;
            check_genesis(&self.name(), self.network, genesis.block_hash())?;
            self.client = Some(BdkElectrumClient::new(client));
            if let Some(birth) = self.birth.clone() {
                super::check_birth(self, &birth).inspect_err(|_| self.client = None)?;
            }
        }
        let missing = || ChainError::Waiting { who: self.url.clone(), why: "not connected".to_owned() };
        self.client.as_ref().ok_or_else(missing)
    }

    fn or_forget<T, E>(&mut self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.client = None;
            self.round = None;
        }
        result
    }

    fn worked(&self, header: &Header) -> Result<(), ChainError> {
        if work::enough(self.network, header) {
            return Ok(());
        }
        Err(ChainError::Work { who: self.name(), hash: header.block_hash(), network: self.network })
    }

    fn ask_tip(&mut self) -> Result<Tip, ChainError> {
        let failed = self.failed("blockchain.headers.subscribe");
        let newest = self.client()?.inner.block_headers_subscribe().map_err(failed)?;
        self.worked(&newest.header)?;
        let answer = format!("height {}", newest.height);
        let height = Height::try_from(newest.height).map_err(|_| ChainError::Answer {
            who: self.name(),
            call: "blockchain.headers.subscribe",
            answer,
        })?;
        Ok(Tip { height, hash: newest.header.block_hash(), time: newest.header.time })
    }

    fn header(&mut self, height: Height) -> Result<Header, ChainError> {
        let failed = self.failed("blockchain.block.header");
        let header = self.client()?.inner.block_header(height as usize).map_err(failed)?;
        self.worked(&header)?;
        Ok(header)
    }
}

impl Passes for Electrum {
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
        let failed = self.failed("blockchain.block.headers");
        let client = self.client()?;
        client.populate_tx_cache(at.view.transactions().map(|(_, seen)| seen.transaction.clone()));
        let request = SyncRequest::<()>::builder_at(now()).chain_tip(at.checkpoint.clone()).build();
        let chain = client.sync(request, BATCH, false).map_err(failed)?.chain_update;
        let chain = chain.unwrap_or_else(|| at.checkpoint.clone());
        if chain.hash() != tip.hash {
            return Ok(None); // a block came between, or the server fell behind us: the next call sees
        }
        Ok(Some(Round { tip, chain, walk: Walk::over(at), found: TxUpdate::default() }))
    }

    fn step(&mut self, at: &Position, round: &mut Round) -> Result<(), ChainError> {
        let scripts: Vec<ScriptBuf> = round.walk.take(at, SCRIPTS_PER_CALL).to_vec();
        let expected = at.unconfirmed.iter().flat_map(|transaction| {
            let txid = transaction.compute_txid();
            transaction.output.iter().map(move |output| (output.script_pubkey.clone(), txid))
        });
        let expected: Vec<_> = expected.filter(|(script, _)| scripts.contains(script)).collect();
        let request = SyncRequest::<()>::builder_at(now()).spks(scripts).expected_spk_txids(expected);
        let failed = self.failed("blockchain.scripthash.get_history");
        let found = self.client()?.sync(request.build(), BATCH, false).map_err(failed)?;
        round.found.extend(found.tx_update);
        Ok(())
    }

    /// Every block that holds a transaction is on the chain of the round, or the round begins anew.
    fn end(&mut self, at: &Position, mut round: Round) -> Result<News, ChainError> {
        let blocks: BTreeMap<Height, BlockHash> = round
            .found
            .anchors
            .iter()
            .map(|(anchor, _)| (anchor.block_id.height, anchor.block_id.hash))
            .collect();
        for (height, hash) in blocks {
            if height > round.tip.height {
                return Ok(News { more: true, ..News::default() }); // mined during the round
            }
            let known = round.chain.get(height).map(|block| block.hash());
            if known.is_none() && self.header(height)?.block_hash() != hash
                || known.is_some_and(|known| known != hash)
            {
                self.client = None; // with what it remembers: the chain turned during the round
                return Ok(News { more: true, ..News::default() });
            }
            round.chain = round.chain.insert(bdk_wallet::chain::BlockId { height, hash });
        }
        if round.chain.get(at.checkpoint.height()).map(|block| block.hash()) != Some(at.checkpoint.hash()) {
            self.client = None; // the chain turned since the last round: what the client remembers is stale
        }
        self.put_in_order(at, &mut round.found)?;
        self.last = now();
        let evicted = std::mem::take(&mut round.found.evicted_ats).into_iter().collect();
        let delta = Delta { chain: round.chain, transactions: round.found };
        Ok(News { delta: Some(delta), mempool: Mempool { seen: Vec::new(), evicted }, ..News::default() })
    }
}

impl Source for Electrum {
    fn name(&self) -> String {
        format!("electrum at {}", self.url)
    }

    fn decides(&self) -> bool {
        false
    }

    fn tip(&mut self) -> Result<Tip, ChainError> {
        let tip = self.ask_tip();
        self.or_forget(tip)
    }

    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        let hash = self.ask_tip().and_then(|tip| match height <= tip.height {
            true => self.header(height).map(|header| Some(header.block_hash())),
            false => Ok(None),
        });
        self.or_forget(hash)
    }

    fn follow(&mut self, at: &Position, anew: bool) -> Result<News, ChainError> {
        if anew {
            self.client = None;
            self.round = None;
            self.last = 0;
        }
        let news = self.go_on(at);
        self.or_forget(news)
    }

    fn progress(&self) -> Option<Progress> {
        pass::progress(self.round.as_ref().map(|round| &round.walk))
    }

    fn estimate_fee(&mut self, target: u16) -> Result<Option<u64>, ChainError> {
        const CALL: &str = "blockchain.estimatefee";
        let failed = self.failed(CALL);
        let answer = self.client()?.inner.raw_call(CALL, [Param::Usize(target.into())]).map_err(failed)?;
        // bitcoin per 1,000 virtual bytes, -1 if it cannot tell; satoshis per byte are 10^5 times that
        Ok(answer.as_number().and_then(|number| scaled_up(&number.to_string(), 5)).filter(|rate| *rate > 0))
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        let txid = transaction.compute_txid();
        let failed = self.failed("blockchain.transaction.broadcast");
        match self.client()?.inner.transaction_broadcast(transaction) {
            Ok(_) => Ok(txid),
            Err(electrum_client::Error::Protocol(answer)) => refusal(txid, &answer.to_string()),
            Err(error) => {
                self.client = None;
                Err(failed(error).into())
            }
        }
    }
}

/// A server's words of refusal, unless they say that the transaction is out already.
pub(super) fn refusal(txid: Txid, words: &str) -> Result<Txid, BroadcastError> {
    let lower = words.to_lowercase();
    let out = ["already in block chain", "already in utxo set", "txn-already-", "already in mempool"];
    if out.iter().any(|known| lower.contains(known)) {
        return Ok(txid);
    }
    let reason: String = words.chars().filter(|letter| !letter.is_control()).take(REASON_MAX).collect();
    Err(BroadcastError::Refused { txid, reason })
}

/// Letters of a server's reason that are shown.
const REASON_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::hashes::Hash as _;

    #[test]
    fn a_transaction_that_is_out_already_is_as_good_as_sent() {
        for (words, sent) in [
            ("Transaction already in block chain", true),
            ("Transaction outputs already in utxo set", true),
            ("txn-already-in-mempool", true),
            ("the transaction was rejected by network rules.\n\nbad-txns-inputs-missingorspent", false),
        ] {
            assert_eq!(refusal(Txid::all_zeros(), words).is_ok(), sent, "{words}");
        }
        let long = refusal(Txid::all_zeros(), &"x".repeat(10_000)).unwrap_err().to_string();
        assert!(long.len() < 500, "a server cannot flood a status line");
    }
}
