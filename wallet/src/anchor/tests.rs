use super::*;
use crate::fee::blank_witness;
use crate::testkit::{Bench, decisions, stranger, transaction};
use bitcoin::{Amount, Transaction, TxOut, Witness};
use crdt::certificate::Certified;
use crdt::governance::Spend;

fn state(bench: &Bench, decided: &Certified<Spend>, least: Height) -> Lineage {
    lineage(&bench.view(), decided.decision(), decided.effect().anchor, least)
}

fn heir(transaction: &Transaction) -> OutPoint {
    OutPoint { txid: transaction.compute_txid(), vout: HEIR }
}

#[test]
fn the_largest_free_coin_becomes_the_anchor() {
    let (bench, coins) = Bench::funded();
    let view = bench.view();
    let first = choose(&view, &BTreeMap::new()).unwrap();
    assert!(view.coin(&first).unwrap().coinbase, "a mature reward of 50 is the largest");
    check_new(&view, first).unwrap();
    // each further decision gets a coin of its own, until they run out
    let mut open = Vec::new();
    for seed in 1..=5 {
        let anchor = choose(&view, &decisions(&open)).unwrap();
        open.push(bench.decide(seed, 1_000, anchor));
    }
    let anchors: Vec<OutPoint> = open.iter().map(|decided| decided.effect().anchor).collect();
    let different: BTreeSet<_> = anchors.iter().collect();
    assert_eq!(different.len(), 4, "two mature rewards and two contributions");
    assert_eq!(anchors[2..4], [coins[1], coins[0]], "two bitcoin before one");
    assert_eq!(anchors[4], anchors[0], "then the largest is shared");
}

#[test]
fn coins_that_cannot_be_anchors() {
    let mut bench = Bench::default();
    let none = choose(&bench.view(), &BTreeMap::new());
    assert_eq!(none, Err(AnchorError::None));
    bench.reward(1);
    let dust = bench.receive([0, 1], Amount::from_sat(LEAST_COIN_SAT - 1));
    bench.mine(4);
    let young = bench.receive([0, 1], Amount::from_sat(LEAST_COIN_SAT));
    bench.mine(4);
    let reward = *bench.view().coins.values().find(|coin| coin.coinbase).map(|coin| &coin.outpoint).unwrap();
    let check = |bench: &Bench, coin| check_new(&bench.view(), coin);
    assert_eq!(check(&bench, dust), Err(AnchorError::Small { outpoint: dust, sat: LEAST_COIN_SAT - 1 }));
    assert_eq!(check(&bench, young), Err(AnchorError::Shallow { outpoint: young, depth: 5 }));
    assert_eq!(check(&bench, reward), Err(AnchorError::Immature(reward)));
    assert_eq!(check(&bench, OutPoint::null()), Err(AnchorError::Unknown(OutPoint::null())));
    bench.mine(1);
    assert_eq!(check(&bench, young), Ok(()), "six deep, ten thousand satoshis");
    let moved = transaction(young, stranger(), Amount::from_sat(9_000));
    bench.broadcast(&moved);
    let by = moved.compute_txid();
    assert_eq!(check(&bench, young), Err(AnchorError::Spent { outpoint: young, by }));
}

#[test]
fn a_payment_settles_at_depth_six_and_not_before() {
    let (mut bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 1_000, coin);
    assert_eq!(state(&bench, &decided, MEMPOOL), Lineage::Open { tip: coin });
    let paid = bench.pay(&decided, 0);
    bench.broadcast(&paid);
    let txid = paid.compute_txid();
    assert_eq!(state(&bench, &decided, MEMPOOL), Lineage::Paid(End { txid, height: None, depth: 0 }));
    assert_eq!(state(&bench, &decided, CONFIRMED), Lineage::Open { tip: coin });
    bench.confirm(vec![paid]);
    let height = bench.tip().0;
    for depth in 1..=8 {
        let end = End { txid, height: Some(height), depth };
        assert_eq!(state(&bench, &decided, CONFIRMED), Lineage::Paid(end));
        let expected = (depth >= 6).then_some(Settled { how: How::Paid, txid, height });
        let facts = facts(&bench.view(), &decisions([&decided]));
        assert_eq!(facts.settled.get(&decided.decision()), expected.as_ref(), "at depth {depth}");
        assert_eq!((facts.height, facts.block_hash), bench.tip());
        bench.mine(1);
    }
}

