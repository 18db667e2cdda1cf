use crate::Path;
use crate::testkit::{Bench, stranger};
use crate::treasury::{CHANGE, Treasury};
use crate::view::{Coin, Seen, Spender, View};
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was shown at the step before.
#[derive(Default)]
struct Shown {
    places: BTreeMap<Txid, Option<u32>>,
    /// Of the one key there is: each takes half a millisecond.
    roots: BTreeMap<Path, [u8; 32]>,
}

/// The view as BDK gives it, worked out over everything.
fn from_scratch(treasury: &Treasury, roots: &mut BTreeMap<Path, [u8; 32]>) -> View {
    let tip = treasury.wallet.latest_checkpoint().block_id();
    let mut view = View::new(treasury.view.guild(), tip, treasury.view.change_script().clone());
    let (mut coins, mut transactions) = (BTreeMap::new(), BTreeMap::new());
    for seen in treasury.wallet.transactions() {
        let (txid, transaction) = (seen.tx_node.txid, Arc::clone(&seen.tx_node.tx));
        let height = seen.chain_position.confirmation_height_upper_bound();
        for (vout, output) in (0..).zip(&transaction.output) {
            let Some(path) = treasury.path(&output.script_pubkey) else { continue };
            let coin = Coin {
                outpoint: OutPoint { txid, vout },
                output: output.clone(),
                height,
                depth: height.map_or(0, |height| tip.height + 1 - height),
                coinbase: transaction.is_coinbase(),
                path,
                merkle_root: *roots.entry(path).or_insert_with(|| treasury.merkle_root(path).unwrap()),
                spent: None,
            };
            coins.insert(coin.outpoint, coin);
        }
        transactions.insert(txid, Seen { transaction, height, time: 0 });
    }
    for (txid, seen) in &transactions {
        for input in &seen.transaction.input {
            if let Some(coin) = coins.get_mut(&input.previous_output) {
                let key_path = input.witness.len() == 1;
                coin.spent = Some(Spender { txid: *txid, height: seen.height, key_path });
            }
        }
    }
    (view.coins, view.transactions) = (Arc::new(coins), Arc::new(transactions));
    view
}

fn assert_follows(bench: &mut Bench, shown: &mut Shown) {
    let (view, expected) = (bench.view(), from_scratch(&bench.treasury, &mut shown.roots));
    let shown = &mut shown.places;
    assert_eq!((view.tip(), view.tip_hash()), (expected.tip(), expected.tip_hash()));
    assert_eq!(view.coins, expected.coins);
    let places = |view: &View| -> BTreeMap<Txid, Option<u32>> {
        view.transactions.iter().map(|(txid, seen)| (*txid, seen.height)).collect()
    };
    assert_eq!(places(&view), places(&expected));
    let unconfirmed: BTreeSet<Txid> =
        bench.treasury.unconfirmed().iter().map(|transaction| transaction.compute_txid()).collect();
    let pending = places(&expected).into_iter().filter(|(_, height)| height.is_none());
    assert_eq!(unconfirmed, pending.map(|(txid, _)| txid).collect());
    // what was touched is all that differs from the view before
    let touched = bench.treasury.take_touched();
    let now = places(&view);
    let changed = |txid: &Txid| shown.get(txid) != now.get(txid);
    assert!(shown.keys().chain(now.keys()).filter(|txid| changed(txid)).all(|txid| touched.contains(txid)));
    *shown = now;
}

/// Spends a coin twice over the run, now and then to a stranger, now and then unconfirmed.
fn spend(bench: &Bench, coin: OutPoint, sat: u64) -> Transaction {
    let out = TxOut { value: Amount::from_sat(sat), script_pubkey: stranger() };
    let mut moved = bench.move_coin(coin, if sat.is_multiple_of(2) { vec![out] } else { Vec::new() });
    moved.output[0].value -= Amount::from_sat(sat);
    moved
}

fn step(bench: &mut Bench, known: &mut Vec<Transaction>, (what, number): (u8, u16)) {
    let pick = usize::from(number);
    let seen = |bench: &mut Bench, transaction: &Transaction, time: u64| {
        bench.treasury.apply_mempool([(Arc::new(transaction.clone()), time)], []);
    };
    match what % 8 {
        0 => {
            bench.receive([0, u32::from(number % 5)], Amount::from_sat(100_000 + u64::from(number)));
        }
        1 => bench.reward(1),
        2 => {
            let new = bench.contribution([0, 1], Amount::from_sat(50_000));
            seen(bench, &new, u64::from(number));
            known.push(new);
        }
        3 | 4 => {
            let coins: Vec<OutPoint> = bench.view().coins.keys().copied().collect();
            let Some(coin) = coins.get(pick % coins.len().max(1)) else { return };
            let new = spend(bench, *coin, 1_000 + u64::from(number % 7));
            seen(bench, &new, u64::from(number) + 1);
            known.push(new);
        }
        5 => {
            let at = pick % known.len().max(1);
            let Some(old) = known.get(at).cloned() else { return };
            let evicted = [(old.compute_txid(), u64::from(number))];
            bench.treasury.apply_mempool([], evicted);
        }
        6 => {
            // a block with some of what is known: no conflicts, and nothing that spends what is not there
            let made = |txid: Txid| known.iter().any(|other| other.compute_txid() == txid);
            let mut spent = BTreeSet::new();
            let taken: Vec<Transaction> = known
                .iter()
                .skip(pick % known.len().max(1))
                .filter(|one| {
                    let fits = one.input.iter().all(|input| {
                        let coin = bench.view().coin(&input.previous_output).cloned();
                        coin.map_or_else(
                            || !made(input.previous_output.txid),
                            |coin| !coin.gone() && coin.height.is_some(),
                        )
                    });
                    fits && one.input.iter().all(|input| spent.insert(input.previous_output))
                })
                .cloned()
                .collect();
            bench.confirm(taken);
        }
        _ => {
            let depth = (pick % 4 + 1).min(bench.blocks().len());
            bench.reorganize(depth);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_view_follows_what_bdk_says_from_scratch(
        steps in prop::collection::vec((any::<u8>(), any::<u16>()), 1..40),
    ) {
        let mut bench = Bench::default();
        bench.mine(3);
        let (mut known, mut shown) = (Vec::new(), Shown::default());
        for one in steps {
            step(&mut bench, &mut known, one);
            assert_follows(&mut bench, &mut shown);
        }
    }
}

#[test]
fn a_loaded_treasury_shows_what_the_stored_one_did() {
    let (mut bench, [coin, _]) = Bench::funded();
    let moved = bench.move_coin(coin, Vec::new());
    bench.broadcast(&moved);
    bench.reorganize(2);
    bench.receive(CHANGE, Amount::from_sat(20_000));
    let stored = bench.treasury.take_staged().unwrap();
    let loaded = Treasury::load(&bench.charter, bench.secret.key(), stored).unwrap();
    assert_eq!(loaded.view().coins, bench.view().coins);
    assert_eq!(loaded.tip(), bench.treasury.tip());
    let unconfirmed = |treasury: &Treasury| treasury.unconfirmed().len();
    assert_eq!(unconfirmed(&loaded), unconfirmed(&bench.treasury));
}

#[test]
fn nobody_else_pays_for_a_view_that_is_kept() {
    let (mut bench, _) = Bench::funded();
    let before = bench.view();
    let coins = before.coins.len();
    bench.receive([0, 3], Amount::from_sat(30_000));
    assert_eq!((before.coins.len(), bench.view().coins.len()), (coins, coins + 1), "a value, not a window");
}
