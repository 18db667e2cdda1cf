//! One view of coins under several keys: those of this epoch, and those that are still on their way to it.

use super::View;
use bitcoin::OutPoint;
use std::collections::BTreeSet;
use std::sync::Arc;

impl View {
    /// This view and what `others`, at the same block, show of older and newer keys. Change goes where this
    /// view's goes.
    #[must_use]
    pub fn joined<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut joined = self.clone();
        for other in others {
            let coins = other.coins.iter().map(|(outpoint, coin)| (*outpoint, coin.clone()));
            Arc::make_mut(&mut joined.coins).extend(coins);
            let seen = other.transactions.iter().map(|(txid, seen)| (*txid, seen.clone()));
            Arc::make_mut(&mut joined.transactions).extend(seen);
            Arc::make_mut(&mut joined.frozen).extend(other.frozen.iter().copied());
            Arc::make_mut(&mut joined.left_alone).extend(other.left_alone.iter().copied());
            // the guild anchor is of the first key, and older than any coin of another
            let (ours, theirs) = (&joined.first, &other.first);
            if !theirs.txids.is_empty() && (ours.txids.is_empty() || theirs.height < ours.height) {
                joined.first = Arc::clone(theirs);
            }
        }
        joined
    }

    /// The names of all its coins.
    #[must_use]
    pub fn names(&self) -> BTreeSet<OutPoint> {
        self.coins.keys().copied().collect()
    }
}
