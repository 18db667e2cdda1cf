//! The one thing members sign: an entry in their own chain (§4).

use crate::Height;
use crate::bounded::{AtMost, list};
use crate::certificate::{Certificate, Signature};
use crate::edit::Edit;
use crate::governance::{Ballot, CloseStatement, Disburse, Proposal};
use crate::hash::Digest;
use crate::id::{EntryId, GuildId, MemberId, ProposalId};
use crate::limits::{ADDRESSES_MAX, CO_SIGNERS_MAX};
use crate::receipt::Receipt;
use crate::succession::{Cut, Rekey};
use crate::text::{Line, Note};
use crate::treasury::GroupKey;
use bitcoin::{Amount, BlockHash};
use serde::{Deserialize, Serialize};

/// The version this code writes and reads.
pub const ENTRY_VERSION: u8 = 1;

/// One statement of one member, before its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Format of this record.
    pub version: u8,
    /// The guild it is said in.
    pub guild: GuildId,
    /// Who says it.
    pub author: MemberId,
    /// Its place in the author's chain, from 0.
    pub seq: u32,
    /// The author's entry before it; none for the first.
    pub prev: Option<EntryId>,
    /// The author's chain tip, never below that of the entry before.
    pub height: Height,
    /// The block at that height. Evidence only: no rule reads it.
    pub block_hash: BlockHash,
    /// What is said.
    pub payload: Payload,
}

/// The closed list of things that can be said. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A founder read the charter and signs it: the guild exists once all have.
    Accept,
    /// Where the author's node can be reached: libp2p multiaddresses.
    Reachable(Addresses),
    /// Lets one outsider's node connect and read.
    Invite(Invite),
    /// The author's hash over all round-1 messages of a key generation, so that nobody was told
    /// something else than the others.
    DkgEcho {
        /// The epoch the key is for.
        epoch: u32,
        /// Which attempt.
        attempt: u32,
        /// Hash over all round-1 messages in seat order.
        round1: Digest,
    },
    /// The author stored its share, read it back and verified it.
    KeyReady(KeyReady),
    /// A signature that shows the new key works.
    KeyTest {
        /// The epoch of the key.
        epoch: u32,
        /// BIP340, by the group key.
        signature: Signature,
    },
    /// Something to decide.
    Propose(Proposal),
    /// A vote.
    Ballot(Ballot),
    /// The author takes back a proposal of its own.
    Withdraw {
        /// Which.
        proposal: ProposalId,
    },
    /// A word on a proposal.
    Comment {
        /// On which.
        proposal: ProposalId,
        /// The word.
        text: Note,
    },
    /// What the guild decided, and the proof.
    Certificate(Certificate),
    /// A change to the workspace.
    Edit(Edit),
    /// What a co-signer had seen of a vote when it closed.
    CloseStatement(CloseStatement),
    /// A bill drawn on a budget.
    Disburse(Disburse),
    /// The author leaves and takes along its part of the treasury.
    Exit {
        /// How much that is.
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        amount: Amount,
    },
    /// The author's node signs nothing, or signs again: for all to see.
    Pause {
        /// Whether it stops.
        on: bool,
    },
    /// Somebody votes for the author on what is proposed from now on, unless the author votes itself.
    Delegate {
        /// Who; nobody from now on if none.
        to: Option<MemberId>,
    },
    /// Work that a farm of the author did for the guild. What it counts for is asked when it is counted.
    Receipt(Box<Receipt>),
    /// A key generation among fewer, called by who writes it and joined by who repeats it.
    Attempt(Attempt),
    /// A key generation for the next epoch.
    Rekey(Rekey),
    /// Where the chains end for the next checkpoint.
    Cut(Cut),
    /// The author holds the bytes of a checkpoint.
    Holds {
        /// Its hash.
        checkpoint: Digest,
    },
}

impl Payload {
    /// The kind of statement, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reachable(_) => "reachable",
            Self::Invite(_) => "invite",
            Self::DkgEcho { .. } => "dkg-echo",
            Self::KeyReady(_) => "key-ready",
            Self::KeyTest { .. } => "key-test",
            Self::Propose(_) => "propose",
            Self::Ballot(_) => "ballot",
            Self::Withdraw { .. } => "withdraw",
            Self::Comment { .. } => "comment",
            Self::Certificate(_) => "certificate",
            Self::Edit(_) => "edit",
            Self::CloseStatement(_) => "close-statement",
            Self::Disburse(_) => "disburse",
            Self::Exit { .. } => "exit",
            Self::Pause { .. } => "pause",
            Self::Delegate { .. } => "delegate",
            Self::Receipt(_) => "receipt",
            Self::Attempt(_) => "attempt",
            Self::Rekey(_) => "rekey",
            Self::Cut(_) => "cut",
            Self::Holds { .. } => "holds",
        }
    }
}

/// See [`Payload::Invite`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The outsider's node key.
    pub guest: MemberId,
    /// What to call the guest.
    pub name: Line,
    /// The invitation ends above this height.
    pub expiry: Height,
}

/// See [`Payload::KeyReady`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyReady {
    /// The epoch the key is for.
    pub epoch: u32,
    /// Which attempt made it.
    pub attempt: u32,
    /// The key.
    pub group_key: GroupKey,
    /// The hash of the whole key generation, the same for all.
    pub transcript: Digest,
}

/// See [`Payload::Attempt`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// The epoch the key is for.
    pub epoch: u32,
    /// Which attempt, from 2: the first is among all co-signers, and nobody has to call it.
    pub attempt: u32,
    /// Who makes the key, in the order of the charter's seats.
    #[serde(deserialize_with = "list::<MemberId, _, CO_SIGNERS_MAX>")]
    pub set: Vec<MemberId>,
}

/// A bounded list of multiaddresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AtMost<Line, ADDRESSES_MAX>", into = "Vec<Line>")]
pub struct Addresses(Vec<Line>);

/// More addresses than an entry may carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} addresses are more than {ADDRESSES_MAX}")]
pub struct TooManyAddresses(usize);

impl TryFrom<Vec<Line>> for Addresses {
    type Error = TooManyAddresses;
    fn try_from(addresses: Vec<Line>) -> Result<Self, Self::Error> {
        let count = addresses.len();
        if count > ADDRESSES_MAX { Err(TooManyAddresses(count)) } else { Ok(Self(addresses)) }
    }
}

impl From<AtMost<Line, ADDRESSES_MAX>> for Addresses {
    fn from(addresses: AtMost<Line, ADDRESSES_MAX>) -> Self {
        Self(addresses.0)
    }
}

impl From<Addresses> for Vec<Line> {
    fn from(addresses: Addresses) -> Self {
        addresses.0
    }
}

impl Addresses {
    /// The addresses as text.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Line::as_str)
    }
}
