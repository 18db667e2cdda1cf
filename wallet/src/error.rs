//! Everything that can go wrong here, for callers who pass it on.

use crate::anchor::AnchorError;
use crate::chain::{BroadcastError, ChainError};
use crate::finish::FinishError;
use crate::policy::Violation;
use crate::spend::BuildError;
use crate::store::StoreError;
use crate::treasury::TreasuryError;

/// A failure of any part of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The treasury could not be made, loaded or moved along the chain.
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node of the chain did not answer as it should.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The node of the chain did not take a transaction.
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    /// No coin can serve as anchor.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// A payment cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A payment breaks a rule.
    #[error(transparent)]
    Policy(#[from] Box<Violation>),
    /// Signatures do not complete a payment.
    #[error(transparent)]
    Finish(#[from] FinishError),
}
