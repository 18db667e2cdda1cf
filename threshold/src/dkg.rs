//! Making a key together: every party a dealer, none trusted.
//!
//! 1. Everybody sends a commitment to a secret polynomial, with a proof of knowing it.
//! 2. Everybody publishes the hash of all commitments it received: the **echo**. Without it a dealer could
//!    tell two parties two stories and both would finish, with different keys.
//! 3. After `n` equal echoes everybody sends **one** message to all: the polynomial's value at each party,
//!    encrypted to that party (RFC 9180), its own value to itself. So all parties hold all ciphertexts.
//! 4. Everybody adds up what it can decrypt, stores the share, reads it back, and publishes
//!    [`Statement::KeyReady`]. With `n` equal ones the key is ready, and each party knows that every other
//!    can sign: nobody is shown an address before.
//!
//! The messages make up the [`Transcript`], from which a member secret alone rebuilds the share.
//!
//! The suite adds the taproot tweak of an empty script tree to P (`post_dkg`), so that no dealer can hide
//! a script path in it. P is therefore *not* the plain sum of the commitments.
//!
//! # Restart
//!
//! All that a session needs is in its [`Change`]s, in order; [`Session::resume`] replays them. What was
//! random is in the first of them, so a resumed session sends the same bytes as before: a crash makes no
//! equivocator. A party that lost its changes cannot go on in this attempt; a new one is needed.

mod change;
mod envelope;
mod machine;
mod message;
mod progress;
mod recover;
mod transcript;

pub use change::Change;
pub use machine::Session;
pub use message::{Body, DkgMessage, Round1, Round2};
pub use recover::recover;
pub use transcript::{BadTranscript, Transcript};

use crate::fault::Equivocation;
use crate::keyset::{GroupKey, KeyShare, PublicKeys};
use crate::message::Wire;
use crate::party::{PartyId, Threshold};
use crate::session::{SessionId, Timestamp};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a session waits before it sends its message again to those who show no sign of having it.
pub const RESEND_AFTER: Duration = Duration::from_secs(10);
/// Most different `KeyReady` statements kept of one party: one is right, a second shows bad faith.
const MAX_KEY_READY: usize = 2;

/// Who makes which key.
#[derive(Debug, Clone)]
pub struct Config {
    session: SessionId,
    me: PartyId,
    threshold: Threshold,
    parties: BTreeMap<PartyId, [u8; 32]>,
    member: SigningKey,
}

/// Why a key generation cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadConfig {
    /// The parties are not numbered 1 to `n`, or two have one key.
    #[error("the parties are not {0} members numbered from 1")]
    Parties(u16),
    /// Our own seat does not name our own key.
    #[error("{0} does not have our member key")]
    Me(PartyId),
    /// The changes to resume from do not begin with our first round.
    #[error("nothing to resume from")]
    NoRoundOne,
    /// A change to resume from belongs to another session or was altered.
    #[error("a stored change does not belong to this session")]
    Change,
}

impl Config {
    /// A key generation of these parties (Ed25519 member keys by number), of which we are `me`.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if the parties are not `1..=n` with different keys, or `me` has not our key.
    pub fn new(
        session: SessionId,
        me: PartyId,
        threshold: Threshold,
        parties: BTreeMap<PartyId, [u8; 32]>,
        member: SigningKey,
    ) -> Result<Self, BadConfig> {
        let distinct: BTreeSet<_> = parties.values().collect();
        if !parties.keys().copied().eq(threshold.parties()) || distinct.len() != parties.len() {
            return Err(BadConfig::Parties(threshold.n()));
        }
        if parties.get(&me) != Some(&member.verifying_key().to_bytes()) {
            return Err(BadConfig::Me(me));
        }
        Ok(Self { session, me, threshold, parties, member })
    }

    fn others(&self) -> impl Iterator<Item = PartyId> + '_ {
        self.threshold.parties().filter(|party| *party != self.me)
    }
}

/// What a party says in public, as a signed entry of its own. Says nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statement {
    /// "These are the first-round messages I received."
    Echo {
        /// Of this key generation.
        session: SessionId,
        /// Hash of all of them.
        round1_hash: [u8; 32],
    },
    /// "My share is stored and was read back."
    KeyReady {
        /// Of this key generation.
        session: SessionId,
        /// P.
        group_key: GroupKey,
        /// [`Transcript::hash`].
        transcript_hash: [u8; 32],
    },
}

