//! The absolute rule in numbers: final YES against the whole roll (§7).

use super::Choice;
use crate::Weight;
use crate::state::{ProposalState, State};

/// Where an option stands by the absolute rule. All numbers are weights of the roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// YES marked final: the only votes that decide.
    pub final_yes: u64,
    /// YES that may still change.
    pub changeable_yes: u64,
    /// NO, and YES to other options only.
    pub no: u64,
    /// Neither.
    pub abstain: u64,
    /// The whole roll.
    pub roll: u64,
    /// Final YES must weigh more than this.
    pub needed_above: u64,
}

impl Tally {
    /// Count the ballots on `proposal`; of several options, on the first.
    #[must_use]
    pub fn count(state: &State, proposal: &ProposalState) -> Self {
        Self::of(state, proposal, 0)
    }

    /// Count the ballots on `option` of `proposal`. What others vote for a member by delegation is not
    /// final and does not count here.
    #[must_use]
    pub fn of(state: &State, proposal: &ProposalState, option: u16) -> Self {
        let roll = state.roll_weight();
        let share =
            state.rules.of(proposal.proposal.effect.class()).map_or(100, |rule| rule.more_than_percent);
        let needed_above = roll * u64::from(share) / 100;
        let mut tally = Self { final_yes: 0, changeable_yes: 0, no: 0, abstain: 0, roll, needed_above };
        for (member, held) in &proposal.ballots {
            let pile = match (held.choice, held.last) {
                (Choice::Abstain, _) => &mut tally.abstain,
                (choice, last) if choice.supports(option) => {
                    if last {
                        &mut tally.final_yes
                    } else {
                        &mut tally.changeable_yes
                    }
                }
                _ => &mut tally.no,
            };
            *pile += u64::from(u32::from(state.weight(member)));
        }
        tally
    }

    /// Whether the absolute rule is met.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.final_yes > self.needed_above
    }
}

/// The weight of many members.
pub(super) fn weigh<'a>(state: &State, members: impl Iterator<Item = &'a crate::MemberId>) -> u64 {
    Weight::sum(members.map(|member| state.weight(member)))
}
