use super::*;
use crate::spend::{self, NoOutline, SEQUENCE};
use crate::testkit::{Bench, stranger, transaction};
use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Witness};
use crdt::certificate::Certified;
use crdt::governance::Output;
use crdt::governance::Spend;
use std::sync::LazyLock;

/// A treasury, a decision to pay two people, and its payment from two coins.
fn scene() -> (Bench, Certified<Spend>, Transaction) {
    let (bench, [coin, _]) = Bench::funded();
    let pay = |seed, sat| Output { script: crdt::testkit::payee(seed), amount: Amount::from_sat(sat) };
    let outputs = vec![pay(1, 100_000_000), pay(2, 20_000)];
    let decided = bench.secret.decide(&bench.charter, 1, outputs, coin);
    let built = spend::build(&decided, &bench.view(), &bench.params()).unwrap();
    assert_eq!(built.transaction.input.len(), 2, "one bitcoin is not enough for one bitcoin and a fee");
    (bench, decided, built.transaction)
}

fn judge(
    bench: &Bench,
    decided: &Certified<Spend>,
    transaction: &Transaction,
) -> Result<CheckedTx, Box<Violation>> {
    check(transaction, decided, &bench.view(), &bench.charter.fee_cap)
}

/// One scene for all tests that leave it as it is.
static SCENE: LazyLock<(Bench, Certified<Spend>, Transaction)> = LazyLock::new(scene);

/// What a check of a changed payment says.
fn changed(change: impl FnOnce(&Bench, &mut Transaction)) -> Violation {
    let (bench, decided, transaction) = &*SCENE;
    let mut transaction = transaction.clone();
    change(bench, &mut transaction);
    *judge(bench, decided, &transaction).expect_err("a changed payment")
}

#[test]
fn a_built_payment_passes_and_brings_what_signing_needs() {
    let (bench, decided, transaction) = &*SCENE;
    let checked = judge(bench, decided, transaction).unwrap();
    assert_eq!(checked.decision(), decided.decision());
    assert_eq!(checked.transaction(), transaction);
    assert_eq!(checked.inputs().len(), 2);
    for (input, key) in transaction.input.iter().zip(checked.inputs()) {
        let coin = bench.view().coin(&input.previous_output).cloned().unwrap();
        assert_eq!(*key, InputKey::from(&coin));
        assert_eq!(bench.script(key.path), key.prevout.script_pubkey);
    }
}

#[test]
fn guild_of_the_decision() {
    let (bench, _, transaction) = &*SCENE;
    let mut other = bench.charter.clone();
    other.fee_cap.sat += 1;
    let anchor = transaction.input[0].previous_output;
    let foreign = bench.secret.decide(&other, 1, Vec::new(), anchor);
    let found = judge(bench, &foreign, transaction).unwrap_err();
    assert!(matches!(*found, Violation::Outline(NoOutline::Guild { .. })));
}

#[test]
fn decision_that_can_be_paid() {
    let (bench, _, transaction) = &*SCENE;
    let anchor = transaction.input[0].previous_output;
    let dust = bench.decide(1, 100, anchor);
    assert!(matches!(
        *judge(bench, &dust, transaction).unwrap_err(),
        Violation::Outline(NoOutline::Decision(_))
    ));
}

#[test]
fn lineage_that_stands() {
    let (mut bench, decided, transaction) = scene();
    let small = bench.receive([0, 4], Amount::from_sat(9_000));
    let other = bench.decide(1, 20_000, small);
    assert!(matches!(
        *judge(&bench, &other, &transaction).unwrap_err(),
        Violation::Outline(NoOutline::Anchor(_))
    ));
    let swapped = changed(|_, transaction| transaction.input.swap(0, 1));
    assert!(matches!(swapped, Violation::Tip { found: Some(_), .. }));
    let empty = changed(|_, transaction| transaction.input.clear());
    assert!(matches!(empty, Violation::Tip { found: None, .. }));
    // paid in a block: nothing pays it again, whatever it spends
    let paid = bench.secret.complete(&judge(&bench, &decided, &transaction).unwrap());
    bench.confirm(vec![paid]);
    assert!(matches!(
        *judge(&bench, &decided, &transaction).unwrap_err(),
        Violation::Outline(NoOutline::Ended(_))
    ));
}

#[test]
fn lineage_in_the_mempool_does_not_bind_a_signer() {
    let (mut bench, decided, transaction) = scene();
    let paid = bench.secret.complete(&judge(&bench, &decided, &transaction).unwrap());
    bench.broadcast(&paid);
    assert!(judge(&bench, &decided, &transaction).is_ok(), "a version that is not in a block");
}

