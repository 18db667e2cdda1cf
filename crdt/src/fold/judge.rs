//! What one entry does to the state, or why it does nothing.

use super::{Fold, Place};
use crate::certificate::{Body, Certificate, CertificateError};
use crate::change::Change;
use crate::document::Document;
use crate::entry::{Entry, Invite, Payload};
use crate::governance::{Ballot, Effect, Proposal};
use crate::id::{MemberId, ProposalId};
use crate::limits;
use crate::signed::Signed;
use crate::state::{Comment, HeldBallot, Member, ProposalState};
use crate::verdict::Ignored;
use std::collections::BTreeMap;

impl Fold {
    /// Apply one entry that stands. Anything its author said before has been applied.
    pub(super) fn judge(&mut self, document: &Document, signed: &Signed) -> Result<(), Ignored> {
        let entry = signed.entry();
        let author = entry.author;
        if !self.state.members.contains_key(&author) {
            return self.candidate_says(entry);
        }
        match &entry.payload {
            Payload::Accept => {
                self.member(entry, |member| member.accepted = true);
                self.changes.push(Change::Accepted(author));
            }
            Payload::Reachable(addresses) => {
                self.member(entry, |member| member.addresses = addresses.clone());
                self.changes.push(Change::Moved(author));
            }
            Payload::Invite(invite) => return self.invite(entry, invite),
            Payload::DkgEcho { epoch, attempt, round1 } => {
                return self.echo(entry, (*epoch, *attempt), *round1);
            }
            Payload::KeyReady(ready) => return self.key_ready(document, entry, ready),
            Payload::KeyTest { epoch, signature } => return self.key_test(entry, *epoch, signature),
            Payload::Propose(proposal) => return self.propose(document, signed, proposal),
            Payload::Ballot(ballot) => return self.ballot(signed, ballot),
            Payload::Withdraw { proposal } => return self.withdraw(entry, *proposal),
            Payload::Comment { proposal, text } => {
                let comment = Comment { height: entry.height, text: text.clone() };
                self.proposal(entry, *proposal)?.comments.insert(place(entry), comment);
                self.changes.push(Change::Commented(*proposal, author));
            }
            Payload::Certificate(certificate) => return self.certificate(entry, certificate),
            // What an edit changes is no part of the state: see `crdt::workspace`.
            Payload::Edit(edit) => {
                self.changes.push(Change::Edited(edit.sheet_of(signed.id()), signed.id()));
            }
            Payload::CloseStatement(statement) => return self.statement(entry, statement),
            Payload::Disburse(draw) => return self.draw(signed, draw),
            Payload::Exit { amount } => return self.exit(signed, *amount),
            Payload::Pause { on } => {
                self.member(entry, |member| member.paused = *on);
                self.changes.push(Change::Paused(author, *on));
            }
            Payload::Delegate { to } => return self.delegate(signed, *to),
            // Work is counted from the chains themselves, up to the heads that a distribution names.
            Payload::Receipt(receipt) => {
                receipt.check(entry.guild, author).map_err(Ignored::Receipt)?;
            }
            Payload::Attempt(attempt) => return self.attempt(document, entry, attempt),
            Payload::Rekey(rekey) => return self.rekey(entry, rekey),
            Payload::Cut(cut) => return self.cut(entry, cut),
            Payload::Holds { checkpoint } => self.holds(entry, *checkpoint),
        }
        Ok(())
    }

    pub(super) fn member(&mut self, entry: &Entry, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.state.members.get_mut(&entry.author) {
            change(member);
        }
    }

    fn invite(&mut self, entry: &Entry, invite: &Invite) -> Result<(), Ignored> {
        if invite.expiry > entry.height.saturating_add(limits::INVITE_MAX) {
            return Err(Ignored::LongInvite);
        }
        invite.guest.verifying_key().map_err(Ignored::Guest)?;
        let invites = self.state.guests.entry(invite.guest).or_default();
        if invites.get(&entry.author).is_none_or(|known| known.expiry < invite.expiry) {
            invites.insert(entry.author, invite.clone());
        }
        self.changes.push(Change::Invited(invite.guest));
        Ok(())
    }

    pub(super) fn co_signer(&self, member: &MemberId) -> Result<(), Ignored> {
        let known = self.state.co_signers.contains(member);
        if known { Ok(()) } else { Err(Ignored::NotACoSigner(*member)) }
    }

