//! A block's value in several parts, paid by its coinbase (§11).
//!
//! A split that exists can be carried out: it has payees, each once, with weights that add up to
//! something; bytes that say otherwise are not read. The treasury stands in it by name and never by
//! script, so that no policy can smuggle in another.

use crate::bounded;
use crate::governance::divide;
use crate::governance::spend::is_address_script;
use crate::limits::SPLIT_MAX;
use bitcoin::{Amount, Script, ScriptBuf};
use serde::{Deserialize, Serialize};

/// Who gets how much of a block, by weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Split {
    shares: Vec<Share>,
    small: Small,
}

/// A part of a split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    /// Whose.
    pub payee: Payee,
    /// How much, beside the others' weights. Not 0.
    pub weight: u32,
}

/// Whom a part of a block pays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Payee {
    /// The treasury of the epoch whose key the farm obeys: external address 0.
    Treasury,
    /// The standard script of an address.
    Script(ScriptBuf),
}

/// What a device does whose firmware would cut so long a coinbase short. Every share of such a device
/// would be worthless, so it is never given the split itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Small {
    /// It mines for the treasury alone.
    Treasury,
    /// It gets no work.
    NoWork,
}

/// Why a split cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// None, or more than [`SPLIT_MAX`].
    #[error("a split has 1 to {SPLIT_MAX} payees, not {0}")]
    Count(usize),
    /// A payee without a weight.
    #[error("payee {0} has a weight of 0")]
    Weight(usize),
    /// One payee in two places.
    #[error("payee {0} stands in the split twice")]
    Twice(usize),
    /// Not a script that an address stands for.
    #[error("payee {0} is no standard address")]
    Script(usize),
}

/// As it is encoded.
#[derive(Serialize, Deserialize)]
struct Raw {
    #[serde(deserialize_with = "bounded::list::<_, _, SPLIT_MAX>")]
    shares: Vec<Share>,
    small: Small,
}

impl TryFrom<Raw> for Split {
    type Error = SplitError;
    fn try_from(raw: Raw) -> Result<Self, SplitError> {
        Self::new(raw.shares, raw.small)
    }
}

impl From<Split> for Raw {
    fn from(Split { shares, small }: Split) -> Self {
        Self { shares, small }
    }
}

impl Split {
    /// Check and make a split.
    ///
    /// # Errors
    ///
    /// [`SplitError`] names the first payee that cannot stand.
    pub fn new(shares: Vec<Share>, small: Small) -> Result<Self, SplitError> {
        if shares.is_empty() || shares.len() > SPLIT_MAX {
            return Err(SplitError::Count(shares.len()));
        }
        for (place, share) in shares.iter().enumerate() {
            if share.weight == 0 {
                return Err(SplitError::Weight(place));
            }
            if shares.iter().take(place).any(|earlier| earlier.payee == share.payee) {
                return Err(SplitError::Twice(place));
            }
            if matches!(&share.payee, Payee::Script(script) if !is_address_script(script)) {
                return Err(SplitError::Script(place));
            }
        }
        Ok(Self { shares, small })
    }

    /// The parts, in the order of the coinbase.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// What devices do that cannot take the split's coinbase.
    #[must_use]
    pub const fn small(&self) -> Small {
        self.small
    }

    /// What each payee gets of `total`, in order, by the largest-remainder rule, the earlier one first
    /// where two remainders are equal: together exactly `total` (M4).
    #[must_use]
    pub fn divide(&self, total: Amount) -> Vec<Amount> {
        let weights = self.shares.iter().map(|share| u64::from(share.weight)).enumerate();
        divide(total, &weights.collect()).into_values().collect()
    }
}

impl Payee {
    /// The script it stands for, where the treasury's is `treasury`.
    #[must_use]
    pub fn script<'a>(&'a self, treasury: &'a Script) -> &'a Script {
        match self {
            Self::Treasury => treasury,
            Self::Script(script) => script,
        }
    }
}

#[cfg(test)]
mod tests;
