//! The chain as one's own bitcoind tells it. Nothing of what it says is believed beyond what a full node
//! is believed.

use super::{
    BLOCKS_MAX, BroadcastError, ChainError, Mempool, NewBlock, News, Position, Progress, Source, Tip, work,
};
use bdk_bitcoind_rpc::bitcoincore_rpc::{self, Auth, Client, RpcApi as _, jsonrpc};
use bdk_bitcoind_rpc::{BitcoindRpcErrorExt as _, Emitter};
use bdk_wallet::chain::CheckPoint;
use bitcoin::block::Header;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, BlockHash, Network, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The node's word for "this transaction is in the chain".
const ALREADY_IN_CHAIN: i32 = -27;
/// The node's word for "the rules forbid this transaction".
const REJECTED: i32 = -26;
/// The node's word for "there is no block at that height".
const NO_SUCH_HEIGHT: i32 = -8;
/// The node's word for "I cannot take this transaction", for example because its coins are spent.
const REFUSED: i32 = -25;

/// A connection to one bitcoind.
#[derive(Clone)]
pub struct Bitcoind {
    client: Arc<Client>,
    url: String,
}

impl fmt::Debug for Bitcoind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the client knows a password
        f.debug_struct("Bitcoind").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Bitcoind {
    /// Prepare calls to the node at `url`, such as `http://127.0.0.1:8332`, with the password in its
    /// cookie file. A node that starts anew writes a new cookie: connect again.
    ///
    /// # Errors
    ///
    /// [`ChainError::Call`] if there is no cookie.
    pub fn connect(url: &str, cookie: &Path) -> Result<Self, ChainError> {
        let client = Client::new(url, Auth::CookieFile(cookie.to_owned()));
        let refuse = |source: bitcoincore_rpc::Error| ChainError::Call {
            who: named(url),
            call: "the cookie",
            source: source.into(),
        };
        Ok(Self { client: Arc::new(client.map_err(refuse)?), url: url.to_owned() })
    }

    fn failed(&self, call: &'static str) -> impl FnOnce(bitcoincore_rpc::Error) -> ChainError + '_ {
        move |source| ChainError::Call { who: named(&self.url), call, source: source.into() }
    }

    fn unexpected(&self, call: &'static str, answer: impl fmt::Display) -> ChainError {
        ChainError::Answer { who: named(&self.url), call, answer: answer.to_string() }
    }

    /// The network that the node follows.
    ///
    /// # Errors
    ///
    /// [`ChainError`] if it does not answer, or names a network that is not known here.
    pub fn network(&self) -> Result<Network, ChainError> {
        const CALL: &str = "getblockchaininfo";
        let answer: Value = self.client.call(CALL, &[]).map_err(self.failed(CALL))?;
        let name = answer.get("chain").and_then(Value::as_str).unwrap_or_default();
        Network::from_core_arg(name).map_err(|_| self.unexpected(CALL, name))
    }

    /// Check that the node follows the charter's network.
    ///
    /// # Errors
    ///
    /// [`ChainError::Network`] if it does not.
    pub fn check_network(&self, expected: Network) -> Result<(), ChainError> {
        let found = self.network()?;
        if found == expected {
            return Ok(());
        }
        Err(ChainError::Network { who: named(&self.url), expected, found })
    }

    /// Check that the node's chain contains the block that the guild was born at.
    ///
    /// # Errors
    ///
    /// [`ChainError::Birth`] if it does not, maybe not yet.
    pub fn check_birth(&self, birth: &Birth) -> Result<(), ChainError> {
        let found = self.block_hash(birth.height)?;
        if found == Some(birth.hash) {
            return Ok(());
        }
        Err(ChainError::Birth { who: named(&self.url), expected: birth.clone(), found })
    }

    /// The best block's height and hash.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn tip(&self) -> Result<(Height, BlockHash), ChainError> {
        let hash = self.client.get_best_block_hash().map_err(self.failed("getbestblockhash"))?;
        Ok((self.height_of(hash)?, hash))
    }

    fn height_of(&self, hash: BlockHash) -> Result<Height, ChainError> {
        const CALL: &str = "getblockheader";
        let answer: Value = self.client.call(CALL, &[json!(hash)]).map_err(self.failed(CALL))?;
        let height = answer.get("height").and_then(Value::as_u64);
        height.and_then(|height| height.try_into().ok()).ok_or_else(|| self.unexpected(CALL, &answer))
    }

    /// The hash of the best chain's block at `height`; none above the tip.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn block_hash(&self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        match self.client.get_block_hash(height.into()) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if code_of(&error) == Some(NO_SUCH_HEIGHT) => Ok(None),
            Err(error) => Err(self.failed("getblockhash")(error)),
        }
    }

    /// The header of a block, in the best chain or not; none if the node does not know it.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn header(&self, hash: &BlockHash) -> Result<Option<Header>, ChainError> {
        match self.client.get_block_header(hash) {
            Ok(header) => Ok(Some(header)),
            Err(error) if error.is_not_found_error() => Ok(None),
            Err(error) => Err(self.failed("getblockheader")(error)),
        }
    }

    /// What the next blocks cost: whole satoshis per virtual byte for a place within `target` blocks.
    /// None if the node has seen too little to tell.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn estimate_fee(&self, target: u16) -> Result<Option<u64>, ChainError> {
        let estimate =
            self.client.estimate_smart_fee(target, None).map_err(self.failed("estimatesmartfee"))?;
        Ok(estimate.fee_rate.map(|per_kvb| per_kvb.to_sat().div_ceil(1_000).max(1)))
    }

    /// Send a transaction. One that is in the mempool or in a block already is as good as sent.
    ///
    /// # Errors
    ///
    /// [`BroadcastError::Refused`] with the node's reason.
    pub fn broadcast(&self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        const CALL: &str = "sendrawtransaction";
        let txid = transaction.compute_txid();
        let sent: Result<Value, _> = self.client.call(CALL, &[json!(serialize_hex(transaction))]);
        match sent {
            Ok(_) => Ok(txid),
            Err(error) => match (code_of(&error), message_of(&error)) {
                (Some(ALREADY_IN_CHAIN), _) => Ok(txid),
                (_, Some(reason)) if reason.contains("txn-already-") => Ok(txid),
                (Some(REJECTED | REFUSED), Some(reason)) => {
                    Err(BroadcastError::Refused { txid, reason: reason.to_owned() })
                }
                _ => Err(self.failed(CALL)(error).into()),
            },
        }
    }

    /// Follow the chain from `from` on, skipping what lies below `birth`. `unconfirmed` is what the
    /// treasury believes to be in the mempool: [`crate::Treasury::unconfirmed`].
    #[must_use]
    pub fn follow(&self, from: CheckPoint, birth: Height, unconfirmed: Vec<Arc<Transaction>>) -> Follow {
        let emitter = Emitter::new(Arc::clone(&self.client), from, birth, unconfirmed);
        Follow { emitter, node: self.clone() }
    }
}

