//! What became of an entry, and why: people can ask for every one.

use crate::Height;
use crate::certificate::CertificateError;
use crate::governance::{Choice, DrawError, EffectError, SpendError};
use crate::id::{MemberId, MemberKeyError, ProposalId};
use crate::receipt::Flaw;
use std::fmt;

/// What the fold did with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is part of the state, or was until a later word of its author replaced it.
    Applied,
    /// It changes nothing.
    Ignored(Ignored),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied => f.write_str("applied"),
            Self::Ignored(why) => write!(f, "ignored: {why}"),
        }
    }
}

/// Why an entry changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// Two entries of the author claim this place: evidence, never applied.
    #[error("its author signed two entries with this sequence number")]
    Forked,
    /// Only co-signers say this.
    #[error("{0:?} is no co-signer")]
    NotACoSigner(MemberId),
    /// The author had said the same of this epoch and attempt before.
    #[error("its author spoke on this before")]
    Repeated,
    /// Names a proposal that is not in the document, or does not stand.
    #[error("there is no proposal {0:?}")]
    NoProposal(ProposalId),
    /// A proposal whose effect can never happen.
    #[error(transparent)]
    Effect(EffectError),
    /// The voter had marked an earlier ballot final.
    #[error("its author marked an earlier ballot on this final")]
    AlreadyFinal,
    /// A vote after the close that is not a final YES.
    #[error("after the close at {0} only a final yes counts")]
    AfterClose(Height),
    /// Only the author of a proposal takes it back.
    #[error("only {0:?}, who proposed it, can withdraw it")]
    NotTheProposer(MemberId),
    /// There is no key to check a signature against.
    #[error("there is no group key yet")]
    NoKey,
    /// A test signature that does not verify.
    #[error("the signature is not one of the group key")]
    BadSignature,
    /// A certificate that does not stand.
    #[error(transparent)]
    Certificate(CertificateError),
    /// Signed by the group, but not for what was proposed.
    #[error("certifies something else than was proposed")]
    OtherBody,
    /// A key generation among people who cannot make a key of this guild.
    #[error(
        "an attempt from the second on names co-signers in seat order, itself among them, and enough to sign"
    )]
    BadAttempt,
    /// Of an epoch that is not the next.
    #[error("it is about epoch {0}, which is not the next")]
    Epoch(u32),
    /// Said by somebody who is not on the roll.
    #[error("its author is not on the roll: only what makes a key with it counts")]
    NotAMember,
    /// An invitation of a key that nobody can have.
    #[error("the invited key: {0}")]
    Guest(MemberKeyError),
    /// An invitation that would last too long.
    #[error("an invitation lasts {} blocks at most", crate::limits::INVITE_MAX)]
    LongInvite,
    /// A bill that the budget does not allow.
    #[error(transparent)]
    Draw(DrawError),
    /// An exit that can never be paid.
    #[error("an exit that cannot be paid: {0}")]
    Exit(SpendError),
    /// A part of a statement that has no place in it.
    #[error("part {part} of {parts} is no part of a statement of its author")]
    Part {
        /// Which it says it is.
        part: u16,
        /// Of how many.
        parts: u16,
    },
    /// A vote that has no meaning here: a yes to several options, or options where there are none.
    #[error("'{0}' is no answer to this proposal")]
    Choice(Choice),
    /// A statement on votes that were not over.
    #[error("said before the votes that closed at {0} could be over")]
    EarlyStatement(Height),
    /// A delegation to oneself or to nobody on the roll.
    #[error("{0:?} cannot vote for its author")]
    Delegate(MemberId),
    /// A receipt that proves nothing.
    #[error("the receipt proves nothing: {0}")]
    Receipt(Flaw),
}
