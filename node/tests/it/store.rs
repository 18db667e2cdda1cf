//! The database keeps what others said, and losing any part of it is noticed and loses nothing else.

use crdt::testkit::{self, Person};
use crdt::{Charter, Document, Height, Payload, Signed, Verifier};
use node::home::Home;
use node::store::{Kept, Store};
use std::path::Path;

struct Bench {
    folder: tempfile::TempDir,
    charter: Charter,
    said: Vec<Signed>,
}

impl Bench {
    /// `count` entries of three people in turn.
    fn new(count: u32) -> Self {
        let people = testkit::people(3);
        let charter = testkit::charter(&people);
        let mut document = Document::new(&charter);
        let said = (0..count).map(|number| {
            let who: &Person = &people[usize::try_from(number).unwrap() % 3];
            who.say(&mut document, number / 3, Payload::Accept)
        });
        Self { said: said.collect(), charter, folder: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> Home {
        Home::at(self.folder.path().to_owned())
    }

    fn open(&self) -> (Store, Kept) {
        let mut store = Store::open(&self.home()).unwrap();
        let kept = store.entries(&Verifier::new(&self.charter)).unwrap();
        (store, kept)
    }

    /// Keep everything, one by one or in pages, and stop.
    fn keep(&self, page: usize) {
        let (mut store, _) = self.open();
        self.said.chunks(page).for_each(|entries| store.keep(entries).unwrap());
        store.close().unwrap();
    }

    fn files(&self, like: &str) -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(self.home().db()).unwrap().flatten();
        files.map(|file| file.path()).filter(|path| name(path).starts_with(like)).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether `kept` can be put in a document in its order.
fn forms_a_document(charter: &Charter, kept: &[Signed]) -> usize {
    let mut document = Document::new(charter);
    for signed in kept {
        document.insert(signed.clone(), Height::MAX);
    }
    document.len()
}

#[test]
fn what_was_kept_one_by_one_or_in_pages_comes_back() {
    for page in [1, 7, 300] {
        let bench = Bench::new(1_000);
        bench.keep(page);
        let (store, kept) = bench.open();
        assert_eq!(kept.lost, None, "in pages of {page}");
        assert_eq!(forms_a_document(&bench.charter, &kept.entries), 1_000);
        drop(store);
        // And after a crash instead of a stop, all that sled had.
        let (mut store, _) = bench.open();
        store.keep(&bench.said[..1]).unwrap();
        store.db().flush().unwrap();
        drop(store);
        let (_, kept) = bench.open();
        assert_eq!(forms_a_document(&bench.charter, &kept.entries), 1_000);
    }
}

#[test]
fn a_deleted_folder_is_said_to_be_new() {
    let bench = Bench::new(90);
    bench.keep(7);
    std::fs::remove_dir_all(bench.home().db()).unwrap();
    let (_, kept) = bench.open();
    assert!(kept.entries.is_empty());
    assert_eq!(kept.lost.as_deref(), Some("the database is new"));
}

#[test]
fn a_missing_tree_is_counted() {
    let bench = Bench::new(90);
    bench.keep(7);
    let db = sled::open(bench.home().db()).unwrap();
    assert!(db.drop_tree("packed").unwrap());
    db.flush().unwrap();
    drop(db);
    let (_, kept) = bench.open();
    assert_eq!(kept.lost.as_deref(), Some("the database lost 90 entries"));
}

#[test]
fn a_damaged_value_costs_its_entries_only() {
    let bench = Bench::new(300);
    bench.keep(100);
    let db = sled::open(bench.home().db()).unwrap();
    let tree = db.open_tree("packed").unwrap();
    let (key, value) = tree.first().unwrap().unwrap();
    let mut damaged = value.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    tree.insert(key, damaged).unwrap();
    db.flush().unwrap();
    drop((tree, db));
    let (_, kept) = bench.open();
    assert!(kept.entries.len() >= 200, "{} entries left", kept.entries.len());
    let lost = 300 - kept.entries.len();
    assert_eq!(kept.lost, Some(format!("the database lost {lost} entries")));
}

#[test]
fn torn_snapshots_and_files_of_rubbish_end_in_a_database_that_works() {
    for (like, cut) in [("snap.", true), ("snap.", false), ("db", false), ("conf", false)] {
        let bench = Bench::new(600);
        bench.keep(7);
        std::fs::write(bench.home().db().join("snap.0000000000000001.generating"), b"half a snapshot")
            .unwrap();
        for path in bench.files(like) {
            let bytes = std::fs::read(&path).unwrap();
            let torn = if cut { bytes[..bytes.len() / 2].to_vec() } else { vec![0xa5; bytes.len()] };
            std::fs::write(&path, torn).unwrap();
        }
        let (mut store, kept) = bench.open();
        let left = kept.entries.len();
        assert!(left == 600 || kept.lost.is_some(), "{like} cut: {cut}: {left} left and not a word");
        // What peers give again is kept again.
        store.keep(&bench.said).unwrap();
        store.close().unwrap();
        drop(store);
        let (_, kept) = bench.open();
        assert_eq!(forms_a_document(&bench.charter, &kept.entries), 600, "{like} cut: {cut}");
    }
}

/// Bytes of all files below `folder`.
fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let size = |file: std::fs::DirEntry| match file.metadata().unwrap() {
        about if about.is_dir() => size(&file.path()),
        about => about.len(),
    };
    files.map(size).sum()
}

#[test]
fn a_bloated_database_is_written_anew_at_a_stop() {
    let bench = Bench::new(3_000);
    bench.keep(100);
    let (mut store, _) = bench.open();
    let waste = store.db().open_tree("waste").unwrap();
    for round in 0..64u8 {
        waste.insert([round], vec![round; 1 << 20]).unwrap();
        store.db().flush().unwrap();
        waste.remove([round]).unwrap();
    }
    let before = size(&bench.home().db());
    assert!(before > 16 << 20, "{before} bytes");
    store.close().unwrap();
    drop((waste, store));
    assert!(size(&bench.home().db()) < 8 << 20, "{} bytes after {before}", size(&bench.home().db()));
    let (_, kept) = bench.open();
    assert_eq!((kept.entries.len(), kept.lost), (3_000, None));
}
