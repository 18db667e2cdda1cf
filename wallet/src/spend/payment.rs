//! Payments of decisions (§9): Spend, Distribute, Exit.

use super::outline::{open, spendable};
use super::{BuildError, Given, Lock, NoOutline, Outline, Params, Purpose, Unsigned, fund};
use crate::anchor::{self, Anchored as _, Line, Lineage};
use crate::marker;
use crate::view::View;
use bitcoin::{OutPoint, TxOut};
use crdt::ProposalId;
use crdt::certificate::{Certificate, Certified};
use crdt::governance::{Distribute, Exit, Output, Spend};

/// A certified decision as a payment sees it.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    certificate: &'a Certificate,
    outputs: &'a [Output],
    line: Line,
}

impl<'a> From<&'a Certified<Spend>> for Order<'a> {
    fn from(decided: &'a Certified<Spend>) -> Self {
        let effect = decided.effect();
        Self { certificate: decided.certificate(), outputs: &effect.outputs, line: effect.line() }
    }
}

impl<'a> From<&'a Certified<Distribute>> for Order<'a> {
    fn from(decided: &'a Certified<Distribute>) -> Self {
        let effect = decided.effect();
        Self { certificate: decided.certificate(), outputs: &effect.outputs, line: effect.line() }
    }
}

impl<'a> Order<'a> {
    /// An exit: paid from the lineage of the guild anchor ([`anchor::guild`]), which it does not name.
    #[must_use]
    pub fn exit(decided: &'a Certified<Exit>, anchor: OutPoint) -> Self {
        let outputs = std::slice::from_ref(&decided.effect().output);
        Self { certificate: decided.certificate(), outputs, line: Line::Once { anchor } }
    }

    /// The decision.
    #[must_use]
    pub const fn decision(&self) -> ProposalId {
        self.certificate.body.proposal
    }

    /// Its outputs as a transaction has them.
    pub(crate) fn payees(&self) -> impl Iterator<Item = TxOut> + 'a {
        self.outputs.iter().map(anchor::txout)
    }
}

/// What the payment of a decision has to be.
///
/// # Errors
///
/// [`NoOutline`] if there is none in this view.
pub fn payment<'a>(decided: impl Into<Order<'a>>, view: &View) -> Result<Outline, NoOutline> {
    let order = decided.into();
    same_guild(order.certificate, view)?;
    crdt::governance::spend::check(order.outputs)?;
    anchor::check_anchor(view, order.line.anchor())?;
    let id = order.decision();
    let tip = match order.line.follow(view, id, anchor::CONFIRMED) {
        Lineage::Open { tip } => spendable(view, tip)?,
        ended => return Err(NoOutline::Ended(ended)),
    };
    let mark = marker::output(mark(&order, view)?);
    let outputs = [open(view.change_script().clone()), mark].into_iter().chain(order.payees());
    Ok(Outline {
        purpose: Purpose::Payment(id),
        first: vec![Given::from(tip)],
        more: true,
        outputs: outputs.collect(),
        change: 0,
        lock: Lock::Reached,
        most: None,
    })
}

/// What the transaction says it is. A distribution by work waits until those before it are paid.
fn mark(order: &Order<'_>, view: &View) -> Result<[u8; 32], NoOutline> {
    let Line::Work { anchor, number, .. } = order.line else {
        return Ok(marker::marker(view.guild(), order.decision()));
    };
    let expected = order.line.next_work(view, order.decision(), anchor::CONFIRMED).unwrap_or(number);
    let guild = anchor::guild(view);
    if guild != Some(anchor) {
        return Err(NoOutline::GuildAnchor { expected: guild, found: anchor });
    }
    if number == expected {
        Ok(marker::work(view.guild(), number))
    } else {
        Err(NoOutline::Number { expected, found: number })
    }
}

/// The decision is this guild's.
pub(super) fn same_guild(certificate: &Certificate, view: &View) -> Result<(), NoOutline> {
    let (expected, found) = (view.guild(), certificate.body.guild);
    if expected == found { Ok(()) } else { Err(NoOutline::Guild { expected, found }) }
}

/// Build the payment of a decision.
///
/// # Errors
///
/// [`BuildError`] says what is in the way; most of it passes with time or money.
pub fn build<'a>(
    decided: impl Into<Order<'a>>,
    view: &View,
    params: &Params,
) -> Result<Unsigned, BuildError> {
    fund(&payment(decided, view)?, view, params)
}
