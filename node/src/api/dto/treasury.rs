//! What the API takes and gives of the treasury's coins and of the chain they live on.

use serde::{Deserialize, Serialize};

/// Something a person asks of the treasury.
#[derive(Debug, Clone)]
pub enum TreasuryCommand {
    /// Where to pay in.
    Address(AddressQuery),
    /// Every unspent coin.
    Coins,
    /// Leave a coin alone, or no more.
    Freeze(Freeze),
    /// The descriptor to watch the treasury with.
    Descriptor,
}

/// The answer to a [`TreasuryCommand`].
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TreasuryAnswer {
    /// See [`TreasuryCommand::Address`].
    Address(Address),
    /// See [`TreasuryCommand::Coins`].
    Coins(Coins),
    /// See [`TreasuryCommand::Freeze`].
    Coin(Box<CoinDto>),
    /// See [`TreasuryCommand::Descriptor`].
    Descriptor(Descriptor),
}

/// Whose address. Without anything: one's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressQuery {
    /// This member's, by name or key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The one that mining pays to.
    #[serde(default)]
    pub mining: bool,
}

/// Where to pay in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// [`super::V`].
    pub v: u32,
    /// The address.
    pub address: String,
    /// Its network.
    pub network: String,
    /// Its place among the receiving addresses: 0 for mining, each contributor's own from 1 on.
    pub index: u32,
    /// Whose contributions arrive there; none for mining.
    pub member: Option<String>,
    /// The whole descriptor with its checksum, for watching.
    pub descriptor: String,
}

/// The treasury's unspent coins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coins {
    /// [`super::V`].
    pub v: u32,
    /// The height they are told at.
    pub height: u32,
    /// Oldest first, those in the mempool last.
    pub coins: Vec<CoinDto>,
}

/// One coin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoinDto {
    /// Its name: transaction and output.
    pub outpoint: String,
    /// What it holds.
    pub amount_sat: u64,
    /// Where it lies.
    pub address: String,
    /// The keychain: 0 receives, 1 takes change.
    pub keychain: u32,
    /// Its place there.
    pub index: u32,
    /// Its block; none while it is in the mempool.
    pub height: Option<u32>,
    /// How many blocks it is deep.
    pub depth: u32,
    /// A block reward that is not mature yet.
    pub immature: bool,
    /// Whether this node leaves it alone: it proposes no payment from it if there is another.
    pub frozen: bool,
    /// Whether the guild decided to freeze it: no co-signer builds or signs what spends it.
    #[serde(default)]
    pub frozen_by_guild: bool,
    /// Blocks until the recovery keys can move it; 0 if they can.
    pub recovery_in: u32,
    /// What the guild calls it.
    pub label: Option<String>,
}

/// A coin to leave alone, or no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Which.
    pub outpoint: String,
    /// Whether this node leaves it alone from now on.
    pub frozen: bool,
}

/// How to watch the treasury.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descriptor {
    /// [`super::V`].
    pub v: u32,
    /// Both keychains, with checksum.
    pub descriptor: String,
    /// Nothing of the guild is older than this block.
    pub birth_height: u32,
    /// Receiving addresses that every node watches, from 0 on.
    pub range: u32,
}

/// How the chain sources are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainDto {
    /// Each of them.
    pub sources: Vec<SourceDto>,
    /// What they do not agree on.
    pub disagreements: Vec<String>,
    /// Whether the newest block is young and the sources may say so.
    pub fresh: bool,
    /// Why no money moves on what they say; none if it may.
    pub money: Option<String>,
}

/// A chain source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDto {
    /// What and where it is.
    pub name: String,
    /// Its best block's height.
    pub height: Option<u32>,
    /// Its best block.
    pub block_hash: Option<String>,
    /// How old that block's header says it is, in seconds.
    pub age_s: Option<u64>,
    /// Blocks or scripts looked at, while a scan is under way.
    pub scanned: Option<u32>,
    /// Of how many.
    pub to_scan: Option<u32>,
    /// Whether it may decide alone that something is paid.
    pub decides_alone: bool,
}
