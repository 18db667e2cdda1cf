//! The absolute rule: the only door to a certificate's body (§7).

use super::Choice;
use crate::certificate::Body;
use crate::charter::Charter;
use crate::id::ProposalId;
use crate::limits::WINDOW;
use crate::state::{ProposalState, State};
use crate::{Height, Weight};

/// Where a proposal stands by the absolute rule. All numbers are weights of the roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// YES marked final: the only votes that decide.
    pub final_yes: u64,
    /// YES that may still change.
    pub changeable_yes: u64,
    /// NO.
    pub no: u64,
    /// Neither.
    pub abstain: u64,
    /// The whole roll.
    pub roll: u64,
    /// Final YES must weigh more than this.
    pub needed_above: u64,
}

impl Tally {
    /// Count the ballots on `proposal`.
    #[must_use]
    pub fn count(state: &State, proposal: &ProposalState) -> Self {
        let roll = Weight::sum(state.members.values().map(|member| member.weight));
        let needed_above = roll * u64::from(state.spend_rule.more_than_percent) / 100;
        let mut tally = Self { final_yes: 0, changeable_yes: 0, no: 0, abstain: 0, roll, needed_above };
        for (member, held) in &proposal.ballots {
            let pile = match (held.choice, held.last) {
                (Choice::Yes, true) => &mut tally.final_yes,
                (Choice::Yes, false) => &mut tally.changeable_yes,
                (Choice::No, _) => &mut tally.no,
                (Choice::Abstain, _) => &mut tally.abstain,
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

/// A proposal that passed, at the tip it was judged at. Only the tally makes one; a share for its
/// certificate is given from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    body: Body,
}

impl Passing {
    /// The bytes the certificate will sign.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The charter's mining policy: decided by all founders' signatures under the charter (§11).
    #[must_use]
    pub fn founding(charter: &Charter, state: &State) -> Option<Self> {
        state.founded().then(|| Self { body: Body::founding(charter) })
    }
}

/// Why a proposal is not certified now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPassing {
    /// Nobody here has seen it.
    #[error("no such proposal")]
    Unknown,
    /// Its author took it back.
    #[error("withdrawn by its author")]
    Withdrawn,
    /// The absolute rule is not met.
    #[error("final yes {} of {}: more than {} needed", .0.final_yes, .0.roll, .0.needed_above)]
    Votes(Tally),
    /// More than [`WINDOW`] blocks after its close.
    #[error("closed at {close}; certified at the latest at {}, tip is {tip}", .close.saturating_add(WINDOW))]
    Late {
        /// The close.
        close: Height,
        /// Our tip.
        tip: Height,
    },
}

/// Judge a proposal by the absolute rule at `tip`.
///
/// # Errors
///
/// [`NotPassing`] says what is missing.
pub fn passing(state: &State, id: &ProposalId, tip: Height) -> Result<Passing, NotPassing> {
    let proposal = state.proposals.get(id).ok_or(NotPassing::Unknown)?;
    if proposal.withdrawn {
        return Err(NotPassing::Withdrawn);
    }
    let tally = Tally::count(state, proposal);
    if !tally.passes() {
        return Err(NotPassing::Votes(tally));
    }
    if tip > proposal.close.saturating_add(WINDOW) {
        return Err(NotPassing::Late { close: proposal.close, tip });
    }
    Ok(Passing { body: proposal.body(state.guild, *id) })
}
