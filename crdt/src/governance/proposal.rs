//! What can be proposed: a closed list of effects, and no text ever decides anything (§7).

use super::{
    Budget, BudgetError, Distribute, EpochChange, EpochChangeError, Options, OptionsError, Setting, Spend,
    SpendError, spend,
};
use crate::hash::Digest;
use crate::id::ProposalId;
use crate::text::{Line, Note};
use serde::{Deserialize, Serialize};

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

/// The closed list of things that can be decided. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Pay these outputs, once.
    Spend(Spend),
    /// Words, and nothing else.
    Text,
    /// From now on this holds.
    Setting(Setting),
    /// Pay the members, once.
    Distribute(Distribute),
    /// Members may spend within a limit.
    Budget(Budget),
    /// Carry this decision out no more: a veto.
    Cancel(ProposalId),
    /// Another roll, other rules, another key.
    Epoch(Box<EpochChange>),
    /// One of several: approval picks it.
    Choose(Options),
}

/// Classes of actions: each has rules of its own in the charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// Words.
    Text,
    /// Settings.
    Setting,
    /// Payments.
    Spend,
    /// Payments to the members.
    Distribute,
    /// Standing permissions to spend.
    Budget,
    /// Changes of the guild itself.
    Epoch,
    /// Members who leave.
    Exit,
    /// Vetoes.
    Cancel,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Setting => "setting",
            Self::Spend => "spend",
            Self::Distribute => "distribute",
            Self::Budget => "budget",
            Self::Epoch => "epoch",
            Self::Exit => "exit",
            Self::Cancel => "cancel",
        })
    }
}

/// Why an effect can never happen, whatever the votes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EffectError {
    /// A payment that cannot be made.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// Outputs that are more than what is divided.
    #[error("the outputs are more than the total that is divided")]
    Total,
    /// A part of nothing, or of everything.
    #[error("the part by work is 1 to 99 percent, not {0}")]
    Part(u8),
    /// Distributions by work are counted from 1.
    #[error("the first distribution by work is number 1")]
    Number,
    /// A budget that cannot be drawn.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// A change of the guild that cannot happen.
    #[error(transparent)]
    Epoch(#[from] EpochChangeError),
    /// Options that cannot stand beside each other.
    #[error(transparent)]
    Options(#[from] OptionsError),
}

impl Effect {
    /// Which class of actions it is of.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Spend(_) => Class::Spend,
            Self::Text => Class::Text,
            Self::Setting(_) => Class::Setting,
            Self::Distribute(_) => Class::Distribute,
            Self::Budget(_) => Class::Budget,
            Self::Cancel(_) => Class::Cancel,
            Self::Epoch(_) => Class::Epoch,
            Self::Choose(Options::Text(_)) => Class::Text,
            Self::Choose(Options::Setting(_)) => Class::Setting,
            Self::Choose(Options::Spend(_)) => Class::Spend,
        }
    }

    /// Check what can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`EffectError`] says what cannot be.
    pub fn check(&self) -> Result<(), EffectError> {
        match self {
            Self::Text | Self::Setting(_) | Self::Cancel(_) => Ok(()),
            Self::Spend(spend) => Ok(spend.check()?),
            Self::Distribute(distribute) => check_distribute(distribute),
            Self::Budget(budget) => Ok(budget.check()?),
            Self::Epoch(change) => Ok(change.check()?),
            Self::Choose(options) => Ok(options.check()?),
        }
    }

    /// What happens if `option` is chosen; an effect without options is its own option 0.
    #[must_use]
    pub fn option(&self, option: u16) -> Option<Self> {
        match self {
            Self::Choose(options) => options.effect(option),
            effect => (option == 0).then(|| effect.clone()),
        }
    }

    /// The hash that a certificate signs. A mining policy has the one that farms know it by.
    #[must_use]
    pub fn hash(&self) -> Digest {
        if let Self::Setting(Setting::Mining(policy)) = self {
            return policy.hash();
        }
        let bytes = postcard::to_stdvec(self).expect("an effect always encodes");
        Digest::tagged("hashguild/effect/v1", &[&bytes])
    }
}

fn check_distribute(distribute: &Distribute) -> Result<(), EffectError> {
    spend::check(&distribute.outputs)?;
    let paid = spend::total(&distribute.outputs).ok_or(EffectError::Total)?;
    let adds_up = match distribute.carried() {
        // what is carried comes to it: how much, the fold knows
        Some(carried) => {
            let left = carried.left.values().try_fold(0_u64, |sum, sat| sum.checked_add(*sat));
            left.and_then(|left| left.checked_add(paid.to_sat()))
                .is_some_and(|all| all >= distribute.total.to_sat())
        }
        None => paid <= distribute.total,
    };
    if !adds_up {
        return Err(EffectError::Total);
    }
    if let super::Basis::Mixed { work_percent, .. } = &distribute.basis
        && !(1..100).contains(work_percent)
    {
        return Err(EffectError::Part(*work_percent));
    }
    if distribute.work().is_some_and(|work| work.number == 0) {
        return Err(EffectError::Number);
    }
    Ok(())
}
