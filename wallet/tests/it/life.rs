//! The life of what is signed, on a real chain: replaced ten times, thrown out of blocks, closed, drawn,
//! swept from 200 coins, paid to 500.

use crate::bench::Bench;
use bitcoin::{Address, Amount, OutPoint, Transaction};
use crdt::governance::{Basis, Budget, Disburse, Distribute, Output};
use crdt::limits::OUTPUTS_MAX;
use crdt::{Digest, EntryId, ProposalId};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use wallet::anchor::{self, Anchored as _, CONFIRMED, MEMPOOL};
use wallet::policy::{self, Terms};
use wallet::spend::{self, Bill, BuildError, NoOutline};
use wallet::testkit::stranger;
use wallet::{Lineage, Outline, Params, View, fee};

/// Build, check, sign and send what `outline` says.
fn send(bench: &Bench, outline: &Outline, view: &View, params: &Params) -> Transaction {
    let built = spend::fund(outline, view, params).unwrap();
    let terms = Terms::from(&bench.charter.fee_cap);
    let checked = policy::judge(&built.transaction, outline, view, &terms).unwrap();
    let signed = bench.secret.complete(&checked);
    bench.chain.broadcast(&signed).unwrap();
    signed
}

/// Throw away the last `depth` blocks.
fn invalidate(bench: &Bench, depth: u64) {
    let height = bench.node.rpc("getblockcount", &[]).unwrap().as_u64().unwrap();
    let hash = bench.node.rpc("getblockhash", &[json!(height + 1 - depth)]).unwrap();
    bench.node.rpc("invalidateblock", &[hash]).unwrap();
}

/// Longer than what was thrown away, and without what waits in the mempool.
fn another_branch(bench: &Bench, count: u64) {
    let address = Address::from_script(&crdt::testkit::payee(99), bench.charter.network).unwrap();
    for _ in 0..count {
        bench.node.rpc("generateblock", &[json!(address), json!([])]).unwrap();
    }
}

/// S4: what our view holds is what an independent scan of the node's coins finds.
fn assert_the_books_balance(bench: &Bench, indexes: u32) {
    let paths = (0..=indexes).map(|index| [0, index]).chain([[1, 0]]);
    let scripts = paths.map(|path| bench.treasury.script(path).unwrap());
    let scanned: Amount = scripts.map(|script| bench.node.scan_script(&script).unwrap()).sum();
    let balance = bench.treasury.balance();
    assert_eq!(balance.confirmed + balance.immature, scanned);
}

#[test]
fn f23_ten_replacements_follow_each_other_and_the_eleventh_is_refused() {
    let mut bench = Bench::funded();
    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let mut last = bench.pay(&decided, 0);
    bench.chain.broadcast(&last).unwrap();
    for bump in 1..=fee::BUMPS_MAX {
        bench.sync();
        let next = bench.pay(&decided, bump);
        assert_eq!(next.output[1..], last.output[1..], "marker and payees stay");
        bench.chain.broadcast(&next).unwrap();
        assert!(bench.chain.broadcast(&last).is_err(), "version {bump} replaced the one before");
        last = next;
    }
    let view = bench.sync();
    let eleventh = spend::build(&decided, &view, &bench.params(fee::BUMPS_MAX + 1));
    assert_eq!(eleventh.unwrap_err(), BuildError::Bumps);
    let view = bench.mine(1);
    let state = anchor::lineage(&view, decided.decision(), anchor, CONFIRMED);
    assert!(matches!(state, Lineage::Paid(end) if end.txid == last.compute_txid()), "{state:?}");
    assert_the_books_balance(&bench, 1);
}

