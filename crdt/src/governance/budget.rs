//! Budgets: what named members may spend without a vote for every bill (§7, §9).

use super::{Effect, Output, SpendError, spend};
use crate::bounded;
use crate::certificate::Decidable;
use crate::hash::Digest;
use crate::id::{MemberId, ProposalId};
use crate::limits::{DRAWERS_MAX, ENTRY_MAX, LEAST_COIN_SAT, PAYEES_MAX};
use crate::text::{Line, Note};
use crate::{Height, limits};
use bitcoin::{Amount, OutPoint, ScriptBuf};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A standing permission to spend up to a limit, again in each period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What all draws of one period may cost together, fees included.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub limit: Amount,
    /// Blocks of a period; periods are counted from height 0.
    pub period: Height,
    /// The scripts that a draw may pay.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub payees: Vec<ScriptBuf>,
    /// The members who may draw.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub drawers: Vec<MemberId>,
    /// What it is for.
    pub purpose: Line,
    /// Nothing is drawn above this height.
    pub end: Height,
    /// The coin whose lineage pays every draw.
    pub anchor: OutPoint,
}

/// One draw of a budget: a bill that a drawer signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disburse {
    /// Of which budget.
    pub budget: ProposalId,
    /// Who gets how much, in the order of the transaction.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub outputs: Vec<Output>,
    /// What for.
    pub reason: Note,
}

/// Why a budget can never be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The limit is below the smallest coin of a treasury, or more than can exist.
    #[error("a budget's limit is {LEAST_COIN_SAT} sat or more")]
    Limit,
    /// Too short or too long a period.
    #[error("a budget's period is {} to 52,560 blocks", limits::QUOTA_BLOCKS)]
    Period,
    /// Nobody, somebody twice, too many, or no address.
    #[error("a budget names 1 to {PAYEES_MAX} different addresses as payees")]
    Payees,
    /// Nobody, somebody twice, or too many.
    #[error("a budget names 1 to {DRAWERS_MAX} different members who draw")]
    Drawers,
}

/// Why a draw does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// The proposal is another thing.
    #[error("{0:?} is no budget")]
    NoBudget(ProposalId),
    /// The author may not draw.
    #[error("{0:?} is not among the members who draw this budget")]
    Drawer(MemberId),
    /// Said after the end.
    #[error("the budget ended at height {0}")]
    Ended(Height),
    /// An output that cannot stand.
    #[error(transparent)]
    Outputs(#[from] SpendError),
    /// An output to somebody the budget does not name.
    #[error("output {0} pays no payee of the budget")]
    Payee(u32),
    /// More than a whole period allows.
    #[error("the draw is above the budget's limit of {0}")]
    Limit(Amount),
}

impl Budget {
    /// Check what can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`BudgetError`] names the first rule broken.
    pub fn check(&self) -> Result<(), BudgetError> {
        let limit = Amount::from_sat(LEAST_COIN_SAT)..=Amount::MAX_MONEY;
        let payees: BTreeSet<_> = self.payees.iter().collect();
        let drawers: BTreeSet<_> = self.drawers.iter().collect();
        let addresses = self.payees.iter().all(|script| spend::is_address_script(script));
        let all_differ = |count: usize, of: usize, most: usize| count == of && (1..=most).contains(&of);
        if !limit.contains(&self.limit) {
            return Err(BudgetError::Limit);
        }
        if !(limits::QUOTA_BLOCKS..=limits::PERIOD_MAX).contains(&self.period) {
            return Err(BudgetError::Period);
        }
        if !addresses || !all_differ(payees.len(), self.payees.len(), PAYEES_MAX) {
            return Err(BudgetError::Payees);
        }
        let drawn = all_differ(drawers.len(), self.drawers.len(), DRAWERS_MAX);
        if drawn { Ok(()) } else { Err(BudgetError::Drawers) }
    }

    /// Check a draw by `author`, said at `height`, as far as that goes without a chain. What was drawn in
    /// the period before is the chain's to say.
    ///
    /// # Errors
    ///
    /// [`DrawError`] names the first rule broken.
    pub fn check_draw(&self, author: &MemberId, height: Height, draw: &Disburse) -> Result<(), DrawError> {
        if !self.drawers.contains(author) {
            return Err(DrawError::Drawer(*author));
        }
        if height > self.end {
            return Err(DrawError::Ended(self.end));
        }
        spend::check(&draw.outputs)?;
        let unknown = (0..).zip(&draw.outputs).find(|(_, output)| !self.payees.contains(&output.script));
        if let Some((index, _)) = unknown {
            return Err(DrawError::Payee(index));
        }
        let within = spend::total(&draw.outputs).is_some_and(|total| total <= self.limit);
        if within { Ok(()) } else { Err(DrawError::Limit(self.limit)) }
    }

    /// The most that all draws can add up to, if they begin at `height`; none if that cannot exist.
    #[must_use]
    pub fn most(&self, height: Height) -> Option<Amount> {
        let periods =
            self.end.checked_sub(height).map_or(0, |_| self.period_of(self.end) - self.period_of(height) + 1);
        self.limit.checked_mul(u64::from(periods))
    }

    /// The period that `height` falls into.
    #[must_use]
    pub const fn period_of(&self, height: Height) -> u32 {
        height / if self.period == 0 { 1 } else { self.period }
    }
}

impl Decidable for Budget {
    fn effect_hash(&self) -> Digest {
        Effect::Budget(self.clone()).hash()
    }
}
