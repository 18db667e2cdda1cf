//! The chain as bitcoind tells it.

use crate::bench::Bench;
use bitcoin::Network;
use serde_json::json;
use std::collections::BTreeMap;
use wallet::anchor::{self, CONFIRMED, MEMPOOL, lineage};
use wallet::chain::{Bitcoind, ChainError};
use wallet::{Lineage, Store, Treasury};

#[test]
fn a_reorganization_takes_a_payment_back_and_gives_it_again() {
    let mut bench = Bench::funded();
    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let paid = bench.pay(&decided, 0);
    bench.chain.broadcast(&paid).unwrap();
    let view = bench.mine(3);
    let height = view.tip() - 2;
    assert!(matches!(lineage(&view, decided.decision(), anchor, CONFIRMED), Lineage::Paid(_)));
    let old = bench.treasury.block_hash(height).unwrap();

    bench.node.rpc("invalidateblock", &[json!(old)]).unwrap();
    // a longer branch, in which the payment waits
    for _ in 0..4 {
        bench.node.rpc("generateblock", &[json!("raw(51)"), json!([])]).unwrap();
    }
    let view = bench.sync();
    assert_eq!(view.tip(), height + 3);
    assert_ne!(bench.treasury.block_hash(height), Some(old));
    assert_eq!(bench.chain.block_hash(height).unwrap(), bench.treasury.block_hash(height));
    assert_eq!(lineage(&view, decided.decision(), anchor, CONFIRMED), Lineage::Open { tip: anchor });
    assert!(matches!(lineage(&view, decided.decision(), anchor, MEMPOOL), Lineage::Paid(_)));
    assert_eq!(bench.chain.broadcast(&paid).unwrap(), paid.compute_txid(), "the same bytes again");

    let view = bench.mine(1);
    assert!(matches!(lineage(&view, decided.decision(), anchor, CONFIRMED), Lineage::Paid(_)));
    assert!(bench.chain.header(&old).unwrap().is_some(), "a block of the other branch is known");
}

#[test]
fn a_stored_treasury_goes_on_where_it_was_even_on_another_branch() {
    let mut bench = Bench::funded();
    let folder = tempfile::tempdir().unwrap();
    let database = sled::open(folder.path()).unwrap();
    let mut store = Store::open(&database).unwrap();
    store.append(&bench.treasury.take_staged().unwrap()).unwrap();
    let (height, hash) = bench.treasury.tip();
    bench.node.rpc("invalidateblock", &[json!(hash)]).unwrap();
    bench.reward(2, 3);

    let stored = store.load().unwrap().unwrap();
    let mut loaded = Treasury::load(&bench.charter, bench.secret.key(), stored).unwrap();
    assert_eq!(loaded.tip(), (height, hash));
    let mut follow = bench.chain.follow(loaded.checkpoint(), loaded.birth(), loaded.unconfirmed());
    let mut blocks = 0;
    while let Some(new) = follow.next_block().unwrap() {
        loaded.apply_block(&new.block, new.height, new.connected_to).unwrap();
        blocks += 1;
    }
    assert_eq!(blocks, 3, "only what is new");
    assert_eq!(loaded.tip(), bench.treasury.tip());
    assert_eq!(loaded.balance(), bench.treasury.balance());
}

#[test]
fn what_the_node_answers_and_what_it_does_not() {
    let mut bench = Bench::start();
    assert_eq!(bench.chain.network().unwrap(), Network::Regtest);
    let refused = bench.chain.check_network(Network::Bitcoin).unwrap_err();
    assert!(matches!(refused, ChainError::Network { found: Network::Regtest, .. }), "{refused}");
    let view = bench.mine(3);
    assert_eq!(bench.chain.tip().unwrap(), (view.tip(), view.tip_hash()));
    assert_eq!(bench.chain.block_hash(3).unwrap(), Some(view.tip_hash()));
    assert_eq!(bench.chain.block_hash(4).unwrap(), None);
    let birth = |height, hash| crdt::charter::Birth { height, hash };
    bench.chain.check_birth(&birth(3, view.tip_hash())).unwrap();
    for elsewhere in [birth(2, view.tip_hash()), birth(4, view.tip_hash())] {
        let refused = bench.chain.check_birth(&elsewhere).unwrap_err();
        assert!(matches!(refused, ChainError::Birth { .. }), "{refused}");
    }
    let header = bench.chain.header(&view.tip_hash()).unwrap().unwrap();
    assert_eq!(header.block_hash(), view.tip_hash());
    assert!(bench.chain.header(&bitcoin::hashes::Hash::all_zeros()).unwrap().is_none());
    assert_eq!(bench.chain.estimate_fee(6).unwrap(), None, "nothing to estimate from");
    let folder = tempfile::tempdir().unwrap();
    assert!(Bitcoind::connect("http://127.0.0.1:1", &folder.path().join("none")).is_err());
    std::fs::write(folder.path().join("cookie"), "user:password").unwrap();
    let nobody = Bitcoind::connect("http://127.0.0.1:1", &folder.path().join("cookie")).unwrap();
    let silent = nobody.tip().unwrap_err();
    assert!(matches!(silent, ChainError::Call { .. }));
    assert!(!format!("{nobody:?} {silent:?} {silent}").contains("password"));
}

#[test]
fn a_guild_born_late_skips_what_was_before() {
    let mut bench = Bench::start();
    bench.charter.birth.height = 20;
    let mut treasury = Treasury::create(&bench.charter, bench.secret.key()).unwrap();
    let mut follow = bench.chain.follow(treasury.checkpoint(), treasury.birth(), treasury.unconfirmed());
    bench.mine(19);
    assert!(follow.next_block().unwrap().is_none(), "the node is not there yet");
    bench.reward(0, 3);
    let mut heights = Vec::new();
    while let Some(new) = follow.next_block().unwrap() {
        treasury.apply_block(&new.block, new.height, new.connected_to).unwrap();
        heights.push(new.height);
    }
    assert_eq!(heights, [20, 21, 22]);
    assert_eq!(treasury.balance(), bench.treasury.balance());
}
