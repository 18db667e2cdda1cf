use super::*;
use crate::anchor::{self, AnchorError, Lineage, tips};
use crate::policy;
use crate::testkit::{Bench, REWARD, decisions, stranger, transaction};
use crdt::governance::Output;
use crdt::limits::LEAST_COIN_SAT;
use proptest::prelude::*;

fn btc(whole: u64) -> Amount {
    Amount::from_int_btc(whole)
}

#[test]
fn the_form_of_a_payment() {
    let (bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 30_000, coin);
    let built = build(&decided, &bench.view(), &bench.params()).unwrap();
    let tx = &built.transaction;
    assert_eq!(tx.version.0, 3);
    assert_eq!(tx.lock_time.to_consensus_u32(), bench.tip().0);
    assert_eq!(tx.input.len(), 1, "one coin is enough");
    assert_eq!(tx.input[0].previous_output, coin);
    assert_eq!(tx.input[0].sequence, SEQUENCE);
    assert_eq!(tx.output.len(), 3);
    assert_eq!(tx.output[0].script_pubkey, bench.script([1, 0]));
    assert!(tx.output[1].script_pubkey.is_op_return());
    assert_eq!(tx.output[2], Order::from(&decided).payees().next().unwrap());
    assert_eq!(built.fee.to_sat(), fee::signed_vsize(tx) * fee::DEFAULT_RATE);
    assert_eq!(build(&decided, &bench.view(), &bench.params()).unwrap(), built, "no randomness");
}

#[test]
fn more_coins_are_taken_the_largest_first_and_others_lineages_last() {
    let (bench, [coin, other]) = Bench::funded();
    let decided = bench.decide(1, btc(90).to_sat(), coin);
    let built = build(&decided, &bench.view(), &bench.params()).unwrap();
    let values = |built: &Unsigned| -> Vec<_> { built.inputs.iter().map(|key| key.prevout.value).collect() };
    assert_eq!(values(&built), [btc(1), REWARD, REWARD], "the tip first, then the largest");
    // another decision stands on one of the two rewards and on the contribution of two
    let view = bench.view();
    let reward = anchor::choose(&view, &decisions([])).unwrap();
    let others = [bench.decide(2, 1_000, reward), bench.decide(3, 1_000, other)];
    let params = Params { avoid: tips(&view, &decisions(&others)), ..bench.params() };
    let small = bench.decide(1, btc(40).to_sat(), coin);
    let built = build(&small, &view, &params).unwrap();
    assert_eq!(values(&built), [btc(1), REWARD]);
    assert!(built.transaction.input.iter().all(|input| input.previous_output != reward));
    // not avoidable
    let built = build(&decided, &view, &params).unwrap();
    assert_eq!(values(&built), [btc(1), REWARD, REWARD]);
}

#[test]
fn too_little_money_is_said_in_numbers() {
    let (bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, btc(103).to_sat(), coin);
    let error = build(&decided, &bench.view(), &bench.params()).unwrap_err();
    let BuildError::Funds { needed, available, immature } = error else { panic!("{error}") };
    assert_eq!(available, btc(103), "two rewards and the contributions");
    assert_eq!(immature, REWARD);
    assert!(needed > btc(103) + Amount::from_sat(LEAST_COIN_SAT));
}

#[test]
fn fees_stay_within_the_caps() {
    let (bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 30_000, coin);
    let with = |rate, sat, sat_per_vb| {
        let params = Params { fee_rate: Some(rate), cap: FeeCap { sat, sat_per_vb }, ..bench.params() };
        build(&decided, &bench.view(), &params).map(|built| built.fee.to_sat())
    };
    let vsize = with(1, 100_000, 200).unwrap();
    assert_eq!(with(7, 100_000, 200), Ok(7 * vsize));
    assert_eq!(with(300, 100_000, 200), Ok(200 * vsize), "capped by rate");
    assert_eq!(with(300, 1_000, 200), Ok(1_000), "capped in all");
    assert_eq!(with(0, 100_000, 200), Ok(vsize), "never below what relays");
    assert_eq!(with(9, 10, 200), Err(BuildError::FeeCap { needed: vsize, cap: 10 }));
}

#[test]
fn a_version_in_the_mempool_is_replaced_only_by_a_bump_that_pays_more() {
    let (mut bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 30_000, coin);
    let first = bench.pay(&decided, 0);
    bench.broadcast(&first);
    let txid = first.compute_txid();
    let again = build(&decided, &bench.view(), &bench.params());
    assert_eq!(again.unwrap_err(), BuildError::InFlight { txid });
    let floor = Price::of(&bench.view(), bench.view().transaction(&txid).unwrap()).fee;
    let cheap = Params { fee_rate: Some(1), bump: 1, ..bench.params() };
    let bumped = build(&decided, &bench.view(), &cheap).unwrap();
    let vsize = fee::signed_vsize(&bumped.transaction);
    assert_eq!(bumped.fee, floor + Amount::from_sat(vsize), "the old fee, and relay for the new one");
    assert_eq!(bumped.transaction.output[1..], first.output[1..]);
    assert_eq!(bumped.transaction.input[0].previous_output, coin);
    let eleventh = Params { bump: 11, ..bench.params() };
    assert_eq!(build(&decided, &bench.view(), &eleventh).unwrap_err(), BuildError::Bumps);
}

