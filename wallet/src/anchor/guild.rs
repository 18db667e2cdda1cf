//! The guild anchor: the coin whose lineage pays exits and distributions by work. Nobody chooses it (§9).

use super::fit;
use crate::treasury::ADDRESSES;
use crate::view::{Coin, View};
use bitcoin::OutPoint;
use crdt::limits::LEAST_COIN_SAT;
use std::cmp::Reverse;

/// The guild anchor: the first output of at least [`LEAST_COIN_SAT`] to an external address, once it is
/// buried and mature. The first block that has one decides; within it a block reward comes first, then
/// the order of ids.
#[must_use]
pub fn guild(view: &View) -> Option<OutPoint> {
    let external = |coin: &&Coin| {
        let [keychain, index] = coin.path;
        keychain == 0 && index < ADDRESSES && coin.output.value.to_sat() >= LEAST_COIN_SAT
    };
    let confirmed = view.coins.values().filter(external).filter(|coin| coin.height.is_some());
    let first = confirmed.min_by_key(|coin| (coin.height, Reverse(coin.coinbase), coin.outpoint))?;
    fit(view, first).ok().map(|coin| coin.outpoint)
}
