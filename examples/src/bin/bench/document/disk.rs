//! What entries take on the disk, with all that is kept to find them.

use super::dataset::World;
use crate::measure::in_parallel;
use crate::report::{Row, note};
use anyhow::{Context as _, Result};
use crdt::{Signed, Verifier};
use node::home::Home;
use node::store::Store;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes that a file's blocks are counted in, whatever the file system.
const BLOCK: u64 = 512;

/// Entries that come at once when a node catches up: a page of ballots.
const A_PAGE: usize = 1_000;

/// The database after a clean stop, half of it filled by pages and half one by one, beside the entries themselves.
pub(crate) fn row(world: &World) -> Result<Row> {
    note("keeping them in the database");
    let folder = tempfile::Builder::new().prefix("guild-bench-").tempdir()?;
    let home = Home::at(folder.path().to_owned());
    home.create()?;
    let mut store = Store::open(&home)?;
    let entries = verified(world)?;
    let (paged, gossiped) = entries.split_at(entries.len() / 2);
    for page in paged.chunks(A_PAGE) {
        store.keep(page)?;
    }
    for signed in gossiped {
        store.keep(std::slice::from_ref(signed))?;
    }
    store.close()?;
    drop(store);
    let taken = allocated(&home.db())?;
    Ok(Row::above("disk_ratio", taken as f64, "B", world.entries.bytes() as f64))
}

/// The entries as the database takes them.
pub(crate) fn verified(world: &World) -> Result<Vec<Signed>> {
    let entries: Vec<&[u8]> = world.entries.iter().collect();
    let verifier = Verifier::new(&world.charter);
    let verified = in_parallel(&entries, |bytes| verifier.verify(bytes));
    verified.into_iter().collect::<Result<_, _>>().context("an entry made here does not verify")
}

/// What the files under `folder` really take.
fn allocated(folder: &Path) -> Result<u64> {
    let mut taken = 0;
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        let about = file.metadata()?;
        taken += if about.is_dir() { allocated(&file.path())? } else { about.blocks() * BLOCK };
    }
    Ok(taken)
}
