//! From what was said to what it means: total, deterministic, the same in any order (§5).
//!
//! A [`Fold`] follows a growing document entry by entry. Entries of one author are applied in their order;
//! what different authors say meets only in places that have an order of their own (maps by author, the
//! smallest of several signatures), and an entry that names a proposal nobody has yet waits for it. So a
//! fold that followed a document and one from scratch have the same state, and a vote costs a vote.
//!
//! Only two things make it look back: an author who forks is forgotten and said again up to the fork, and
//! proofs are checked again when the key changes.

mod epochs;
mod judge;
mod key;
mod said;

use crate::Height;
use crate::change::Change;
use crate::charter::Charter;
use crate::document::Document;
use crate::entry::{Addresses, Payload};
use crate::epoch::Sealed;
use crate::governance::{Effect, exit_id};
use crate::id::{EntryId, MemberId, ProposalId};
use crate::signed::Signed;
use crate::state::{EpochKey, FIRST_EPOCH, Member, Settled, State};
use crate::succession::Succession;
use crate::verdict::{Ignored, Verdict};
use bitcoin::BlockHash;
use std::collections::{BTreeMap, BTreeSet};

/// What the fold knows of the chain: only what is buried ≥ K under [`ChainFacts::height`], apart from
/// the block that names the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFacts {
    /// B.
    pub height: Height,
    /// The block at B.
    pub block_hash: BlockHash,
    /// Decisions whose lineage ended ≥ K deep.
    pub settled: BTreeMap<ProposalId, Settled>,
    /// The epochs after the first whose seal is K deep, in order, as far as their checkpoints and all that
    /// these end is here.
    pub epochs: Vec<Sealed>,
}

/// The state, and what became of every entry.
#[derive(Debug, Clone)]
pub struct Folded {
    /// The replicated state.
    pub state: State,
    /// The verdict on each entry of the document.
    pub verdicts: BTreeMap<EntryId, Verdict>,
}

/// An entry's place: its author and its number in the author's chain.
type Place = (MemberId, u32);

/// The state of a document, kept up to date.
#[derive(Debug, Clone)]
pub struct Fold {
    charter: Charter,
    state: State,
    settled: BTreeMap<ProposalId, Settled>,
    /// The epochs that the state went through.
    epochs: Vec<Sealed>,
    /// Entries of each author that are in the state.
    applied: BTreeMap<MemberId, u32>,
    /// The ids that members' exits go by.
    exit_ids: BTreeMap<ProposalId, MemberId>,
    /// Entries that name a proposal nobody has.
    waiting: BTreeMap<ProposalId, BTreeSet<Place>>,
    /// Signatures of the group that were shown: to be checked again if the key changes.
    proofs: BTreeSet<Place>,
    /// What became of each entry, if somebody wants to know: the state does not need it.
    verdicts: Option<BTreeMap<EntryId, Verdict>>,
    changes: Vec<Change>,
}

/// Fold `document` under `charter` at the block that `facts` name, from scratch.
#[must_use]
pub fn fold(charter: &Charter, document: &Document, facts: &ChainFacts) -> Folded {
    let mut fold = Fold::new(charter, facts);
    fold.verdicts = Some(BTreeMap::new());
    fold.catch_up(document);
    for fork in document.chains().filter_map(|(_, chain)| chain.fork()) {
        for signed in [&fork.low, &fork.high] {
            if !document.counts(signed.id()) {
                fold.record(signed.id(), Err(Ignored::Forked));
            }
        }
    }
    Folded { state: fold.state, verdicts: fold.verdicts.unwrap_or_default() }
}

/// What became of the entry `id` in `document`, and why. None if it is not there.
#[must_use]
pub fn explain(charter: &Charter, document: &Document, facts: &ChainFacts, id: EntryId) -> Option<Verdict> {
    let signed = document.find(id)?;
    if !document.counts(id) {
        return Some(Verdict::Ignored(Ignored::Forked));
    }
    let subject = subject(signed);
    let mut fold = Fold::new(charter, facts);
    fold.verdicts = Some(BTreeMap::new());
    if !facts.epochs.is_empty() {
        fold.catch_up(document);
        return fold.verdicts.unwrap_or_default().remove(&id);
    }
    let standing = document.chains().flat_map(|(_, chain)| chain.entries());
    for said in standing.chain(document.adopted()) {
        let about = self::subject(said);
        if about.is_none() || about == subject {
            fold.apply(document, said);
        }
    }
    fold.verdicts.unwrap_or_default().remove(&id)
}

