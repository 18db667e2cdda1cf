//! Sweeps (§10): coins of an old key move to the present one. Before the seal is buried each spends a hook
//! of the seal, so that none confirms without its seal or survives the seal's reorganisation.

use super::outline::open;
use super::{Given, INPUTS_MAX, Lock, NoOutline, Outline, Purpose};
use crate::view::{Coin, View};
use bitcoin::{OutPoint, ScriptBuf};
use crdt::limits::LEAST_COIN_SAT;
use std::collections::BTreeSet;

/// What a hook holds: the least that relays at a taproot output.
pub const HOOK_SAT: u64 = 330;

/// The coins to sweep, in lots of one transaction each: mature, in a block, at least
/// [`LEAST_COIN_SAT`], the oldest first. `apart` names seals and hooks, which no sweep takes.
#[must_use]
pub fn batches(view: &View, apart: &BTreeSet<OutPoint>) -> Vec<Vec<OutPoint>> {
    let wanted = |coin: &&Coin| {
        coin.depth > 0
            && coin.mature()
            && !coin.gone()
            && coin.output.value.to_sat() >= LEAST_COIN_SAT
            && !apart.contains(&coin.outpoint)
            && !view.frozen().contains(&coin.outpoint)
    };
    let mut coins: Vec<_> = view.coins.values().filter(wanted).collect();
    coins.sort_by_key(|coin| (coin.height, coin.outpoint));
    let names: Vec<_> = coins.iter().map(|coin| coin.outpoint).collect();
    names.chunks(INPUTS_MAX - 1).map(<[_]>::to_vec).collect() // one input is the hook's
}

/// What the sweep of `coins` to `heir`, the present key's 1/0, has to be.
///
/// # Errors
///
/// [`NoOutline`] if a coin is not ours or cannot be spent, or there is none.
pub fn sweep(
    view: &View,
    hook: Option<Given>,
    coins: &[OutPoint],
    heir: ScriptBuf,
) -> Result<Outline, NoOutline> {
    if coins.is_empty() {
        return Err(NoOutline::Nothing);
    }
    let mut first: Vec<Given> = hook.into_iter().collect();
    for outpoint in coins {
        first.push(super::outline::spendable(view, *outpoint)?.into());
    }
    Ok(Outline {
        purpose: Purpose::Sweep,
        first,
        more: false,
        outputs: vec![open(heir)],
        change: 0,
        lock: Lock::Reached,
        most: None,
    })
}
