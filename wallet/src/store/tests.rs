use super::*;
use crate::Treasury;
use crate::testkit::Bench;

fn database() -> (tempfile::TempDir, sled::Db) {
    let folder = tempfile::tempdir().unwrap();
    let database = sled::open(folder.path()).unwrap();
    (folder, database)
}

#[test]
fn a_treasury_comes_back_as_it_was() {
    let (folder, database) = database();
    let mut store = Store::open(&database).unwrap();
    assert!(store.load().unwrap().is_none());
    let mut bench = Bench::default();
    for round in 1..=3 {
        bench.reward(1);
        bench.receive([0, round], bitcoin::Amount::from_sat(20_000));
        bench.broadcast(&bench.treasury.view().transactions.values().last().unwrap().transaction.clone());
        store.append(&bench.treasury.take_staged().unwrap()).unwrap();
    }
    assert!(bench.treasury.take_staged().is_none());
    store.append(&ChangeSet::default()).unwrap();
    store.flush().unwrap();
    assert_eq!(store.tree.len(), 3);
    drop((store, database));

    let database = sled::open(folder.path()).unwrap();
    for _ in 0..2 {
        let mut store = Store::open(&database).unwrap();
        let stored = store.load().unwrap().unwrap();
        assert_eq!(store.tree.len(), 1, "one row after a start");
        let mut loaded = Treasury::load(&bench.charter, bench.secret.key(), stored).unwrap();
        assert_eq!(loaded.tip(), bench.treasury.tip());
        assert_eq!(loaded.balance(), bench.treasury.balance());
        assert_eq!(loaded.view().coins, bench.view().coins);
        assert_eq!(loaded.take_staged(), None, "nothing new");
    }
}

#[test]
fn rows_after_a_compaction_come_after_it() {
    let (_folder, database) = database();
    let mut bench = Bench::default();
    for _ in 0..4 {
        let mut store = Store::open(&database).unwrap();
        store.load().unwrap();
        for _ in 0..2 {
            bench.mine(1);
            store.append(&bench.treasury.take_staged().unwrap()).unwrap();
        }
        bench.reorganize(1);
        store.append(&bench.treasury.take_staged().unwrap()).unwrap();
    }
    let stored = Store::open(&database).unwrap().load().unwrap().unwrap();
    let loaded = Treasury::load(&bench.charter, bench.secret.key(), stored).unwrap();
    assert_eq!(loaded.tip(), bench.tip());
}

#[test]
fn a_store_that_cannot_be_read_is_cleared() {
    let (_folder, database) = database();
    let rows: [(&[u8], &[u8]); 3] = [(b"no number", b"{}"), (&[0; 8], b"no json"), (&[0; 8], b"")];
    for (key, value) in rows {
        let mut store = Store::open(&database).unwrap();
        store.tree.insert(key, value).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Row { .. })));
        store.clear().unwrap();
        assert!(store.load().unwrap().is_none());
    }
}
