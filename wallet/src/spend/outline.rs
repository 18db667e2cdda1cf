//! Outlines: what a transaction of each kind has to be, before anybody chose coins and a fee. The builder
//! fills one in, and every signer derives the same one from its own document and view and holds what a
//! coordinator proposes against it. Nothing of an outline comes from a coordinator.

use super::{DrawError, InputKey};
use crate::anchor::{AnchorError, Lineage};
use crate::view::{Coin, View};
use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use crdt::governance::SpendError;
use crdt::{EntryId, GuildId, Height, ProposalId};

/// What a transaction of the treasury is for: one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Pays this decision.
    Payment(ProposalId),
    /// Draws on a budget.
    Draw {
        /// The budget.
        budget: ProposalId,
        /// 1 for its first draw.
        number: u32,
        /// The entry that asks for it.
        disburse: EntryId,
    },
    /// Ends this decision without paying it.
    Closing(ProposalId),
    /// Moves coins of an old key to the present one.
    Sweep,
    /// Moves coins before their recovery leaf opens.
    Renewal,
    /// Changes the epoch: commits to this checkpoint.
    Seal([u8; 32]),
}

impl Purpose {
    /// What it is about, in 32 bytes: decision, Disburse entry or checkpoint; zeros for what moves coins.
    #[must_use]
    pub const fn subject(&self) -> [u8; 32] {
        match self {
            Self::Payment(id) | Self::Closing(id) => id.to_bytes(),
            Self::Draw { disburse, .. } => disburse.to_bytes(),
            Self::Sweep | Self::Renewal => [0; 32],
            Self::Seal(checkpoint) => *checkpoint,
        }
    }
}

/// Which lock times a signer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Any height up to the tip.
    Reached,
    /// This one: it dates a draw.
    At(Height),
}

/// How far below the tip the lock time of a draw may lie.
pub const RECENT: Height = 6;

impl Lock {
    /// Whether a transaction may be locked until `height` when the tip is at `tip`.
    #[must_use]
    pub const fn takes(self, height: Height, tip: Height) -> bool {
        height <= tip
            && match self {
                Self::Reached => true,
                Self::At(dated) => dated == height,
            }
    }
}

/// A coin that has to be spent. Hooks and seals are in no view, so it brings what signing it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its name.
    pub outpoint: OutPoint,
    /// What it holds and where its key lies.
    pub key: InputKey,
}

impl From<&Coin> for Given {
    fn from(coin: &Coin) -> Self {
        Self { outpoint: coin.outpoint, key: coin.into() }
    }
}

/// What a transaction has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// What its first inputs spend, in this order.
    pub(crate) first: Vec<Given>,
    /// Whether other coins may follow.
    pub(crate) more: bool,
    /// All its outputs; that of `change` has no value yet.
    pub(crate) outputs: Vec<TxOut>,
    /// Which output takes what is left: at least [`crdt::limits::LEAST_COIN_SAT`].
    pub(crate) change: usize,
    /// Its lock time.
    pub(crate) lock: Lock,
    /// The most that outputs besides the change may cost together with the fee: what a budget has left.
    pub(crate) most: Option<Amount>,
}

impl Outline {
    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The coins that have to be spent, in order.
    pub fn first(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.first.iter().map(|given| given.outpoint)
    }

    /// Whether `transaction` has the outputs of this outline, whatever its change holds: a version of it.
    #[must_use]
    pub fn is_form_of(&self, transaction: &bitcoin::Transaction) -> bool {
        let mut pairs = self.outputs.iter().zip(&transaction.output).enumerate();
        self.outputs.len() == transaction.output.len()
            && pairs.all(|(index, (ours, theirs))| {
                ours.script_pubkey == theirs.script_pubkey
                    && (index == self.change || ours.value == theirs.value)
            })
    }

    /// What the outputs hold besides the change.
    pub(crate) fn paid(&self) -> Amount {
        let mut fixed = self.outputs.iter().enumerate().filter(|(index, _)| *index != self.change);
        fixed.try_fold(Amount::ZERO, |sum, (_, output)| sum.checked_add(output.value)).unwrap_or(Amount::MAX)
    }
}

/// An output whose value is still to be found.
pub(crate) const fn open(script_pubkey: ScriptBuf) -> TxOut {
    TxOut { value: Amount::ZERO, script_pubkey }
}

/// The coin that a lineage stands on, if it can be spent in the next block.
pub(crate) fn spendable(view: &View, tip: OutPoint) -> Result<&Coin, NoOutline> {
    let coin = view.coin(&tip).ok_or(NoOutline::Anchor(AnchorError::Unknown(tip)))?;
    if coin.depth == 0 || !coin.mature() { Err(NoOutline::Tip(tip)) } else { Ok(coin) }
}

/// Why there is no such transaction, whatever coins and fee.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoOutline {
    /// The decision is another guild's.
    #[error("decided by guild {found}, this treasury is of {expected}")]
    Guild {
        /// Ours.
        expected: GuildId,
        /// The certificate's.
        found: GuildId,
    },
    /// What was decided cannot be paid.
    #[error("the decision cannot be paid: {0}")]
    Decision(#[from] SpendError),
    /// The anchor carries no lineage, maybe not yet.
    #[error("the decision's anchor does not stand: {0}")]
    Anchor(#[from] AnchorError),
    /// Paid, closed or lost, in a block.
    #[error("the decision's lineage has ended: {0:?}")]
    Ended(Lineage),
    /// The coin to spend first is in no block or not mature.
    #[error("{0}, which has to be spent first, cannot be spent yet")]
    Tip(OutPoint),
    /// The budget does not allow the draw.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// A distribution by work is not the next of its sequence.
    #[error("distribution by work number {found} is not the next, {expected}")]
    Number {
        /// The next.
        expected: u32,
        /// What was decided.
        found: u32,
    },
    /// A distribution by work names another coin than the guild anchor.
    #[error("{found} is not the guild anchor, which is {expected:?}")]
    GuildAnchor {
        /// The guild anchor, if there is one yet.
        expected: Option<OutPoint>,
        /// What was decided.
        found: OutPoint,
    },
    /// No coin is due.
    #[error("no coin is due to be moved")]
    Nothing,
}