impl Statement {
    /// The key generation it is about.
    #[must_use]
    pub fn session(&self) -> SessionId {
        match self {
            Self::Echo { session, .. } | Self::KeyReady { session, .. } => *session,
        }
    }
}

impl Wire for Statement {
    const KIND: u8 = 2;
    const LIMIT: usize = 128;
}

/// What can happen to a session.
#[derive(Debug)]
pub enum Input {
    /// A message arrived, from whomever: it carries its author's signature.
    Message(DkgMessage),
    /// A party published a statement. The caller has verified that it is the party's.
    Statement(PartyId, Statement),
    /// Our share was stored sealed and this is what reading it back gave.
    Stored(KeyShare),
    /// Time passed.
    Tick,
}

/// What a session asks of its caller.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Make this durable before carrying out any later effect.
    Persist(Change),
    /// Send a message to a party. May be lost; it is sent again.
    Send(PartyId, DkgMessage),
    /// Publish a statement of ours, unless we already published the same.
    Publish(Statement),
    /// Come back with [`Input::Tick`] no earlier than this.
    WakeAt(Timestamp),
    /// The session ended.
    Done(Outcome),
}

/// How a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All parties hold their shares and agree.
    Ready {
        /// The key.
        keys: Box<PublicKeys>,
        /// The recovery data. Keep it, give it to any party that asks.
        transcript: Box<Transcript>,
    },
    /// This attempt makes no key.
    Failed {
        /// Who is to blame, where one party alone can be. A verdict for this attempt, not for ever.
        culprits: Vec<PartyId>,
        /// What went wrong.
        why: Why,
    },
}

/// Why an attempt makes no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// A first-round message is no FROST package.
    #[error("a first-round package is malformed")]
    Package,
    /// A polynomial has another degree than agreed.
    #[error("{found} coefficients committed to instead of {expected}")]
    Coefficients {
        /// `t`.
        expected: u16,
        /// What the package has.
        found: usize,
    },
    /// These parties saw other first-round messages than we did: somebody told two stories.
    #[error("first-round messages differ")]
    RoundOneDiffers {
        /// Whose echo differs from ours.
        by: Vec<PartyId>,
    },
    /// A proof of knowledge does not verify.
    #[error("proof of knowledge is not valid")]
    Proof,
    /// A party cannot be encrypted to.
    #[error("cannot encrypt to this party")]
    SealingKey,
    /// A second-round message has not one ciphertext for each party.
    #[error("not one ciphertext for each party")]
    Ciphertexts,
    /// A share for us does not decrypt.
    #[error("share does not decrypt")]
    Decryption,
    /// A share for us does not lie on the committed polynomial.
    #[error("share is not on the polynomial")]
    Share,
    /// The crate that does the mathematics refused, and names nobody.
    #[error("key generation failed")]
    Internal,
}

/// Why an input was turned away. A verdict on the sender, not a fault of ours; the session is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Of another key generation.
    #[error("belongs to session {0}")]
    OtherSession(SessionId),
    /// The sender has no seat here.
    #[error("{0} has no seat in this session")]
    NotAParty(PartyId),
    /// Not signed by the party it names.
    #[error("not signed by {0}")]
    BadSignature(PartyId),
    /// The party signed two different messages of one round.
    #[error("{} signed two different messages", .0.culprit())]
    Equivocation(Box<Equivocation>),
    /// The party published two different statements.
    #[error("{0} contradicts its own statement")]
    Contradiction(PartyId),
    /// What was read back is not what was to be stored.
    #[error("the stored share is not ours")]
    StoredShare,
    /// Not in this phase.
    #[error("out of phase")]
    OutOfPhase,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Collecting first-round messages.
    RoundOne,
    /// Collecting echoes.
    Echo,
    /// Collecting second-round messages.
    RoundTwo,
    /// Waiting for our own store.
    Store,
    /// Collecting `KeyReady`.
    KeyReady,
    /// Ended.
    Closed,
}

/// For whom a session waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub step: Step,
    /// Whose part is missing.
    pub missing: Vec<PartyId>,
    /// Who published a `KeyReady` for another key than ours.
    pub disagreeing: Vec<PartyId>,
}
