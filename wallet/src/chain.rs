//! The chain, from whoever tells it: one trait, four kinds of source, and two of them held against each
//! other. Shells; every call blocks, and none longer than a named bound.
//!
//! | source | what is believed | what it can still do |
//! |---|---|---|
//! | [`Bitcoind`] | a full node of one's own: everything | |
//! | [`Filters`] | headers with their work, whole blocks with their roots, filters that all asked peers agree on | withhold, if all asked peers do |
//! | [`Electrum`] | transactions with a merkle branch into a header with enough work | withhold; alter witnesses |
//! | [`Esplora`] | whole blocks with their roots, headers with enough work | withhold |
//!
//! What an Electrum or Esplora server does not say nobody hears. So one of them alone never decides that
//! something is paid: see [`Health::money`]. Whose coins are whose, and what a payment must look like, is
//! decided elsewhere.

pub mod bitcoind;
pub mod cross;
mod decimal;
pub mod electrum;
mod error;
pub mod esplora;
pub mod filters;
pub mod health;
mod pass;
pub mod work;

pub use bitcoind::{Bitcoind, Follow, FullNode};
pub use cross::Cross;
pub use electrum::Electrum;
pub use error::{BroadcastError, ChainError};
pub use esplora::Esplora;
pub use filters::Filters;
pub use health::{Disagreement, Health, Progress, SourceHealth};

use crate::View;
use crate::treasury::ChangeSet;
use bdk_wallet::Update;
use bdk_wallet::chain::{BlockId, CheckPoint, ConfirmationBlockTime, TxUpdate};
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, Network, ScriptBuf, Transaction, Txid};
use crdt::Height;
use crdt::charter::Birth;
use crdt::treasury::GroupKey;
use std::fmt;
use std::sync::Arc;

/// Blocks given at once, so that a long walk along the chain shows progress.
pub const BLOCKS_MAX: usize = 64;

/// A source's best block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: Height,
    /// The block.
    pub hash: BlockHash,
    /// What its header says the time is, in Unix seconds.
    pub time: u32,
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

/// Where the treasury stands: what a source needs to know to tell what is new. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Position {
    /// The last block it took, and blocks before.
    pub checkpoint: CheckPoint,
    /// The group key that it belongs to.
    pub key: GroupKey,
    /// The scripts whose coins are the guild's.
    pub scripts: Arc<Vec<ScriptBuf>>,
    /// What it knows.
    pub view: View,
    /// What it believes to be in the mempool.
    pub unconfirmed: Vec<Arc<Transaction>>,
}

/// The way from the treasury's block to a later one, without the blocks between.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The best chain, as far as it matters: every block that holds a transaction of ours, and the tip.
    pub chain: CheckPoint,
    /// Transactions, and where they were confirmed. Those of one block come in its order.
    pub transactions: TxUpdate<ConfirmationBlockTime>,
}

impl Delta {
    /// Nothing new but the chain.
    #[must_use]
    pub fn of(chain: CheckPoint) -> Self {
        Self { chain, transactions: TxUpdate::default() }
    }
}

impl From<Delta> for Update {
    fn from(delta: Delta) -> Self {
        Self { tx_update: delta.transactions, chain: Some(delta.chain), ..Self::default() }
    }
}

/// What is new since a [`Position`]: first the blocks, then the delta, then the mempool.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Blocks, in order.
    pub blocks: Vec<NewBlock>,
    /// The way to the tip.
    pub delta: Option<Delta>,
    /// Whether there is more: ask again at once.
    pub more: bool,
    /// What changed in the mempool.
    pub mempool: Mempool,
}

impl News {
    /// The block that the treasury stands at once it took all of this; none if that is where it stood.
    #[must_use]
    pub fn end(&self) -> Option<(Height, BlockHash)> {
        let block = self.blocks.last().map(|block| (block.height, block.block.block_hash()));
        self.delta.as_ref().map(|delta| (delta.chain.height(), delta.chain.hash())).or(block)
    }

    /// Whether it says nothing of blocks.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.delta.is_none()
    }
}

/// Who tells the chain.
pub trait Source: fmt::Debug + Send {
    /// What to call it, such as `bitcoind at http://127.0.0.1:8332`. Never with a password.
    fn name(&self) -> String;

