//! What came in and what went out, transaction by transaction.

use crate::anchor::{self, Line, Lineage};
use crate::view::{Seen, View};
use bitcoin::{Amount, Txid};
use crdt::{Height, ProposalId};
use std::collections::BTreeMap;

/// One transaction of the treasury.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub txid: Txid,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// How deep it is; 0 in the mempool.
    pub depth: Height,
    /// What it pays to the treasury, change included.
    pub received: Amount,
    /// The coins of the treasury that it spends.
    pub sent: Amount,
    /// What it is.
    pub kind: Kind,
}

/// What a transaction of the treasury is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A block that the guild mined.
    BlockReward,
    /// Somebody paid in.
    Contribution,
    /// Pays this decision.
    Payment(ProposalId),
    /// Ends this decision without paying it.
    Closing(ProposalId),
    /// Spends coins for nothing that is known here.
    Other,
}

/// All transactions of the treasury: the mempool first, then the newest block, in the order of ids
/// within a block. `decisions` are those that payments are looked for.
#[must_use]
pub fn history(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> Vec<Record> {
    let ends = ends(view, decisions);
    let mut records: Vec<Record> =
        view.transactions.iter().map(|(txid, seen)| record(view, &ends, *txid, seen)).collect();
    records.sort_by_key(|record| (std::cmp::Reverse(record.height.unwrap_or(Height::MAX)), record.txid));
    records
}

/// Which transaction ended which decision. One ends at most one by payment or closing move: it has one
/// marker.
fn ends(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> BTreeMap<Txid, Kind> {
    let ended =
        decisions.iter().filter_map(|(id, decision)| match decision.follow(view, *id, anchor::MEMPOOL) {
            Lineage::Paid(end) => Some((end.txid, Kind::Payment(*id))),
            Lineage::Closed(end) => Some((end.txid, Kind::Closing(*id))),
            Lineage::Lost(_) | Lineage::Open { .. } | Lineage::NoAnchor => None,
        });
    ended.collect()
}

fn record(view: &View, ends: &BTreeMap<Txid, Kind>, txid: Txid, seen: &Seen) -> Record {
    let coin = |outpoint| view.coin(&outpoint).map(|coin| coin.output.value);
    let outputs = (0..).zip(&seen.transaction.output);
    let received = outputs.filter_map(|(vout, _)| coin(bitcoin::OutPoint { txid, vout })).sum();
    let sent: Amount = seen.transaction.input.iter().filter_map(|input| coin(input.previous_output)).sum();
    let kind = match ends.get(&txid) {
        Some(kind) => *kind,
        None if seen.transaction.is_coinbase() => Kind::BlockReward,
        None if sent == Amount::ZERO => Kind::Contribution,
        None => Kind::Other,
    };
    Record { txid, height: seen.height, depth: view.depth(seen.height), received, sent, kind }
}

#[cfg(test)]
mod tests;
