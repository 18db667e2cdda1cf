use super::*;
use crate::testkit::{Bench, REWARD, Secret, stranger, transaction};
use bitcoin::{Amount, OutPoint, TxOut};

#[test]
fn every_node_derives_the_same_addresses_and_nobody_watches_others() {
    let bench = Bench::default();
    let other = Bench::default();
    let different = Bench::new(2);
    assert_eq!(bench.treasury.address(0), other.treasury.address(0));
    assert_ne!(bench.treasury.address(0), different.treasury.address(0));
    let address = bench.treasury.address(999).unwrap();
    assert!(address.to_string().starts_with("bcrt1p"));
    assert_eq!(address.script_pubkey(), bench.script([0, 999]));
    assert_eq!(bench.treasury.address(ADDRESSES), None);
    for path in [[0, ADDRESSES], [1, 1], [2, 0], [1, u32::MAX]] {
        assert_eq!(bench.treasury.script(path), None, "{path:?}");
        assert_eq!(bench.treasury.merkle_root(path), None, "{path:?}");
    }
}

#[test]
fn the_merkle_root_and_the_key_give_the_script() {
    let bench = Bench::default();
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let xpub = bench.secret.key().xpub(bitcoin::Network::Regtest);
    for path in [[0, 0], [0, 7], CHANGE] {
        let steps = path.map(|index| bitcoin::bip32::ChildNumber::from_normal_idx(index).unwrap());
        let internal = xpub.derive_pub(&secp, &steps).unwrap().public_key.x_only_public_key().0;
        let root = bitcoin::TapNodeHash::from_byte_array(bench.treasury.merkle_root(path).unwrap());
        assert_eq!(ScriptBuf::new_p2tr(&secp, internal, Some(root)), bench.script(path));
    }
}

#[test]
fn what_is_beyond_the_watched_addresses_is_seen_by_no_node() {
    let mut bench = Bench::default();
    // a coin to the last address makes the index look further; the view does not follow
    bench.receive([0, ADDRESSES - 1], Amount::from_sat(20_000));
    let beyond = bench.treasury.wallet.peek_address(KeychainKind::External, ADDRESSES).script_pubkey();
    bench.confirm(vec![transaction(OutPoint::null(), beyond, REWARD)]);
    assert_eq!(bench.treasury.balance().confirmed, Amount::from_sat(20_000));
    assert_eq!(bench.view().coins.len(), 1);
}

#[test]
fn a_reward_is_mature_at_depth_one_hundred() {
    let mut bench = Bench::default();
    bench.reward(1);
    bench.mine(98);
    let expected = Balance { immature: REWARD, ..Balance::default() };
    assert_eq!(bench.treasury.balance(), expected);
    bench.mine(1);
    let expected = Balance { confirmed: REWARD, ..Balance::default() };
    assert_eq!(bench.treasury.balance(), expected);
}

#[test]
fn the_mempool_shows_as_pending_until_it_is_gone() {
    let (mut bench, [coin, _]) = Bench::funded();
    let before = bench.treasury.balance();
    let moved = transaction(coin, bench.script(CHANGE), Amount::from_sat(90_000_000));
    let moved = Transaction {
        output: [moved.output, vec![TxOut { value: Amount::from_sat(9_000_000), script_pubkey: stranger() }]]
            .concat(),
        ..moved
    };
    bench.broadcast(&moved);
    let expected = Balance {
        confirmed: before.confirmed - Amount::from_int_btc(1),
        pending: Amount::from_sat(90_000_000),
        ..before
    };
    assert_eq!(bench.treasury.balance(), expected);
    assert_eq!(bench.treasury.unconfirmed().len(), 1);
    bench.treasury.apply_mempool([], [(moved.compute_txid(), u64::from(u32::MAX))]);
    assert_eq!(bench.treasury.balance(), before);
    assert!(bench.treasury.unconfirmed().is_empty());
}

#[test]
fn a_block_from_nowhere_changes_nothing() {
    let (mut bench, _) = Bench::funded();
    let mut stray = Bench::default();
    stray.mine(500);
    let (height, hash) = stray.tip();
    let block = Block { header: genesis_child(hash), txdata: Vec::new() };
    let before = bench.treasury.tip();
    let found = bench.treasury.apply_block(&block, height + 1, BlockId { height, hash });
    assert!(matches!(found, Err(TreasuryError::Connect { .. })));
    assert_eq!(bench.treasury.tip(), before);
}

fn genesis_child(prev_blockhash: BlockHash) -> bitcoin::block::Header {
    let genesis = bitcoin::constants::genesis_block(Network::Regtest).header;
    bitcoin::block::Header { prev_blockhash, ..genesis }
}

#[test]
fn what_is_stored_of_another_treasury_is_refused() {
    let mut bench = Bench::default();
    let stored = bench.treasury.take_staged().unwrap();
    let load = |charter: &Charter, key, stored| Treasury::load(charter, key, stored);
    assert!(load(&bench.charter, bench.secret.key(), stored.clone()).is_ok());
    let other = load(&bench.charter, Secret::new(2).key(), stored.clone());
    assert!(matches!(other, Err(TreasuryError::Stored(_))));
    let main = Charter { network: Network::Bitcoin, ..bench.charter.clone() };
    assert!(load(&main, bench.secret.key(), stored).is_err());
    let empty = load(&bench.charter, bench.secret.key(), ChangeSet::default());
    assert!(matches!(empty, Err(TreasuryError::Empty)));
}

#[test]
fn walked_blocks_are_known_by_height() {
    let (bench, _) = Bench::funded();
    let (height, hash) = bench.tip();
    assert_eq!(bench.treasury.block_hash(height), Some(hash));
    assert_eq!(bench.treasury.block_hash(height + 1), None);
}
