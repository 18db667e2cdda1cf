//! Spends of treasury coins that nobody decided: by the recovery leaf, or by co-signers who broke the
//! rules. They cannot be undone; they must be seen.

use crate::anchor::{self, Line, Lineage};
use crate::view::{Seen, View};
use bitcoin::{Amount, OutPoint, Transaction, Txid};
use crdt::{Height, ProposalId};
use std::collections::{BTreeMap, BTreeSet};

/// A transaction that spends coins of the treasury for nothing that was decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// The transaction.
    pub txid: Txid,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// What left the treasury, fee included.
    pub sat: u64,
    /// Whether it went by the recovery leaf: then it is what recovery looks like.
    pub recovery: bool,
}

/// All of them, the newest last. `decisions` are all that this node knows, settled or not.
#[must_use]
pub fn foreign(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> Vec<Foreign> {
    let known = decided(view, decisions);
    let mut found: Vec<Foreign> = spenders(view)
        .into_iter()
        .filter_map(|(txid, recovery)| {
            let seen = view.transaction(&txid)?;
            let ours = known.contains(&txid) || stays(view, txid, &seen.transaction);
            (recovery || !ours).then(|| describe(view, txid, seen, recovery))
        })
        .collect();
    found.sort_by_key(|foreign| (foreign.height.unwrap_or(Height::MAX), foreign.txid));
    found
}

/// Everything that spends a coin of ours, and whether by the recovery leaf.
fn spenders(view: &View) -> BTreeMap<Txid, bool> {
    let mut all = BTreeMap::new();
    for spender in view.coins.values().filter_map(|coin| coin.spent) {
        *all.entry(spender.txid).or_insert(false) |= !spender.key_path;
    }
    all
}

/// The transactions that pay, draw on or close something decided.
fn decided(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> BTreeSet<Txid> {
    let mut known = BTreeSet::new();
    for (id, line) in decisions {
        let (lineage, drawn) = match line {
            Line::Budget { anchor } => {
                let draws = anchor::draws(view, *id, *anchor, anchor::MEMPOOL);
                (draws.lineage, draws.drawn)
            }
            Line::Once { .. } | Line::Work { .. } => (line.follow(view, *id, anchor::MEMPOOL), Vec::new()),
        };
        known.extend(drawn.iter().map(|draw| draw.txid));
        if let Lineage::Paid(end) | Lineage::Closed(end) = lineage {
            known.insert(end.txid);
        }
    }
    known
}

/// Whether all that it pays is ours: a renewal, a sweep, a closing move.
fn stays(view: &View, txid: Txid, transaction: &Transaction) -> bool {
    (0..).zip(&transaction.output).all(|(vout, output)| {
        output.value == Amount::ZERO && output.script_pubkey.is_op_return()
            || view.coin(&OutPoint { txid, vout }).is_some()
    })
}

fn describe(view: &View, txid: Txid, seen: &Seen, recovery: bool) -> Foreign {
    let value = |outpoint: OutPoint| view.coin(&outpoint).map_or(0, |coin| coin.output.value.to_sat());
    let spent: u64 = seen.transaction.input.iter().map(|input| value(input.previous_output)).sum();
    let outputs = (0..).zip(&seen.transaction.output);
    let kept: u64 = outputs.map(|(vout, _)| value(OutPoint { txid, vout })).sum();
    Foreign { txid, height: seen.height, sat: spent.saturating_sub(kept), recovery }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { txid, sat, recovery, height } = self;
        let how = if *recovery { "by the recovery leaf" } else { "by a quorum of co-signers" };
        let place =
            height.map_or_else(|| "in the mempool".to_owned(), |height| format!("at height {height}"));
        write!(f, "{sat} sat left the treasury {how} without a decision: {txid}, {place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Bench, decisions, stranger};
    use bitcoin::{TxOut, Witness};

    #[test]
    fn only_what_nobody_decided_raises_an_alarm() {
        let (mut bench, [coin, other]) = Bench::funded();
        let decided = bench.decide(1, 30_000, coin);
        let all = decisions([&decided]);
        assert_eq!(foreign(&bench.view(), &all), []);
        let paid = bench.pay(&decided, 0);
        let renewed = bench.move_coin(other, Vec::new());
        bench.confirm(vec![paid.clone(), renewed.clone()]);
        assert_eq!(foreign(&bench.view(), &all), []);
        // the same payment, but nobody here knows the decision
        let unknown = foreign(&bench.view(), &BTreeMap::new());
        assert_eq!(unknown.iter().map(|found| found.txid).collect::<Vec<_>>(), [paid.compute_txid()]);
        // a quorum pays a stranger; the recovery leaf takes a coin
        let heir = OutPoint { txid: renewed.compute_txid(), vout: 0 };
        let theft =
            bench.move_coin(heir, vec![TxOut { value: Amount::from_sat(70_000), script_pubkey: stranger() }]);
        bench.broadcast(&theft);
        let found = foreign(&bench.view(), &all);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].txid, found[0].height, found[0].recovery), (theft.compute_txid(), None, false));
        let change = OutPoint { txid: paid.compute_txid(), vout: 0 };
        let mut recovered = bench.move_coin(change, Vec::new());
        recovered.input[0].witness = Witness::from_slice(&[vec![1; 64], vec![2; 40], vec![3; 33]]);
        bench.confirm(vec![recovered.clone()]);
        let found = foreign(&bench.view(), &all);
        assert!(found.iter().any(|found| found.txid == recovered.compute_txid() && found.recovery));
        assert!(found[0].to_string().contains("by the recovery leaf"), "{}", found[0]);
    }
}
