//! One more ballot when there are a hundred thousand.

use super::dataset::World;
use super::floor::Triple;
use super::subject::Subject;
use crate::measure::{median, timed};
use crate::report::{Row, note};
use anyhow::{Result, ensure};

const MICROSECONDS: f64 = 1e6;

/// Verify, insert, fold and count one ballot, beside one `verify_strict`: the middle of hundreds.
pub(crate) fn row(world: &World) -> Result<Row> {
    note("adding ballots one by one");
    let mut subject = Subject::cold(&world.charter, world.tip, &world.entries)?;
    let (mut times, mut floors) = (Vec::new(), Vec::new());
    for bytes in world.late.iter() {
        let triple = Triple::of(bytes)?;
        let (sound, took) = timed(|| triple.verify());
        ensure!(sound, "a ballot made here does not verify");
        floors.push(took);
        let (tally, took) = timed(|| subject.vote(bytes));
        ensure!(tally?.final_yes > 0, "a final vote did not count");
        times.push(took);
    }
    let micros = |times| median(times).as_secs_f64() * MICROSECONDS;
    Ok(Row::above("one_ballot_at_100k", micros(times), "us", micros(floors)))
}