    /// Whether it may decide alone that something is paid.
    fn decides(&self) -> bool;

    /// Its best block.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    fn tip(&mut self) -> Result<Tip, ChainError>;

    /// The best chain's block at `height`; none above the tip.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError>;

    /// What is new since `at`. `anew`: what was given before got lost, start at `at` and nowhere else.
    ///
    /// # Errors
    ///
    /// [`ChainError`]; asking again goes on where it was.
    fn follow(&mut self, at: &Position, anew: bool) -> Result<News, ChainError>;

    /// How far a scan is, if one is under way.
    fn progress(&self) -> Option<Progress>;

    /// Satoshis per virtual byte for a place within `target` blocks; none if it cannot tell.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    fn estimate_fee(&mut self, target: u16) -> Result<Option<u64>, ChainError>;

    /// Send a transaction. One that is out already is as good as sent.
    ///
    /// # Errors
    ///
    /// [`BroadcastError::Refused`] with the source's reason.
    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError>;

    /// The header of a block of its best chain. For who writes down a whole chain.
    ///
    /// # Errors
    ///
    /// [`ChainError`]; [`ChainError::Waiting`] if it gives none.
    fn header(&mut self, hash: BlockHash) -> Result<Header, ChainError> {
        Err(gives_no(self.name(), "headers", hash))
    }

    /// A whole block of its best chain.
    ///
    /// # Errors
    ///
    /// [`ChainError`]; [`ChainError::Waiting`] if it gives none.
    fn block(&mut self, hash: BlockHash) -> Result<Block, ChainError> {
        Err(gives_no(self.name(), "whole blocks", hash))
    }

    /// What it learnt for itself since the last call: to be stored, and given back after a start.
    fn take_staged(&mut self) -> Option<ChangeSet> {
        None
    }

    /// Take up what [`Source::take_staged`] gave before the start.
    fn remember(&mut self, _stored: ChangeSet) {}

    /// How it is. Asks it for its tip.
    fn health(&mut self) -> Health {
        let (name, decides, progress) = (self.name(), self.decides(), self.progress());
        match self.tip() {
            Ok(tip) => Health::of(SourceHealth { name, tip: Some(tip), progress, decides }),
            Err(error) => Health {
                sources: vec![SourceHealth { name: name.clone(), tip: None, progress, decides }],
                disagreements: vec![Disagreement::Silent { who: name, why: error::line(&error) }],
            },
        }
    }
}

/// Check that `source` has the block that the guild was born at in its best chain.
///
/// # Errors
///
/// [`ChainError::Birth`] if it does not, maybe not yet.
pub fn check_birth(source: &mut dyn Source, birth: &Birth) -> Result<(), ChainError> {
    let found = source.block_hash(birth.height)?;
    if found == Some(birth.hash) {
        return Ok(());
    }
    Err(ChainError::Birth { who: source.name(), expected: birth.clone(), found })
}

/// Check that a server's genesis block is the network's.
pub(crate) fn check_genesis(who: &str, network: Network, found: BlockHash) -> Result<(), ChainError> {
    if bitcoin::constants::genesis_block(network).block_hash() == found {
        return Ok(());
    }
    let known = [Network::Bitcoin, Network::Testnet, Network::Testnet4, Network::Signet, Network::Regtest];
    let other = known.into_iter().find(|net| bitcoin::constants::genesis_block(*net).block_hash() == found);
    Err(match other {
        Some(found) => ChainError::Network { who: who.to_owned(), expected: network, found },
        None => {
            let answer = format!("genesis block {found}, which is of no network known here");
            ChainError::Answer { who: who.to_owned(), call: "the genesis block", answer }
        }
    })
}

fn gives_no(who: String, what: &str, hash: BlockHash) -> ChainError {
    let why = format!("it gives no {what}, such as that of {hash}: name a bitcoind or an Esplora server");
    ChainError::Waiting { who, why }
}

/// The time, for what a mempool is said to hold.
#[expect(clippy::disallowed_methods, reason = "a shell: BDK orders what it saw in mempools by the clock")]
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Seconds between two looks of a kind; none on regtest, where blocks come when they are asked for.
pub(crate) fn every(network: Network, seconds: u64) -> u64 {
    if network == Network::Regtest { 0 } else { seconds }
}