/// The proposal that an entry is about. What others say of it, and the key, decide what becomes of it.
fn subject(signed: &Signed) -> Option<ProposalId> {
    match &signed.entry().payload {
        Payload::Propose(_) => Some(signed.id().into()),
        Payload::Ballot(ballot) => Some(ballot.proposal),
        Payload::Withdraw { proposal } | Payload::Comment { proposal, .. } => Some(*proposal),
        Payload::Certificate(certificate) => Some(certificate.body.proposal),
        Payload::Disburse(draw) => Some(draw.budget),
        _ => None,
    }
}

impl Fold {
    /// The state of an empty document of `charter`'s guild.
    #[must_use]
    pub fn new(charter: &Charter, facts: &ChainFacts) -> Self {
        let guild = charter.id();
        let members = charter.founders.iter().map(|founder| founder.key);
        let exit_ids = members.map(|member| (exit_id(guild, &member), member));
        Self {
            charter: charter.clone(),
            state: initial(charter, facts),
            settled: facts.settled.clone(),
            epochs: facts.epochs.clone(),
            applied: BTreeMap::new(),
            exit_ids: exit_ids.collect(),
            waiting: BTreeMap::new(),
            proofs: BTreeSet::new(),
            verdicts: None,
            changes: Vec::new(),
        }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Take in all that `document` holds.
    pub fn catch_up(&mut self, document: &Document) {
        self.pass_epochs(document);
        for author in document.chains().map(|(author, _)| *author).collect::<Vec<_>>() {
            self.follow_author(document, &author);
        }
        self.changes.clear();
    }

    /// Take in what changed in `document` for `authors` (see [`Document::take_touched`]), and say what that
    /// changed here.
    pub fn follow(
        &mut self,
        document: &Document,
        authors: impl IntoIterator<Item = MemberId>,
    ) -> Vec<Change> {
        for author in authors {
            if self.looks_back(document, &author) {
                self.again(document);
                self.changes.push(Change::Forked(author));
                break;
            }
            self.follow_author(document, &author);
        }
        std::mem::take(&mut self.changes)
    }

    /// Move to another block: heights, and decisions whose lineage ended. Epochs are another matter: see
    /// [`Fold::is_of`].
    pub fn at(&mut self, facts: &ChainFacts) -> Vec<Change> {
        self.state.height = facts.height;
        self.state.block_hash = facts.block_hash;
        let changed = self.settled.keys().chain(facts.settled.keys()).copied();
        let changed: BTreeSet<ProposalId> =
            changed.filter(|id| self.settled.get(id) != facts.settled.get(id)).collect();
        self.settled.clone_from(&facts.settled);
        for id in changed {
            if let Some(proposal) = self.state.proposals.get_mut(&id) {
                proposal.settled = self.settled.get(&id).cloned();
                self.changes.push(Change::Settled(id));
            }
        }
        std::mem::take(&mut self.changes)
    }

    fn follow_author(&mut self, document: &Document, author: &MemberId) {
        let Some(chain) = document.chain(author) else { return };
        let forked = chain.fork().map(|_| chain.next_seq());
        let known = self.state.members.get(author).map(|member| member.forked);
        let cut = known.is_some_and(|known| known != forked);
        if cut {
            self.forget(author, forked);
        }
        let told = self.changes.len();
        let applied = self.applied.insert(*author, chain.next_seq()).unwrap_or_default();
        for signed in chain.entries().iter().skip(usize::try_from(applied).unwrap_or(usize::MAX)) {
            self.apply(document, signed);
        }
        if cut {
            self.changes.truncate(told); // said before
        }
        if forked.is_some() {
            let adopted = document.adopted().filter(|signed| signed.entry().author == *author);
            adopted.for_each(|signed| self.apply(document, signed));
            self.drop_lost(document, author);
            self.agree_on_key(document);
        }
    }

    fn apply(&mut self, document: &Document, signed: &Signed) {
        let outcome = self.judge(document, signed);
        self.record(signed.id(), outcome);
    }

    fn record(&mut self, id: EntryId, outcome: Result<(), Ignored>) {
        if let Some(verdicts) = &mut self.verdicts {
            verdicts.insert(id, outcome.map_or_else(Verdict::Ignored, |()| Verdict::Applied));
        }
    }

    /// Judge again the entries at `places`.
    fn apply_again(&mut self, document: &Document, places: BTreeSet<Place>) {
        for (author, seq) in places {
            let chain = document.chain(&author);
            let entries = chain.and_then(|chain| chain.entries().get(usize::try_from(seq).ok()?));
            if let Some(signed) = entries {
                self.apply(document, signed);
            }
        }
    }

    /// Take out all that `author` said but its proposals: others may have voted on them. Those that fell with its
    /// chain go by [`Self::drop_lost`].
    fn forget(&mut self, author: &MemberId, forked: Option<u32>) {
        let state = &mut self.state;
        if let Some(member) = state.members.get_mut(author) {
            member.accepted = false;
            member.addresses = Addresses::default();
            member.forked = forked;
            member.paused = false;
            member.delegations.clear();
        }
        state.guests.retain(|_, invites| {
            invites.remove(author);
            !invites.is_empty()
        });
        state.echoes.retain(|_, echoes| {
            echoes.remove(author);
            !echoes.is_empty()
        });
        state.key_ready.retain(|_, ready| {
            ready.remove(author);
            !ready.is_empty()
        });
        state.attempts.retain(|_, attempts| {
            attempts.remove(author);
            !attempts.is_empty()
        });
        state.next.forget(author);
        if let Some(key) = &mut state.key {
            key.tests.remove(author);
            key.founding.remove(author);
        }
        for proposal in state.proposals.values_mut() {
            proposal.ballots.remove(author);
            proposal.earlier.remove(author);
            proposal.certificates.retain(|(_, shower), _| shower != author);
            proposal.comments.retain(|(commenter, _), _| commenter != author);
            proposal.draws.retain(|(drawer, _), _| drawer != author);
            proposal.withdrawn &= proposal.author != *author;
        }
        state.statements.retain(|_, statements| {
            statements.remove(author);
            !statements.is_empty()
        });
        state.exits.retain(|member, exit| {
            exit.certificates.remove(author);
            if member == author {
                exit.claims.clear();
            }
            !(exit.claims.is_empty() && exit.certificates.is_empty())
        });
        self.waiting.values_mut().for_each(|places| places.retain(|(waiting, _)| waiting != author));
        self.waiting.retain(|_, places| !places.is_empty());
        self.proofs.retain(|(prover, _)| prover != author);
        self.applied.remove(author);
        self.changes.push(Change::Forked(*author));
    }

    /// Proposals of `author` that fell with its chain are gone; what others said of them waits again.
    fn drop_lost(&mut self, document: &Document, author: &MemberId) {
        let lost = self
            .state
            .proposals
            .iter()
            .filter(|(id, proposal)| proposal.author == *author && !document.counts(EntryId(id.0)));
        for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(gone) = self.state.proposals.remove(&id) else { continue };
            if let Effect::Cancel(target) = &gone.proposal.effect
                && let Some(vetoes) = self.state.cancels.get_mut(target)
            {
                vetoes.remove(&id);
                self.state.cancels.retain(|_, vetoes| !vetoes.is_empty());
            }
            let places = gone.comments.into_keys().chain(gone.draws.into_keys());
            self.waiting.entry(id).or_default().extend(places);
        }
    }

