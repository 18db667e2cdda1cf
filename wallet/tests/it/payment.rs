//! Payments from decision to depth six.

use crate::bench::Bench;
use bitcoin::{OutPoint, Transaction, Txid};
use crdt::state::{How, Settled};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wallet::anchor::{self, Anchored as _, BURIED, CONFIRMED, End, MEMPOOL, lineage};
use wallet::chain::BroadcastError;
use wallet::ledger::{Account, Decision, Kind, Knowledge, Ledger};
use wallet::spend::{BuildError, NoOutline};
use wallet::testkit::decisions;
use wallet::{Lineage, Params, Violation, policy, spend};

/// What the node would say to a transaction.
fn accepts(bench: &Bench, transaction: &Transaction) -> Result<(), String> {
    let raw = bitcoin::consensus::encode::serialize_hex(transaction);
    let answer = bench.node.rpc("testmempoolaccept", &[json!([raw])]).unwrap();
    let field = |name: &str| answer.get(0)?.get(name).cloned();
    let reason = field("reject-reason").as_ref().and_then(Value::as_str).unwrap_or("rejected").to_owned();
    if field("allowed") == Some(Value::Bool(true)) { Ok(()) } else { Err(reason) }
}

#[test]
fn a_decision_is_paid_once_and_the_next_goes_on_with_its_heir() {
    let mut bench = Bench::funded();
    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    // more than one coin holds, so that two keys sign
    let [first, second] =
        [(1, 6_000_000_000), (2, 700_000)].map(|(seed, sat)| bench.decide(seed, sat, anchor));
    let all = decisions([&first, &second]);
    let paid = bench.pay(&first, 0);
    assert_eq!(paid.input.len(), 2);
    accepts(&bench, &paid).unwrap();
    let txid = bench.chain.broadcast(&paid).unwrap();
    assert_eq!(bench.chain.broadcast(&paid).unwrap(), txid, "in the mempool is as good as sent");

    let view = bench.sync();
    let pending = End { txid, height: None, depth: 0 };
    assert_eq!(lineage(&view, first.decision(), anchor, MEMPOOL), Lineage::Paid(pending));
    assert_eq!(lineage(&view, first.decision(), anchor, CONFIRMED), Lineage::Open { tip: anchor });
    let waiting = spend::build(&second, &view, &bench.params(0));
    assert_eq!(waiting.unwrap_err(), BuildError::InFlight { txid });

    let view = bench.mine(1);
    let height = view.tip();
    let end = End { txid, height: Some(height), depth: 1 };
    assert_eq!(lineage(&view, first.decision(), anchor, CONFIRMED), Lineage::Paid(end));
    let heir = OutPoint { txid, vout: 0 };
    assert_eq!(lineage(&view, second.decision(), anchor, CONFIRMED), Lineage::Open { tip: heir });
    assert_eq!(bench.chain.broadcast(&paid).unwrap(), txid, "in a block is as good as sent");
    // the same decision again, from whatever coins: neither built nor signed
    let again = spend::build(&first, &view, &bench.params(0));
    assert!(matches!(again.unwrap_err(), BuildError::Outline(NoOutline::Ended(Lineage::Paid(_)))));
    let cap = &bench.charter.fee_cap;
    let twice = policy::check(paid_again(&view, &paid).as_ref().unwrap(), &first, &view, cap);
    assert!(matches!(*twice.unwrap_err(), Violation::Outline(NoOutline::Ended(_))));

    let next = bench.pay(&second, 0);
    assert_eq!(next.input[0].previous_output, heir);
    let next_txid = bench.chain.broadcast(&next).unwrap();
    let view = bench.mine(5);
    assert!(anchor::settled(&view, &all).contains_key(&first.decision()), "six deep");
    assert!(!anchor::settled(&view, &all).contains_key(&second.decision()), "five deep");
    let view = bench.mine(1);
    let settled = |txid, height| Settled { how: How::Paid, txid, height };
    let expected = [settled(txid, height), settled(next_txid, height + 1)];
    assert_eq!(anchor::settled(&view, &all).into_values().collect::<Vec<_>>(), expected);
    assert_the_books_balance(&bench, [(txid, &first), (next_txid, &second)]);
}

