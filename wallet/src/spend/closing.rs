//! Closing moves (§9): the tip moves to its heir with the closing marker, which ends a decision's lineage
//! as a payment would. Whether a decision is to be closed is not decided here.

use super::outline::{open, spendable};
use super::{Given, Lock, NoOutline, Outline, Purpose};
use crate::anchor::{self, Line, Lineage};
use crate::marker;
use crate::view::View;
use crdt::ProposalId;

/// What the closing move of `decision`, which has this lineage, has to be.
///
/// # Errors
///
/// [`NoOutline`] if the lineage has ended, or cannot be moved yet.
pub fn closing(view: &View, decision: ProposalId, line: Line) -> Result<Outline, NoOutline> {
    anchor::check_anchor(view, line.anchor())?;
    let tip = match line.follow(view, decision, anchor::CONFIRMED) {
        Lineage::Open { tip } => spendable(view, tip)?,
        ended => return Err(NoOutline::Ended(ended)),
    };
    let mark = marker::output(marker::closing(view.guild(), decision));
    Ok(Outline {
        purpose: Purpose::Closing(decision),
        first: vec![Given::from(tip)],
        more: true,
        outputs: vec![open(view.change_script().clone()), mark],
        change: 0,
        lock: Lock::Reached,
        most: None,
    })
}
