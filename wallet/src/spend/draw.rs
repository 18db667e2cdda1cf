//! Draws on a budget (§9): a certificate for the budget, a signed Disburse, and the chain's own record of
//! what was drawn before.

use super::outline::{Lock, RECENT, open, spendable};
use super::{Given, NoOutline, Outline, Purpose};
use crate::anchor::{self, Lineage};
use crate::marker;
use crate::view::View;
use bitcoin::Amount;
use crdt::certificate::Certified;
use crdt::governance::{Budget, Disburse};
use crdt::{EntryId, Height, MemberId};

/// A Disburse entry: what a drawer signed.
#[derive(Debug, Clone, Copy)]
pub struct Bill<'a> {
    /// The entry.
    pub id: EntryId,
    /// Who signed it.
    pub author: MemberId,
    /// The height it claims.
    pub height: Height,
    /// What it asks for.
    pub disburse: &'a Disburse,
}

/// Why a budget does not allow a draw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// The entry does not stand.
    #[error("the draw does not stand: {0}")]
    Bill(#[from] crdt::governance::DrawError),
    /// It draws on another budget.
    #[error("the draw is on another budget")]
    Budget,
    /// Above the budget's end.
    #[error("the budget ended at height {end}, the lock time is {lock}")]
    Ended {
        /// The end.
        end: Height,
        /// The lock time.
        lock: Height,
    },
    /// The lock time dates the draw, and must be recent.
    #[error("lock time {lock} is not within {RECENT} blocks below the tip {tip}")]
    Date {
        /// The lock time.
        lock: Height,
        /// The tip.
        tip: Height,
    },
    /// The entry was drawn for already.
    #[error("this draw is paid already, by {0}")]
    Twice(bitcoin::Txid),
    /// More than the period has left.
    #[error("a draw of {wanted} with its fee is above the {left} that the period has left")]
    Over {
        /// Outputs and fee.
        wanted: Amount,
        /// What is left.
        left: Amount,
    },
}

/// What the transaction that pays `bill` from `budget` has to be, dated `lock`.
///
/// # Errors
///
/// [`NoOutline`] if there is none in this view.
pub fn draw(
    budget: &Certified<Budget>,
    bill: &Bill<'_>,
    view: &View,
    lock: Height,
) -> Result<Outline, NoOutline> {
    let (id, effect) = (budget.decision(), budget.effect());
    super::payment::same_guild(budget.certificate(), view)?;
    check_bill(budget, bill, view.tip(), lock)?;
    anchor::check_anchor(view, effect.anchor)?;
    let draws = anchor::draws(view, id, effect.anchor, anchor::CONFIRMED);
    let tip = match draws.lineage {
        Lineage::Open { tip } => spendable(view, tip)?,
        ended => return Err(NoOutline::Ended(ended)),
    };
    if let Some(before) = draws.drawn.iter().find(|draw| draw.disburse == bill.id) {
        return Err(DrawError::Twice(before.txid).into());
    }
    let drawn = draws.in_period(effect.period_of(lock), |height| effect.period_of(height));
    let left = effect.limit.checked_sub(drawn).unwrap_or(Amount::ZERO);
    let number = u32::try_from(draws.drawn.len() + 1).unwrap_or(u32::MAX);
    let mark = marker::draw_output(marker::draw(view.guild(), id, number), bill.id);
    let outputs = bill.disburse.outputs.iter().map(anchor::txout);
    Ok(Outline {
        purpose: Purpose::Draw { budget: id, number, disburse: bill.id },
        first: vec![Given::from(tip)],
        more: true,
        outputs: [open(view.change_script().clone()), mark].into_iter().chain(outputs).collect(),
        change: 0,
        lock: Lock::At(lock),
        most: Some(left),
    })
}

fn check_bill(
    budget: &Certified<Budget>,
    bill: &Bill<'_>,
    tip: Height,
    lock: Height,
) -> Result<(), DrawError> {
    let effect = budget.effect();
    if bill.disburse.budget != budget.decision() {
        return Err(DrawError::Budget);
    }
    effect.check_draw(&bill.author, bill.height, bill.disburse)?;
    if lock > effect.end {
        return Err(DrawError::Ended { end: effect.end, lock });
    }
    if lock > tip || lock < tip.saturating_sub(RECENT) {
        return Err(DrawError::Date { lock, tip });
    }
    Ok(())
}
