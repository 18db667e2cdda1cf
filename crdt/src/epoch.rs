//! Epochs: what a checkpoint holds, how the next roll follows from a change, and what goes on across a seal
//! (§10).
//!
//! All of it is pure: a checkpoint is a value with one encoding, and its hash is what a seal commits to on
//! Bitcoin. Nothing here signs, and nothing here looks at a chain.

mod draft;

pub use draft::{NotFit, Plan, at_heads, heads, judge};

use crate::certificate::Certificate;
use crate::charter::ThresholdRule;
use crate::governance::{Effect, EpochChange, Setting, SettingKey, judged_from};
use crate::hash::Digest;
use crate::id::{EntryId, GuildId, MemberId, ProposalId};
use crate::limits::{CO_SIGNERS_MAX, MEMBERS_MAX};
use crate::rules::{Rule, Rules};
use crate::state::{ProposalState, State};
use crate::text::Line;
use crate::treasury::GroupKey;
use crate::{Height, Weight};
use bitcoin::{OutPoint, ScriptBuf};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A member as a checkpoint has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollMember {
    /// What the others call this member.
    pub name: Line,
    /// Voting weight.
    pub weight: Weight,
    /// Units with a claim on the treasury, but no vote.
    pub claim: Weight,
    /// Where distributions to this member go.
    pub payout: ScriptBuf,
}

/// Where a chain ends for an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Head {
    /// Its last entry's number.
    pub seq: u32,
    /// That entry.
    pub entry: EntryId,
}

/// A decision that goes on in the next epoch: named by its anchor, never by where its lineage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Carried {
    /// The decision.
    pub decision: ProposalId,
    /// Which of its options.
    pub option: u16,
    /// The coin that it named.
    pub anchor: OutPoint,
}

/// The guild between two epochs. Its hash is in the seal transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The guild.
    pub guild: GuildId,
    /// The epoch that begins.
    pub epoch: u32,
    /// The checkpoint before; none for the second epoch, which follows the charter.
    pub previous: Option<Digest>,
    /// The decision that it follows from; none for a renewal.
    pub certificate: Option<Certificate>,
    /// The roll.
    pub roll: BTreeMap<MemberId, RollMember>,
    /// How each class of actions is decided.
    pub rules: Rules,
    /// Who holds shares, in the order of their seats.
    pub co_signers: Vec<MemberId>,
    /// How many of them sign.
    pub threshold: ThresholdRule,
    /// P′.
    pub group_key: GroupKey,
    /// The hash of the key generation that made it.
    pub transcript: Digest,
    /// The height of the cut, announced ahead.
    pub cut: Height,
    /// Where each chain ends for the epochs before.
    pub heads: BTreeMap<MemberId, Head>,
    /// Decisions that are certified and not paid, and live budgets.
    pub carried: BTreeSet<Carried>,
    /// Open proposals that go on.
    pub open: BTreeSet<ProposalId>,
    /// The values of settings, and the decisions that set them.
    pub settings: BTreeMap<SettingKey, (ProposalId, Setting)>,
    /// The coin that exits and distributions by work are paid from, if one is named anew.
    pub guild_anchor: Option<OutPoint>,
}

/// A checkpoint whose seal is K deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What the guild is from then on.
    pub checkpoint: Arc<Checkpoint>,
    /// The height of the block under which the seal is K deep.
    pub height: Height,
}

/// Why a checkpoint cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Bytes that are no checkpoint, or not written in its one canonical way.
    #[error("these bytes are not a checkpoint in canonical form")]
    Malformed,
    /// Too few or too many members.
    #[error("{0} members: a guild has 2 to {MEMBERS_MAX}")]
    Members(usize),
    /// Nobody can vote.
    #[error("the weights of all members are zero")]
    NoWeight,
    /// A co-signer who is not on the roll, or named twice.
    #[error("co-signer {0:?} is not on the roll, or is named twice")]
    CoSigner(MemberId),
    /// t and n do not fit each other.
    #[error("threshold {t} of {n}: 2 ≤ t ≤ n ≤ {CO_SIGNERS_MAX} is needed")]
    Threshold {
        /// Signers needed.
        t: usize,
        /// Co-signers there are.
        n: usize,
    },
    /// A rule out of bounds.
    #[error("{0}")]
    Rule(&'static str),
    /// A change of somebody who is not there.
    #[error("{0:?} is not on the roll")]
    Unknown(MemberId),
}

/// What an epoch change makes of the guild: all that a checkpoint says of people and rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The roll.
    pub roll: BTreeMap<MemberId, RollMember>,
    /// The rules.
    pub rules: Rules,
    /// How many co-signers sign.
    pub threshold: ThresholdRule,
}

