//! What a treasury learnt, to be stored: what BDK's wallet learnt, and the order within one block.

use crate::view::First;
use serde::{Deserialize, Serialize};

/// A change. Many add up to one in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// Of the wallet.
    pub wallet: bdk_wallet::ChangeSet,
    /// The block that the guild anchor is in, if it became another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<First>,
}

impl ChangeSet {
    /// Add what came later.
    pub fn merge(&mut self, later: Self) {
        bdk_wallet::chain::Merge::merge(&mut self.wallet, later.wallet);
        self.first = later.first.or_else(|| self.first.take());
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        bdk_wallet::chain::Merge::is_empty(&self.wallet) && self.first.is_none()
    }
}

impl From<bdk_wallet::ChangeSet> for ChangeSet {
    fn from(mut wallet: bdk_wallet::ChangeSet) -> Self {
        wallet.indexer.spk_cache.retain(|_, scripts| !scripts.is_empty()); // BDK names keychains without news
        Self { wallet, first: None }
    }
}
