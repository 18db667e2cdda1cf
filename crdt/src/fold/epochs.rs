//! Epochs in the fold (§10): what was said up to a checkpoint's heads is judged by the epoch before, and all
//! later words by the one that it begins. Heads cut chains, so nothing outside a checkpoint changes what its
//! epoch decided (E2).

use super::Fold;
use super::judge::place;
use crate::Height;
use crate::certificate::Signature;
use crate::change::Change;
use crate::document::Document;
use crate::entry::{Addresses, Entry, KeyReady, Payload};
use crate::epoch::{Sealed, lapses};
use crate::governance::Effect;
use crate::hash::Digest;
use crate::id::MemberId;
use crate::limits::{ATTEMPTS_MAX, CHECKPOINTS_HELD};
use crate::state::{EpochKey, FIRST_EPOCH, Member, ProposalState};
use crate::succession::{Cut, Past, Rekey, Succession};
use crate::verdict::Ignored;
use std::collections::{BTreeMap, BTreeSet};

impl Fold {
    /// Whether the state went through these epochs. If not, it has to be folded from scratch.
    #[must_use]
    pub fn is_of(&self, epochs: &[Sealed]) -> bool {
        self.epochs == epochs
    }

    /// Apply, epoch by epoch, what their checkpoints end.
    pub(super) fn pass_epochs(&mut self, document: &Document) {
        for sealed in self.epochs.clone() {
            self.mark_forks(document);
            let authors: BTreeSet<MemberId> = document.chains().map(|(author, _)| *author).collect();
            for author in authors {
                let end = sealed.checkpoint.heads.get(&author).map_or(0, |head| head.seq.saturating_add(1));
                self.apply_until(document, &author, end);
            }
            let cut = sealed.checkpoint.cut;
            document.adopted().filter(|said| said.entry().height <= cut).for_each(|said| {
                self.apply(document, said);
            });
            self.agree_on_key(document);
            self.turn(&sealed);
        }
        if !self.epochs.is_empty() {
            self.mark_forks(document);
        }
    }

    /// Note who forked before anything that they said is applied.
    fn mark_forks(&mut self, document: &Document) {
        for (author, member) in &mut self.state.members {
            let chain = document.chain(author);
            member.forked = chain.filter(|chain| chain.fork().is_some()).map(crate::chain::Chain::next_seq);
        }
    }

    /// Apply what `author` said below `end` and is not applied.
    fn apply_until(&mut self, document: &Document, author: &MemberId, end: u32) {
        let Some(chain) = document.chain(author) else { return };
        let applied = self.applied.get(author).copied().unwrap_or_default();
        let until = end.min(chain.next_seq()).max(applied);
        let range = index(applied)..index(until);
        self.applied.insert(*author, until);
        for signed in chain.entries().get(range).unwrap_or_default() {
            self.apply(document, signed);
        }
    }

    /// Whether what `author` did changes what was said in an epoch before this one, or makes us judge it
    /// again: only a fold from scratch tells then.
    pub(super) fn looks_back(&self, document: &Document, author: &MemberId) -> bool {
        if self.epochs.is_empty() {
            return false;
        }
        let Some(chain) = document.chain(author) else { return false };
        let forked = chain.fork().map(|_| chain.next_seq());
        self.state.members.get(author).is_some_and(|member| member.forked != forked)
    }

    /// Fold from scratch at the same block.
    pub(super) fn again(&mut self, document: &Document) {
        let facts = super::ChainFacts {
            height: self.state.height,
            block_hash: self.state.block_hash,
            settled: self.settled.clone(),
            epochs: self.epochs.clone(),
        };
        *self = Self::new(&self.charter, &facts);
        self.catch_up(document);
    }

    /// The next epoch begins.
    fn turn(&mut self, sealed: &Sealed) {
        let checkpoint = &sealed.checkpoint;
        self.close_books(sealed.height, sealed);
        let state = &mut self.state;
        if let Some(key) = &state.key {
            let (group_key, needed) = (key.ready.group_key, state.threshold.of(state.co_signers.len()));
            let co_signers = state.co_signers.clone();
            let signers_needed = u16::try_from(needed).unwrap_or(u16::MAX);
            state.past.insert(state.epoch, Past { group_key, co_signers, signers_needed });
        }
        let made = state.made().find(|made| made.transcript == checkpoint.transcript);
        let attempt = made.map_or(0, |made| made.attempt);
        let next = std::mem::take(&mut state.next);
        state.key = Some(key_of(sealed, state.key.take(), &next, (state.guild, attempt)));
        let before = std::mem::take(&mut state.members);
        let members = checkpoint.roll.iter().map(|(key, put)| {
            let known = before.get(key);
            let addresses = known.map(|member| &member.addresses).or_else(|| next.addresses.get(key));
            let member = Member {
                name: put.name.clone(),
                weight: put.weight,
                claim: put.claim,
                payout: put.payout.clone(),
                accepted: true,
                addresses: addresses.cloned().unwrap_or_else(Addresses::default),
                forked: known.and_then(|member| member.forked),
                paused: known.is_some_and(|member| member.paused),
                delegations: known.map(|member| member.delegations.clone()).unwrap_or_default(),
            };
            (*key, member)
        });
        state.members = members.collect();
        state.co_signers.clone_from(&checkpoint.co_signers);
        state.epoch = checkpoint.epoch;
        state.threshold = checkpoint.threshold;
        state.rules = checkpoint.rules.clone();
        state.echoes.clear();
        state.key_ready.clear();
        state.attempts.clear();
        self.proofs.clear();
        self.exit_ids.extend(
            self.state
                .members
                .keys()
                .map(|member| (crate::governance::exit_id(self.state.guild, member), *member)),
        );
        self.changes.push(Change::Epoch(checkpoint.epoch));
    }

