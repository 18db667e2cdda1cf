//! The replicated state: what a document means (§5). Equal documents and equal buried chain give equal
//! bytes, and so an equal hash, on every node.

use crate::certificate::{Body, Certificate, Signature};
use crate::charter::ClassRule;
use crate::entry::{Addresses, Attempt, Invite, KeyReady};
use crate::governance::{Choice, Effect, Output, Payable, Proposal, Seen, Spend};
use crate::hash::Digest;
use crate::id::{EntryId, GuildId, MemberId, ProposalId};
use crate::text::{Line, Note};
use crate::{Height, Weight};
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// S_B: the state of a guild up to block B.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The guild.
    pub guild: GuildId,
    /// B.
    pub height: Height,
    /// The block at B.
    pub block_hash: BlockHash,
    /// The roll.
    pub members: BTreeMap<MemberId, Member>,
    /// Who holds shares of the current key, in seat order; who is to make it, as long as there is none.
    pub co_signers: Vec<MemberId>,
    /// The rule for spends.
    pub spend_rule: ClassRule,
    /// Invitations by the guest's node key and the member who gave them: of several the longest.
    pub guests: BTreeMap<MemberId, BTreeMap<MemberId, Invite>>,
    /// Echoes of key generations: (epoch, attempt) → co-signer → hash.
    pub echoes: BTreeMap<(u32, u32), BTreeMap<MemberId, Digest>>,
    /// Keys that co-signers stored: (epoch, attempt) → co-signer → what it has.
    pub key_ready: BTreeMap<(u32, u32), BTreeMap<MemberId, KeyReady>>,
    /// The key of the epoch, once all who made it stored it.
    pub key: Option<EpochKey>,
    /// Key generations among fewer, by who called or joined them: (epoch, attempt) → co-signer → at this
    /// height, among these.
    pub attempts: BTreeMap<(u32, u32), BTreeMap<MemberId, (Height, Attempt)>>,
    /// All proposals.
    pub proposals: BTreeMap<ProposalId, ProposalState>,
    /// What co-signers had seen of votes when they closed: close → co-signer → its statement.
    pub statements: BTreeMap<Height, BTreeMap<MemberId, Statement>>,
    /// Members who leave.
    pub exits: BTreeMap<MemberId, ExitState>,
}

/// A member on the roll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name in the charter.
    pub name: Line,
    /// Voting weight.
    pub weight: Weight,
    /// Where distributions go.
    pub payout: ScriptBuf,
    /// Whether this founder signed the charter.
    pub accepted: bool,
    /// Where its node says it can be reached.
    pub addresses: Addresses,
    /// The place in its chain at which it signed two entries. What it says from there on does not count.
    pub forked: Option<u32>,
    /// Whether it says that its node signs nothing now.
    pub paused: bool,
    /// Who votes for it, in the order in which it said so.
    pub delegations: Vec<Delegation>,
}

/// From when on somebody votes for a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The height it claims: counts for proposals above it.
    pub height: Height,
    /// The entry that says it.
    pub entry: EntryId,
    /// Who; nobody if none.
    pub to: Option<MemberId>,
}

/// A co-signer's statement on the votes that closed at one height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// How many parts it has.
    pub parts: u16,
    /// Those that are here.
    pub said: BTreeMap<u16, Vec<Seen>>,
}

impl Statement {
    /// Whether all of it is here: only then it counts.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.said.len() == usize::from(self.parts)
    }

    /// What it says of a proposal.
    #[must_use]
    pub fn of(&self, proposal: &ProposalId) -> Option<&Seen> {
        self.said.values().flatten().find(|seen| seen.proposal == *proposal)
    }
}

/// A member's exit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitState {
    /// What it claims, by place in its chain: amounts may differ, one is paid.
    pub claims: BTreeMap<u32, ExitClaim>,
    /// Proofs that one was granted, by who showed them.
    pub certificates: BTreeMap<MemberId, Certificate>,
}

/// One claim of an exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitClaim {
    /// The entry that makes it.
    pub entry: EntryId,
    /// The height it claims: the close of its certificate.
    pub height: Height,
    /// How much.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
}

/// A group key that all co-signers hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochKey {
    /// What they agreed on.
    pub ready: KeyReady,
    /// Test signatures that verify, by who showed them.
    pub tests: BTreeMap<MemberId, Signature>,
    /// Certificates of the founding policy, by who showed them.
    pub founding: BTreeMap<MemberId, Certificate>,
}

impl EpochKey {
    /// The first test signature: of several the smallest, so that all nodes name the same one.
    #[must_use]
    pub fn tested(&self) -> Option<&Signature> {
        self.tests.values().min()
    }

    /// The second: the certificate of the founding policy.
    #[must_use]
    pub fn founding(&self) -> Option<&Certificate> {
        smallest(&self.founding)
    }

    /// Whether both test signatures exist: only now may an address be shown (K2).
    #[must_use]
    pub fn usable(&self) -> bool {
        !self.tests.is_empty() && !self.founding.is_empty()
    }
}

