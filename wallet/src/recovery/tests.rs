//! A recovery, and everything that is none.

use super::*;
use crate::testkit::{Bench, stranger};
use bitcoin::NetworkKind;
use bitcoin::bip32::Xpub;
use crdt::testkit;

const DELAY: u16 = 144;

/// A guild of three with known seeds, two of whom recover.
fn guild(seed: u8) -> (Bench, Vec<Xpriv>) {
    let secp = Secp256k1::new();
    let keys: Vec<Xpriv> = (1..=3)
        .map(|index| Xpriv::new_master(NetworkKind::Test, &[index * 16 + seed; 32]).unwrap())
        .collect();
    let mut charter = testkit::charter(&testkit::people(3));
    charter.recovery.keys = keys.iter().map(|key| Xpub::from_priv(&secp, key)).collect();
    charter.recovery.least = 2;
    charter.recovery.delay = DELAY;
    (Bench::of(charter, seed), keys)
}

fn aged(seed: u8) -> (Bench, Vec<Xpriv>) {
    let (mut bench, keys) = guild(seed);
    bench.reward(2);
    bench.receive([0, 1], Amount::from_int_btc(1));
    bench.mine(u32::from(DELAY));
    (bench, keys)
}

#[test]
fn two_of_three_seeds_move_all_old_coins_and_one_does_not() {
    let (mut bench, keys) = aged(1);
    bench.receive([0, 2], Amount::from_int_btc(7)); // too young
    let psbt = bench.treasury.recovery(DELAY, &stranger(), 3).unwrap();
    assert_eq!(psbt.inputs.len(), 3);
    let (paid, fee) = amounts(&psbt);
    assert_eq!(paid + fee, Amount::from_int_btc(101));
    assert!((700..4_000).contains(&fee.to_sat()), "{fee}");
    assert!(psbt.unsigned_tx.input.iter().all(|input| input.sequence == Sequence::from_height(DELAY)));
    assert_eq!(destination(&psbt), Some(stranger()));

    let (mut one, mut other) = (psbt.clone(), psbt);
    sign(&mut one, &keys[0]).unwrap();
    let few = bench.treasury.complete(&one, 2).unwrap_err();
    assert_eq!(few.to_string(), "1 of 2 signatures are there");
    sign(&mut other, &keys[2]).unwrap();
    let mut all = bench.treasury.adopt(&one, DELAY, Some(&stranger())).unwrap();
    combine(&mut all, &bench.treasury.adopt(&other, DELAY, None).unwrap()).unwrap();
    let done = bench.treasury.complete(&all, 2).unwrap();
    assert!(done.input.iter().all(|input| input.witness.len() == 5), "three slots, the leaf, its proof");
    let vbytes = done.vsize() as u64;
    assert!(fee.to_sat() >= 3 * vbytes && fee.to_sat() < 3 * vbytes + 200, "{fee} for {vbytes} vB");
}

