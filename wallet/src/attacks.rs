//! Attacks of the reviews that are about coins, seals and sweeps. Names begin with the number; each asserts
//! what honest signers end up with. Payments, draws and rival seals in every order are in
//! `testkit/histories/model.rs`.

use crate::policy::{self, Terms};
use crate::recovery::recoverable;
use crate::spend::{self, BuildError, Given, HOOK_SAT, RENEW_AT_PERCENT, Succession, renewal_due};
use crate::testkit::{Bench, Secret, stranger};
use crate::treasury::{CHANGE, Treasury};
use bitcoin::{Amount, OutPoint, Transaction};
use crdt::limits::LEAST_COIN_SAT;
use std::collections::BTreeSet;

fn seal_of(bench: &Bench, coin: OutPoint) -> Given {
    bench.view().coin(&coin).unwrap().into()
}

/// The next epoch, under the key of another seed.
fn succession(bench: &Bench, seed: u8, sweeps: usize) -> Succession {
    let next = Treasury::create(&bench.charter, Secret::new(seed).key()).unwrap();
    Succession {
        seal: next.script([0, 1]).unwrap(),
        change: next.script(CHANGE).unwrap(),
        hook: bench.script(CHANGE),
        checkpoint: [7; 32],
        sweeps,
    }
}

#[test]
fn a15_with_no_co_signer_left_coins_are_recovered_after_the_delay_and_not_before() {
    let mut bench = Bench::default();
    let coin = bench.receive([0, 1], Amount::from_sat(500_000));
    let found =
        |bench: &Bench| recoverable(&bench.view(), 10).iter().map(|coin| coin.outpoint).collect::<Vec<_>>();
    for depth in 1..10 {
        assert_eq!(found(&bench), [], "{depth} deep");
        bench.mine(1);
    }
    assert_eq!(found(&bench), [coin]);
}

#[test]
fn a16_no_payment_takes_a_seal_or_a_hook_along() {
    let (bench, [anchor, seal]) = Bench::funded();
    let decided = bench.decide(1, 150_000_000, anchor); // more than the anchor holds
    let view = bench.view();
    let mut params = bench.params();
    let others = view.unspent().map(|coin| coin.outpoint).filter(|coin| ![anchor, seal].contains(coin));
    params.apart = others.collect();
    let built = spend::build(&decided, &view, &params).unwrap();
    assert!(built.transaction.input.iter().any(|input| input.previous_output == seal), "the only coin left");
    let outline = spend::payment(&decided, &view).unwrap();
    let terms = |apart| Terms { fee: (&params.cap).into(), apart };
    assert!(policy::judge(&built.transaction, &outline, &view, &terms(params.apart.clone())).is_ok());
    let refused = policy::judge(&built.transaction, &outline, &view, &terms(BTreeSet::from([seal])));
    assert!(refused.is_err(), "a signer who knows the seal");
    params.apart.insert(seal);
    assert!(matches!(spend::build(&decided, &view, &params), Err(BuildError::Funds { .. })));
}

#[test]
fn f11_what_rests_is_renewed_at_half_the_delay_to_the_same_key() {
    assert_eq!(RENEW_AT_PERCENT, 50);
    for (depth, due) in [(26_279, false), (26_280, false), (26_281, true), (52_560, true)] {
        assert_eq!(renewal_due(depth, 52_560), due, "{depth}");
    }
    let (bench, [coin, _]) = Bench::funded();
    let seal = seal_of(&bench, coin);
    let same = seal.key.prevout.clone();
    let next = Succession { seal: same.script_pubkey.clone(), ..succession(&bench, 1, 0) };
    let outline = spend::seal(seal, &next, true);
    assert_eq!(outline.outputs.first(), Some(&same), "the same script, and all of its value");
}

#[test]
fn f12_a_sweep_is_valid_only_after_its_own_seal() {
    let (bench, [coin, other]) = Bench::funded();
    let view = bench.view();
    let mut params = bench.params();
    params.apart = [coin].into();
    let seals = [7, 8].map(|checkpoint| {
        let next = Succession { checkpoint: [checkpoint; 32], ..succession(&bench, 2, 1) };
        let outline = spend::seal(seal_of(&bench, coin), &next, true);
        spend::fund(&outline, &view, &params).unwrap().transaction
    });
    let sweep = |seal: &Transaction| {
        let hook = OutPoint { txid: seal.compute_txid(), vout: 3 };
        let prevout = seal.output[3].clone();
        assert_eq!(prevout.value, Amount::from_sat(HOOK_SAT));
        let key = spend::InputKey { prevout, path: CHANGE, merkle_root: [0; 32] };
        let heir = succession(&bench, 2, 0).change;
        let outline = spend::sweep(&view, Some(Given { outpoint: hook, key }), &[other], heir).unwrap();
        spend::fund(&outline, &view, &params).unwrap().transaction
    };
    for (own, rival) in [(0, 1), (1, 0)] {
        let spent: Vec<OutPoint> =
            sweep(&seals[own]).input.iter().map(|input| input.previous_output).collect();
        assert!(spent.contains(&OutPoint { txid: seals[own].compute_txid(), vout: 3 }));
        assert!(spent.iter().all(|coin| coin.txid != seals[rival].compute_txid()), "and no other seal's");
    }
    let shared = |seal: &Transaction| seal.input.first().map(|input| input.previous_output);
    assert_eq!(shared(&seals[0]), shared(&seals[1]), "of two seals Bitcoin takes one");
}

#[test]
fn f17_coins_of_the_treasury_pay_for_a_seal_and_a_bump_keeps_what_it_says() {
    let (bench, [coin, _]) = Bench::funded();
    let view = bench.view();
    let (seal, next) = (seal_of(&bench, coin), succession(&bench, 2, 2));
    let value = seal.key.prevout.value;
    let build = |rate: u64, fee_inputs: bool| {
        let mut params = bench.params();
        params.apart = [coin].into();
        params.fee_rate = Some(rate);
        let outline = spend::seal(seal.clone(), &next, fee_inputs);
        let built = spend::fund(&outline, &view, &params).unwrap();
        let terms = Terms { fee: (&params.cap).into(), apart: params.apart };
        policy::judge(&built.transaction, &outline, &view, &terms).unwrap();
        built.transaction
    };
    let (first, dearer) = (build(2, true), build(9, true));
    assert_eq!(first.output[..2], dearer.output[..2], "the next seal and its checkpoint stay");
    assert_eq!(first.output[0].value, value, "nothing of it goes for fees");
    assert!(
        first.output[2].value > dearer.output[2].value && dearer.output[2].value.to_sat() >= LEAST_COIN_SAT
    );
    assert_eq!(first.output[3..], dearer.output[3..], "a hook for each sweep");
    assert_eq!(first.output.len(), 5);
    let alone = build(2, false);
    assert!(alone.output[0].value < value && alone.input.len() == 1, "without coins it pays for itself");
    assert!(alone.output.iter().all(|output| output.script_pubkey != stranger()));
}
