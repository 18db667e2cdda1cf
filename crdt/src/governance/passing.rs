//! The judgement of one node: whether a decision may be certified now (§7, §8).
//!
//! [`Passing`] is the only door to a share of a certificate, and [`passing`] and [`leaving`] are the only
//! ways through it. What they read is the replicated state and a few observations of this node.

use super::relative::{Relative, judged_from};
use super::{Distribute, Effect, Exit, Tally, distribute, exit_id};
use crate::certificate::Body;
use crate::charter::Charter;
use crate::id::{MemberId, ProposalId};
use crate::limits::{DEPTH, WINDOW};
use crate::rules::Rule;
use crate::state::{ProposalState, State};
use crate::{Height, governance};
use bitcoin::Amount;

/// What a node saw itself: never part of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Local {
    /// Who judges, if it is a co-signer.
    pub me: Option<MemberId>,
    /// Its tip: the highest it ever reached.
    pub tip: Height,
    /// Its tip when it first held what is judged; none if it does not remember.
    pub first_seen: Option<Height>,
}

impl Local {
    /// Somebody at `tip` who remembers nothing.
    #[must_use]
    pub const fn at(tip: Height) -> Self {
        Self { me: None, tip, first_seen: None }
    }
}

/// A proposal that passed, at the tip it was judged at. Only the tally makes one; a share for its
/// certificate is given from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    body: Body,
    rule: Rule,
}

impl Passing {
    /// The bytes the certificate will sign.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// By which rule it passed.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// The charter's mining policy: decided by all founders' signatures under the charter (§11).
    #[must_use]
    pub fn founding(charter: &Charter, state: &State) -> Option<Self> {
        state.founded().then(|| Self { body: Body::founding(charter), rule: Rule::Absolute })
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
    /// An epoch ended and did not take it along.
    #[error("it lapsed with its epoch")]
    Lapsed,
    /// A certified veto stops it.
    #[error("cancelled by the decision {}", .0.short())]
    Cancelled(ProposalId),
    /// The absolute rule is not met.
    #[error("final yes {} of {}: more than {} needed", .0.final_yes, .0.roll, .0.needed_above)]
    Votes(Tally),
    /// The absolute rule is not met, and the relative cannot be judged yet.
    #[error("final yes {} of {}; those who vote decide from height {from} on", .tally.final_yes, .tally.roll)]
    Open {
        /// The absolute rule in numbers.
        tally: Tally,
        /// c + G.
        from: Height,
    },
    /// Neither rule is met.
    #[error("{}", .0.why())]
    Relative(Box<Relative>),
    /// Settings are certified once their voting is over.
    #[error("a setting is certified from its close at {0} on")]
    Early(Height),
    /// A setting that claims to be much newer than it was when we first saw it.
    #[error("it closes at {close}, later than a proposal first seen at {first_seen} can")]
    FarClose {
        /// Its close.
        close: Height,
        /// Our tip when we first had it.
        first_seen: Height,
    },
    /// A veto of nothing that can be stopped.
    #[error("there is nothing to cancel: {0}")]
    Target(&'static str),
    /// A distribution whose numbers are not those of its basis.
    #[error("{0}")]
    Numbers(&'static str),
    /// More than [`WINDOW`] blocks after its close.
    #[error("closed at {close}; certified at the latest at {}, tip is {tip}", .close.saturating_add(WINDOW))]
    Late {
        /// The close.
        close: Height,
        /// Our tip.
        tip: Height,
    },
    /// An exit that still cools.
    #[error("first seen at {first_seen}: an exit is certified from height {from} on")]
    Cooling {
        /// Our tip when we first had it.
        first_seen: Height,
        /// The end of cooling.
        from: Height,
    },
    /// An exit that asks for more than its part.
    #[error("{asked} is more than the part of {part}")]
    Part {
        /// What it asks for.
        asked: Amount,
        /// What it may have.
        part: Amount,
    },
}

impl NotPassing {
    /// The rule that is not met, by name.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Unknown => "known proposal",
            Self::Withdrawn => "not withdrawn",
            Self::Lapsed => "of this epoch",
            Self::Cancelled(_) => "not cancelled",
            Self::Votes(_) => "absolute rule",
            Self::Open { .. } => "grace",
            Self::Relative(_) => "relative rule",
            Self::Early(_) => "voting is over",
            Self::FarClose { .. } => "recent close",
            Self::Target(_) => "something to cancel",
            Self::Numbers(_) => "numbers of the basis",
            Self::Late { .. } => "certified in time",
            Self::Cooling { .. } => "cooling",
            Self::Part { .. } => "part of the treasury",
        }
    }

    /// What it takes.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Unknown => "a proposal in this node's document".to_owned(),
            Self::Withdrawn => "a proposal its author stands by".to_owned(),
            Self::Lapsed => "a proposal that the checkpoint took along".to_owned(),
            Self::Cancelled(_) => "no certified veto".to_owned(),
            Self::Votes(tally) => format!("final yes above {} of {}", tally.needed_above, tally.roll),
            Self::Open { tally, from } => {
                format!(
                    "final yes above {} of {}, or a tip of {from} or more",
                    tally.needed_above, tally.roll
                )
            }
            Self::Relative(relative) => relative.expected(),
            Self::Early(close) => format!("a tip of {close} or more"),
            Self::FarClose { .. } => {
                "a close within a period and 6 blocks of when we first saw it".to_owned()
            }
            Self::Target(_) => "an open decision that takes effect after a delay, or a setting".to_owned(),
            Self::Numbers(_) => "outputs that follow from the basis".to_owned(),
            Self::Late { close, .. } => format!("a tip of {} at the most", close.saturating_add(WINDOW)),
            Self::Cooling { from, .. } => format!("a tip of {from} or more"),
            Self::Part { part, .. } => format!("{part} at the most"),
        }
    }

    /// What there is instead.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Votes(tally) | Self::Open { tally, .. } => format!("final yes {}", tally.final_yes),
            other => other.to_string(),
        }
    }
}