    fn propose(&mut self, document: &Document, signed: &Signed, proposal: &Proposal) -> Result<(), Ignored> {
        proposal.effect.check().map_err(Ignored::Effect)?;
        let (entry, id) = (signed.entry(), ProposalId::from(signed.id()));
        if self.state.proposals.contains_key(&id) {
            return Ok(()); // it had stayed when its author was forgotten
        }
        let rule = self.state.rules.of(proposal.effect.class());
        let period = rule.map_or(limits::PERIOD_MAX, |rule| rule.period);
        if let Effect::Cancel(target) = &proposal.effect {
            self.state.cancels.entry(*target).or_default().insert(id);
        }
        let state = ProposalState {
            author: entry.author,
            height: entry.height,
            close: entry.height.saturating_add(period),
            proposal: proposal.clone(),
            ballots: BTreeMap::new(),
            earlier: BTreeMap::new(),
            comments: BTreeMap::new(),
            withdrawn: false,
            certificates: BTreeMap::new(),
            settled: self.settled.get(&id).cloned(),
            lapsed: false,
            draws: BTreeMap::new(),
        };
        self.state.proposals.insert(id, state);
        self.changes.push(Change::Proposed(id));
        let waited = self.waiting.remove(&id).unwrap_or_default();
        self.apply_again(document, waited);
        Ok(())
    }

    /// The proposal that `entry` names; `entry` waits for it if it is not here.
    pub(super) fn proposal(&mut self, entry: &Entry, id: ProposalId) -> Result<&mut ProposalState, Ignored> {
        if let Some(proposal) = self.state.proposals.get_mut(&id) {
            return Ok(proposal);
        }
        self.waiting.entry(id).or_default().insert(place(entry));
        Err(Ignored::NoProposal(id))
    }

    fn ballot(&mut self, signed: &Signed, ballot: &Ballot) -> Result<(), Ignored> {
        let entry = signed.entry();
        let proposal = self.proposal(entry, ballot.proposal)?;
        let options = match &proposal.proposal.effect {
            Effect::Choose(options) => Some(options.len()),
            _ => None,
        };
        if !ballot.choice.fits(options) {
            return Err(Ignored::Choice(ballot.choice));
        }
        let decisive = ballot.last && ballot.choice.is_for();
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
        if let Some(before) = proposal.ballots.insert(entry.author, held) {
            proposal.earlier.entry(entry.author).or_default().push(before);
        }
        self.changes.push(Change::Voted(ballot.proposal, entry.author));
        Ok(())
    }

    fn withdraw(&mut self, entry: &Entry, id: ProposalId) -> Result<(), Ignored> {
        let proposal = self.proposal(entry, id)?;
        if proposal.author != entry.author {
            return Err(Ignored::NotTheProposer(proposal.author));
        }
        proposal.withdrawn = true;
        self.changes.push(Change::Withdrawn(id));
        Ok(())
    }

    fn certificate(&mut self, entry: &Entry, certificate: &Certificate) -> Result<(), Ignored> {
        let (guild, id) = (self.state.guild, certificate.body.proposal);
        let founding = Body::founding(&self.charter);
        let leaving = self.exit_ids.get(&id).copied();
        let epoch = self.state.epoch;
        let expected = match leaving {
            _ if id == founding.proposal => Some(founding.clone()),
            // Which of the claims it grants is found when it matters: they may come later.
            Some(_) => Some(Body { guild, epoch, option: 0, ..certificate.body.clone() }),
            None => {
                let option = certificate.body.option;
                self.proposal(entry, id)?.body_of(guild, epoch, id, option)
            }
        };
        self.proofs.insert(place(entry));
        let key = self.state.key.as_mut().ok_or(Ignored::NoKey)?;
        let group_key = key.ready.group_key;
        if expected.as_ref() != Some(&certificate.body) {
            return Err(Ignored::OtherBody);
        }
        let (author, option) = (entry.author, certificate.body.option);
        let known = match (leaving, self.state.proposals.get(&id)) {
            (Some(member), _) => {
                self.state.exits.get(&member).is_some_and(|exit| exit.certificates.contains_key(&author))
            }
            (None, Some(proposal)) => proposal.certificates.contains_key(&(option, author)),
            (None, None) => key.founding.contains_key(&author),
        };
        if known {
            return Err(Ignored::Repeated);
        }
        if !certificate.signature.verifies(certificate.body.digest(), group_key) {
            return Err(Ignored::Certificate(CertificateError::Signature(group_key)));
        }
        let proof = certificate.clone();
        match (leaving, self.state.proposals.get_mut(&id)) {
            (Some(member), _) => {
                self.state.exits.entry(member).or_default().certificates.insert(author, proof);
            }
            (None, Some(proposal)) => drop(proposal.certificates.insert((option, author), proof)),
            (None, None) => drop(key.founding.insert(author, proof)),
        }
        self.changes.push(if id == founding.proposal { Change::KeyTested } else { Change::Certified(id) });
        Ok(())
    }
}

pub(super) const fn place(entry: &Entry) -> Place {
    (entry.author, entry.seq)
}
