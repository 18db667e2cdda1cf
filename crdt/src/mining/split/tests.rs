use super::*;
use crate::mining::{MiningPolicy, Mode, Payout};
use crate::testkit::payee;
use proptest::prelude::*;

fn share(payee: Payee, weight: u32) -> Share {
    Share { payee, weight }
}

fn to(seed: u8, weight: u32) -> Share {
    share(Payee::Script(payee(seed)), weight)
}

fn split(shares: Vec<Share>) -> Split {
    Split::new(shares, Small::Treasury).unwrap()
}

#[test]
fn a_split_that_cannot_be_carried_out_does_not_exist() {
    let bare = ScriptBuf::from_bytes(vec![0x51]);
    let many = (0..301_u32).map(|number| {
        let bytes = [vec![0, 32], number.to_be_bytes().repeat(8)].concat();
        share(Payee::Script(ScriptBuf::from_bytes(bytes)), 1)
    });
    let many: Vec<Share> = many.collect();
    let cases = [
        ("nobody", vec![], SplitError::Count(0)),
        ("too many", many.clone(), SplitError::Count(301)),
        ("no weight", vec![to(1, 1), to(2, 0)], SplitError::Weight(1)),
        ("one payee twice", vec![to(1, 1), to(2, 1), to(1, 5)], SplitError::Twice(2)),
        (
            "the treasury twice",
            vec![share(Payee::Treasury, 1), share(Payee::Treasury, 2)],
            SplitError::Twice(1),
        ),
        ("no address", vec![share(Payee::Script(bare), 1)], SplitError::Script(0)),
    ];
    for (name, shares, error) in cases {
        assert_eq!(Split::new(shares.clone(), Small::NoWork), Err(error), "{name}");
        // Nor do its bytes.
        let bytes = postcard::to_stdvec(&Raw { shares, small: Small::NoWork }).unwrap();
        assert!(postcard::from_bytes::<Split>(&bytes).is_err(), "{name}");
    }
    assert!(Split::new(many[..300].to_vec(), Small::NoWork).is_ok());
}

#[test]
fn the_hash_that_is_certified_covers_every_part_of_a_split() {
    let policy = |split| MiningPolicy { mode: Mode::Solo, payout: Payout::Split(split) };
    let base = vec![share(Payee::Treasury, 90), to(1, 10)];
    let all = [
        policy(split(base.clone())),
        policy(Split::new(base, Small::NoWork).unwrap()),
        policy(split(vec![share(Payee::Treasury, 91), to(1, 10)])),
        policy(split(vec![share(Payee::Treasury, 90), to(2, 10)])),
        policy(split(vec![to(1, 10), share(Payee::Treasury, 90)])),
        MiningPolicy::SOLO,
    ];
    let hashes: std::collections::BTreeSet<_> = all.iter().map(MiningPolicy::hash).collect();
    assert_eq!(hashes.len(), all.len());
    for policy in all {
        let bytes = postcard::to_stdvec(&policy).unwrap();
        assert_eq!(postcard::from_bytes::<MiningPolicy>(&bytes).unwrap(), policy);
    }
}

proptest! {
    #[test]
    fn every_split_of_a_block_sums_to_the_whole(
        total in 0..=Amount::MAX_MONEY.to_sat(),
        weights in prop::collection::vec(1..=u32::MAX, 1..40),
    ) {
        let shares = (1..).zip(&weights).map(|(seed, weight)| to(seed, *weight)).collect();
        let parts = split(shares).divide(Amount::from_sat(total));
        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(parts.into_iter().map(Amount::to_sat).sum::<u64>(), total);
    }
}
