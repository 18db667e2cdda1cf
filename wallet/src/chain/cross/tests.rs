//! What two sources must show alike.

use super::*;
use crate::testkit::Bench;
use bitcoin::Amount;

#[test]
fn equal_views_agree_and_one_that_is_behind_is_compared_where_both_are() {
    let (one, _) = Bench::funded();
    let (other, _) = Bench::funded();
    assert_eq!(compare(("a", &one.view()), ("b", &other.view())), []);
    let mut ahead = other;
    let txid = ahead.receive([0, 3], Amount::from_int_btc(3)).txid;
    assert_eq!(compare(("a", &one.view()), ("b", &ahead.view())), [], "the other has not seen that block");
    let mut empty = one;
    empty.mine(1);
    let found = compare(("a", &empty.view()), ("b", &ahead.view()));
    let height = ahead.view().tip();
    assert_eq!(found, [Disagreement::Withheld { by: "a".to_owned(), txid, height }]);
    let found = compare(("b", &ahead.view()), ("a", &empty.view()));
    assert_eq!(
        found,
        [Disagreement::Withheld { by: "a".to_owned(), txid, height }],
        "whoever is asked first"
    );
}

#[test]
fn one_transaction_in_two_blocks_or_with_two_witnesses_is_named() {
    let (mut one, [coin, _]) = Bench::funded();
    let (mut other, _) = Bench::funded();
    let moved = one.move_coin(coin, vec![]);
    let mut altered = moved.clone();
    altered.input[0].witness = bitcoin::Witness::from_slice(&[vec![1; 64], vec![2; 34], vec![3; 33]]);
    assert_eq!(moved.compute_txid(), altered.compute_txid(), "the id does not cover the witness");
    one.confirm(vec![moved.clone()]);
    other.confirm(vec![altered]);
    let txid = moved.compute_txid();
    assert!(compare(("a", &one.view()), ("b", &other.view())).contains(&Disagreement::Differs { txid }));

    let (mut late, _) = Bench::funded();
    late.mine(1);
    late.confirm(vec![moved]);
    one.mine(1);
    assert!(compare(("a", &one.view()), ("b", &late.view())).contains(&Disagreement::Differs { txid }));
}
