//! The rules by name, and what breaking each looks like.

use crate::fee::{LEAST_RATE, PART_OF_ESTIMATE, TIMES_ESTIMATE, WEIGHT_MAX};
use crate::spend::NoOutline;
use bitcoin::Txid;
use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Sequence, TxOut};
use crdt::Height;
use crdt::limits::LEAST_COIN_SAT;

/// The first rule that a transaction breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// There is no such transaction, whatever coins and fee: P1, P5, P9 and what was decided itself.
    #[error(transparent)]
    Outline(#[from] NoOutline),
    /// One of the first inputs is not what it has to be: the tip of the decision's lineage, a hook, a seal.
    #[error("input {index} must spend {expected}, not {found:?}")]
    Tip {
        /// Which input.
        index: usize,
        /// What it has to spend.
        expected: OutPoint,
        /// What it spends; none with fewer inputs.
        found: Option<OutPoint>,
    },
    /// An input spends a seal, a hook or a coin that the guild froze.
    #[error("input {index} spends {found}, which is set apart: a seal, a hook or a frozen coin")]
    Apart {
        /// Which input.
        index: usize,
        /// What it spends.
        found: OutPoint,
    },
    /// It does not pay enough to replace what our mempool has.
    #[error("a fee of {found} does not replace {txid}, which takes {expected}")]
    Replacement {
        /// The version in the mempool.
        txid: Txid,
        /// The least.
        expected: Amount,
        /// What it pays.
        found: Amount,
    },
    /// More than the budget's period has left.
    #[error("{wanted} with the fee is above the {left} that the budget's period has left")]
    Budget {
        /// What is left.
        left: Amount,
        /// Outputs and fee.
        wanted: Amount,
    },
    /// An input spends what our view does not have.
    #[error("input {index} spends {found}, which is no coin of the treasury")]
    NotOurs {
        /// Which input.
        index: usize,
        /// What it spends.
        found: OutPoint,
    },
    /// An input spends a coin that a block spends already.
    #[error("input {index} spends {found}, which is spent")]
    Spent {
        /// Which input.
        index: usize,
        /// What it spends.
        found: OutPoint,
    },
    /// An input spends a coin of no block.
    #[error("input {index} spends {found}, which is in no block")]
    Unconfirmed {
        /// Which input.
        index: usize,
        /// What it spends.
        found: OutPoint,
    },
    /// An input spends a block reward too early.
    #[error("input {index} spends a block reward {depth} deep")]
    Immature {
        /// Which input.
        index: usize,
        /// How deep the reward is.
        depth: Height,
    },
    /// Two inputs spend one coin.
    #[error("{0} is spent twice")]
    Twice(OutPoint),
    /// More inputs than one ceremony carries.
    #[error("{found} inputs, at most {expected}")]
    Inputs {
        /// The most.
        expected: usize,
        /// How many.
        found: usize,
    },
    /// An input brings a script or witness.
    #[error("input {0} is signed already")]
    Signed(usize),
    /// An input has another sequence than all payments.
    #[error("input {index} has sequence {found}, not {expected}")]
    Sequence {
        /// Which input.
        index: usize,
        /// The only one.
        expected: Sequence,
        /// What it has.
        found: Sequence,
    },
    /// The lock time is no height up to the tip.
    #[error("lock time {found:?} is no height up to {expected}")]
    LockTime {
        /// Our tip.
        expected: Height,
        /// What it has.
        found: LockTime,
    },
    /// Another version than its size asks for.
    #[error("version {found}, not {expected}")]
    Version {
        /// The only one at this size.
        expected: Version,
        /// What it has.
        found: Version,
    },
    /// The first output is not change to 1/0 of at least [`LEAST_COIN_SAT`].
    #[error("output 0 must be change to 1/0 of {LEAST_COIN_SAT} sat or more, not {found:?}")]
    Heir {
        /// What it is; none without outputs.
        found: Option<TxOut>,
    },
    /// The second output is not the decision's marker.
    #[error("output 1 must be {expected:?}, not {found:?}")]
    Marker {
        /// The marker's output.
        expected: TxOut,
        /// What it is; none with fewer outputs.
        found: Option<TxOut>,
    },
    /// An output is not what was decided.
    #[error("output {index} must be {expected:?}, not {found:?}")]
    Payee {
        /// Which output.
        index: usize,
        /// What was decided; none beyond its last output.
        expected: Option<TxOut>,
        /// What it is; none beyond the transaction's last output.
        found: Option<TxOut>,
    },
    /// Heavier than nodes relay.
    #[error("{0} weight units, at most {WEIGHT_MAX}")]
    Weight(u64),
    /// The outputs hold more than the inputs.
    #[error("the outputs hold more than the inputs")]
    Overspent,
    /// A fee below what nodes relay.
    #[error(
        "a fee of {found} is below {expected}: {LEAST_RATE} sat/vB and 1/{PART_OF_ESTIMATE} of our estimate"
    )]
    FeeLow {
        /// The least.
        expected: Amount,
        /// What it pays.
        found: Amount,
    },
    /// A fee above a cap of the charter, or a multiple of what we would pay.
    #[error(
        "a fee of {found} is above {expected}: the charter's caps and {TIMES_ESTIMATE} times our estimate"
    )]
    FeeHigh {
        /// The most, at its size.
        expected: Amount,
        /// What it pays.
        found: Amount,
    },
}
