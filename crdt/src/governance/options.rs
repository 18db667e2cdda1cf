//! Proposals with several options, of which approval picks one (§7). Each option is an effect of its own,
//! with a certificate of its own.

use super::{Effect, Setting, Spend, SpendError};
use crate::bounded;
use crate::limits::ENTRY_MAX;
use crate::text::Line;
use serde::{Deserialize, Serialize};

/// The most options of one proposal.
pub const OPTIONS_MAX: usize = 16;

/// What to choose from: all of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Options {
    /// Words.
    Text(#[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")] Vec<Line>),
    /// Values of one setting.
    Setting(#[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")] Vec<Setting>),
    /// Payments from one anchor, so that no history of Bitcoin has two of them.
    Spend(#[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")] Vec<Spend>),
}

/// Why options cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Nothing to choose from, or too much.
    #[error("a choice has 2 to {OPTIONS_MAX} options, not {0}")]
    Number(usize),
    /// Options that set different settings.
    #[error("all options set the same setting")]
    Settings,
    /// Payments that could both be made.
    #[error("all options are paid from the same coin")]
    Anchors,
    /// A payment that cannot be made.
    #[error("option {0}: {1}")]
    Payment(u16, SpendError),
}

impl Options {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Text(options) => options.len(),
            Self::Setting(options) => options.len(),
            Self::Spend(options) => options.len(),
        }
    }

    /// Whether there is nothing to choose from.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What happens if `option` is chosen.
    #[must_use]
    pub fn effect(&self, option: u16) -> Option<Effect> {
        let index = usize::from(option);
        match self {
            Self::Text(options) => options.get(index).map(|_| Effect::Text),
            Self::Setting(options) => options.get(index).cloned().map(Effect::Setting),
            Self::Spend(options) => options.get(index).cloned().map(Effect::Spend),
        }
    }

    /// Check what can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] names the first rule broken.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !(2..=OPTIONS_MAX).contains(&self.len()) {
            return Err(OptionsError::Number(self.len()));
        }
        match self {
            Self::Text(_) => Ok(()),
            Self::Setting(options) => {
                let one = options.windows(2).all(|pair| matches!(pair, [a, b] if a.key() == b.key()));
                if one { Ok(()) } else { Err(OptionsError::Settings) }
            }
            Self::Spend(options) => {
                for (option, spend) in (0..).zip(options) {
                    spend.check().map_err(|why| OptionsError::Payment(option, why))?;
                }
                let one = options.windows(2).all(|pair| matches!(pair, [a, b] if a.anchor == b.anchor));
                if one { Ok(()) } else { Err(OptionsError::Anchors) }
            }
        }
    }
}