#[test]
fn inputs_are_few_ours_confirmed_and_mature() {
    let many = changed(|_, transaction| {
        let last = transaction.input[1].clone();
        transaction.input.extend(vec![last; 200]);
    });
    assert_eq!(many, Violation::Inputs { expected: 200, found: 202 });
    let foreign = changed(|_, transaction| transaction.input[1].previous_output.vout += 1);
    assert!(matches!(foreign, Violation::NotOurs { index: 1, .. }));
    let fresh = changed(|bench, transaction| {
        let view = bench.view();
        let reward = view.unspent().find(|coin| !coin.mature()).unwrap();
        transaction.input[1].previous_output = reward.outpoint;
    });
    assert_eq!(fresh, Violation::Immature { index: 1, depth: 1 });
}

#[test]
fn inputs_are_in_a_block_and_unspent() {
    let (mut bench, decided, mut payment) = scene();
    let unconfirmed = bench.contribution([0, 3], Amount::from_int_btc(1));
    bench.broadcast(&unconfirmed);
    payment.input[1].previous_output = OutPoint { txid: unconfirmed.compute_txid(), vout: 0 };
    let found = *judge(&bench, &decided, &payment).unwrap_err();
    assert!(matches!(found, Violation::Unconfirmed { index: 1, .. }));
    let (mut bench, decided, payment) = scene();
    let second = payment.input[1].previous_output;
    bench.confirm(vec![transaction(second, stranger(), Amount::from_int_btc(1))]);
    let found = *judge(&bench, &decided, &payment).unwrap_err();
    assert!(matches!(found, Violation::Spent { index: 1, .. }));
}

#[test]
fn distinct_inputs() {
    let twice = changed(|_, transaction| {
        let last = transaction.input[1].clone();
        transaction.input.push(last);
    });
    assert!(matches!(twice, Violation::Twice(_)));
}

#[test]
fn unsigned_inputs() {
    let witness = changed(|_, transaction| transaction.input[1].witness = Witness::from_slice(&[[1]]));
    assert_eq!(witness, Violation::Signed(1));
    let script = changed(|_, transaction| transaction.input[0].script_sig = ScriptBuf::from_bytes(vec![1]));
    assert_eq!(script, Violation::Signed(0));
}

#[test]
fn sequences_of_all_inputs() {
    for other in [Sequence::MAX, Sequence::ENABLE_LOCKTIME_NO_RBF, Sequence::ZERO, Sequence::from_height(1)] {
        let found = changed(|_, transaction| transaction.input[1].sequence = other);
        assert_eq!(found, Violation::Sequence { index: 1, expected: SEQUENCE, found: other });
    }
}

#[test]
fn lock_time_up_to_the_tip() {
    let (bench, decided, transaction) = &*SCENE;
    let mut transaction = transaction.clone();
    let tip = bench.tip().0;
    let cases = [(0, true), (tip, true), (tip + 1, false), (500_000_000, false), (u32::MAX, false)];
    for (lock, stands) in cases {
        transaction.lock_time = LockTime::from_consensus(lock);
        assert_eq!(judge(bench, decided, &transaction).is_ok(), stands, "{lock}");
    }
}

#[test]
fn version_of_its_size() {
    for other in [1, 2, 4, -3] {
        let found = changed(|_, transaction| transaction.version = Version(other));
        assert_eq!(found, Violation::Version { expected: Version(3), found: Version(other) });
    }
}

#[test]
fn heir_at_change_and_large_enough() {
    let script = changed(|bench, transaction| transaction.output[0].script_pubkey = bench.script([0, 0]));
    assert!(matches!(script, Violation::Heir { found: Some(_) }));
    let value = changed(|_, transaction| transaction.output[0].value = Amount::from_sat(9_999));
    assert!(matches!(value, Violation::Heir { found: Some(_) }));
    let none = changed(|_, transaction| transaction.output.clear());
    assert_eq!(none, Violation::Heir { found: None });
}

#[test]
fn mark_of_this_decision() {
    let dropped = changed(|_, transaction| drop(transaction.output.remove(1)));
    assert!(matches!(dropped, Violation::Marker { .. }));
    let valued = changed(|_, transaction| transaction.output[1].value = Amount::from_sat(1));
    assert!(matches!(valued, Violation::Marker { .. }));
    let other = changed(|bench, transaction| {
        let other = crdt::ProposalId(crdt::Digest([2; 32]));
        transaction.output[1] = crate::marker::output(crate::marker::marker(bench.view().guild(), other));
    });
    assert!(matches!(other, Violation::Marker { .. }));
}

