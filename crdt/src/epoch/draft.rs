//! From a document and where it is cut to the checkpoint that follows: worked out by whoever drafts one, and
//! again by everybody who is to sign its seal or to live under it.

use super::{Carried, Checkpoint, CheckpointError, Head, Next, carried, falls_short};
use crate::charter::Charter;
use crate::document::Document;
use crate::fold::{ChainFacts, fold};
use crate::governance::{Class, Setting, SettingKey};
use crate::hash::Digest;
use crate::id::{MemberId, ProposalId};
use crate::limits::WINDOW;
use crate::state::{ProposalState, State};
use crate::succession::Made;
use crate::{Height, chain};
use std::collections::{BTreeMap, BTreeSet};

/// What a checkpoint is made of, besides what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Whose keys, by which decision.
    pub made: Made,
    /// The height of the cut.
    pub cut: Height,
    /// Where the chains end.
    pub heads: BTreeMap<MemberId, Head>,
    /// The checkpoint before.
    pub previous: Option<Digest>,
    /// The coin that exits and distributions by work are paid from, if one was named.
    pub guild_anchor: Option<bitcoin::OutPoint>,
}

/// Why a checkpoint does not follow from what is here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFit {
    /// It breaks a rule by itself.
    #[error(transparent)]
    Broken(#[from] CheckpointError),
    /// Entries that it ends are not here.
    #[error("entries up to its heads are missing here")]
    Missing,
    /// It cuts off something that was here when the cut was due.
    #[error("it cuts off what {0:?} had said before the cut")]
    Short(MemberId),
    /// Nothing that is certified and not vetoed leads to it.
    #[error("no certified change leads to it")]
    Change,
    /// Its key is not one that its co-signers made and tested for this change.
    #[error("its key was not made and tested for this change")]
    Key,
    /// A decision that is not paid would be lost.
    #[error("it leaves out the decision {}", .0.short())]
    LeavesOut(ProposalId),
    /// A decision that nobody certified would be carried.
    #[error("it carries {}, which is not certified", .0.short())]
    Carries(ProposalId),
    /// Something else is not what follows.
    #[error("its {0} are not what follows from what was said")]
    Differs(&'static str),
}

/// Where every chain that stands ends now.
#[must_use]
pub fn heads(document: &Document) -> BTreeMap<MemberId, Head> {
    let head = |chain: &chain::Chain| {
        chain.head().map(|signed| Head { seq: signed.entry().seq, entry: signed.id() })
    };
    document.chains().filter_map(|(author, chain)| Some((*author, head(chain)?))).collect()
}

/// The state of what was said up to `heads`, at the height of the cut.
#[must_use]
pub fn at_heads(
    charter: &Charter,
    document: &Document,
    facts: &ChainFacts,
    heads: &BTreeMap<MemberId, Head>,
) -> State {
    let within = document.only(|entry| heads.get(&entry.author).is_some_and(|head| entry.seq <= head.seq));
    fold(charter, &within, facts).state
}

impl Plan {
    /// The checkpoint that follows from `state`, which is [`at_heads`].
    ///
    /// # Errors
    ///
    /// [`NotFit`] if the change or its key do not stand in that state.
    pub fn draft(self, state: &State) -> Result<Checkpoint, NotFit> {
        let change = self.made.change;
        let (_, effect) = state.changes().find(|(id, _)| *id == change).ok_or(NotFit::Change)?;
        if !state.made_for(change).contains(&self.made) {
            return Err(NotFit::Key);
        }
        let next = Next::of(state, Some(effect))?;
        let certificate = state.proposals.get(&change).and_then(ProposalState::certificate).cloned();
        let checkpoint = Checkpoint {
            guild: state.guild,
            epoch: state.epoch.saturating_add(1),
            previous: self.previous,
            certificate,
            roll: next.roll,
            rules: next.rules,
            co_signers: self.made.co_signers,
            threshold: next.threshold,
            group_key: self.made.group_key,
            transcript: self.made.transcript,
            cut: self.cut,
            heads: self.heads,
            carried: carried(state, self.cut),
            open: open(state, self.cut),
            settings: settings(state),
            guild_anchor: self.guild_anchor,
        };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// What a checkpoint says it is made of.
    fn of(checkpoint: &Checkpoint) -> Option<Self> {
        let change = checkpoint.certificate.as_ref()?.body.proposal;
        let made = Made {
            change,
            attempt: 0,
            group_key: checkpoint.group_key,
            transcript: checkpoint.transcript,
            co_signers: checkpoint.co_signers.clone(),
        };
        let (cut, heads) = (checkpoint.cut, checkpoint.heads.clone());
        let (previous, guild_anchor) = (checkpoint.previous, checkpoint.guild_anchor);
        Some(Self { made, cut, heads, previous, guild_anchor })
    }
}

/// Whether `checkpoint` follows from `document`. `facts` are of the judging node's own chain; `at_cut` is what
/// it had when the cut was due, if it was there; `before` the checkpoint of the present epoch.
///
/// # Errors
///
/// [`NotFit`] names the first thing that does not.
pub fn judge(
    checkpoint: &Checkpoint,
    (charter, document, facts): (&Charter, &Document, &ChainFacts),
    at_cut: Option<&BTreeMap<MemberId, Head>>,
    before: Option<&Checkpoint>,
) -> Result<(), NotFit> {
    if !document.reaches(&checkpoint.heads) {
        return Err(NotFit::Missing);
    }
    if let Some(author) = at_cut.and_then(|own| falls_short(&checkpoint.heads, own)) {
        return Err(NotFit::Short(author));
    }
    if checkpoint.previous != before.map(Checkpoint::hash) {
        return Err(NotFit::Differs("predecessors"));
    }
    if checkpoint.guild_anchor != before.and_then(|before| before.guild_anchor) {
        return Err(NotFit::Differs("guild anchors"));
    }
    let state = at_heads(charter, document, facts, &checkpoint.heads);
    let mut plan = Plan::of(checkpoint).ok_or(NotFit::Change)?;
    let made = state.made_for(plan.made.change).into_iter();
    let made = made.filter(|made| made.transcript == plan.made.transcript);
    plan.made = made.max_by_key(|made| made.attempt).ok_or(NotFit::Key)?;
    if !state.cuts(plan.made.change, plan.made.attempt).contains(&checkpoint.cut) {
        return Err(NotFit::Differs("cuts"));
    }
    let expected = plan.draft(&state)?;
    if let Some(lost) = expected.carried.difference(&checkpoint.carried).next() {
        return Err(NotFit::LeavesOut(lost.decision));
    }
    if let Some(foreign) = checkpoint.carried.difference(&all_decided(&state)).next() {
        return Err(NotFit::Carries(foreign.decision));
    }
    // Whether something is paid is told by the chain, which we may see at another block: to carry it on does
    // no harm, and to leave it out was refused above.
    let same = Checkpoint { carried: checkpoint.carried.clone(), ..expected };
    differs(&same, checkpoint).map_or(Ok(()), |what| Err(NotFit::Differs(what)))
}

/// The first part in which two checkpoints of one change differ.
fn differs(one: &Checkpoint, other: &Checkpoint) -> Option<&'static str> {
    let parts = [
        (one.roll == other.roll, "members"),
        (one.rules == other.rules && one.threshold == other.threshold, "rules"),
        (one.co_signers == other.co_signers, "co-signers"),
        (one.open == other.open, "open proposals"),
        (one.settings == other.settings, "settings"),
        (one == other, "other parts"),
    ];
    parts.iter().find(|(same, _)| !same).map(|(_, what)| *what)
}

/// Open proposals that go on: the guild's own shape does not, since it is another one now.
fn open(state: &State, cut: Height) -> BTreeSet<ProposalId> {
    let goes_on = |proposal: &&ProposalState| {
        let undecided = proposal.decided().is_none() && !proposal.withdrawn && !proposal.lapsed;
        let in_time = proposal.close.saturating_add(WINDOW) >= cut;
        undecided && in_time && proposal.settled.is_none() && proposal.proposal.effect.class() != Class::Epoch
    };
    state.proposals.iter().filter(|(_, proposal)| goes_on(proposal)).map(|(id, _)| *id).collect()
}

fn settings(state: &State) -> BTreeMap<SettingKey, (ProposalId, Setting)> {
    let all = state.proposals.values().filter_map(|proposal| Some(proposal.setting()?.key()));
    let keys: BTreeSet<SettingKey> = all.collect();
    let values = keys.into_iter().filter_map(|key| {
        let (id, _, setting) = state.setting(&key)?;
        Some((key, (id, setting.clone())))
    });
    values.collect()
}

/// Everything that is certified and names an anchor, paid or not.
fn all_decided(state: &State) -> BTreeSet<Carried> {
    let decided = state.proposals.iter().filter_map(|(id, proposal)| {
        Some(Carried { decision: *id, option: proposal.decided()?, anchor: proposal.anchor()? })
    });
    decided.collect()
}
