//! What a ceremony takes, asks, and ends with.

use super::message::{Commitments, Refusal, Shares, SigningPackage};
use crate::party::PartyId;
use crate::session::{SessionId, Timestamp};
use std::time::Duration;

/// How long a seat may be silent in one round before it is given to the next in rank.
pub const ROUND_TIMEOUT: Duration = Duration::from_secs(5);

/// What can happen to a ceremony. The caller vouches for the sender.
#[derive(Debug, Clone)]
pub enum Input {
    /// A signer committed.
    Commitments(PartyId, Commitments),
    /// A signer gave its shares.
    Shares(PartyId, Shares),
    /// A signer will not sign this request, said when asked in this session.
    Refused(PartyId, SessionId, Refusal),
    /// What a signer was asked in this session got no answer.
    Silent(PartyId, SessionId),
    /// A signer is gone: it will answer nothing.
    Gone(PartyId),
    /// Time passed.
    Tick,
}

/// What a ceremony asks of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask a party to commit to this request in this session.
    AskCommit(PartyId, SessionId),
    /// Ask a party for its shares.
    AskSign(PartyId, SigningPackage),
    /// Come back with [`Input::Tick`] no earlier than this.
    WakeAt(Timestamp),
    /// The ceremony ended.
    Done(Outcome),
}

/// How a ceremony ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// BIP340 signatures, one for each that the request asks for, each verified by libsecp256k1.
    Signed(Vec<[u8; 64]>),
    /// Too few are left who would sign. Every candidate was asked. (All lists empty: a fault of ours.)
    Failed(Failure),
}

/// Who did not sign, and why. A verdict for this ceremony: a coordinator's word alone punishes nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// Who refused, and under which rule.
    pub refusals: Vec<(PartyId, Refusal)>,
    /// Who did not answer in time.
    pub silent: Vec<PartyId>,
    /// Whose commitments or shares were not valid.
    pub faulty: Vec<PartyId>,
}

/// What a ceremony waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Commitments of all seats.
    Commitments,
    /// Shares of all seats.
    Shares,
    /// It cannot succeed any more; the last answers are awaited, to say why.
    Reasons,
    /// Ended.
    Closed,
}

/// For whom a ceremony waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub step: Step,
    /// Whose answer is missing, and since when it was asked.
    pub missing: Vec<(PartyId, Timestamp)>,
    /// Who gets the next free seat.
    pub next: Option<PartyId>,
}