#[test]
fn payee_by_payee() {
    type Change = fn(&mut Transaction);
    let cases: [(&str, Change, usize); 6] = [
        ("another amount", |tx| tx.output[3].value += Amount::from_sat(1), 3),
        ("another script", |tx| tx.output[2].script_pubkey = stranger(), 2),
        ("another order", |tx| tx.output.swap(2, 3), 2),
        ("one fewer", |tx| drop(tx.output.pop()), 3),
        ("one more", |tx| tx.output.push(tx.output[3].clone()), 4),
        ("a second marker", |tx| tx.output.push(tx.output[1].clone()), 4),
    ];
    for (name, change, at) in cases {
        let found = changed(|_, transaction| change(transaction));
        assert!(matches!(found, Violation::Payee { index, .. } if index == at), "{name}: {found}");
    }
}

#[test]
fn weight_that_relays() {
    let heavy = changed(|_, transaction| {
        let last = transaction.output[3].clone();
        transaction.output.extend(vec![last; 4_000]);
    });
    assert!(matches!(heavy, Violation::Weight(found) if found > crate::fee::WEIGHT_MAX), "{heavy}");
}

#[test]
fn as_many_payees_as_there_can_be() {
    let (mut bench, _) = Bench::funded();
    let coin = bench.receive([0, 5], Amount::from_int_btc(9));
    bench.mine(5);
    let outputs =
        vec![Output { script: stranger(), amount: Amount::from_sat(20_000) }; crdt::limits::OUTPUTS_MAX];
    let decided = bench.secret.decide(&bench.charter, 7, outputs, coin);
    let built = spend::build(&decided, &bench.view(), &bench.params()).unwrap();
    assert!(judge(&bench, &decided, &built.transaction).is_ok());
}

#[test]
fn fee_low_enough_and_high_enough() {
    let (bench, decided, transaction) = &*SCENE;
    let vsize = crate::fee::signed_vsize(transaction);
    let heir = transaction.output[0].value;
    let fee = judge(bench, decided, transaction).unwrap().fee();
    let with = |wanted: u64| {
        let mut changed = transaction.clone();
        changed.output[0].value = heir + fee - Amount::from_sat(wanted);
        judge(bench, decided, &changed).map(|checked| checked.fee().to_sat()).map_err(|found| *found)
    };
    let cap = bench.charter.fee_cap.sat_per_vb * vsize;
    assert!(cap < bench.charter.fee_cap.sat);
    assert_eq!(with(vsize), Ok(vsize));
    assert_eq!(with(cap), Ok(cap));
    assert!(matches!(with(vsize - 1), Err(Violation::FeeLow { .. })));
    assert!(matches!(with(cap + 1), Err(Violation::FeeHigh { .. })));
    let mut overspent = transaction.clone();
    overspent.output[0].value += Amount::from_int_btc(60);
    assert_eq!(*judge(bench, decided, &overspent).unwrap_err(), Violation::Overspent);
    overspent.output[0].value = Amount::MAX;
    assert_eq!(*judge(bench, decided, &overspent).unwrap_err(), Violation::Overspent);
}

#[test]
fn fee_below_the_cap_in_satoshis() {
    let (mut bench, decided, transaction) = scene();
    bench.charter.fee_cap.sat = 100; // the view goes on with the guild that it was made for
    let found = check(&transaction, &decided, &bench.view(), &bench.charter.fee_cap).unwrap_err();
    assert!(matches!(*found, Violation::FeeHigh { expected, .. } if expected == Amount::from_sat(100)));
}

/// Whatever bit of the serialized payment flips: refused, or one of the two things here that a
/// coordinator is free to choose.
#[test]
fn no_bit_of_a_payment_can_be_changed() {
    let (bench, decided, payment) = &*SCENE;
    let (view, cap) = (bench.view(), &bench.charter.fee_cap);
    let bytes = bitcoin::consensus::serialize(payment);
    let mut passed = 0;
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let Ok(changed) = bitcoin::consensus::deserialize::<Transaction>(&changed) else { continue };
        if check(&changed, decided, &view, cap).is_ok() {
            let mut free = payment.clone();
            free.output[0].value = changed.output[0].value;
            free.lock_time = changed.lock_time;
            assert_eq!(free, changed, "bit {at}");
            passed += 1;
        }
    }
    assert!(passed < 40, "{passed} bits of two numbers");
}
