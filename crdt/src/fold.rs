//! From what was said to what it means: total, deterministic, the same in any order (§5).
//!
//! Entries are taken kind by kind, each kind in the order of author and sequence: what a later kind
//! refers to is complete when it is reached, so no rule depends on who was heard first.

use crate::certificate::{Certificate, CertificateError, Signature, key_test_digest};
use crate::chain::Chain;
use crate::charter::Charter;
use crate::document::Document;
use crate::entry::{Entry, KeyReady, Payload};
use crate::governance::{Ballot, Choice, Effect, Proposal};
use crate::hash::Digest;
use crate::id::{EntryId, MemberId, ProposalId};
use crate::signed::Signed;
use crate::state::{Comment, EpochKey, HeldBallot, Member, ProposalState, Settled, State};
use crate::verdict::{Ignored, Verdict};
use crate::{Height, limits};
use bitcoin::BlockHash;
use std::collections::BTreeMap;

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
}

/// The state, and what became of every entry.
#[derive(Debug, Clone)]
pub struct Folded {
    /// The replicated state.
    pub state: State,
    /// The verdict on each entry of the document.
    pub verdicts: BTreeMap<EntryId, Verdict>,
}

/// Fold `document` under `charter` at the block that `facts` name.
#[must_use]
pub fn fold(charter: &Charter, document: &Document, facts: &ChainFacts) -> Folded {
    let mut fold = Fold { state: initial(charter, facts), verdicts: BTreeMap::new(), charter };
    let kinds: [Kind<'_>; 5] = [Fold::roll, Fold::propose, Fold::vote, Fold::key, Fold::certify];
    for kind in kinds {
        for signed in document.chains().flat_map(|(_, chain)| chain.entries()) {
            if let Some(outcome) = kind(&mut fold, signed) {
                let verdict = outcome.map_or_else(Verdict::Ignored, |()| Verdict::Applied);
                fold.verdicts.insert(signed.id(), verdict);
            }
        }
    }
    for fork in document.chains().filter_map(|(_, chain)| Chain::fork(chain)) {
        for signed in [&fork.low, &fork.high] {
            fold.verdicts.insert(signed.id(), Verdict::Ignored(Ignored::Forked));
        }
    }
    for (id, settled) in &facts.settled {
        if let Some(proposal) = fold.state.proposals.get_mut(id) {
            proposal.settled = Some(settled.clone());
        }
    }
    Folded { state: fold.state, verdicts: fold.verdicts }
}

fn initial(charter: &Charter, facts: &ChainFacts) -> State {
    let members = charter.founders.iter().map(|founder| {
        let member = Member {
            name: founder.name.clone(),
            weight: founder.weight,
            payout: founder.payout.clone(),
            accepted: false,
            addresses: crate::entry::Addresses::default(),
        };
        (founder.key, member)
    });
    State {
        guild: charter.id(),
        height: facts.height,
        block_hash: facts.block_hash,
        members: members.collect(),
        co_signers: charter.co_signers.clone(),
        spend_rule: charter.spend.clone(),
        guests: BTreeMap::new(),
        echoes: BTreeMap::new(),
        key_ready: BTreeMap::new(),
        key: None,
        proposals: BTreeMap::new(),
    }
}

/// One pass over all entries: none for an entry of another kind.
type Kind<'a> = fn(&mut Fold<'a>, &Signed) -> Option<Result<(), Ignored>>;

struct Fold<'a> {
    state: State,
    verdicts: BTreeMap<EntryId, Verdict>,
    charter: &'a Charter,
}