/// Judge a proposal by what `local` knows. Of several options at most one passes.
///
/// # Errors
///
/// [`NotPassing`] says what is missing.
pub fn passing(state: &State, id: &ProposalId, local: &Local) -> Result<Passing, NotPassing> {
    let proposal = state.proposals.get(id).ok_or(NotPassing::Unknown)?;
    if proposal.withdrawn {
        return Err(NotPassing::Withdrawn);
    }
    if proposal.lapsed {
        return Err(NotPassing::Lapsed);
    }
    if let Some(cancel) = state.cancelled(id) {
        return Err(NotPassing::Cancelled(cancel));
    }
    let (option, rule) = elected(state, (id, proposal), local)?;
    if local.tip > proposal.close.saturating_add(WINDOW) {
        return Err(NotPassing::Late { close: proposal.close, tip: local.tip });
    }
    check_class(state, proposal, local)?;
    let body = proposal.body_of(state.guild, state.epoch, *id, option).ok_or(NotPassing::Unknown)?;
    Ok(Passing { body, rule })
}

/// The option that is elected, and by which rule.
fn elected(
    state: &State,
    (id, proposal): (&ProposalId, &ProposalState),
    local: &Local,
) -> Result<(u16, Rule), NotPassing> {
    let tallies: Vec<Tally> =
        (0..proposal.options()).map(|option| Tally::of(state, proposal, option)).collect();
    let ahead = |option: usize, of: &Tally| {
        let mut others = tallies.iter().enumerate().filter(|(other, _)| *other != option);
        others.all(|(_, other)| of.final_yes > other.final_yes + other.changeable_yes)
    };
    let first = tallies.iter().enumerate().find(|(option, tally)| tally.passes() && ahead(*option, tally));
    if let Some((option, _)) = first {
        return Ok((u16::try_from(option).unwrap_or(u16::MAX), Rule::Absolute));
    }
    let best = tallies.into_iter().max_by_key(|tally| tally.final_yes).ok_or(NotPassing::Unknown)?;
    let class = proposal.proposal.effect.class();
    let Some(rule) =
        state.rules.of(class).filter(|rule| rule.rule_for(proposal.amount_sat()) == Rule::Relative)
    else {
        return Err(NotPassing::Votes(best));
    };
    let from = judged_from(state, proposal.close);
    if local.tip < from {
        return Err(NotPassing::Open { tally: best, from });
    }
    let count = |option| Relative::count(state, (id, proposal), option, rule, (local.me, local.tip));
    let mut counts: Vec<Relative> = (0..proposal.options()).map(count).collect();
    if let Some(option) = counts.iter().position(Relative::passes) {
        return Ok((u16::try_from(option).unwrap_or(u16::MAX), Rule::Relative));
    }
    counts.sort_by_key(|count| std::cmp::Reverse(count.yes));
    let nearest = counts.into_iter().next().ok_or(NotPassing::Unknown)?;
    Err(NotPassing::Relative(Box::new(nearest)))
}

