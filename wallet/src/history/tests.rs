use super::*;
use crate::marker;
use crate::testkit::{Bench, decisions};

fn kinds(bench: &Bench, decisions: &BTreeMap<ProposalId, Line>) -> Vec<(Kind, u64, u64)> {
    let records = history(&bench.view(), decisions);
    records.iter().map(|record| (record.kind, record.received.to_sat(), record.sent.to_sat())).collect()
}

#[test]
fn every_transaction_is_told_apart() {
    const REWARD: u64 = 5_000_000_000;
    let mut bench = Bench::default();
    bench.reward(1);
    let coin = bench.receive([0, 1], Amount::from_sat(100_000));
    bench.mine(99);
    let [paid, closed] = [1, 2].map(|seed| bench.decide(seed, 30_000, coin));
    let payment = bench.pay(&paid, 0);
    bench.confirm(vec![payment.clone()]);
    let heir = bitcoin::OutPoint { txid: payment.compute_txid(), vout: 0 };
    let mark = marker::output(marker::closing(bench.view().guild(), closed.decision()));
    let closing = bench.move_coin(heir, vec![mark]);
    bench.broadcast(&closing);
    let left = payment.output[0].value.to_sat();
    let all = decisions([&paid, &closed]);
    let expected = [
        (Kind::Closing(closed.decision()), left - 1_000, left),
        (Kind::Payment(paid.decision()), left, 100_000),
        (Kind::Contribution, 100_000, 0),
        (Kind::BlockReward, REWARD, 0),
    ];
    assert_eq!(kinds(&bench, &all), expected);
    let unknown = kinds(&bench, &BTreeMap::new());
    assert_eq!(unknown[..2].iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [Kind::Other, Kind::Other]);
    let depths: Vec<_> = history(&bench.view(), &all).iter().map(|record| record.depth).collect();
    assert_eq!(depths, [0, 1, 101, 102]);
}

#[test]
fn what_comes_in_less_what_goes_out_is_what_is_there() {
    let (mut bench, [coin, _]) = Bench::funded();
    let decided = bench.decide(1, 30_000, coin);
    let payment = bench.pay(&decided, 0);
    for step in 0..3 {
        match step {
            1 => bench.broadcast(&payment),
            2 => bench.confirm(vec![payment.clone()]),
            _ => {}
        }
        let balance = bench.view().balance();
        let records = history(&bench.view(), &BTreeMap::new());
        let sum = |of: fn(&Record) -> Amount| records.iter().map(of).sum::<Amount>();
        let all = balance.confirmed + balance.immature + balance.pending;
        assert_eq!(sum(|record| record.received) - sum(|record| record.sent), all, "step {step}");
    }
}
