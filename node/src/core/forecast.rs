//! What a proposal would do, in numbers: the treasury before and after, how long that lasts, and the roll.

use super::Node;
use crate::api::dto::governance::{Forecast, WeightDto};
use bitcoin::{Amount, OutPoint, Transaction};
use crdt::epoch::Next;
use crdt::governance::{Effect, EpochChange};
use crdt::state::{ProposalState, State};
use crdt::{Height, MemberId, Weight};
use std::collections::BTreeSet;
use wallet::View;

/// Blocks that are looked back for the pace of spending: 90 days.
const LOOK_BACK: Height = 90 * 144;

impl Node {
    /// None for words, settings and vetoes, which move nothing, and before there is a treasury.
    pub(super) fn forecast(&self, proposal: &ProposalState) -> Option<Forecast> {
        let view = self.view().ok()?;
        let (state, change) = (self.state(), change_of(proposal));
        let total = match &proposal.proposal.effect {
            Effect::Budget(budget) => budget.most(proposal.height)?,
            _ if change.is_some() => Amount::ZERO,
            _ => proposal.payable()?.total()?,
        };
        let before = view.balance().confirmed;
        let after = before.checked_sub(total).unwrap_or(Amount::ZERO);
        let own = if proposal.decided().is_some() { total } else { Amount::ZERO };
        let blocks = LOOK_BACK.min(view.tip().saturating_sub(self.charter.birth.height)).max(1);
        let spent = spent(&view, view.tip().saturating_sub(blocks));
        let weights = change.map(|change| weights(state, change)).unwrap_or_default();
        let roll = state.roll_weight();
        let moved = |of: fn(&WeightDto) -> u64| weights.iter().map(of).sum::<u64>();
        let roll_after = (roll + moved(|weight| weight.after)).saturating_sub(moved(|weight| weight.before));
        Some(Forecast {
            before_sat: before.to_sat(),
            after_sat: after.to_sat(),
            promised_sat: self.funds().promised.checked_sub(own).unwrap_or(Amount::ZERO).to_sat(),
            spent_sat: spent.to_sat(),
            spent_blocks: blocks,
            runway_before: runway(before, spent, blocks),
            runway_after: runway(after, spent, blocks),
            weights,
            roll_before: roll,
            roll_after,
        })
    }
}

fn change_of(proposal: &ProposalState) -> Option<&EpochChange> {
    match &proposal.proposal.effect {
        Effect::Epoch(change) => Some(change.as_ref()),
        _ => None,
    }
}

/// Blocks for which `held` lasts if `spent` goes out in each `blocks`; none if nothing does.
fn runway(held: Amount, spent: Amount, blocks: Height) -> Option<u64> {
    let lasts = u128::from(held.to_sat()) * u128::from(blocks);
    u64::try_from(lasts.checked_div(u128::from(spent.to_sat()))?).ok()
}

/// What the treasury had less after the transactions in blocks above `since`.
fn spent(view: &View, since: Height) -> Amount {
    let recent = view.transactions().filter(|(_, seen)| seen.height.is_some_and(|height| height > since));
    recent.map(|(_, seen)| cost(view, &seen.transaction)).sum()
}

fn cost(view: &View, transaction: &Transaction) -> Amount {
    let txid = transaction.compute_txid();
    let value = |outpoint: OutPoint| view.coin(&outpoint).map(|coin| coin.output.value);
    let inputs: Amount = transaction.input.iter().filter_map(|input| value(input.previous_output)).sum();
    let outputs = (0..).zip(&transaction.output).filter_map(|(vout, _)| value(OutPoint { txid, vout }));
    inputs.checked_sub(outputs.sum()).unwrap_or(Amount::ZERO)
}

/// Whose weight `change` makes another.
fn weights(state: &State, change: &EpochChange) -> Vec<WeightDto> {
    let Ok(next) = Next::of(state, Some(change)) else { return Vec::new() };
    let members: BTreeSet<&MemberId> = state.members.keys().chain(next.roll.keys()).collect();
    let number = |weight: Weight| u64::from(u32::from(weight));
    let weight = |member: &MemberId| {
        let after = next.roll.get(member);
        WeightDto {
            member: after.map_or_else(|| state.name(member), |after| after.name.to_string()),
            before: number(state.weight(member)),
            after: after.map_or(0, |after| number(after.weight)),
        }
    };
    members.into_iter().map(weight).filter(|weight| weight.before != weight.after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::governance::RollEntry;
    use crdt::testkit::{Person, charter, document, facts, people};
    use wallet::testkit::Bench;

    #[test]
    fn the_runway_follows_what_really_left() {
        let (mut bench, [coin, _]) = Bench::funded();
        let since = bench.tip().0;
        assert_eq!(spent(&bench.view(), since), Amount::ZERO);
        let decided = bench.decide(1, 70_000, coin);
        let payment = bench.pay(&decided, 0);
        bench.confirm(vec![payment]);
        let gone = spent(&bench.view(), since).to_sat();
        assert!((70_100..75_000).contains(&gone), "the bill and its fee: {gone}");
        assert_eq!(spent(&bench.view(), bench.tip().0), Amount::ZERO, "it was before");
        let sat = Amount::from_sat;
        assert_eq!(runway(sat(1_000), sat(100), 144), Some(1_440));
        assert_eq!(runway(sat(900), sat(1_000), 144), Some(129), "rounded down");
        assert_eq!(runway(sat(1_000), Amount::ZERO, 144), None, "for ever");
        assert_eq!(runway(Amount::MAX_MONEY, sat(1), 52_560), None, "more than a number holds");
    }

    #[test]
    fn the_roll_is_compared_name_by_name() {
        let all = people(5);
        let charter = charter(&all[..4]);
        let state = crdt::fold(&charter, &document(&all[..4]), &facts(1)).state;
        let put = |who: usize, weight: u32| RollEntry {
            key: all[who].id(),
            name: all[who].name.clone().try_into().unwrap(),
            weight: Weight::try_from(weight).unwrap(),
            claim: Weight::default(),
            payout: crdt::testkit::payee(1),
            replaces: None,
        };
        let change = EpochChange {
            put: vec![put(1, 3), put(4, 2), put(2, 1)],
            remove: vec![all[3].id()],
            rules: None,
            threshold: None,
            candidates: all.iter().map(Person::id).take(3).collect(),
            least: 3,
        };
        let mut found = weights(&state, &change);
        found.sort_by(|one, other| one.member.cmp(&other.member));
        let expected = [("bob", 1, 3), ("dave", 1, 0), ("erin", 0, 2)];
        let expected =
            expected.map(|(member, before, after)| WeightDto { member: member.to_owned(), before, after });
        assert_eq!(found, expected);
    }
}
