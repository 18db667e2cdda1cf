//! Signing together: a coordinator asks, each signer judges for itself, `t` shares make a signature.
//!
//! ```text
//! Coordinator::new   --AskCommit-->  Signer::commit   (after the caller judged the request)
//!                    <-Commitments-
//!                    --AskSign---->  Signer::sign     (after the caller journalled its intent)
//!                    <--Shares-----
//! Outcome::Signed
//! ```
//!
//! Two rounds of FROST (RFC 9591, 5), all inputs of a transaction at once. The coordinator is trusted with
//! nothing but its time: it cannot change what is signed, because every signer computes the hashes from the
//! request that it judged. Who is silent, refuses or lies is replaced by the next in rank, in a new session
//! with fresh nonces from everybody, as in ROAST; each session excludes somebody, so there are at most
//! `n - t + 1`.

mod aggregate;
mod ceremony;
mod coordinator;
mod given;
mod message;
mod nonce;
mod plan;
mod request;
mod signer;

pub use ceremony::{Effect, Failure, Input, Outcome, ROUND_TIMEOUT, Step, Waiting};
pub use coordinator::Coordinator;
pub use message::{Commitment, Commitments, Offer, Refusal, Shares, SigningPackage};
pub use request::{
    BadRequest, CertificateBody, InputKey, KeyTest, Kind, MAX_INPUTS, Request, RequestId, TransactionRequest,
};
pub use signer::{MAX_GIVEN, MAX_OPEN_SESSIONS, NONCE_LIFE, Signer};

use crate::party::PartyId;
use crate::session::SessionId;

/// Why an input was turned away. A verdict on the sender, not a fault of ours; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The request cannot be signed with this key.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// Not one of the `n` parties.
    #[error("{0} is not a party of this key")]
    NotAParty(PartyId),
    /// The session name is in use for something else.
    #[error("session {0} is taken")]
    SessionTaken(SessionId),
    /// This coordinator has too many sessions open.
    #[error("{open} sessions of this coordinator are open")]
    Busy {
        /// How many.
        open: usize,
    },
    /// Never opened here, over, or expired. Also the answer to asking twice.
    #[error("no session {0}")]
    NoSuchSession(SessionId),
    /// The package is for another request than the one committed to.
    #[error("request {found} instead of {expected}")]
    OtherRequest {
        /// What the nonces were drawn for.
        expected: RequestId,
        /// What the package names.
        found: RequestId,
    },
    /// Not exactly `t` signers.
    #[error("{found} signers instead of {expected}")]
    Seats {
        /// `t`.
        expected: u16,
        /// Signers in the package.
        found: usize,
    },
    /// Our commitments are missing from the package, or changed.
    #[error("our commitments are not in the package as we gave them")]
    OurCommitments,
    /// The commitments of this party are malformed.
    #[error("commitments of {0} are malformed")]
    Malformed(PartyId),
    /// Signing failed; the nonces are gone.
    #[error("signing failed in session {0}")]
    Failed(SessionId),
    /// The sender has no seat in this session now.
    #[error("{0} has no seat in this session")]
    NoSeat(PartyId),
    /// The sender answered already, otherwise.
    #[error("{0} answered already")]
    Duplicate(PartyId),
    /// Not in this phase.
    #[error("out of phase")]
    OutOfPhase,
}
