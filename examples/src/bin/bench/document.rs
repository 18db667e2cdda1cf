//! What the document costs: to verify, merge and fold entries, to keep them, and to give them to others.
//!
//! What is timed takes turns with its floor, so that what others do on this machine meanwhile disturbs
//! both alike; the turn that was disturbed least is taken.

mod dataset;
mod disk;
mod floor;
mod fold;
mod join;
pub(crate) mod memory;
mod one_ballot;
mod peer;
mod subject;
mod sync;

use crate::report::{Row, note};
use anyhow::Result;
use dataset::World;

/// Proposals of each author, on which all authors vote: 100 × 1,000 ballots.
const EACH: usize = 10;

/// All rows.
pub(crate) fn run() -> Result<Vec<Row>> {
    note("making 100 authors with 1,000 ballots each (some seconds)");
    let world = World::new(EACH);
    note(&format!("{} entries of {} bytes in all", world.entries.count(), world.entries.bytes()));
    let (cold, seconds) = fold::cold(&world)?;
    let mut rows = vec![cold, one_ballot::row(&world)?, memory::row(&world)?];
    rows.extend(sync::rows(&world)?);
    rows.push(disk::row(&world)?);
    rows.push(join::row(&world, seconds)?);
    drop(world);
    rows.push(fold::growth()?);
    Ok(rows)
}
