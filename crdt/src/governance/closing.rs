//! What a co-signer writes when votes close, from what it saw in time (§7). Pure: the node keeps what it saw
//! in its journal and asks here what to say.

use super::relative::judged_from;
use super::{CloseStatement, Seen};
use crate::Height;
use crate::id::{EntryId, MemberId};
use crate::limits::{STATEMENT_PARTS, WINDOW};
use crate::rules::Rule;
use crate::state::{HeldBallot, ProposalState, State};
use std::collections::BTreeSet;

/// What one part names, a proposal counting as much as a ballot: at 64 bytes each it stays below what an
/// entry holds.
const BALLOTS_PER_PART: usize = 400;

/// Whether those who vote may decide `proposal`: only then statements matter.
fn by_relative_rule(state: &State, proposal: &ProposalState) -> bool {
    let rule = state.rules.of(proposal.proposal.effect.class());
    rule.is_some_and(|rule| rule.rule_for(proposal.amount_sat()) == Rule::Relative)
}

/// The closes on which the co-signer `me` has to speak at `tip` and has not. A proposal that comes too late
/// to be seen in time asks for a statement too: an empty one counts as held.
#[must_use]
pub fn closes_due(state: &State, me: &MemberId, tip: Height) -> BTreeSet<Height> {
    if !state.co_signers.contains(me) {
        return BTreeSet::new();
    }
    let open = state.proposals.values().filter(|proposal| {
        let over = judged_from(state, proposal.close) <= tip;
        let expired = tip > proposal.close.saturating_add(WINDOW);
        let decided = proposal.withdrawn || proposal.lapsed || proposal.decided().is_some();
        over && !expired && !decided && by_relative_rule(state, proposal)
    });
    let said = |close: &Height| state.statements.get(close).is_some_and(|all| all.contains_key(me));
    open.map(|proposal| proposal.close).filter(|close| !said(close)).collect()
}

/// The statement on the votes that closed at `close`, in parts. `seen` tells the highest tip at which an
/// entry came while this node was fresh. A node that is not fresh now says that it saw nothing.
#[must_use]
pub fn statement(
    state: &State,
    close: Height,
    fresh: bool,
    seen: impl Fn(&EntryId) -> Option<Height>,
) -> Vec<CloseStatement> {
    let end = judged_from(state, close);
    let in_time = |entry: &EntryId| seen(entry).is_some_and(|height| height < end);
    let proposals = state
        .proposals
        .iter()
        .filter(|(_, proposal)| fresh && proposal.close == close && by_relative_rule(state, proposal));
    let (mut pages, mut page, mut room) = (Vec::new(), Vec::new(), BALLOTS_PER_PART);
    for (id, proposal) in proposals {
        // There when it was proposed, give or take the grace: time enough to vote.
        let latest = proposal.height.saturating_add(end - close);
        let was_there = seen(&EntryId(id.0)).is_some_and(|height| height <= latest);
        let ballots: Vec<(MemberId, EntryId)> = state
            .members
            .keys()
            .filter_map(|voter| Some((*voter, last_in_time(state, proposal, voter, &in_time)?)))
            .collect();
        for some in ballots.chunks(BALLOTS_PER_PART - 1) {
            if some.len() + 1 > room {
                pages.push(std::mem::take(&mut page));
                room = BALLOTS_PER_PART;
            }
            room -= some.len() + 1;
            page.push(Seen { proposal: *id, in_time: was_there, ballots: some.to_vec() });
        }
    }
    pages.push(page);
    pages.truncate(usize::from(STATEMENT_PARTS)); // what does not fit was not seen
    let parts = u16::try_from(pages.len()).unwrap_or(STATEMENT_PARTS);
    (0..).zip(pages).map(|(part, seen)| CloseStatement { close, part, parts, seen }).collect()
}

/// The last ballot in time that speaks for `voter`: its own, or that of whom it had named.
fn last_in_time(
    state: &State,
    proposal: &ProposalState,
    voter: &MemberId,
    in_time: &impl Fn(&EntryId) -> bool,
) -> Option<EntryId> {
    let last = |voter: &MemberId| {
        let earlier = proposal.earlier.get(voter).into_iter().flatten();
        let all = earlier.chain(proposal.ballots.get(voter));
        let counts = |held: &&HeldBallot| held.height <= proposal.close && in_time(&held.entry);
        all.filter(counts).last().map(|held| held.entry)
    };
    last(voter).or_else(|| {
        let (named, to) = state.delegation(voter, proposal.height)?;
        in_time(&named).then(|| last(&to))?
    })
}