/// Signatures over one body differ in their nonces and prove the same: all nodes name the smallest.
fn smallest(certificates: &BTreeMap<MemberId, Certificate>) -> Option<&Certificate> {
    certificates.values().min_by(|a, b| a.signature.cmp(&b.signature))
}

/// Where a proposal stands, as far as everybody agrees. "Passing" and "executable" are judgements of a
/// single node and not in here (§5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalState {
    /// Who proposed it.
    pub author: MemberId,
    /// The height it was proposed at.
    pub height: Height,
    /// The height voting closes at.
    pub close: Height,
    /// What it says.
    pub proposal: Proposal,
    /// The vote of each member that counts.
    pub ballots: BTreeMap<MemberId, HeldBallot>,
    /// Words on it, by author and place in the author's chain.
    pub comments: BTreeMap<(MemberId, u32), Comment>,
    /// Taken back by its author.
    pub withdrawn: bool,
    /// Proofs that it was decided, by who showed them.
    pub certificates: BTreeMap<MemberId, Certificate>,
    /// How its lineage ended, ≥ K deep.
    pub settled: Option<Settled>,
    /// Bills drawn on it, if it is a budget, by author and place in the author's chain.
    pub draws: BTreeMap<(MemberId, u32), Draw>,
}

/// A bill drawn on a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The entry that draws: its id.
    pub entry: EntryId,
    /// The height it claims.
    pub height: Height,
    /// Who gets how much.
    pub outputs: Vec<Output>,
    /// What for.
    pub reason: Note,
}

impl ProposalState {
    /// The proof that it was decided.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        smallest(&self.certificates)
    }

    /// The bytes its certificate signs.
    #[must_use]
    pub fn body(&self, guild: GuildId, id: ProposalId) -> Body {
        Body {
            guild,
            epoch: 1,
            proposal: id,
            option: 0,
            effect: self.proposal.effect.hash(),
            close: self.close,
        }
    }

    /// The spend it proposes, if it is one.
    #[must_use]
    pub const fn spend(&self) -> Option<&Spend> {
        match &self.proposal.effect {
            Effect::Spend(spend) => Some(spend),
            _ => None,
        }
    }

    /// What one transaction pays if it passes, if that is so.
    #[must_use]
    pub fn payable(&self) -> Option<&dyn Payable> {
        match &self.proposal.effect {
            Effect::Spend(spend) => Some(spend),
            Effect::Distribute(distribute) => Some(distribute),
            _ => None,
        }
    }

    /// The coin whose lineage it is paid from, if it is paid.
    #[must_use]
    pub const fn anchor(&self) -> Option<OutPoint> {
        match &self.proposal.effect {
            Effect::Spend(spend) => Some(spend.anchor),
            Effect::Distribute(distribute) => Some(distribute.anchor),
            Effect::Budget(budget) => Some(budget.anchor),
            _ => None,
        }
    }
}

/// A vote that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBallot {
    /// The entry that carries it.
    pub entry: EntryId,
    /// Which way.
    pub choice: Choice,
    /// Whether it can still change.
    pub last: bool,
    /// The height it claims.
    pub height: Height,
    /// Why.
    pub reason: Note,
}

/// A word on a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The height it claims.
    pub height: Height,
    /// The word.
    pub text: Note,
}

/// How a decision's lineage ended on the chain, ≥ K deep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// In which way.
    pub how: How,
    /// By which transaction.
    pub txid: Txid,
    /// In the block at this height.
    pub height: Height,
}

/// The ways a lineage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// Paid: the tip was spent with the decision's marker.
    Paid,
    /// Closed: the tip was spent with the closing marker.
    Closed,
    /// Lost: the tip left by the recovery leaf.
    Lost,
}

impl State {
    /// Whether all founders signed the charter. Whoever forked has signed two entries that name the guild,
    /// and so the charter that it is the hash of: a founder cannot take the founding back.
    #[must_use]
    pub fn founded(&self) -> bool {
        self.members.values().all(|member| member.accepted || member.forked.is_some())
    }

    /// Guests, and the height that the longest of their invitations ends above.
    pub fn guests(&self) -> impl Iterator<Item = (MemberId, Height)> {
        let until = |invites: &BTreeMap<MemberId, Invite>| invites.values().map(|invite| invite.expiry).max();
        self.guests.iter().filter_map(move |(guest, invites)| Some((*guest, until(invites)?)))
    }

    /// A member's weight; none for outsiders.
    #[must_use]
    pub fn weight(&self, member: &MemberId) -> Weight {
        self.members.get(member).map_or_else(Weight::default, |member| member.weight)
    }

    /// What to call a member.
    #[must_use]
    pub fn name(&self, member: &MemberId) -> String {
        self.members.get(member).map_or_else(|| member.short(), |member| member.name.to_string())
    }

    /// The key that may be shown and used: stored by all, tested twice.
    #[must_use]
    pub fn usable_key(&self) -> Option<&EpochKey> {
        self.key.as_ref().filter(|key| key.usable())
    }

    /// SHA-256 of the canonical bytes. Compare only at equal [`State::height`].
    #[must_use]
    pub fn hash(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("a state always encodes");
        Digest::tagged("hashguild/state/v1", &[&bytes])
    }
}
