//! What making a key and signing with it cost, among real nodes: daemons with their network, journal, disk
//! and bitcoind, in one process, told apart by nothing but their folders.
//!
//! A ceremony is measured from when it opens to when its result exists, as the nodes' own log says. Its
//! floor, in the same run: the bare work of the FROST crate by every participant, decoding included, and one
//! build of the transaction by BDK for each signer, divided by the cores; the protocol's round trips as empty
//! requests over the same network; and the fsyncs that the protocol asks for.

mod bare;
mod bdk;
mod guild;
mod trips;
mod watch;

use crate::Parts;
use crate::measure::threads;
use crate::report::{Row, note};
use anyhow::{Result, ensure};
use guild::Guild;
use std::time::Duration;
use watch::Watch;

/// How often the key of a small guild is made anew, and a payment of one input is signed.
const TURNS: usize = 3;

/// `t` of `n`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) t: u16,
    pub(crate) n: u16,
}

const SMALL: Size = Size { t: 3, n: 5 };
const MIDDLE: Size = Size { t: 10, n: 15 };
const LARGE: Size = Size { t: 34, n: 50 };

/// All rows of these parts.
pub(crate) fn run(parts: &Parts) -> Result<Vec<Row>> {
    let watch = Watch::start()?;
    let mut rows = Vec::new();
    if parts.want("small") {
        let mut keys = Vec::new();
        for _ in 1..TURNS {
            keys.push(Guild::found(SMALL, &watch)?.made_key_in);
        }
        let small = Guild::found(SMALL, &watch)?;
        keys.push(small.made_key_in);
        rows.push(key_row("dkg_5", SMALL, least(keys))?);
        rows.push(payment_row("sign_3of5_1", &small, &watch, 1, TURNS)?);
    }
    if parts.want("middle") {
        let middle = Guild::found(MIDDLE, &watch)?;
        rows.push(key_row("dkg_15", MIDDLE, middle.made_key_in)?);
        rows.push(payment_row("sign_10of15_20", &middle, &watch, 20, TURNS)?);
        rows.push(payment_row("sign_10of15_200", &middle, &watch, 200, 1)?);
    }
    if parts.want("large") {
        let large = Guild::found(LARGE, &watch)?;
        rows.push(key_row("dkg_50", LARGE, large.made_key_in)?);
    }
    Ok(rows)
}

/// The turn that others on this machine disturbed least.
fn least(turns: Vec<Duration>) -> Duration {
    turns.into_iter().min().unwrap_or_default()
}

fn key_row(name: &'static str, size: Size, took: Duration) -> Result<Row> {
    note(&format!("{name}: took {took:?}; measuring its floor"));
    let work = bare::key_generation(size)? / u32::try_from(threads())?;
    let trips = trips::key_generation(size)?;
    let fsyncs = trips::fsyncs(size.n, KEY_FSYNCS)?;
    floor(name, took, [work, trips, fsyncs])
}

/// What each party must have on its disk before it goes on: its polynomial, what it heard, its echo, its
/// share, its word that it is stored.
const KEY_FSYNCS: usize = 5;

fn payment_row(name: &'static str, guild: &Guild, watch: &Watch, inputs: usize, turns: usize) -> Result<Row> {
    note(&format!("{name}: {turns} payments of {inputs} inputs each"));
    let mut took = Vec::new();
    for _ in 0..turns {
        took.push(guild.pay(inputs, watch)?);
    }
    let size = guild.size;
    let work = bare::signing(size, inputs)? + bdk::build(inputs)? * u32::from(size.t);
    let work = work / u32::try_from(threads())?;
    // the intent of each signer is on its disk before its share leaves
    floor(name, least(took), [work, trips::signing(size)?, trips::fsyncs(size.t, 1)?])
}

fn floor(name: &'static str, took: Duration, parts: [Duration; 3]) -> Result<Row> {
    let [work, trips, fsyncs] = parts;
    note(&format!("{name}: floor of work {work:?}, round trips {trips:?}, fsyncs {fsyncs:?}"));
    let floor: Duration = parts.iter().sum();
    ensure!(!floor.is_zero(), "a floor of nothing");
    Ok(Row::above(name, took.as_secs_f64() * 1e3, "ms", floor.as_secs_f64() * 1e3))
}
