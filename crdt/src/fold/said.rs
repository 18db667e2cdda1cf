//! What members say about votes and about themselves: statements, bills, exits, pauses, delegations.

use super::Fold;
use super::judge::place;
use crate::change::Change;
use crate::entry::Entry;
use crate::governance::{CloseStatement, Disburse, DrawError, Effect, Exit, judged_from};
use crate::id::MemberId;
use crate::limits::STATEMENT_PARTS;
use crate::signed::Signed;
use crate::state::{Delegation, Draw, ExitClaim, Statement};
use crate::verdict::Ignored;
use bitcoin::Amount;
use std::collections::BTreeMap;

impl Fold {
    /// A part of a statement. The first one said fixes how many there are; none is ever replaced.
    pub(super) fn statement(&mut self, entry: &Entry, said: &CloseStatement) -> Result<(), Ignored> {
        self.co_signer(&entry.author)?;
        if entry.height < judged_from(&self.state, said.close) {
            return Err(Ignored::EarlyStatement(said.close));
        }
        let (part, parts) = (said.part, said.parts);
        if part >= parts || parts > STATEMENT_PARTS {
            return Err(Ignored::Part { part, parts });
        }
        let all = self.state.statements.entry(said.close).or_default();
        let new = || Statement { parts, said: BTreeMap::new() };
        let statement = all.entry(entry.author).or_insert_with(new);
        if statement.parts != parts {
            return Err(Ignored::Part { part, parts });
        }
        if statement.said.contains_key(&part) {
            return Err(Ignored::Repeated);
        }
        statement.said.insert(part, said.seen.clone());
        self.changes.push(Change::Stated(said.close, entry.author));
        Ok(())
    }

    pub(super) fn draw(&mut self, signed: &Signed, draw: &Disburse) -> Result<(), Ignored> {
        let entry = signed.entry();
        let proposal = self.proposal(entry, draw.budget)?;
        let Effect::Budget(budget) = &proposal.proposal.effect else {
            return Err(Ignored::Draw(DrawError::NoBudget(draw.budget)));
        };
        budget.check_draw(&entry.author, entry.height, draw).map_err(Ignored::Draw)?;
        let drawn = Draw {
            entry: signed.id(),
            height: entry.height,
            outputs: draw.outputs.clone(),
            reason: draw.reason.clone(),
        };
        proposal.draws.insert(place(entry), drawn);
        self.changes.push(Change::Drawn(draw.budget, signed.id()));
        Ok(())
    }

    pub(super) fn exit(&mut self, signed: &Signed, amount: Amount) -> Result<(), Ignored> {
        let entry = signed.entry();
        if let Some(member) = self.state.members.get(&entry.author) {
            Exit::new(entry.author, &member.payout, amount).map_err(Ignored::Exit)?;
        }
        let claim = ExitClaim { entry: signed.id(), height: entry.height, amount };
        self.state.exits.entry(entry.author).or_default().claims.insert(entry.seq, claim);
        self.changes.push(Change::Leaving(entry.author));
        Ok(())
    }

    pub(super) fn delegate(&mut self, signed: &Signed, to: Option<MemberId>) -> Result<(), Ignored> {
        let entry = signed.entry();
        let known = |to: &MemberId| *to != entry.author && self.state.members.contains_key(to);
        if let Some(to) = to.filter(|to| !known(to)) {
            return Err(Ignored::Delegate(to));
        }
        let delegation = Delegation { height: entry.height, entry: signed.id(), to };
        self.member(entry, |member| member.delegations.push(delegation));
        self.changes.push(Change::Delegated(entry.author));
        Ok(())
    }
}