impl Next {
    /// What follows from `state` if `change` is carried out; without one, the same again: a renewal. Whoever
    /// left has no weight in either.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Unknown`] if the change names somebody who is not there.
    pub fn of(state: &State, change: Option<&EpochChange>) -> Result<Self, CheckpointError> {
        let member = |key: &MemberId| {
            let member = state.members.get(key)?;
            let (name, payout) = (member.name.clone(), member.payout.clone());
            let claim = if state.has_left(key) { Weight::default() } else { member.claim };
            Some(RollMember { name, weight: state.weight(key), claim, payout })
        };
        let mut roll: BTreeMap<MemberId, RollMember> =
            state.members.keys().filter_map(|key| Some((*key, member(key)?))).collect();
        let mut next = Self { roll: BTreeMap::new(), rules: state.rules.clone(), threshold: state.threshold };
        if let Some(change) = change {
            let gone = change.remove.iter().chain(change.put.iter().filter_map(|put| put.replaces.as_ref()));
            for key in gone {
                roll.remove(key).ok_or(CheckpointError::Unknown(*key))?;
            }
            for put in &change.put {
                let (name, payout) = (put.name.clone(), put.payout.clone());
                roll.insert(put.key, RollMember { name, weight: put.weight, claim: put.claim, payout });
            }
            next.rules = change.rules.clone().unwrap_or(next.rules);
            next.threshold = change.threshold.unwrap_or(next.threshold);
        }
        next.roll = roll;
        Ok(next)
    }
}

/// What goes on across a seal, of all that is certified: payments that are not made, and budgets that are
/// not over at `height`. The rest lapses, and may be certified again.
#[must_use]
pub fn carried(state: &State, height: Height) -> BTreeSet<Carried> {
    let goes_on = |(id, proposal): (&ProposalId, &ProposalState)| {
        let option = proposal.decided()?;
        let anchor = proposal.anchor().filter(|_| proposal.settled.is_none())?;
        let over = matches!(&proposal.proposal.effect, Effect::Budget(budget) if budget.end < height);
        (!over && state.cancelled(id).is_none()).then_some(Carried { decision: *id, option, anchor })
    };
    state.proposals.iter().filter_map(goes_on).collect()
}

/// Whether an open proposal that a checkpoint lists lapses all the same: those who vote had to decide it
/// before the seal was K deep, at `sealed`.
#[must_use]
pub fn lapses(state: &State, proposal: &ProposalState, sealed: Height) -> bool {
    let rule = state.rules.of(proposal.proposal.effect.class());
    let relative = rule.is_some_and(|rule| rule.rule_for(proposal.amount_sat()) == Rule::Relative);
    relative && proposal.decided().is_none() && judged_from(state, proposal.close) <= sealed
}

/// The chain on which the listed head falls short of what a signer had at the cut, if there is one: a head
/// below its own. More than it had is fine. Whether a head is on the same branch is for the document to say.
#[must_use]
pub fn falls_short(listed: &BTreeMap<MemberId, Head>, own: &BTreeMap<MemberId, Head>) -> Option<MemberId> {
    let covers = |author: &MemberId, own: &Head| {
        listed.get(author).is_some_and(|head| head.seq > own.seq || head == own)
    };
    own.iter().find(|(author, own)| !covers(author, own)).map(|(author, _)| *author)
}

impl Checkpoint {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a checkpoint always encodes")
    }

    /// What the seal transaction commits to.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::tagged("hashguild/checkpoint/v1", &[&self.to_bytes()])
    }

    /// Read and check a checkpoint.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] names the first rule that it breaks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let checkpoint: Self = postcard::from_bytes(bytes).map_err(|_| CheckpointError::Malformed)?;
        if checkpoint.to_bytes() != bytes {
            return Err(CheckpointError::Malformed);
        }
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// Check what can be checked without the epoch before.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] names the first rule broken.
    pub fn check(&self) -> Result<(), CheckpointError> {
        if !(2..=MEMBERS_MAX).contains(&self.roll.len()) {
            return Err(CheckpointError::Members(self.roll.len()));
        }
        if Weight::sum(self.roll.values().map(|member| member.weight)) == 0 {
            return Err(CheckpointError::NoWeight);
        }
        let mut seen = BTreeSet::new();
        for key in &self.co_signers {
            if !self.roll.contains_key(key) || !seen.insert(key) {
                return Err(CheckpointError::CoSigner(*key));
            }
        }
        let n = self.co_signers.len();
        let t = self.threshold.of(n);
        if t < 2 || t > n || n > CO_SIGNERS_MAX {
            return Err(CheckpointError::Threshold { t, n });
        }
        let grace = crate::charter::grace(n);
        self.rules.check(n, grace).map_err(|(_, why)| CheckpointError::Rule(why))
    }
}
