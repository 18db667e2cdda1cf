//! Payments written out to the satoshi: what is checked of them without a chain, and what all of them
//! have in common (§7, §9).

use super::Effect;
use crate::bounded;
use crate::certificate::Decidable;
use crate::hash::Digest;
use crate::limits::{ENTRY_MAX, OUTPUTS_MAX};
use bitcoin::{Amount, OutPoint, Script, ScriptBuf};
use serde::{Deserialize, Serialize};

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

/// A decision that one transaction pays in full: its outputs stand in the decision, byte for byte.
pub trait Payable: Decidable {
    /// Who gets how much, in the order of the transaction.
    fn outputs(&self) -> &[Output];

    /// The coin whose lineage every payment of this decision must spend.
    fn anchor(&self) -> OutPoint;

    /// Check what can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`SpendError`] names the first output that cannot stand.
    fn check_outputs(&self) -> Result<(), SpendError> {
        check(self.outputs())
    }

    /// The sum of all outputs; none if it cannot exist.
    fn total(&self) -> Option<Amount> {
        total(self.outputs())
    }
}

/// Why a payment cannot stand, whatever the votes.
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

/// Check outputs as far as that goes without a chain.
///
/// # Errors
///
/// [`SpendError`] names the first output that cannot stand.
pub fn check(outputs: &[Output]) -> Result<(), SpendError> {
    let count = u32::try_from(outputs.len()).unwrap_or(u32::MAX);
    if count == 0 || outputs.len() > OUTPUTS_MAX {
        return Err(SpendError::Outputs(count));
    }
    for (index, output) in (0..).zip(outputs) {
        if !is_address_script(&output.script) {
            return Err(SpendError::Script(index));
        }
        if output.amount < output.script.minimal_non_dust() {
            return Err(SpendError::Dust(index));
        }
    }
    total(outputs).map(|_| ()).ok_or(SpendError::Sum)
}

/// The sum of `outputs`; none if it cannot exist.
#[must_use]
pub fn total(outputs: &[Output]) -> Option<Amount> {
    let total = outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.amount));
    total.filter(|total| *total <= Amount::MAX_MONEY)
}

/// Whether an address stands for `script`.
#[must_use]
pub fn is_address_script(script: &Script) -> bool {
    script.is_p2pkh() || script.is_p2sh() || script.is_p2wpkh() || script.is_p2wsh() || script.is_p2tr()
}

impl Spend {
    /// Check what can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`SpendError`] names the first output that cannot stand.
    pub fn check(&self) -> Result<(), SpendError> {
        check(&self.outputs)
    }

    /// The sum of all outputs; none if it cannot exist.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        total(&self.outputs)
    }
}

impl Decidable for Spend {
    fn effect_hash(&self) -> Digest {
        Effect::Spend(self.clone()).hash()
    }
}

impl Payable for Spend {
    fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    fn anchor(&self) -> OutPoint {
        self.anchor
    }
}
