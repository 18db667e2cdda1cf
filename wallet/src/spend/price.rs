//! What a version in the mempool pays, and what replaces it (BIP125).

use super::Outline;
use crate::fee;
use crate::view::{Seen, View};
use bitcoin::{Amount, Txid};

/// What a transaction pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// In all.
    pub fee: Amount,
    /// Its virtual size, signed.
    pub vsize: u64,
}

impl Price {
    /// What a transaction of the treasury pays, as far as the view knows its inputs.
    #[must_use]
    pub fn of(view: &View, seen: &Seen) -> Self {
        let spent = seen.transaction.input.iter().filter_map(|input| view.coin(&input.previous_output));
        let inputs: Amount = spent.map(|coin| coin.output.value).sum();
        let outputs: Amount = seen.transaction.output.iter().map(|output| output.value).sum();
        let fee = inputs.checked_sub(outputs).unwrap_or(Amount::ZERO);
        Self { fee, vsize: fee::signed_vsize(&seen.transaction) }
    }

    /// What the transaction in the mempool that spends the first coin of `outline` pays, and its name.
    #[must_use]
    pub fn in_the_way(view: &View, outline: &Outline) -> Option<(Txid, Self)> {
        let coin = view.coin(&outline.first().next()?)?;
        let spender = coin.spent.filter(|spender| spender.height.is_none())?;
        Some((spender.txid, Self::of(view, view.transaction(&spender.txid)?)))
    }

    /// What a replacement of `vsize` virtual bytes must pay at least: more in all, by the relay fee of
    /// its own size, and more for each byte.
    #[must_use]
    pub fn replacement(&self, vsize: u64) -> u64 {
        let in_all = self.fee.to_sat().saturating_add(vsize * fee::LEAST_RATE);
        in_all.max(self.rate().saturating_add(fee::LEAST_RATE).saturating_mul(vsize))
    }

    /// Whole satoshis per virtual byte.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.fee.to_sat() / self.vsize.max(1)
    }
}

/// The rate that a replacement of `old` is built at: half as much again, or what is estimated now if that
/// is more, and enough to replace it at `vsize` virtual bytes.
#[must_use]
pub fn rate_above(old: &Price, vsize: u64, estimate: u64) -> u64 {
    let enough = old.replacement(vsize).div_ceil(vsize.max(1));
    fee::bumped(old.rate(), 1).max(estimate).max(enough)
}