#[test]
fn a_replacement_pays_more_in_all_and_for_each_byte() {
    let old = Price { fee: Amount::from_sat(1_000), vsize: 200 };
    for (vsize, least) in [(200, 1_200), (300, 1_800), (100, 1_100)] {
        assert_eq!(old.replacement(vsize), least, "{vsize} vB");
    }
}

#[test]
fn the_same_anchor_waits_for_the_payment_before_it() {
    let (mut bench, [coin, _]) = Bench::funded();
    let [first, second] = [1, 2].map(|seed| bench.decide(seed, 30_000, coin));
    let paid = bench.pay(&first, 0);
    bench.broadcast(&paid);
    let txid = paid.compute_txid();
    for bump in [0, 1] {
        let params = Params { bump, ..bench.params() };
        let waiting = build(&second, &bench.view(), &params);
        assert_eq!(waiting.unwrap_err(), BuildError::InFlight { txid }, "bump {bump}");
    }
    bench.confirm(vec![paid]);
    let built = build(&second, &bench.view(), &bench.params()).unwrap();
    assert_eq!(built.transaction.input[0].previous_output, OutPoint { txid, vout: 0 });
    let again = build(&first, &bench.view(), &bench.params());
    assert!(matches!(again.unwrap_err(), BuildError::Outline(NoOutline::Ended(Lineage::Paid(_)))));
}

#[test]
fn what_cannot_be_built() {
    let (mut bench, [coin, _]) = Bench::funded();
    let fine = bench.decide(1, 30_000, coin);
    let ahead = Params { lock_height: bench.tip().0 + 1, ..bench.params() };
    let error = build(&fine, &bench.view(), &ahead).unwrap_err();
    assert!(matches!(error, BuildError::LockTime { .. }), "{error}");
    let mut other = bench.charter.clone();
    other.fee_cap.sat += 1;
    let foreign = bench.secret.decide(&other, 1, fine.effect().outputs.clone(), coin);
    let error = build(&foreign, &bench.view(), &bench.params()).unwrap_err();
    assert!(matches!(error, BuildError::Outline(NoOutline::Guild { found, .. }) if found == other.id()));
    let dust = bench.decide(1, 100, coin);
    let error = build(&dust, &bench.view(), &bench.params()).unwrap_err();
    assert!(matches!(error, BuildError::Outline(NoOutline::Decision(_))), "{error}");
    let nowhere = bench.decide(1, 30_000, OutPoint::null());
    let error = build(&nowhere, &bench.view(), &bench.params()).unwrap_err();
    assert!(matches!(error, BuildError::Outline(NoOutline::Anchor(AnchorError::Unknown(_)))), "{error}");
    let theft = transaction(coin, stranger(), btc(1));
    bench.broadcast(&theft);
    let error = build(&fine, &bench.view(), &bench.params()).unwrap_err();
    assert_eq!(error, BuildError::InFlight { txid: theft.compute_txid() });
}

#[test]
fn a_treasury_of_crumbs_says_so() {
    let mut bench = Bench::default();
    let crumbs: Vec<_> = (0..250).map(|_| bench.contribution([0, 1], Amount::from_sat(10_000))).collect();
    let anchor = OutPoint { txid: crumbs[0].compute_txid(), vout: 0 };
    bench.confirm(crumbs);
    bench.mine(6);
    let decided = bench.decide(1, 2_000_000, anchor);
    let params = Params { fee_rate: Some(1), ..bench.params() };
    let error = build(&decided, &bench.view(), &params).unwrap_err();
    assert_eq!(error, BuildError::TooManyCoins);
    // just short of it: large, and no longer version 3
    let decided = bench.decide(1, 1_900_000, anchor);
    let built = build(&decided, &bench.view(), &params).unwrap();
    assert_eq!(built.transaction.version.0, 2);
    assert!(policy::check(&built.transaction, &decided, &bench.view(), &params.cap).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever coins and payees: what is built passes every signer's check, and no satoshi is lost.
    #[test]
    fn whatever_is_built_is_accepted(
        coins in prop::collection::vec(10_000u64..5_000_000, 2..12),
        sats in prop::collection::vec(1_000u64..2_000_000, 1..8),
        rate in prop::option::of(0u64..400),
    ) {
        let mut bench = Bench::default();
        let received: Vec<_> =
            coins.iter().map(|sat| bench.receive([0, 1], Amount::from_sat(*sat))).collect();
        bench.mine(6);
        let outputs: Vec<_> =
            sats.iter().map(|sat| Output { script: stranger(), amount: Amount::from_sat(*sat) }).collect();
        let decided = bench.secret.decide(&bench.charter, 1, outputs, received[0]);
        let (view, params) = (bench.view(), Params { fee_rate: rate, ..bench.params() });
        let total: u64 = coins.iter().sum();
        let paid: u64 = sats.iter().sum();
        match build(&decided, &view, &params) {
            Ok(built) => {
                let checked = policy::check(&built.transaction, &decided, &view, &params.cap);
                prop_assert_eq!(checked.map(|checked| checked.fee()), Ok(built.fee));
                let spent: Amount = built.inputs.iter().map(|input| input.prevout.value).sum();
                let heir = built.transaction.output[0].value;
                prop_assert_eq!(spent, heir + Amount::from_sat(paid) + built.fee);
                prop_assert!(built.fee.to_sat() <= 100_000);
            }
            Err(BuildError::Funds { needed, available, .. }) => {
                prop_assert_eq!(available.to_sat(), total);
                prop_assert!(needed > available && needed.to_sat() > paid + 10_000);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