    /// What is not taken along lapses.
    fn close_books(&mut self, height: Height, sealed: &Sealed) {
        let checkpoint = &sealed.checkpoint;
        let carried: BTreeSet<_> = checkpoint.carried.iter().map(|carried| carried.decision).collect();
        let late: BTreeSet<_> = self
            .state
            .proposals
            .iter()
            .filter(|(_, proposal)| lapses(&self.state, proposal, height))
            .map(|(id, _)| *id)
            .collect();
        for (id, proposal) in &mut self.state.proposals {
            let goes_on = match &proposal.proposal.effect {
                Effect::Epoch(_) => checkpoint.certificate.as_ref().is_some_and(|of| of.body.proposal == *id),
                _ if proposal.settled.is_some() || proposal.withdrawn => true,
                _ if proposal.decided().is_some() => proposal.anchor().is_none() || carried.contains(id),
                _ => checkpoint.open.contains(id) && !late.contains(id),
            };
            if !goes_on {
                lapse(proposal);
            }
        }
    }

    /// Whether this member's word on a key generation counts, as far as it alone tells.
    pub(super) fn may_make(&self, author: &MemberId, (epoch, attempt): (u32, u32)) -> Result<(), Ignored> {
        if epoch == FIRST_EPOCH && self.state.epoch == FIRST_EPOCH {
            return self.candidate(author);
        }
        let fits = epoch == self.state.epoch.saturating_add(1) && attempt <= ATTEMPTS_MAX;
        if fits { Ok(()) } else { Err(Ignored::Epoch(epoch)) }
    }

    /// What somebody says who is not on the roll: a candidate, or a member of the past.
    pub(super) fn candidate_says(&mut self, entry: &Entry) -> Result<(), Ignored> {
        match &entry.payload {
            Payload::Reachable(addresses) => {
                self.state.next.addresses.insert(entry.author, addresses.clone());
                self.changes.push(Change::Moved(entry.author));
                Ok(())
            }
            Payload::DkgEcho { epoch, attempt, round1 } => self.echo(entry, (*epoch, *attempt), *round1),
            Payload::KeyReady(ready) => self.stored(entry, ready),
            Payload::KeyTest { epoch, signature } => self.key_test(entry, *epoch, signature),
            Payload::Rekey(rekey) => self.rekey(entry, rekey),
            Payload::Holds { checkpoint } => {
                self.holds(entry, *checkpoint);
                Ok(())
            }
            _ => Err(Ignored::NotAMember),
        }
    }

    /// Somebody calls or joins a key generation for the next epoch.
    pub(super) fn rekey(&mut self, entry: &Entry, rekey: &Rekey) -> Result<(), Ignored> {
        let (epoch, attempt) = (rekey.attempt.epoch, rekey.attempt.attempt);
        self.next_epoch(epoch)?;
        if !(1..=ATTEMPTS_MAX).contains(&attempt) {
            return Err(Ignored::BadAttempt);
        }
        let all = self.state.next.rekeys.entry(attempt).or_default();
        if all.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        all.insert(entry.author, (entry.height, rekey.clone()));
        self.changes.push(Change::Succession(entry.author));
        Ok(())
    }

    pub(super) fn next_test(&mut self, entry: &Entry, signature: &Signature) -> Result<(), Ignored> {
        self.state.next.tests.insert(place(entry), signature.clone());
        self.changes.push(Change::Succession(entry.author));
        Ok(())
    }

    pub(super) fn cut(&mut self, entry: &Entry, cut: &Cut) -> Result<(), Ignored> {
        self.state.next.cuts.insert(place(entry), (entry.height, *cut));
        self.changes.push(Change::Succession(entry.author));
        Ok(())
    }

    pub(super) fn holds(&mut self, entry: &Entry, checkpoint: Digest) {
        let holders = &mut self.state.next.holders;
        let mine = holders.values().filter(|holders| holders.contains(&entry.author)).count();
        if mine < CHECKPOINTS_HELD {
            holders.entry(checkpoint).or_default().insert(entry.author);
            self.changes.push(Change::Succession(entry.author));
        }
    }

    fn next_epoch(&self, epoch: u32) -> Result<(), Ignored> {
        if epoch == self.state.epoch.saturating_add(1) { Ok(()) } else { Err(Ignored::Epoch(epoch)) }
    }
}

/// The key of the epoch that begins, with the tests that were shown so far.
fn key_of(
    sealed: &Sealed,
    before: Option<EpochKey>,
    next: &Succession,
    (guild, attempt): (crate::GuildId, u32),
) -> EpochKey {
    let checkpoint = &sealed.checkpoint;
    let kept = before.clone().filter(|key| key.ready.group_key == checkpoint.group_key);
    if let Some(key) = kept {
        return key;
    }
    let digest = crate::certificate::key_test_digest(guild, checkpoint.epoch, checkpoint.transcript);
    let tests = next.tests.iter().filter(|(_, test)| test.verifies(digest, checkpoint.group_key));
    let tests: BTreeMap<MemberId, Signature> =
        tests.map(|((author, _), test)| (*author, test.clone())).collect();
    let ready = KeyReady {
        epoch: checkpoint.epoch,
        attempt,
        group_key: checkpoint.group_key,
        transcript: checkpoint.transcript,
    };
    EpochKey { ready, tests, founding: before.map(|key| key.founding).unwrap_or_default() }
}

fn lapse(proposal: &mut ProposalState) {
    proposal.lapsed = true;
    if !matches!(proposal.proposal.effect, Effect::Epoch(_)) {
        proposal.certificates.clear();
    }
}

fn index(seq: u32) -> usize {
    usize::try_from(seq).unwrap_or(usize::MAX)
}
