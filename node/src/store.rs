//! The database: what others said, in sled. It holds only what peers can give back: losing it costs a
//! resync, never money. (sled's `flush` does not fsync on Linux; see [`crate::journal`] for what must
//! survive a power cut.)
//!
//! Entries rest in the order they came, many to a value: one to a value takes four times the room. What
//! comes one by one is kept loose and packed from time to time.

use crate::error::{Failure, Outcome};
use crate::home::Home;
use crdt::{Signed, Verifier};
use std::path::{Path, PathBuf};

/// Bytes of entries in one value, about.
const CHUNK: usize = 16 * 1024;
/// Loose values before they are packed.
const LOOSE_MAX: usize = 64;
/// A database that takes more than this many times its entries, and [`SMALL`] besides, is written anew at a
/// clean stop: sled leaves what it overwrote behind.
const BLOAT: u64 = 2;
/// Bytes below which nobody minds.
const SMALL: u64 = 8 * 1024 * 1024;
/// Where the number of entries is kept at a clean stop.
const COUNT: &[u8] = b"entries";

/// An open database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    db: sled::Db,
    packed: sled::Tree,
    loose: sled::Tree,
    next: u64,
    loose_values: usize,
    entries: u64,
    bytes: u64,
}

/// What a database gave when it was opened.
#[derive(Debug)]
pub struct Kept {
    /// Entries that verified, in the order they came.
    pub entries: Vec<Signed>,
    /// What is missing, in words, if something is: peers have it.
    pub lost: Option<String>,
}

fn fail(error: impl std::fmt::Display) -> Failure {
    Failure::because("the database", error)
}

impl Store {
    /// Open the database; one that cannot be opened is moved aside, and others give it again.
    ///
    /// # Errors
    ///
    /// If even a new one cannot be made.
    pub fn open(home: &Home) -> Outcome<Self> {
        let path = home.db();
        if !path.exists() {
            drop(std::fs::rename(anew(&path), &path)); // a stop that was interrupted between its last steps
        }
        drop_torn_snapshots(&path);
        let db = match sled::open(&path) {
            Ok(db) => db,
            Err(error) => {
                let aside = path.with_extension("broken");
                tracing::warn!(target: "guild::store", %error, aside = %aside.display(), "starting a new database");
                drop(std::fs::remove_dir_all(&aside));
                std::fs::rename(&path, &aside).map_err(fail)?;
                sled::open(&path).map_err(fail)?
            }
        };
        let packed = db.open_tree("packed").map_err(fail)?;
        let loose = db.open_tree("loose").map_err(fail)?;
        let last = |tree: &sled::Tree| tree.last().map(|last| last.map_or(0, |(key, _)| number(&key)));
        let next = last(&packed).map_err(fail)?.max(last(&loose).map_err(fail)?) + 1;
        let loose_values = loose.len();
        Ok(Self { path, db, packed, loose, next, loose_values, entries: 0, bytes: 0 })
    }

    /// The database itself, for the wallet's own tree.
    #[must_use]
    pub const fn db(&self) -> &sled::Db {
        &self.db
    }

    /// Keep entries.
    ///
    /// # Errors
    ///
    /// If sled refuses.
    pub fn keep(&mut self, entries: &[Signed]) -> Outcome<()> {
        self.entries += entries.len() as u64;
        self.bytes += entries.iter().map(|signed| signed.len() as u64).sum::<u64>();
        let frames: Vec<Vec<u8>> = entries.iter().map(|signed| frame(signed.to_bytes())).collect();
        if frames.iter().map(Vec::len).sum::<usize>() >= CHUNK / 2 {
            return self.pack(frames);
        }
        let number = self.number();
        self.loose.insert(number, frames.concat()).map_err(fail)?;
        self.loose_values += 1;
        if self.loose_values > LOOSE_MAX { self.pack_loose() } else { Ok(()) }
    }

    fn number(&mut self) -> [u8; 8] {
        self.next += 1;
        self.next.to_be_bytes()
    }

    /// Write `frames` to as few values as they fit.
    fn pack(&mut self, frames: Vec<Vec<u8>>) -> Outcome<()> {
        let mut batch = sled::Batch::default();
        let mut chunk = Vec::new();
        for frame in frames {
            if chunk.len() + frame.len() > CHUNK && !chunk.is_empty() {
                batch.insert(&self.number(), std::mem::take(&mut chunk));
            }
            chunk.extend(frame);
        }
        if !chunk.is_empty() {
            batch.insert(&self.number(), chunk);
        }
        self.packed.apply_batch(batch).map_err(fail)
    }