    /// Find the key that the co-signers agree on. If it is another one, what was signed is checked again.
    fn agree_on_key(&mut self, document: &Document) {
        if self.state.epoch != FIRST_EPOCH {
            return; // the checkpoint names it
        }
        let agreed = self.agreed_key();
        if self.state.key.as_ref().map(|key| &key.ready) == agreed.as_ref() {
            return;
        }
        let seats = agreed.as_ref().map_or_else(Vec::new, |ready| self.seats_of(ready));
        self.state.co_signers = if seats.is_empty() { self.charter.co_signers.clone() } else { seats };
        self.state.key =
            agreed.map(|ready| EpochKey { ready, tests: BTreeMap::new(), founding: BTreeMap::new() });
        self.state.proposals.values_mut().for_each(|proposal| proposal.certificates.clear());
        self.state.exits.values_mut().for_each(|exit| exit.certificates.clear());
        self.changes.push(Change::Key);
        let proofs = std::mem::take(&mut self.proofs);
        self.apply_again(document, proofs);
    }
}

fn initial(charter: &Charter, facts: &ChainFacts) -> State {
    let members = charter.founders.iter().map(|founder| {
        let member = Member {
            name: founder.name.clone(),
            weight: founder.weight,
            claim: founder.claim,
            payout: founder.payout.clone(),
            accepted: false,
            addresses: Addresses::default(),
            forked: None,
            paused: false,
            delegations: Vec::new(),
        };
        (founder.key, member)
    });
    State {
        guild: charter.id(),
        height: facts.height,
        block_hash: facts.block_hash,
        members: members.collect(),
        co_signers: charter.co_signers.clone(),
        epoch: FIRST_EPOCH,
        threshold: charter.threshold,
        rules: charter.rules.clone(),
        guests: BTreeMap::new(),
        echoes: BTreeMap::new(),
        key_ready: BTreeMap::new(),
        key: None,
        attempts: BTreeMap::new(),
        next: Succession::default(),
        past: BTreeMap::new(),
        proposals: BTreeMap::new(),
        statements: BTreeMap::new(),
        exits: BTreeMap::new(),
        cancels: BTreeMap::new(),
    }
}
