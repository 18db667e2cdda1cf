//! What a signer asks of a payment before it gives a share: every rule of §9, against its own view.
//!
//! The transaction comes from a coordinator who may be anybody, so nothing of it is believed. What a
//! coordinator is free to choose is the fee within the caps, further coins, and a lock time up to the tip.
//!
//! Every kind of transaction goes through the same rules, against the [`Outline`] that the signer derived
//! itself. Scripts carry no network (P13): [`crate::payee`] refuses an address of another when a decision
//! is made.

mod rules;
mod violation;

pub use violation::Violation;

use crate::fee::Bounds;
use crate::spend::{self, InputKey, Order, Outline, Purpose};
use crate::view::View;
use bitcoin::{Amount, OutPoint, Transaction, TxOut};
use crdt::ProposalId;
use std::collections::BTreeSet;

/// A transaction that keeps every rule in our own view. Only [`judge`] makes one, and a share is given for
/// nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedTx {
    purpose: Purpose,
    transaction: Transaction,
    inputs: Vec<InputKey>,
    fee: Amount,
}

impl CheckedTx {
    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The decision that it pays, draws on or closes, or zeros: see [`Purpose::subject`].
    #[must_use]
    pub const fn decision(&self) -> ProposalId {
        match self.purpose {
            Purpose::Draw { budget, .. } => budget,
            other => ProposalId(crdt::Digest(other.subject())),
        }
    }

    /// The transaction, without witnesses.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// For each input, in order, the coin from our own view and how its key follows from the group key.
    #[must_use]
    pub fn inputs(&self) -> &[InputKey] {
        &self.inputs
    }

    /// The spent outputs, in the order of the inputs.
    #[must_use]
    pub fn prevouts(&self) -> Vec<TxOut> {
        self.inputs.iter().map(|input| input.prevout.clone()).collect()
    }

    /// What it costs.
    #[must_use]
    pub const fn fee(&self) -> Amount {
        self.fee
    }
}

/// What a signer allows besides an outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What a transaction may pay.
    pub fee: Bounds,
    /// Seals and hooks: only an outline that names one spends it (P12).
    pub apart: BTreeSet<OutPoint>,
}

impl<B: Into<Bounds>> From<B> for Terms {
    fn from(fee: B) -> Self {
        Self { fee: fee.into(), apart: BTreeSet::new() }
    }
}

/// Everything that a rule looks at.
struct Case<'a> {
    transaction: &'a Transaction,
    outline: &'a Outline,
    view: &'a View,
    terms: &'a Terms,
    /// Virtual bytes once signed.
    vsize: u64,
    /// The coins it spends as far as they are known, in order. Rules that need all of them come after the
    /// one that finds them all ours.
    coins: Vec<InputKey>,
}

impl Case<'_> {
    /// What inputs hold beyond the outputs; none if they hold less.
    fn fee(&self) -> Option<Amount> {
        let inputs = total(self.coins.iter().map(|coin| coin.prevout.value))?;
        let outputs = total(self.transaction.output.iter().map(|output| output.value))?;
        inputs.checked_sub(outputs)
    }
}

fn total(mut values: impl Iterator<Item = Amount>) -> Option<Amount> {
    values.try_fold(Amount::ZERO, Amount::checked_add)
}

/// Check that `transaction` pays what was `decided`, once, from our coins, within the bounds.
///
/// # Errors
///
/// The first [`Violation`], with what was expected and what was found.
pub fn check<'a>(
    transaction: &Transaction,
    decided: impl Into<Order<'a>>,
    view: &View,
    terms: impl Into<Terms>,
) -> Result<CheckedTx, Box<Violation>> {
    let outline = spend::payment(decided, view).map_err(Violation::Outline)?;
    judge(transaction, &outline, view, &terms.into())
}

/// Check that `transaction` is what `outline`, which we derived ourselves, says it has to be, from our
/// coins, within the bounds.
///
/// # Errors
///
/// The first [`Violation`], with what was expected and what was found.
pub fn judge(
    transaction: &Transaction,
    outline: &Outline,
    view: &View,
    terms: &Terms,
) -> Result<CheckedTx, Box<Violation>> {
    let known = |(index, input): (usize, &bitcoin::TxIn)| {
        let given = outline.first.get(index).filter(|given| given.outpoint == input.previous_output);
        let key = given.map(|given| given.key.clone());
        key.or_else(|| view.coin(&input.previous_output).map(InputKey::from))
    };
    let coins = transaction.input.iter().enumerate().filter_map(known).collect();
    let vsize = crate::fee::signed_vsize(transaction);
    let case = Case { transaction, outline, view, terms, vsize, coins };
    rules::RULES.iter().try_for_each(|rule| rule(&case))?;
    let fee = case.fee().ok_or(Violation::Overspent)?;
    Ok(CheckedTx { purpose: outline.purpose, transaction: transaction.clone(), inputs: case.coins, fee })
}

#[cfg(test)]
mod mutation;
#[cfg(test)]
mod tests;