#[test]
fn f13_another_decision_goes_on_with_the_heir() {
    let (mut bench, [coin, _]) = Bench::funded();
    let [first, second, third] = [1, 2, 3].map(|seed| bench.decide(seed, 1_000, coin));
    for (decided, other) in [(&first, &second), (&second, &third)] {
        let paid = bench.pay(decided, 0);
        bench.confirm(vec![paid.clone()]);
        assert!(matches!(state(&bench, decided, CONFIRMED), Lineage::Paid(_)));
        assert_eq!(state(&bench, other, CONFIRMED), Lineage::Open { tip: heir(&paid) });
    }
    assert_eq!(tips(&bench.view(), &decisions([&first, &second, &third])).len(), 1, "one is open");
}

#[test]
fn a_payment_without_its_marker_is_none() {
    let (mut bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 1_000, coin);
    let mut paid = bench.pay(&decided, 0);
    paid.output.remove(1);
    bench.confirm(vec![paid.clone()]);
    assert_eq!(state(&bench, &decided, CONFIRMED), Lineage::Open { tip: heir(&paid) });
    // nor is one that carries it, but spends another coin
    let marked = marker::output(marker::marker(bench.view().guild(), decided.decision()));
    let aside = bench.contribution([0, 3], Amount::from_int_btc(1));
    let aside = Transaction { output: [aside.output, vec![marked]].concat(), ..aside };
    bench.confirm(vec![aside]);
    assert_eq!(state(&bench, &decided, CONFIRMED), Lineage::Open { tip: heir(&paid) });
}

#[test]
fn a_closing_move_closes_one_decision_and_moves_the_others() {
    let (mut bench, [coin, _]) = Bench::funded();
    let [closed, other] = [1, 2].map(|seed| bench.decide(seed, 1_000, coin));
    let mark = marker::output(marker::closing(bench.view().guild(), closed.decision()));
    let closing = bench.move_coin(coin, vec![mark]);
    bench.confirm(vec![closing.clone()]);
    bench.mine(5);
    assert!(matches!(state(&bench, &closed, BURIED), Lineage::Closed(_)));
    assert_eq!(state(&bench, &other, BURIED), Lineage::Open { tip: heir(&closing) });
    let settled = settled(&bench.view(), &decisions([&closed, &other]));
    assert_eq!(settled.len(), 1);
    assert_eq!(settled[&closed.decision()].how, How::Closed);
}

#[test]
fn what_leaves_by_the_leaf_or_without_an_heir_is_lost() {
    let leaf = Witness::from_slice(&[vec![1; 64], vec![2; 100], vec![0xc0; 33]]);
    let annexed = Witness::from_slice(&[vec![1; 64], vec![0x50, 1]]);
    type Change = fn(&mut TxOut);
    let cases: [(&str, Witness, Change, bool); 5] = [
        ("by key path", blank_witness(), |_| {}, false),
        ("by key path with an annex", annexed, |_| {}, false),
        ("by the leaf", leaf, |_| {}, true),
        ("to somebody else", blank_witness(), |heir| heir.script_pubkey = stranger(), true),
        ("to less than an heir", blank_witness(), |heir| heir.value = Amount::from_sat(9_999), true),
    ];
    for (name, witness, change, lost) in cases {
        let (mut bench, [coin, _]) = Bench::funded();
        let decided = bench.decide(1, 1_000, coin);
        let mut moved = bench.move_coin(coin, Vec::new());
        moved.input[0].witness = witness;
        change(&mut moved.output[0]);
        bench.confirm(vec![moved]);
        let found = matches!(state(&bench, &decided, CONFIRMED), Lineage::Lost(_));
        assert_eq!(found, lost, "{name}");
    }
}

#[test]
fn a_marker_behind_the_recovery_leaf_pays_nothing() {
    let (mut bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 1_000, coin);
    let mut paid = bench.pay(&decided, 0);
    paid.input[0].witness = Witness::from_slice(&[vec![1; 64], vec![2; 100], vec![0xc0; 33]]);
    bench.confirm(vec![paid]);
    assert!(matches!(state(&bench, &decided, CONFIRMED), Lineage::Lost(_)));
}

#[test]
fn a_reorganized_payment_is_open_again_and_pays_again() {
    let (mut bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 1_000, coin);
    let paid = bench.pay(&decided, 0);
    bench.confirm(vec![paid.clone()]);
    bench.mine(2);
    assert!(matches!(state(&bench, &decided, CONFIRMED), Lineage::Paid(_)));
    bench.reorganize(3);
    assert_eq!(state(&bench, &decided, CONFIRMED), Lineage::Open { tip: coin });
    assert!(matches!(state(&bench, &decided, MEMPOOL), Lineage::Paid(End { height: None, .. })));
    bench.confirm(vec![paid]);
    bench.mine(5);
    assert!(matches!(state(&bench, &decided, BURIED), Lineage::Paid(_)));
}

