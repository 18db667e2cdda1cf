//! Proposals, ballots and the absolute rule (§7).

use crate::bounded;
use crate::certificate::{Body, Decidable};
use crate::charter::Charter;
use crate::hash::Digest;
use crate::id::ProposalId;
use crate::limits::{ENTRY_MAX, OUTPUTS_MAX, WINDOW};
use crate::state::{ProposalState, State};
use crate::text::{Line, Note};
use crate::{Height, Weight};
use bitcoin::{Amount, OutPoint, Script, ScriptBuf};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something to decide. Frozen once said: its entry's id is its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// One line for lists.
    pub title: Line,
    /// For people. Never decides anything.
    pub text: Note,
    /// What happens if it passes.
    pub effect: Effect,
}

/// The closed list of things that can be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Pay these outputs, once.
    Spend(Spend),
}

/// A payment, written out to the satoshi.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Who gets how much, in the order of the transaction. Too many are a proposal that the fold ignores,
    /// not bytes that nobody understands; but no count is believed before the outputs were seen.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub outputs: Vec<Output>,
    /// The coin whose lineage every payment of this decision must spend: two payments conflict (§9).
    pub anchor: OutPoint,
}

/// One payee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The standard script of an address.
    pub script: ScriptBuf,
    /// Satoshis, above dust.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
}

/// Why a spend cannot stand, whatever the votes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub enum SpendError {
    /// None, or more than [`OUTPUTS_MAX`].
    #[error("a spend pays 1 to {OUTPUTS_MAX} outputs, not {0}")]
    Outputs(u32),
    /// Not a script that an address stands for.
    #[error("output {0} pays no standard address")]
    Script(u32),
    /// The network would not relay it.
    #[error("output {0} is below dust")]
    Dust(u32),
    /// More than there can ever be.
    #[error("the outputs add up to more bitcoin than can exist")]
    Sum,
}

impl Spend {
    /// Check what can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`SpendError`] names the first output that cannot stand.
    pub fn check(&self) -> Result<(), SpendError> {
        let count = u32::try_from(self.outputs.len()).unwrap_or(u32::MAX);
        if count == 0 || self.outputs.len() > OUTPUTS_MAX {
            return Err(SpendError::Outputs(count));
        }
        for (index, output) in (0..).zip(&self.outputs) {
            if !is_address_script(&output.script) {
                return Err(SpendError::Script(index));
            }
            if output.amount < output.script.minimal_non_dust() {
                return Err(SpendError::Dust(index));
            }
        }
        self.total().map(|_| ()).ok_or(SpendError::Sum)
    }

    /// The sum of all outputs; none if it cannot exist.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        let total = self.outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.amount));
        total.filter(|total| *total <= Amount::MAX_MONEY)
    }
}

fn is_address_script(script: &Script) -> bool {
    script.is_p2pkh() || script.is_p2sh() || script.is_p2wpkh() || script.is_p2wsh() || script.is_p2tr()
}

impl Decidable for Spend {
    fn effect_hash(&self) -> Digest {
        Effect::Spend(self.clone()).hash()
    }
}

impl Effect {
    /// The hash that a certificate signs.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("an effect always encodes");
        Digest::tagged("hashguild/effect/v1", &[&bytes])
    }
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// On what.
    pub proposal: ProposalId,
    /// Which way.
    pub choice: Choice,
    /// Never to change again. By the absolute rule only final YES votes count.
    pub last: bool,
    /// Why.
    pub reason: Note,
}

/// Which way a ballot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither.
    Abstain,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Abstain => "abstain",
        })
    }
}

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
