//! Integers of governance. Money is [`bitcoin::Amount`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// A member's voting weight. Zero means a member without a vote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// The largest weight one member may have, so that no sum over a roll overflows.
pub const MAX_WEIGHT: u32 = 1_000_000_000;

/// A weight above [`MAX_WEIGHT`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("weight {0} is above the largest, {MAX_WEIGHT}")]
pub struct WeightError(u32);

impl TryFrom<u32> for Weight {
    type Error = WeightError;
    fn try_from(weight: u32) -> Result<Self, Self::Error> {
        if weight > MAX_WEIGHT { Err(WeightError(weight)) } else { Ok(Self(weight)) }
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl Weight {
    /// The sum of many weights, in a type that holds the sum of every possible roll.
    pub fn sum(weights: impl IntoIterator<Item = Self>) -> u64 {
        weights.into_iter().map(|weight| u64::from(weight.0)).sum()
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
