use super::*;
use crate::testkit::{Bench, Secret};
use crate::{policy, spend};
use crdt::certificate::Certified;
use crdt::governance::Spend;

/// A payment from two coins, checked.
fn scene(seed: u8) -> (Bench, Certified<Spend>, CheckedTx) {
    let mut bench = Bench::new(seed);
    let coin = bench.receive([0, 3], bitcoin::Amount::from_sat(20_000));
    bench.receive([1, 0], bitcoin::Amount::from_sat(30_000));
    bench.mine(6);
    let decided = bench.decide(1, 25_000, coin);
    let built = spend::build(&decided, &bench.view(), &bench.params()).unwrap();
    let checked = policy::check(&built.transaction, &decided, &bench.view(), &bench.charter.fee_cap).unwrap();
    (bench, decided, checked)
}

fn sign(secret: Secret, checked: &CheckedTx) -> Vec<[u8; 64]> {
    let hashes = sighashes(checked);
    checked.inputs().iter().zip(hashes).map(|(input, hash)| secret.sign_input(input, hash)).collect()
}

#[test]
fn keys_of_both_parities_sign_coins_of_both_keychains() {
    let parities = [1, 2, 3, 4, 5, 6].map(|seed| (seed, Secret::new(seed).key().to_bytes()[0]));
    for parity in [2, 3] {
        let (seed, _) = *parities.iter().find(|(_, found)| *found == parity).unwrap();
        let (_, _, checked) = scene(seed);
        let paths: Vec<_> = checked.inputs().iter().map(|input| input.path).collect();
        assert_eq!(paths, [[0, 3], [1, 0]]);
        let signed = finish(&checked, &sign(Secret::new(seed), &checked)).unwrap();
        assert_eq!(signed.compute_txid(), checked.transaction().compute_txid());
        for input in &signed.input {
            assert_eq!(input.witness.iter().map(<[u8]>::len).collect::<Vec<_>>(), [64]);
        }
        assert_eq!(signed.vsize() as u64, crate::fee::signed_vsize(checked.transaction()));
    }
}

#[test]
fn a_signature_in_the_wrong_place_or_of_somebody_else_is_refused() {
    let (bench, _, checked) = scene(1);
    let good = sign(bench.secret, &checked);
    let foreign = sign(Secret::new(9), &checked);
    let mut flipped = good.clone();
    flipped[1][63] ^= 1;
    let cases = [
        ("swapped", vec![good[1], good[0]], FinishError::Signature(0)),
        ("one of somebody else", vec![good[0], foreign[1]], FinishError::Signature(1)),
        ("a flipped bit", flipped, FinishError::Signature(1)),
        ("no signature at all", vec![good[0], [0xff; 64]], FinishError::Signature(1)),
        ("one missing", vec![good[0]], FinishError::Count { expected: 2, found: 1 }),
        ("one too many", vec![good[0]; 3], FinishError::Count { expected: 2, found: 3 }),
    ];
    for (name, signatures, expected) in cases {
        assert_eq!(finish(&checked, &signatures), Err(expected), "{name}");
    }
}