/// What a bitcoind is called.
fn named(url: &str) -> String {
    format!("bitcoind at {url}")
}

fn rpc_error(error: &bitcoincore_rpc::Error) -> Option<&jsonrpc::error::RpcError> {
    match error {
        bitcoincore_rpc::Error::JsonRpc(jsonrpc::Error::Rpc(error)) => Some(error),
        _ => None,
    }
}

fn code_of(error: &bitcoincore_rpc::Error) -> Option<i32> {
    rpc_error(error).map(|error| error.code)
}

fn message_of(error: &bitcoincore_rpc::Error) -> Option<&str> {
    rpc_error(error).map(|error| error.message.as_str())
}

/// A walk along the best chain that notices when it turns.
pub struct Follow {
    emitter: Emitter<Arc<Client>>,
    node: Bitcoind,
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Follow {
    /// The next block: the one after the last, or the first of a better branch. None at the tip.
    ///
    /// # Errors
    ///
    /// [`ChainError`]; the walk goes on where it was.
    pub fn next_block(&mut self) -> Result<Option<NewBlock>, ChainError> {
        let event = match self.emitter.next_block() {
            Ok(event) => event,
            // the node is behind the guild's birth
            Err(error) if code_of(&error) == Some(NO_SUCH_HEIGHT) => None,
            Err(error) => return Err(self.node.failed("getblock")(error)),
        };
        Ok(event.map(|event| {
            let (height, connected_to) = (event.block_height(), event.connected_to());
            NewBlock { block: event.block, height, connected_to }
        }))
    }

    /// What is in the mempool, all of it, and what left it since the last call. Ask at the tip.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn mempool(&mut self) -> Result<Mempool, ChainError> {
        let event = self.emitter.mempool().map_err(self.node.failed("getrawmempool"))?;
        Ok(Mempool { seen: event.update, evicted: event.evicted })
    }
}

