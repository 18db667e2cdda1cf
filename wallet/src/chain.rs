//! The chain as this node sees it: its own bitcoind. A shell; every call blocks.
//!
//! The only source so far. Nothing of what it says is believed beyond what a full node is believed:
//! whose coins are whose, and what a payment must look like, is decided elsewhere.

use bdk_bitcoind_rpc::bitcoincore_rpc::{self, Auth, Client, RpcApi as _, jsonrpc};
use bdk_bitcoind_rpc::{BitcoindRpcErrorExt as _, Emitter};
use bdk_wallet::chain::{BlockId, CheckPoint};
use bitcoin::block::Header;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, BlockHash, Network, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
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

/// Why the node of the chain is of no use now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// It cannot be reached, does not let us in, or answers what cannot be read.
    #[error("bitcoind at {url} does not answer {call}")]
    Call {
        /// Where it should be.
        url: String,
        /// What was asked.
        call: &'static str,
        /// What went wrong.
        #[source]
        source: bitcoincore_rpc::Error,
    },
    /// It answers something else than what was asked.
    #[error("bitcoind at {url} answers {call} with something unexpected: {answer}")]
    Answer {
        /// Where it is.
        url: String,
        /// What was asked.
        call: &'static str,
        /// What it said.
        answer: String,
    },
    /// It follows another chain.
    #[error("bitcoind at {url} is on {found}, the guild on {expected}")]
    Network {
        /// Where it is.
        url: String,
        /// The charter's network.
        expected: Network,
        /// The node's.
        found: Network,
    },
    /// It follows another chain of the same network, or is behind the guild's birth.
    #[error("bitcoind at {url} has {found:?} at height {}, the guild was born at {}", .expected.height, .expected.hash)]
    Birth {
        /// Where it is.
        url: String,
        /// The charter's birth block.
        expected: Birth,
        /// The node's block at that height; none if it is not there yet.
        found: Option<BlockHash>,
    },
}

/// Why a transaction did not go out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The node turned it down; this is what it says.
    #[error("bitcoind does not take {txid}: {reason}")]
    Refused {
        /// Which transaction.
        txid: Txid,
        /// The node's own words, such as `bad-txns-inputs-missingorspent`.
        reason: String,
    },
    /// The node did not answer: the transaction may be out or not. Trying again does no harm.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A block, and what it connects to.
#[derive(Debug, Clone)]
pub struct NewBlock {
    /// All of it.
    pub block: Block,
    /// Its height.
    pub height: Height,
    /// A block of the same branch that we knew before.
    pub connected_to: BlockId,
}

/// What changed in the mempool.
#[derive(Debug, Clone, Default)]
pub struct Mempool {
    /// What is in it, with the Unix time at which it was seen.
    pub seen: Vec<(Arc<Transaction>, u64)>,
    /// What left it without being in a block.
    pub evicted: Vec<(Txid, u64)>,
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
        let refuse = |source| ChainError::Call { url: url.to_owned(), call: "the cookie", source };
        Ok(Self { client: Arc::new(client.map_err(refuse)?), url: url.to_owned() })
    }

    fn failed(&self, call: &'static str) -> impl FnOnce(bitcoincore_rpc::Error) -> ChainError + '_ {
        move |source| ChainError::Call { url: self.url.clone(), call, source }
    }

    fn unexpected(&self, call: &'static str, answer: impl fmt::Display) -> ChainError {
        ChainError::Answer { url: self.url.clone(), call, answer: answer.to_string() }
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
        Err(ChainError::Network { url: self.url.clone(), expected, found })
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
        Err(ChainError::Birth { url: self.url.clone(), expected: birth.clone(), found })
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