/// What some classes ask for besides votes.
fn check_class(state: &State, proposal: &ProposalState, local: &Local) -> Result<(), NotPassing> {
    let close = proposal.close;
    match &proposal.proposal.effect {
        effect if effect.class() == governance::Class::Setting => {
            let period = close.saturating_sub(proposal.height);
            if local.tip < close {
                return Err(NotPassing::Early(close));
            }
            let first_seen = local.first_seen.unwrap_or(local.tip);
            let far = close > first_seen.saturating_add(period).saturating_add(DEPTH);
            if far { Err(NotPassing::FarClose { close, first_seen }) } else { Ok(()) }
        }
        Effect::Cancel(target) => check_target(state, target),
        Effect::Distribute(distribute) => check_numbers(state, distribute),
        _ => Ok(()),
    }
}

fn check_target(state: &State, target: &ProposalId) -> Result<(), NotPassing> {
    if state.exits.keys().any(|member| exit_id(state.guild, member) == *target) {
        return Ok(());
    }
    let target = state.proposals.get(target).ok_or(NotPassing::Target("no such proposal"))?;
    match target.proposal.effect.class() {
        governance::Class::Cancel => Err(NotPassing::Target("a veto is not vetoed")),
        governance::Class::Text => Err(NotPassing::Target("words take no effect")),
        _ => Ok(()),
    }
}

/// The numbers of a distribution, worked out again.
fn check_numbers(state: &State, distribute: &Distribute) -> Result<(), NotPassing> {
    if distribute.work().is_some() {
        return Err(NotPassing::Numbers("its receipts are not counted here"));
    }
    let units = state.members.keys().map(|member| (*member, state.units(member)));
    let parts = distribute::divide(distribute.total, &units.filter(|(_, units)| *units > 0).collect());
    let payout = |member: &MemberId| Some(&state.members.get(member)?.payout);
    let same = match distribute.carried() {
        None => distribute::outputs(&parts, payout) == distribute.outputs,
        Some(carried) => {
            let (after, before) = state.carried();
            if carried.after != after {
                return Err(NotPassing::Numbers("another distribution was paid before it: propose it anew"));
            }
            distribute::carry(parts, &before, payout) == (distribute.outputs.clone(), carried.left.clone())
        }
    };
    if same { Ok(()) } else { Err(NotPassing::Numbers("its outputs are not the roll's parts of its total")) }
}

/// What a node knows of the treasury when it judges an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Coins ≥ K deep.
    pub confirmed: Amount,
    /// Outputs of certified decisions that are not paid, and what is left of live budgets.
    pub promised: Amount,
}

/// A member's part of what is free in the treasury, rounded down.
#[must_use]
pub fn part_of(state: &State, member: &MemberId, funds: &Funds) -> Amount {
    let free = funds.confirmed.checked_sub(funds.promised).unwrap_or(Amount::ZERO);
    let all: u64 = state.members.keys().map(|member| state.units(member)).sum();
    if all == 0 {
        return Amount::ZERO;
    }
    let part = u128::from(free.to_sat()) * u128::from(state.units(member)) / u128::from(all);
    Amount::from_sat(u64::try_from(part).unwrap_or(u64::MAX))
}

/// Judge the exit of `member`: the newest of its claims.
///
/// # Errors
///
/// [`NotPassing`] says what is missing.
pub fn leaving(
    state: &State,
    member: &MemberId,
    local: &Local,
    funds: &Funds,
) -> Result<Passing, NotPassing> {
    let (claim, exit) = state.claim(member).ok_or(NotPassing::Unknown)?;
    if let Some(cancel) = state.cancelled(&exit_id(state.guild, member)) {
        return Err(NotPassing::Cancelled(cancel));
    }
    let first_seen = local.first_seen.unwrap_or(local.tip);
    let from = first_seen.saturating_add(state.rules.exit.cooling);
    if local.tip < from {
        return Err(NotPassing::Cooling { first_seen, from });
    }
    if local.tip > from.saturating_add(WINDOW) {
        return Err(NotPassing::Late { close: from, tip: local.tip });
    }
    let (asked, part) = (claim.amount, part_of(state, member, funds));
    if asked > part {
        return Err(NotPassing::Part { asked, part });
    }
    Ok(Passing { body: Exit::body(&exit, state.guild, state.epoch, claim.height), rule: Rule::Absolute })
}