#[test]
fn blocks_thrown_away_at_every_depth_bring_back_the_same_payment() {
    let mut bench = Bench::funded();
    bench.mine(8); // reorganisations stay above the coins
    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let paid = bench.pay(&decided, 0);
    let txid = bench.chain.broadcast(&paid).unwrap();
    for depth in 1..=8 {
        bench.mine_to(u8::try_from(depth).unwrap(), depth);
        let state = anchor::lineage(&bench.treasury.view(), decided.decision(), anchor, CONFIRMED);
        assert!(matches!(state, Lineage::Paid(end) if end.txid == txid && u64::from(end.depth) == depth));
        invalidate(&bench, depth);
        another_branch(&bench, depth + 1);
        // P8: the same bytes again, and nothing else, though the block that had them is gone
        assert_eq!(bench.chain.broadcast(&paid).unwrap(), txid);
        let view = bench.sync();
        let open = anchor::lineage(&view, decided.decision(), anchor, CONFIRMED);
        assert_eq!(open, Lineage::Open { tip: anchor }, "{depth} deep");
        let pending = anchor::lineage(&view, decided.decision(), anchor, MEMPOOL);
        assert!(matches!(pending, Lineage::Paid(end) if end.txid == txid), "{depth} deep: {pending:?}");
        let again = spend::build(&decided, &view, &bench.params(0));
        assert_eq!(again.unwrap_err(), BuildError::InFlight { txid });
        assert_eq!(view.balance().pending.to_sat(), paid.output[0].value.to_sat());
    }
    bench.mine(6);
    assert_the_books_balance(&bench, 1);
}

#[test]
fn a_closing_move_replaces_the_payment_it_ends() {
    let mut bench = Bench::funded();
    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let paid = bench.pay(&decided, 0);
    bench.chain.broadcast(&paid).unwrap();
    let view = bench.sync();
    let line = decided.effect().line();
    let outline = spend::closing(&view, decided.decision(), line).unwrap();
    let closed = send(&bench, &outline, &view, &Params { fee_rate: Some(9), ..bench.params(0) });
    assert!(bench.chain.broadcast(&paid).is_err(), "the payment is replaced");
    let view = bench.mine(1);
    assert!(matches!(line.follow(&view, decided.decision(), CONFIRMED), Lineage::Closed(_)));
    let again = spend::build(&decided, &view, &bench.params(0));
    assert!(matches!(again.unwrap_err(), BuildError::Outline(NoOutline::Ended(Lineage::Closed(_)))));
    // a reorganisation brings the decision back to life: only one of the two can be mined again
    invalidate(&bench, 1);
    bench.sync();
    bench.chain.broadcast(&closed).unwrap();
    let view = bench.mine_to(7, 2);
    assert!(matches!(line.follow(&view, decided.decision(), CONFIRMED), Lineage::Closed(_)));
}

#[test]
fn draws_follow_each_other_and_stop_at_the_limit() {
    let mut bench = Bench::funded();
    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    let author = bench.charter.co_signers[0];
    let id = ProposalId(Digest([9; 32]));
    let budget = Budget {
        limit: Amount::from_sat(100_000),
        period: 52_560,
        payees: vec![stranger()],
        drawers: vec![author],
        purpose: "power".to_owned().try_into().unwrap(),
        end: 52_000,
        anchor,
    };
    let certified = bench.secret.certify(&bench.charter, id, budget);
    let outputs = vec![Output { script: stranger(), amount: Amount::from_sat(40_000) }];
    let disburse = Disburse { budget: id, outputs, reason: String::new().try_into().unwrap() };
    let bill = |seed| Bill { id: EntryId(Digest([seed; 32])), author, height: 1, disburse: &disburse };
    for number in 1..=2 {
        let view = bench.treasury.view();
        let outline = spend::draw(&certified, &bill(number), &view, view.tip()).unwrap();
        send(&bench, &outline, &view, &bench.params(0));
        bench.mine(1);
    }
    let view = bench.treasury.view();
    let draws = anchor::draws(&view, id, anchor, CONFIRMED);
    let drawn: u64 = draws.drawn.iter().map(|draw| draw.cost.to_sat()).sum();
    assert_eq!(draws.drawn.len(), 2);
    assert!((80_001..100_000).contains(&drawn), "fees count: {drawn}");
    let third = spend::draw(&certified, &bill(3), &view, view.tip()).unwrap();
    let over = spend::fund(&third, &view, &bench.params(0)).unwrap_err();
    assert!(matches!(over, BuildError::Draw(spend::DrawError::Over { .. })), "{over}");
    let twice = spend::draw(&certified, &bill(2), &view, view.tip()).unwrap_err();
    assert!(matches!(twice, NoOutline::Draw(spend::DrawError::Twice(_))), "{twice}");
}

