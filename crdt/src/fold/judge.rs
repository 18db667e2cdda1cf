//! What one entry does to the state, or why it does nothing.

use super::{Fold, Place};
use crate::certificate::{Body, Certificate, CertificateError};
use crate::change::Change;
use crate::document::Document;
use crate::entry::{Entry, Invite, Payload};
use crate::governance::{Ballot, Choice, Proposal};
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
        let state = ProposalState {
            author: entry.author,
            height: entry.height,
            close: entry.height.saturating_add(self.charter.spend.period),
            proposal: proposal.clone(),
            ballots: BTreeMap::new(),
            comments: BTreeMap::new(),
            withdrawn: false,
            certificates: BTreeMap::new(),
            settled: self.settled.get(&id).cloned(),
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
        let expected = if id == founding.proposal {
            founding.clone()
        } else {
            self.proposal(entry, id)?.body(guild, id)
        };
        self.proofs.insert(place(entry));
        let key = self.state.key.as_mut().ok_or(Ignored::NoKey)?;
        let group_key = key.ready.group_key;
        let shown = match self.state.proposals.get_mut(&id) {
            Some(proposal) => &mut proposal.certificates,
            None => &mut key.founding,
        };
        if shown.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        if certificate.body != expected {
            return Err(Ignored::OtherBody);
        }
        if !certificate.signature.verifies(certificate.body.digest(), group_key) {
            return Err(Ignored::Certificate(CertificateError::Signature(group_key)));
        }
        shown.insert(entry.author, certificate.clone());
        self.changes.push(if id == founding.proposal { Change::KeyTested } else { Change::Certified(id) });
        Ok(())
    }
}

pub(super) const fn place(entry: &Entry) -> Place {
    (entry.author, entry.seq)
}