/// The payment with its tip replaced by a coin that is still there.
fn paid_again(view: &wallet::View, paid: &Transaction) -> Option<Transaction> {
    let other = view.unspent().find(|coin| coin.mature() && coin.depth > 0)?;
    let mut again = paid.clone();
    again.input.truncate(1);
    again.input.first_mut()?.previous_output = other.outpoint;
    again.input.first_mut()?.witness.clear();
    Some(again)
}

/// S4: our balance is what an independent scan of the node's coins finds.
fn assert_the_books_balance(bench: &Bench, payments: [(Txid, &crdt::Certified<crdt::governance::Spend>); 2]) {
    let scripts = [[0, 0], [0, 1], [1, 0]].map(|path| bench.treasury.script(path).unwrap());
    let scanned: bitcoin::Amount = scripts.iter().map(|script| bench.node.scan_script(script).unwrap()).sum();
    let balance = bench.treasury.balance();
    assert_eq!(balance.confirmed + balance.immature, scanned);
    let all = payments.map(|(_, decided)| {
        let decision = Decision { line: decided.effect().line(), title: String::new(), category: None };
        (decided.decision(), decision)
    });
    let known = Knowledge { decisions: BTreeMap::from(all), ..Knowledge::default() };
    let books = Ledger::of(&bench.treasury.view(), known.into());
    for (txid, decided) in payments {
        assert_eq!(books.entry(&txid).unwrap().kind, Kind::Payment(decided.decision()));
    }
    assert_eq!(books.entries().filter(|entry| entry.kind == Kind::BlockReward).count(), 3);
    let balance = u64::try_from(books.balance(Account::Treasury, false)).unwrap();
    assert_eq!(balance, scanned.to_sat(), "the books are what the node finds when it scans");
}

#[test]
fn a_bump_replaces_the_version_in_the_mempool() {
    let mut bench = Bench::funded();
    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let first = bench.pay(&decided, 0);
    bench.chain.broadcast(&first).unwrap();
    bench.sync();
    let second = bench.pay(&decided, 1);
    let txid = bench.chain.broadcast(&second).unwrap();
    assert_ne!(txid, first.compute_txid());
    let refused = bench.chain.broadcast(&first).unwrap_err();
    assert!(matches!(refused, BroadcastError::Refused { .. }), "{refused}");
    let view = bench.mine(1);
    assert!(matches!(
        lineage(&view, decided.decision(), anchor, CONFIRMED),
        Lineage::Paid(end) if end.txid == txid
    ));
}

#[test]
fn two_payments_of_one_decision_conflict_and_one_without_marker_does_not_count() {
    let mut bench = Bench::funded();
    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    // two honest coordinators build different versions; both can be signed, one can be mined
    let versions = [2, 9].map(|rate| {
        let params = Params { fee_rate: Some(rate), ..bench.params(0) };
        let built = spend::build(&decided, &view, &params).unwrap();
        policy::check(&built.transaction, &decided, &view, &params.cap).unwrap()
    });
    let [first, second] = versions.map(|checked| bench.secret.complete(&checked));
    bench.chain.broadcast(&first).unwrap();
    bench.mine(1);
    let refused = bench.chain.broadcast(&second).unwrap_err();
    let BroadcastError::Refused { reason, .. } = refused else { panic!("{refused}") };
    assert_eq!(reason, "bad-txns-inputs-missingorspent");

    // dishonest co-signers spend the next anchor to the same payee, without the marker
    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    let decided = bench.decide(2, 700_000, anchor);
    let unmarked = unmarked(&bench, &decided);
    bench.chain.broadcast(&unmarked).unwrap();
    let view = bench.mine(6);
    let heir = OutPoint { txid: unmarked.compute_txid(), vout: 0 };
    assert_eq!(lineage(&view, decided.decision(), anchor, BURIED), Lineage::Open { tip: heir });
    let paid = bench.pay(&decided, 0);
    assert_eq!(paid.input[0].previous_output, heir);
    bench.chain.broadcast(&paid).unwrap();
    let view = bench.mine(6);
    assert!(matches!(lineage(&view, decided.decision(), anchor, BURIED), Lineage::Paid(_)));
}

/// A payment of `decided` that says it pays another decision: the lineage must not count it.
fn unmarked(bench: &Bench, decided: &crdt::Certified<crdt::governance::Spend>) -> Transaction {
    let (outputs, anchor) = (decided.effect().outputs.clone(), decided.effect().anchor);
    let other = bench.secret.decide(&bench.charter, 99, outputs, anchor);
    bench.pay(&other, 0)
}
