//! What the treasury is, as one value: every coin it ever had and every transaction that touched it, at
//! one block and with the mempool on top. All decisions about money are functions of this.

mod first;
mod grow;
mod join;

pub use first::First;
pub(crate) use first::can_be_anchor;

use crate::Path;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use crdt::{GuildId, Height};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How deep a block reward must be before it can be spent: a rule of Bitcoin.
pub const COINBASE_DEPTH: Height = 100;

/// The treasury at one block. Cheap to clone.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) guild: GuildId,
    pub(crate) tip: Height,
    pub(crate) tip_hash: BlockHash,
    pub(crate) change: ScriptBuf,
    pub(crate) coins: Arc<BTreeMap<OutPoint, Coin>>,
    pub(crate) transactions: Arc<BTreeMap<Txid, Seen>>,
    pub(crate) frozen: Arc<BTreeSet<OutPoint>>,
    pub(crate) left_alone: Arc<BTreeSet<OutPoint>>,
    pub(crate) first: Arc<First>,
}

/// An output to the treasury, spent or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coin {
    /// Its name.
    pub outpoint: OutPoint,
    /// Value and script.
    pub output: TxOut,
    /// The block it was made in; none while it is in the mempool.
    pub height: Option<Height>,
    /// How many blocks it is deep, its own included; 0 in the mempool.
    pub depth: Height,
    /// Whether it is a block reward.
    pub coinbase: bool,
    /// Where its key lies.
    pub path: Path,
    /// The root of its script tree: the recovery leaf.
    pub merkle_root: [u8; 32],
    /// Who spends it.
    pub spent: Option<Spender>,
}

/// The transaction that spends a coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spender {
    /// Its id.
    pub txid: Txid,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// Signed by the group, not taken through the recovery leaf.
    pub key_path: bool,
}

/// A transaction that touches the treasury.
#[derive(Debug, Clone)]
pub struct Seen {
    /// All of it.
    pub transaction: Arc<Transaction>,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// The time in its block's header, or when it was first seen, in Unix seconds.
    pub time: u64,
}

/// What the treasury holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Balance {
    /// In a block, mature, and spent by nothing that we know of.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub confirmed: Amount,
    /// Block rewards that are not [`COINBASE_DEPTH`] deep yet.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub immature: Amount,
    /// In the mempool, change of our own payments included.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub pending: Amount,
}

impl Coin {
    /// Whether Bitcoin lets it be spent in the next block.
    #[must_use]
    pub const fn mature(&self) -> bool {
        !self.coinbase || self.depth >= COINBASE_DEPTH
    }

    /// Whether a block contains a transaction that spends it.
    #[must_use]
    pub fn gone(&self) -> bool {
        self.spent.is_some_and(|spender| spender.height.is_some())
    }
}

impl View {
    /// A view made of its parts.
    #[cfg(any(test, feature = "testkit"))]
    pub(crate) fn made_of(
        guild: GuildId,
        (tip, tip_hash): (Height, BlockHash),
        change: ScriptBuf,
        coins: BTreeMap<OutPoint, Coin>,
        transactions: BTreeMap<Txid, Seen>,
    ) -> Self {
        let (coins, transactions) = (Arc::new(coins), Arc::new(transactions));
        let tip = bdk_wallet::chain::BlockId { height: tip, hash: tip_hash };
        Self { coins, transactions, ..Self::new(guild, tip, change) }
    }

    /// The guild whose treasury this is.
    #[must_use]
    pub const fn guild(&self) -> GuildId {
        self.guild
    }

    /// The height of the best block.
    #[must_use]
    pub const fn tip(&self) -> Height {
        self.tip
    }

    /// The best block.
    #[must_use]
    pub const fn tip_hash(&self) -> BlockHash {
        self.tip_hash
    }

    /// The script at 1/0, which takes all change.
    #[must_use]
    pub const fn change_script(&self) -> &ScriptBuf {
        &self.change
    }

    /// How many blocks something in the block at `height` is deep; 0 for the mempool.
    #[must_use]
    pub fn depth(&self, height: Option<Height>) -> Height {
        height.map_or(0, |height| (self.tip + 1).saturating_sub(height))
    }

    /// The coin of this name, spent or not.
    #[must_use]
    pub fn coin(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.coins.get(outpoint)
    }

    /// The coins that a transaction makes, in the order of its outputs.
    pub(crate) fn made_by(&self, txid: Txid) -> impl Iterator<Item = &Coin> {
        let [first, last] = [0, u32::MAX].map(|vout| OutPoint { txid, vout });
        self.coins.range(first..=last).map(|(_, coin)| coin)
    }

    /// The coins that nothing we know of spends, in the order of their names.
    pub fn unspent(&self) -> impl Iterator<Item = &Coin> {
        self.coins.values().filter(|coin| coin.spent.is_none())
    }

    /// The coins that the guild decided to freeze: nobody builds or signs a transaction that spends one.
    #[must_use]
    pub fn frozen(&self) -> &BTreeSet<OutPoint> {
        &self.frozen
    }

    /// The same view with other coins frozen.
    #[must_use]
    pub fn with_frozen(self, frozen: BTreeSet<OutPoint>) -> Self {
        Self { frozen: Arc::new(frozen), ..self }
    }

    /// The coins that the member of this node would rather leave alone: new proposals of this node stand on
    /// others if there are any. All nodes build the same payments, so it can mean no more than that.
    #[must_use]
    pub fn left_alone(&self) -> &BTreeSet<OutPoint> {
        &self.left_alone
    }

    /// Every transaction that touches the treasury.
    pub fn transactions(&self) -> impl Iterator<Item = (&Txid, &Seen)> {
        self.transactions.iter()
    }

    /// The transaction of this id, if it touches the treasury.
    #[must_use]
    pub fn transaction(&self, txid: &Txid) -> Option<&Seen> {
        self.transactions.get(txid)
    }

    /// What the unspent coins hold.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let sum = |wanted: fn(&Coin) -> bool| {
            self.unspent().filter(|coin| wanted(coin)).map(|coin| coin.output.value).sum()
        };
        Balance {
            confirmed: sum(|coin| coin.depth > 0 && coin.mature()),
            immature: sum(|coin| coin.depth > 0 && !coin.mature()),
            pending: sum(|coin| coin.depth == 0),
        }
    }
}
