//! What was drawn on a budget, read from the chain alone: no list of draws is kept anywhere (F2 of the red
//! team: two co-signers who each know one draw would let both pass).

use super::{Lineage, walk};
use crate::marker;
use crate::view::View;
use bitcoin::{Amount, OutPoint, Transaction, Txid};
use crdt::{EntryId, Height, ProposalId};
use std::cell::LazyCell;

/// Where a budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draws {
    /// Its lineage: never paid; closed or lost when it has ended.
    pub lineage: Lineage,
    /// All draws, in order.
    pub drawn: Vec<Drawn>,
}

/// One draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// The entry that asked for it.
    pub disburse: EntryId,
    /// The transaction.
    pub txid: Txid,
    /// Its lock time, which says which period it counts in.
    pub dated: Height,
    /// What it cost: all its value outputs but the heir, and the fee.
    pub cost: Amount,
    /// Its block; none in the mempool.
    pub height: Option<Height>,
}

/// Follow a budget from its anchor over spends that are at least `least` deep.
#[must_use]
pub fn draws(view: &View, budget: ProposalId, anchor: OutPoint, least: Height) -> Draws {
    let (guild, mut drawn) = (view.guild(), Vec::new());
    let closed = LazyCell::new(|| marker::closing(guild, budget));
    let mut number = 1;
    let lineage = walk(view, anchor, least, |transaction, end| {
        if marker::carries(transaction, *closed) {
            return Some(Lineage::Closed(end));
        }
        if let Some(disburse) = marker::drawn(transaction, marker::draw(guild, budget, number)) {
            number += 1;
            let (dated, cost) = (transaction.lock_time.to_consensus_u32(), cost(view, transaction));
            drawn.push(Drawn { disburse, txid: end.txid, dated, cost, height: end.height });
        }
        None
    });
    Draws { lineage, drawn }
}

/// What the treasury has less after it.
fn cost(view: &View, transaction: &Transaction) -> Amount {
    let spent = transaction.input.iter().filter_map(|input| view.coin(&input.previous_output));
    let spent: Amount = spent.map(|coin| coin.output.value).sum();
    let heir = transaction.output.first().map_or(Amount::ZERO, |heir| heir.value);
    spent.checked_sub(heir).unwrap_or(Amount::ZERO)
}

impl Draws {
    /// What was drawn in one period, by `period_of` each draw's date.
    pub(crate) fn in_period(&self, period: u32, period_of: impl Fn(Height) -> u32) -> Amount {
        let mut within = self.drawn.iter().filter(|draw| period_of(draw.dated) == period);
        within.try_fold(Amount::ZERO, |sum, draw| sum.checked_add(draw.cost)).unwrap_or(Amount::MAX_MONEY)
    }
}
