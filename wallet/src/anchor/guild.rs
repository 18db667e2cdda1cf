//! The guild anchor: the coin whose lineage pays exits and distributions by work. Nobody chooses it (§9).

use super::fit;
use crate::view::{Coin, View, can_be_anchor};
use bitcoin::OutPoint;

/// The guild anchor: the first output, by height, place in the block and place in the transaction, of at
/// least [`LEAST_COIN_SAT`](crdt::limits::LEAST_COIN_SAT) to an external address, once it is buried and
/// mature. None, too, while the order within its block is not known.
#[must_use]
pub fn guild(view: &View) -> Option<OutPoint> {
    let candidates = || view.coins.values().filter(|coin| can_be_anchor(coin.path, &coin.output));
    let height = candidates().filter_map(|coin| coin.height).min()?;
    let in_block: Vec<&Coin> = candidates().filter(|coin| coin.height == Some(height)).collect();
    let one = |coin: &&&Coin| in_block.iter().all(|other| other.outpoint.txid == coin.outpoint.txid);
    let first = match in_block.iter().min_by_key(|coin| coin.outpoint.vout).filter(one) {
        Some(first) => first,
        None => {
            let place = |coin: &Coin| view.first.place(height, coin.outpoint);
            let places = in_block.iter().map(|coin| place(coin)).collect::<Option<Vec<_>>>()?;
            places.into_iter().zip(&in_block).min_by_key(|(place, _)| *place)?.1
        }
    };
    fit(view, first).ok().map(|coin| coin.outpoint)
}
