//! The database: what others said, in sled. It holds only what peers can give back: losing it costs a
//! resync, never money. (sled's `flush` does not fsync on Linux; see [`crate::journal`] for what must
//! survive a power cut.)

use crate::error::{Failure, Outcome};
use crate::home::Home;
use crdt::{GuildId, Signed};
use std::path::Path;

/// An open database.
#[derive(Debug)]
pub struct Store {
    db: sled::Db,
    entries: sled::Tree,
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
        let entries = db.open_tree("entries").map_err(fail)?;
        Ok(Self { db, entries })
    }

    /// The database itself, for the wallet's own tree.
    #[must_use]
    pub const fn db(&self) -> &sled::Db {
        &self.db
    }

    /// Keep an entry.
    ///
    /// # Errors
    ///
    /// If sled refuses.
    pub fn keep(&self, signed: &Signed) -> Outcome<()> {
        let entry = signed.entry();
        let mut key = entry.author.to_bytes().to_vec();
        key.extend_from_slice(&entry.seq.to_be_bytes());
        key.extend_from_slice(&signed.id().to_bytes());
        self.entries.insert(key, signed.bytes()).map(drop).map_err(fail)
    }

    /// All entries kept, in the order of author and sequence. One that does not verify is skipped: peers
    /// have it.
    ///
    /// # Errors
    ///
    /// If sled cannot read.
    pub fn entries(&self, guild: GuildId) -> Outcome<Vec<Signed>> {
        let mut entries = Vec::new();
        for kept in &self.entries {
            let (_, bytes) = kept.map_err(fail)?;
            match Signed::verify(&bytes, guild) {
                Ok(signed) => entries.push(signed),
                Err(why) => tracing::warn!(target: "guild::store", %why, "dropped a damaged entry"),
            }
        }
        Ok(entries)
    }
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
