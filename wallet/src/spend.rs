//! Building transactions of the treasury: each a pure function of what was decided and a confirmed view.
//! No randomness, no clock, and nothing of the mempool in what is built, so that all signers build equal
//! bytes. `outline` says what a transaction of a kind has to be, [`fund`] adds coins, fee and change.
//!
//! ```text
//! in  0   tip(D): what makes every payment of D conflict with every other
//! in  1…  as many more coins as it takes
//! out 0   the heir: change to 1/0, at least 10,000 sat, inherits other lineages
//! out 1   OP_RETURN marker(D)
//! out 2…  D's outputs, as they were decided
//! ```

mod closing;
mod draw;
mod fund;
mod outline;
mod payment;
mod price;
mod renewal;
mod seal;
mod sweep;

pub use closing::closing;
pub use draw::{Bill, DrawError, draw};
pub use fund::fund;
pub use outline::{Given, Lock, NoOutline, Outline, Purpose, RECENT};
pub use payment::{Order, build, payment};
pub use price::{Price, rate_above};
pub use renewal::{RENEW_AT_PERCENT, renewal, renewal_due};
pub use seal::{Succession, seal};
pub use sweep::{HOOK_SAT, batches, sweep};

use crate::Path;
use crate::fee;
use crate::view::Coin;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut, Txid};
use crdt::Height;
use crdt::charter::FeeCap;
use std::collections::BTreeSet;

/// Inputs of one transaction at most: one signing ceremony carries no more.
pub const INPUTS_MAX: usize = 200;
/// The sequence of every input: replaceable, lock time in force, no relative lock.
pub const SEQUENCE: Sequence = Sequence::ENABLE_RBF_NO_LOCKTIME;

/// What a coordinator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// The lock time: a height, at most the tip's.
    pub lock_height: Height,
    /// Satoshis per virtual byte; [`fee::DEFAULT_RATE`] when nobody knows.
    pub fee_rate: Option<u64>,
    /// What the charter lets a transaction cost.
    pub cap: FeeCap,
    /// 0 for the first version of a transaction, then how often it has been replaced.
    pub bump: u32,
    /// Coins to leave alone where that is avoidable: [`crate::anchor::tips`] of the other open decisions.
    pub avoid: BTreeSet<OutPoint>,
    /// Coins never to be added: seals and hooks.
    pub apart: BTreeSet<OutPoint>,
}

/// The coin that an input spends, and how its key follows from the group key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputKey {
    /// The spent output, as our own view has it.
    pub prevout: TxOut,
    /// Keychain and index.
    pub path: Path,
    /// Root of the script tree.
    pub merkle_root: [u8; 32],
}

impl From<&Coin> for InputKey {
    fn from(coin: &Coin) -> Self {
        Self { prevout: coin.output.clone(), path: coin.path, merkle_root: coin.merkle_root }
    }
}

/// A transaction without signatures. Not trusted by anybody: see [`crate::policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// What it is for.
    pub purpose: Purpose,
    /// The transaction, without witnesses.
    pub transaction: Transaction,
    /// One for each input, in order.
    pub inputs: Vec<InputKey>,
    /// What it costs.
    pub fee: Amount,
}

/// Why a transaction cannot be built now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no such transaction, whatever coins and fee.
    #[error(transparent)]
    Outline(#[from] NoOutline),
    /// The tip is spent in the mempool: by a version of this transaction, which only a bump replaces, or
    /// by something else, which has to confirm first.
    #[error("{txid} in the mempool spends the coin that has to be spent first")]
    InFlight {
        /// The transaction in the mempool.
        txid: Txid,
    },
    /// The draw, with its fee, is above what the budget's period has left.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The guild froze the coin that has to be spent.
    #[error("{0}, which has to be spent first, is frozen")]
    Frozen(OutPoint),
    /// Not enough coins.
    #[error("{needed} needed with fee and change, {available} available, {immature} not mature yet")]
    Funds {
        /// Outputs, fee and the least change.
        needed: Amount,
        /// What can be spent now.
        available: Amount,
        /// Block rewards still to mature.
        immature: Amount,
    },
    /// More than [`INPUTS_MAX`] coins, or too heavy.
    #[error("the treasury's coins are too small: a transaction takes more than {INPUTS_MAX} of them")]
    TooManyCoins,
    /// The cap is below what relays, or below what replaces the version in the mempool.
    #[error("a fee of {needed} sat is needed, the charter allows {cap}")]
    FeeCap {
        /// The least fee, in satoshis.
        needed: u64,
        /// The most that is allowed, in satoshis.
        cap: u64,
    },
    /// Replaced often enough.
    #[error("a transaction is replaced at most {} times", fee::BUMPS_MAX)]
    Bumps,
    /// The lock time lies ahead.
    #[error("lock time {lock_height} is above the tip {tip}")]
    LockTime {
        /// What was asked.
        lock_height: Height,
        /// The view's tip.
        tip: Height,
    },
}

#[cfg(test)]
mod tests;
