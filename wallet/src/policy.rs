//! What a signer asks of a payment before it gives a share: every rule of §9, against its own view.
//!
//! The transaction comes from a coordinator who may be anybody, so nothing of it is believed. What a
//! coordinator is free to choose is the fee within the caps, further coins, and a lock time up to the tip.
//!
//! Not among the rules, because there is nothing yet that they could forbid: no seal is spent (P12; the
//! seal's script 2/0 is not in the descriptor `<0;1>`), and scripts carry no network (P13).

mod rules;
mod violation;

pub use violation::Violation;

use crate::spend::InputKey;
use crate::view::{Coin, View};
use bitcoin::{Amount, Transaction, TxOut};
use crdt::ProposalId;
use crdt::certificate::Certified;
use crdt::charter::FeeCap;
use crdt::governance::Spend;

/// A payment that keeps every rule in our own view. Only [`check`] makes one, and a share is given for
/// nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedTx {
    decision: ProposalId,
    transaction: Transaction,
    inputs: Vec<InputKey>,
    fee: Amount,
}

impl CheckedTx {
    /// The decision that it pays.
    #[must_use]
    pub const fn decision(&self) -> ProposalId {
        self.decision
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

/// Everything that a rule looks at.
struct Case<'a> {
    transaction: &'a Transaction,
    decided: &'a Certified<Spend>,
    view: &'a View,
    cap: &'a FeeCap,
}

impl Case<'_> {
    /// The coins that it spends. Rules that need all of them come after the one that finds them all ours.
    fn coins(&self) -> impl Iterator<Item = &Coin> {
        self.transaction.input.iter().filter_map(|input| self.view.coin(&input.previous_output))
    }

    /// What inputs hold beyond the outputs; none if they hold less.
    fn fee(&self) -> Option<Amount> {
        let inputs = total(self.coins().map(|coin| coin.output.value))?;
        let outputs = total(self.transaction.output.iter().map(|output| output.value))?;
        inputs.checked_sub(outputs)
    }
}

fn total(mut values: impl Iterator<Item = Amount>) -> Option<Amount> {
    values.try_fold(Amount::ZERO, Amount::checked_add)
}

/// Check that `transaction` pays what was `decided`, once, from our coins, within the caps.
///
/// # Errors
///
/// The first [`Violation`], with what was expected and what was found.
pub fn check(
    transaction: &Transaction,
    decided: &Certified<Spend>,
    view: &View,
    cap: &FeeCap,
) -> Result<CheckedTx, Box<Violation>> {
    let case = Case { transaction, decided, view, cap };
    rules::RULES.iter().try_for_each(|rule| rule(&case))?;
    Ok(CheckedTx {
        decision: decided.decision(),
        transaction: transaction.clone(),
        inputs: case.coins().map(InputKey::from).collect(),
        fee: case.fee().ok_or(Violation::Overspent)?,
    })
}

#[cfg(test)]
mod tests;