impl Fold<'_> {
    fn roll(&mut self, signed: &Signed) -> Option<Result<(), Ignored>> {
        let entry = signed.entry();
        let member = self.state.members.get_mut(&entry.author)?;
        match &entry.payload {
            Payload::Accept => member.accepted = true,
            Payload::Reachable(addresses) => member.addresses = addresses.clone(),
            Payload::Invite(invite) if invite.expiry > entry.height.saturating_add(limits::INVITE_MAX) => {
                return Some(Err(Ignored::LongInvite));
            }
            Payload::Invite(invite) => {
                let known = self.state.guests.entry(invite.guest).or_insert_with(|| invite.clone());
                if known.expiry < invite.expiry {
                    *known = invite.clone();
                }
            }
            Payload::DkgEcho { epoch, attempt, round1 } => {
                return Some(self.echo(entry, (*epoch, *attempt), *round1));
            }
            Payload::KeyReady(ready) => return Some(self.key_ready(entry, ready)),
            Payload::Edit(_) => {} // what it changes is no part of the state: see `crdt::workspace`
            _ => return None,
        }
        Some(Ok(()))
    }

    fn co_signer(&self, member: &MemberId) -> Result<(), Ignored> {
        let known = self.state.co_signers.contains(member);
        if known { Ok(()) } else { Err(Ignored::NotACoSigner(*member)) }
    }

    fn echo(&mut self, entry: &Entry, attempt: (u32, u32), round1: Digest) -> Result<(), Ignored> {
        self.co_signer(&entry.author)?;
        let echoes = self.state.echoes.entry(attempt).or_default();
        if echoes.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        echoes.insert(entry.author, round1);
        Ok(())
    }

    fn key_ready(&mut self, entry: &Entry, ready: &KeyReady) -> Result<(), Ignored> {
        self.co_signer(&entry.author)?;
        let all = self.state.key_ready.entry((ready.epoch, ready.attempt)).or_default();
        if all.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        all.insert(entry.author, ready.clone());
        let agreed = all.len() == self.state.co_signers.len() && all.values().all(|other| other == ready);
        let newer = self.state.key.as_ref().is_none_or(|key| key.ready.attempt < ready.attempt);
        if agreed && ready.epoch == 1 && newer {
            self.state.key = Some(EpochKey { ready: ready.clone(), tested: None, founding: None });
        }
        Ok(())
    }

    fn propose(&mut self, signed: &Signed) -> Option<Result<(), Ignored>> {
        let Payload::Propose(proposal) = &signed.entry().payload else { return None };
        Some(self.open(signed, proposal))
    }

    fn open(&mut self, signed: &Signed, proposal: &Proposal) -> Result<(), Ignored> {
        let Effect::Spend(spend) = &proposal.effect;
        spend.check().map_err(Ignored::Spend)?;
        let entry = signed.entry();
        let state = ProposalState {
            author: entry.author,
            height: entry.height,
            close: entry.height.saturating_add(self.charter.spend.period),
            proposal: proposal.clone(),
            ballots: BTreeMap::new(),
            comments: Vec::new(),
            withdrawn: false,
            certificate: None,
            settled: None,
        };
        self.state.proposals.insert(signed.id().into(), state);
        Ok(())
    }

    fn vote(&mut self, signed: &Signed) -> Option<Result<(), Ignored>> {
        let entry = signed.entry();
        match &entry.payload {
            Payload::Ballot(ballot) => Some(self.ballot(signed, ballot)),
            Payload::Withdraw { proposal } => Some(self.withdraw(entry.author, proposal)),
            Payload::Comment { proposal, text } => Some(self.proposal(proposal).map(|state| {
                let comment = Comment { author: entry.author, height: entry.height, text: text.clone() };
                state.comments.push(comment);
            })),
            _ => None,
        }
    }

    fn proposal(&mut self, id: &ProposalId) -> Result<&mut ProposalState, Ignored> {
        self.state.proposals.get_mut(id).ok_or(Ignored::NoProposal(*id))
    }

    fn ballot(&mut self, signed: &Signed, ballot: &Ballot) -> Result<(), Ignored> {
        let entry = signed.entry();
        let proposal = self.proposal(&ballot.proposal)?;
        let decisive = ballot.last && ballot.choice == Choice::Yes;
        let late = entry.height > proposal.close;
        if proposal.ballots.get(&entry.author).is_some_and(|held| held.last) {
            return Err(Ignored::AlreadyFinal);
        }
        if late && !decisive || entry.height > proposal.close.saturating_add(limits::WINDOW) {
            return Err(Ignored::AfterClose(proposal.close));
        }
        let held = HeldBallot {
            entry: signed.id(),
            choice: ballot.choice,
            last: ballot.last,
            height: entry.height,
            reason: ballot.reason.clone(),
        };
        proposal.ballots.insert(entry.author, held);
        Ok(())
    }

    fn withdraw(&mut self, author: MemberId, id: &ProposalId) -> Result<(), Ignored> {
        let proposal = self.proposal(id)?;
        if proposal.author != author {
            return Err(Ignored::NotTheProposer(proposal.author));
        }
        proposal.withdrawn = true;
        Ok(())
    }

    /// Anybody may show a test signature: it proves itself. The smallest is kept, so that order is nothing.
    fn key(&mut self, signed: &Signed) -> Option<Result<(), Ignored>> {
        let Payload::KeyTest { epoch, signature } = &signed.entry().payload else { return None };
        Some(self.key_test(*epoch, signature))
    }

    fn key_test(&mut self, epoch: u32, signature: &Signature) -> Result<(), Ignored> {
        let guild = self.state.guild;
        let key = self.state.key.as_mut().filter(|key| key.ready.epoch == epoch).ok_or(Ignored::NoKey)?;
        let digest = key_test_digest(guild, epoch, key.ready.transcript);
        if !signature.verifies(digest, key.ready.group_key) {
            return Err(Ignored::BadSignature);
        }
        if key.tested.as_ref().is_none_or(|known| signature < known) {
            key.tested = Some(signature.clone());
        }
        Ok(())
    }

    fn certify(&mut self, signed: &Signed) -> Option<Result<(), Ignored>> {
        let Payload::Certificate(certificate) = &signed.entry().payload else { return None };
        Some(self.certificate(certificate))
    }

    fn certificate(&mut self, certificate: &Certificate) -> Result<(), Ignored> {
        let (guild, founding) = (self.state.guild, crate::certificate::Body::founding(self.charter));
        let key = self.state.key.as_mut().ok_or(Ignored::NoKey)?;
        let group_key = key.ready.group_key;
        let proposal = self.state.proposals.get_mut(&certificate.body.proposal);
        let (expected, slot) = match proposal {
            Some(proposal) => (proposal.body(guild, certificate.body.proposal), &mut proposal.certificate),
            None if certificate.body.proposal == founding.proposal => (founding, &mut key.founding),
            None => return Err(Ignored::NoProposal(certificate.body.proposal)),
        };
        if certificate.body != expected {
            return Err(Ignored::OtherBody);
        }
        if !certificate.signature.verifies(certificate.body.digest(), group_key) {
            return Err(Ignored::Certificate(CertificateError::Signature(group_key)));
        }
        if slot.as_ref().is_none_or(|known| certificate.signature < known.signature) {
            *slot = Some(certificate.clone());
        }
        Ok(())
    }
}