    /// Pack what is loose. A crash between the two steps leaves entries twice, which is one too many and no
    /// harm.
    fn pack_loose(&mut self) -> Outcome<()> {
        let values: Vec<_> = self.loose.iter().values().collect::<Result<_, _>>().map_err(fail)?;
        let frames = values.iter().flat_map(|value| frames(value).map(frame)).collect();
        self.pack(frames)?;
        self.loose.clear().map_err(fail)?;
        self.loose_values = 0;
        Ok(())
    }

    /// All entries kept, verified again on every core. What does not verify is skipped: peers have it.
    ///
    /// # Errors
    ///
    /// If sled cannot read.
    pub fn entries(&mut self, verifier: &Verifier) -> Outcome<Kept> {
        let values = self.packed.iter().values().chain(self.loose.iter().values());
        let values: Vec<_> = values.collect::<Result<_, _>>().map_err(fail)?;
        let frames: Vec<&[u8]> = values.iter().flat_map(|value| frames(value)).collect();
        let entries = verify_all(&frames, verifier);
        self.entries = entries.len() as u64;
        self.bytes = entries.iter().map(|signed| signed.len() as u64).sum();
        let count = self.db.get(COUNT).map_err(fail)?.map_or(0, |count| number(&count));
        let missing = count.saturating_sub(self.entries).max((frames.len() - entries.len()) as u64);
        let lost = if !self.db.was_recovered() {
            Some("the database is new".to_owned())
        } else {
            (missing > 0).then(|| format!("the database lost {missing} entries"))
        };
        Ok(Kept { entries, lost })
    }

    /// Leave everything as small and whole as it can be. Nothing may be kept afterwards.
    ///
    /// # Errors
    ///
    /// If sled refuses.
    pub fn close(&mut self) -> Outcome<()> {
        self.pack_loose()?;
        self.db.insert(COUNT, &self.entries.to_be_bytes()).map_err(fail)?;
        self.db.flush().map_err(fail)?;
        let bloated = self.db.size_on_disk().map_err(fail)? > BLOAT * self.bytes + SMALL;
        if bloated { self.write_anew() } else { Ok(()) }
    }

    /// Copy what counts to a new database and put it in the place of this one. What is kept in this one from
    /// now on is lost: for the very end.
    fn write_anew(&self) -> Outcome<()> {
        let (anew, old) = (anew(&self.path), self.path.with_extension("old"));
        drop(std::fs::remove_dir_all(&anew));
        let db = sled::open(&anew).map_err(fail)?;
        db.import(self.db.export());
        db.flush().map_err(fail)?;
        drop(db);
        std::fs::rename(&self.path, &old).map_err(fail)?;
        std::fs::rename(&anew, &self.path).map_err(fail)?;
        std::fs::remove_dir_all(&old).map_err(fail)
    }
}

/// Where a database is written anew.
fn anew(path: &Path) -> PathBuf {
    path.with_extension("anew")
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// An entry as it rests: its length, then itself.
fn frame(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let len = u32::try_from(bytes.len()).expect("an entry is small");
    [&len.to_be_bytes(), bytes].concat()
}

/// The entries in a value. A length that does not fit ends it.
fn frames(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = value.split_first_chunk::<4>()?;
        let (entry, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
        value = rest;
        Some(entry)
    })
}

/// Verify on every core, in order; what does not verify is left out.
fn verify_all(frames: &[&[u8]], verifier: &Verifier) -> Vec<Signed> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = frames.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers = frames.chunks(share).map(|chunk| {
            scope.spawn(move || {
                chunk.iter().filter_map(|bytes| verifier.verify(bytes).ok()).collect::<Vec<_>>()
            })
        });
        let workers: Vec<_> = workers.collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("verifying does not panic")).collect()
    })
}

/// A crash while sled writes a snapshot leaves a half one that sled then takes for the newest.
fn drop_torn_snapshots(path: &Path) {
    let Ok(files) = std::fs::read_dir(path) else { return };
    for file in files.flatten() {
        if file.file_name().to_string_lossy().ends_with(".generating") {
            drop(std::fs::remove_file(file.path()));
        }
    }
}