#[test]
fn a_sweep_of_200_coins_and_a_distribution_to_500_relay() {
    let mut bench = Bench::funded();
    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    let own = |index: usize| bench.treasury.script([0, 1 + u32::try_from(index).unwrap()]).unwrap();
    let pay = |count: usize, script: &dyn Fn(usize) -> bitcoin::ScriptBuf, sat| -> Vec<Output> {
        (0..count).map(|index| Output { script: script(index), amount: Amount::from_sat(sat) }).collect()
    };
    let coins = bench.secret.decide(&bench.charter, 1, pay(200, &own, 20_000), anchor);
    let made = bench.chain.broadcast(&bench.pay(&coins, 0)).unwrap();
    let view = bench.mine(1);
    let coins: Vec<_> = (2..202).map(|vout| OutPoint { txid: made, vout }).collect();
    let outline = spend::sweep(&view, None, &coins, view.change_script().clone()).unwrap();
    let swept = send(&bench, &outline, &view, &Params { fee_rate: Some(2), ..bench.params(0) });
    assert_eq!((swept.input.len(), swept.output.len(), swept.version.0), (200, 1, 2));
    bench.mine(6);
    assert!(bench.treasury.view().transaction(&swept.compute_txid()).unwrap().height.is_some());

    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    let outputs = pay(OUTPUTS_MAX, &|_| stranger(), 10_000);
    let total = Amount::from_sat(10_000 * 500);
    let effect = Distribute { total, outputs, anchor, basis: Basis::Shares };
    assert!(effect.outputs.len() == 500);
    let distributed = bench.secret.certify(&bench.charter, ProposalId(Digest([5; 32])), effect);
    let outline = spend::payment(&distributed, &view).unwrap();
    let paid = send(&bench, &outline, &view, &bench.params(0));
    assert_eq!((paid.output.len(), paid.version.0), (502, 2));
    let view = bench.mine(1);
    let line = distributed.effect().line();
    assert!(matches!(line.follow(&view, distributed.decision(), CONFIRMED), Lineage::Paid(_)));
    assert_the_books_balance(&bench, 200);
}

#[test]
fn old_coins_renew_and_keep_the_lineages_they_carry() {
    let mut bench = Bench::funded();
    let view = bench.treasury.view();
    let anchor = anchor::choose(&view, &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let tips: BTreeSet<_> = [anchor].into();
    // under a delay of 150 blocks, coins deeper than 75 are due: the rewards, one at a time where a tip is
    let mut renewed = 0;
    while let Ok(outline) = spend::renewal(&bench.treasury.view(), 150, &tips, &BTreeSet::new()) {
        let view = bench.treasury.view();
        send(&bench, &outline, &view, &bench.params(0));
        bench.mine(1);
        renewed += outline.first().count();
    }
    assert_eq!(renewed, 3);
    let view = bench.treasury.view();
    let Lineage::Open { tip } = decided.effect().line().follow(&view, decided.decision(), CONFIRMED) else {
        panic!("the decision stays payable")
    };
    assert_ne!(tip, anchor);
    let paid = bench.pay(&decided, 0);
    assert_eq!(paid.input[0].previous_output, tip);
    bench.chain.broadcast(&paid).unwrap();
}