#[test]
fn an_anchor_of_nobody_has_no_lineage() {
    let (bench, _) = Bench::funded();
    let decided = bench.decide(1, 1_000, OutPoint::null());
    assert_eq!(state(&bench, &decided, MEMPOOL), Lineage::NoAnchor);
    assert!(settled(&bench.view(), &decisions([&decided])).is_empty());
}

/// Two contributions of one block, in either order; ids say nothing.
fn of_one_block() -> (Bench, [Transaction; 2]) {
    let mut bench = Bench::default();
    let made = [1, 2].map(|index| bench.contribution([0, index], Amount::from_sat(50_000)));
    (bench, made)
}

fn first_output(transaction: &Transaction) -> Option<OutPoint> {
    Some(OutPoint { txid: transaction.compute_txid(), vout: 0 })
}

#[test]
fn the_guild_anchor_is_the_first_of_its_block_whatever_its_id() {
    for swapped in [false, true] {
        let (mut bench, [one, other]) = of_one_block();
        let (first, second) = if swapped { (other, one) } else { (one, other) };
        // too small, or not to an external address: neither is it
        let small = bench.contribution([0, 3], Amount::from_sat(LEAST_COIN_SAT - 1));
        let change = bench.contribution(crate::treasury::CHANGE, Amount::from_sat(50_000));
        bench.confirm(vec![small, change]);
        bench.confirm(vec![first.clone(), second.clone()]);
        bench.receive([0, 4], Amount::from_sat(90_000));
        assert_eq!(guild(&bench.view()), None, "not buried");
        bench.mine(5);
        assert_eq!(guild(&bench.view()), first_output(&first));
        // the same after a start
        let stored = bench.treasury.take_staged().unwrap();
        let loaded = crate::Treasury::load(&bench.charter, bench.secret.key(), stored.clone()).unwrap();
        assert_eq!(guild(&loaded.view()), first_output(&first));
        // and nobody guesses where the order was never told
        let unknown = crate::ChangeSet { first: None, ..stored };
        let loaded = crate::Treasury::load(&bench.charter, bench.secret.key(), unknown).unwrap();
        assert_eq!(guild(&loaded.view()), None);
        // spent, it stays the anchor: its lineage goes on
        let spent = bench.move_coin(first_output(&first).unwrap(), Vec::new());
        bench.confirm(vec![spent]);
        assert_eq!(guild(&bench.view()), first_output(&first));
        // another branch has them the other way round
        bench.reorganize(9);
        assert_eq!(guild(&bench.view()), None, "nothing is in a block");
        bench.confirm(vec![second.clone(), first.clone()]);
        bench.mine(5);
        assert_eq!(guild(&bench.view()), first_output(&second));
    }
}

#[test]
fn of_one_transaction_the_first_output_that_is_ours_counts() {
    let (mut bench, [mut one, other]) = of_one_block();
    one.output.insert(0, TxOut { value: Amount::from_sat(50_000), script_pubkey: stranger() });
    one.output.push(TxOut { value: Amount::from_sat(60_000), script_pubkey: bench.script([0, 5]) });
    bench.confirm(vec![one.clone(), other]);
    bench.mine(5);
    assert_eq!(guild(&bench.view()), Some(OutPoint { txid: one.compute_txid(), vout: 1 }));
}

#[test]
fn a_delta_tells_the_order_too() {
    use bdk_wallet::chain::{BlockId, ConfirmationBlockTime};
    let (bench, [one, other]) = of_one_block();
    for order in [[&one, &other], [&other, &one]] {
        let mut treasury = Bench::default().treasury;
        let block_id = BlockId { height: 3, hash: bitcoin::hashes::Hash::from_byte_array([3; 32]) };
        let tip = BlockId { height: 10, hash: bitcoin::hashes::Hash::from_byte_array([10; 32]) };
        let chain = treasury.checkpoint().extend([block_id, tip]).unwrap();
        let mut delta = crate::chain::Delta::of(chain);
        for transaction in order {
            let anchor = ConfirmationBlockTime { block_id, confirmation_time: 1 };
            delta.transactions.anchors.insert((anchor, transaction.compute_txid()));
            delta.transactions.txs.push(std::sync::Arc::new(transaction.clone()));
        }
        treasury.apply_delta(delta.clone()).unwrap();
        assert_eq!(guild(&treasury.view()), first_output(order[0]));
        treasury.take_staged();
        treasury.apply_delta(delta).unwrap();
        assert!(treasury.take_staged().is_none(), "told again, it is nothing new");
    }
    drop(bench);
}