#[test]
fn every_psbt_that_is_no_recovery_is_refused_in_words() {
    let (mut bench, keys) = aged(1);
    let (mut elsewhere, _) = aged(2);
    let good = bench.treasury.recovery(DELAY, &stranger(), 1).unwrap();
    let foreign = elsewhere.treasury.recovery(DELAY, &stranger(), 1).unwrap();
    let change = |edit: &dyn Fn(&mut Psbt)| {
        let mut psbt = good.clone();
        edit(&mut psbt);
        psbt
    };
    let elsewhere = bench.script([0, 5]);
    let young = bench.receive([0, 3], Amount::from_int_btc(1));
    let table: Vec<(&str, Psbt, &str)> = vec![
        ("another guild", foreign, "is no coin of this treasury: it is of another guild or network"),
        ("other payee", change(&|psbt| psbt.unsigned_tx.output[0].script_pubkey = elsewhere.clone()), "--to"),
        (
            "two outputs",
            change(&|psbt| {
                let more = psbt.unsigned_tx.output[0].clone();
                psbt.unsigned_tx.output.push(more);
                psbt.outputs.push(psbt::Output::default());
            }),
            "has 2 outputs",
        ),
        ("no delay", change(&|psbt| psbt.unsigned_tx.input[0].sequence = Sequence::MAX), "does not wait"),
        (
            "young",
            change(&|psbt| psbt.unsigned_tx.input[0].previous_output = young),
            "not rested long enough",
        ),
        (
            "no input",
            change(&|psbt| {
                psbt.unsigned_tx.input.clear();
                psbt.inputs.clear();
            }),
            "nothing in this PSBT",
        ),
        (
            "bad signature",
            change(&|psbt| {
                sign(psbt, &keys[0]).unwrap();
                let first = psbt.inputs[1].tap_script_sigs.values().next().copied().unwrap();
                psbt.inputs[0].tap_script_sigs.values_mut().for_each(|signature| *signature = first);
            }),
            "not valid",
        ),
    ];
    for (name, psbt, words) in table {
        let refused = bench.treasury.adopt(&psbt, DELAY, Some(&stranger())).unwrap_err();
        assert!(refused.to_string().contains(words), "{name}: {refused}");
    }
    let stray = Xpriv::new_master(NetworkKind::Test, &[99; 32]).unwrap();
    let mut psbt = good.clone();
    assert!(matches!(sign(&mut psbt, &stray), Err(RecoveryError::NothingToSign)));
    let mut other = good.clone();
    other.unsigned_tx.output[0].value -= Amount::ONE_SAT;
    assert!(matches!(combine(&mut psbt, &other), Err(RecoveryError::Different(..))));
}

#[test]
fn before_the_delay_there_is_nothing_and_the_wait_is_named() {
    let (mut bench, _) = guild(1);
    let refused = bench.treasury.recovery(DELAY, &stranger(), 1).unwrap_err();
    assert!(matches!(refused, RecoveryError::Empty));
    bench.receive([0, 1], Amount::from_sat(500));
    bench.mine(100);
    let refused = bench.treasury.recovery(DELAY, &stranger(), 1).unwrap_err();
    assert!(matches!(refused, RecoveryError::TooYoung { delay: DELAY, blocks: 43 }), "{refused}");
    bench.mine(42);
    assert!(bench.treasury.recovery(DELAY, &stranger(), 1).is_err(), "143 deep");
    bench.mine(1);
    let refused = bench.treasury.recovery(DELAY, &stranger(), 9).unwrap_err();
    assert!(matches!(refused, RecoveryError::Fee { sat: 500, fee_rate: 9 }), "{refused}");
}

#[test]
fn a_frozen_coin_is_recovered_like_any_other() {
    let (mut bench, _) = aged(1);
    let coin = bench.view().unspent().next().map(|coin| coin.outpoint).unwrap();
    assert!(bench.treasury.leave_alone(coin, true));
    assert_eq!(bench.treasury.recovery(DELAY, &stranger(), 1).unwrap().inputs.len(), 3);
}

#[test]
fn warnings_come_at_half_three_quarters_and_nine_tenths_of_the_delay() {
    let (mut bench, _) = guild(1);
    assert_eq!(aging(&bench.view(), DELAY), None);
    bench.receive([0, 1], Amount::from_int_btc(1));
    let percents: Vec<u32> = (1..=u32::from(DELAY))
        .map(|depth| {
            if depth > 1 {
                bench.mine(1);
            }
            let aging = aging(&bench.view(), DELAY);
            assert!(aging.is_none_or(|aging| aging.blocks == u32::from(DELAY) - depth));
            aging.map_or(0, |aging| aging.percent)
        })
        .collect();
    let first = |percent| 1 + percents.iter().position(|found| *found == percent).unwrap();
    assert_eq!([first(0), first(50), first(75), first(90), first(100)], [1, 72, 108, 130, 144]);
    bench.receive([0, 2], Amount::from_int_btc(2));
    let aging = aging(&bench.view(), DELAY).unwrap();
    assert_eq!((aging.percent, aging.coins, aging.value), (100, 1, Amount::from_int_btc(1)));
}
