//! Settings: what is so until something else is decided (§7, §11).

use super::Effect;
use crate::certificate::Decidable;
use crate::hash::Digest;
use crate::mining::MiningPolicy;
use crate::text::{Line, Note};
use bitcoin::OutPoint;
use serde::{Deserialize, Serialize};

/// A value of the guild that a decision sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// What farms do.
    Mining(MiningPolicy),
    /// A rule of the house that people follow: nothing in the software goes by it.
    House {
        /// Its name.
        name: Line,
        /// What holds.
        value: Note,
    },
    /// Whether a coin of the treasury is frozen: no co-signer builds or signs what spends it.
    Coin {
        /// The coin.
        outpoint: OutPoint,
        /// Frozen, or free again.
        frozen: bool,
    },
}

/// Which setting: of each the register keeps one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SettingKey {
    /// See [`Setting::Mining`].
    Mining,
    /// See [`Setting::House`], by name.
    House(Line),
    /// See [`Setting::Coin`].
    Coin(OutPoint),
}

impl Setting {
    /// Which setting it sets.
    #[must_use]
    pub fn key(&self) -> SettingKey {
        match self {
            Self::Mining(_) => SettingKey::Mining,
            Self::House { name, .. } => SettingKey::House(name.clone()),
            Self::Coin { outpoint, .. } => SettingKey::Coin(*outpoint),
        }
    }
}

impl std::fmt::Display for SettingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mining => f.write_str("mining"),
            Self::House(name) => write!(f, "house rule '{}'", name.as_str()),
            Self::Coin(outpoint) => write!(f, "coin {outpoint}"),
        }
    }
}

impl Decidable for Setting {
    fn effect_hash(&self) -> Digest {
        Effect::Setting(self.clone()).hash()
    }
}
