//! Renewals (§10): coins move to 1/0 of the same key, without a vote, long before their recovery leaf opens.

use super::outline::{open, spendable};
use super::{Given, INPUTS_MAX, Lock, NoOutline, Outline, Purpose};
use crate::view::{Coin, View};
use bitcoin::OutPoint;
use crdt::Height;
use crdt::limits::LEAST_COIN_SAT;
use std::collections::BTreeSet;

/// Percent of the recovery delay at which a coin or seal is renewed.
pub const RENEW_AT_PERCENT: Height = 50;

/// Whether something this many blocks deep is to be renewed under a recovery `delay`.
#[must_use]
pub const fn renewal_due(depth: Height, delay: Height) -> bool {
    depth.saturating_mul(100) > delay.saturating_mul(RENEW_AT_PERCENT)
}

/// What the next renewal has to be, if a coin is due: the oldest coin, alone if the lineage of an open
/// decision stands on it (`tips`), so that decisions do not come to share one coin; else together with
/// others that are due. Smaller coins than [`LEAST_COIN_SAT`] are not worth it.
///
/// # Errors
///
/// [`NoOutline::Nothing`] if none is due.
pub fn renewal(
    view: &View,
    delay: Height,
    tips: &BTreeSet<OutPoint>,
    apart: &BTreeSet<OutPoint>,
) -> Result<Outline, NoOutline> {
    let due = |coin: &&Coin| {
        renewal_due(coin.depth, delay)
            && coin.mature()
            && !coin.gone()
            && coin.output.value.to_sat() >= LEAST_COIN_SAT
            && !apart.contains(&coin.outpoint)
            && !view.frozen().contains(&coin.outpoint)
    };
    let mut coins: Vec<_> = view.coins.values().filter(due).collect();
    coins.sort_by_key(|coin| (coin.height, coin.outpoint));
    let oldest = coins.first().ok_or(NoOutline::Nothing)?;
    if tips.contains(&oldest.outpoint) {
        coins.truncate(1);
    } else {
        coins.retain(|coin| !tips.contains(&coin.outpoint));
        coins.truncate(INPUTS_MAX);
    }
    let first = coins.iter().map(|coin| spendable(view, coin.outpoint).map(Given::from));
    Ok(Outline {
        purpose: Purpose::Renewal,
        first: first.collect::<Result<_, _>>()?,
        more: true, // a coin just large enough for a tip cannot pay for itself
        outputs: vec![open(view.change_script().clone())],
        change: 0,
        lock: Lock::Reached,
        most: None,
    })
}