/// One's own bitcoind as a source: it connects by itself, and anew after a failure, because a bitcoind
/// that starts anew has a new cookie.
pub struct FullNode {
    url: String,
    cookie: PathBuf,
    network: Network,
    birth: Option<Birth>,
    node: Option<Bitcoind>,
    follow: Option<Follow>,
    progress: Option<Progress>,
}

impl fmt::Debug for FullNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullNode").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FullNode {
    /// The node at `url` with its cookie file. Nothing is asked yet. With a birth block, it is looked for
    /// at each connection.
    #[must_use]
    pub const fn new(url: String, cookie: PathBuf, network: Network, birth: Option<Birth>) -> Self {
        Self { url, cookie, network, birth, node: None, follow: None, progress: None }
    }

    fn node(&mut self) -> Result<Bitcoind, ChainError> {
        if let Some(node) = &self.node {
            return Ok(node.clone());
        }
        let node = Bitcoind::connect(&self.url, &self.cookie)?;
        node.check_network(self.network)?;
        if let Some(birth) = &self.birth {
            node.check_birth(birth)?;
        }
        self.node = Some(node.clone());
        Ok(node)
    }

    /// What failed is connected to anew.
    fn or_forget<T, E>(&mut self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.node = None;
            self.follow = None;
        }
        result
    }

    fn blocks(&mut self, at: &Position) -> Result<News, ChainError> {
        let node = self.node()?;
        let birth = self.birth.as_ref().map_or(0, |birth| birth.height);
        let follow = self
            .follow
            .get_or_insert_with(|| node.follow(at.checkpoint.clone(), birth, at.unconfirmed.clone()));
        let mut news = News::default();
        while news.blocks.len() < BLOCKS_MAX
            && let Some(new) = follow.next_block()?
        {
            if !work::enough(self.network, &new.block.header) {
                let (who, hash) = (named(&self.url), new.block.block_hash());
                return Err(ChainError::Work { who, hash, network: self.network });
            }
            news.blocks.push(new);
        }
        news.more = news.blocks.len() == BLOCKS_MAX;
        if !news.more {
            news.mempool = follow.mempool()?;
        }
        let done = news.blocks.last().map(|block| block.height);
        let of = if news.more { node.tip()?.0 } else { 0 };
        self.progress = done.filter(|_| news.more).map(|done| Progress { done, of: of.max(done) });
        Ok(news)
    }
}

impl Source for FullNode {
    fn name(&self) -> String {
        named(&self.url)
    }

    fn decides(&self) -> bool {
        true
    }

    fn tip(&mut self) -> Result<Tip, ChainError> {
        let tip = self.node().and_then(|node| {
            let (height, hash) = node.tip()?;
            let time = node.header(&hash)?.map_or(0, |header| header.time);
            Ok(Tip { height, hash, time })
        });
        self.or_forget(tip)
    }

    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        let hash = self.node().and_then(|node| node.block_hash(height));
        self.or_forget(hash)
    }

    fn follow(&mut self, at: &Position, anew: bool) -> Result<News, ChainError> {
        if anew {
            self.follow = None;
        }
        let news = self.blocks(at);
        self.or_forget(news)
    }

    fn progress(&self) -> Option<Progress> {
        self.progress
    }

    fn header(&mut self, hash: BlockHash) -> Result<Header, ChainError> {
        let node = self.node()?;
        node.header(&hash)?.ok_or_else(|| node.unexpected("getblockheader", "no such block"))
    }

    fn block(&mut self, hash: BlockHash) -> Result<Block, ChainError> {
        let node = self.node()?;
        node.client.get_block(&hash).map_err(node.failed("getblock"))
    }

    fn estimate_fee(&mut self, target: u16) -> Result<Option<u64>, ChainError> {
        self.node()?.estimate_fee(target)
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        self.node()?.broadcast(transaction)
    }
}
