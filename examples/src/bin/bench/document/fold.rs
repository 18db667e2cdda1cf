//! From bytes to the folded state.

use super::dataset::{AUTHORS, World};
use super::floor::{triples, verify_all};
use super::subject::Subject;
use crate::measure::{spent, timed};
use crate::report::{Row, note};
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// Turns of each measurement; the one that was disturbed least is taken.
const TURNS: usize = 7;
/// Turns of a million entries.
const LONG_TURNS: usize = 2;

/// Everything from bytes to the state beside `verify_strict` alone, and the seconds it took.
pub(crate) fn cold(world: &World) -> Result<(Row, f64)> {
    note("folding them from bytes");
    let triples = triples(&world.entries)?;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let (sound, floor) = timed(|| verify_all(&triples));
        sound?;
        let (folded, took) = timed(|| fold(world));
        drop(folded?);
        turns.push((took, floor));
    }
    let quietest = turns.into_iter().min_by_key(|(took, floor)| *took + *floor);
    let (best, floor) = quietest.context("there are turns")?;
    let (best, floor) = (best.as_secs_f64(), floor.as_secs_f64());
    Ok((Row::above("cold_fold_100k", best, "s", floor), best))
}

/// What an entry costs among a million beside what it costs among ten thousand, in time of processors.
pub(crate) fn growth() -> Result<Row> {
    note("making and folding 10,000 and 1,000,000 entries (about a minute)");
    let (few, many) = (World::new(1), World::new(100));
    let (mut before, mut after) = (Duration::MAX, Duration::MAX);
    for _ in 0..LONG_TURNS {
        for _ in 0..TURNS {
            before = before.min(cost(&few)?);
        }
        after = after.min(cost(&many)?);
    }
    let each = |time: Duration, world: &World| time.as_secs_f64() / world.entries.count() as f64;
    Ok(Row::growth("growth_10k_to_1m", each(before, &few), each(after, &many)))
}

fn cost(world: &World) -> Result<Duration> {
    let (folded, spent) = spent(|| fold(world));
    folded.map(|_| spent)
}

fn fold(world: &World) -> Result<Subject> {
    let subject = Subject::cold(&world.charter, world.tip, &world.entries)?;
    let ballots = subject.ballots();
    let proposals = ballots / AUTHORS;
    ensure!(proposals > 0 && ballots == proposals * AUTHORS, "{ballots} ballots count: some are missing");
    Ok(subject)
}
