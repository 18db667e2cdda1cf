//! Random histories (§9, §13: S1, S4, S6, S7), on all cores, as many as `HISTORIES` says.

use crate::measure::{in_parallel, threads};
use crate::report::{Row, note};
use anyhow::{Result, ensure};
use wallet::testkit::histories::{Outcome, histories};

/// Histories where nobody says otherwise: some seconds. The long run has a million.
const HISTORIES: u64 = 20_000;
/// Histories that one thread lives through at a time.
const LOT: u64 = 100;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let asked = std::env::var("HISTORIES").ok().map(|count| count.parse()).transpose()?;
    let count: u64 = asked.unwrap_or(HISTORIES);
    note(&format!("{count} random histories on {} threads", threads()));
    let lots: Vec<u64> = (0..count.div_ceil(LOT)).collect();
    let lived = in_parallel(&lots, |lot| histories(1 + lot * LOT, LOT.min(count - lot * LOT)));
    let all = lived.into_iter().fold(Outcome::default(), Outcome::and);
    note(&format!("{all:?}"));
    ensure!(all.histories == count || !all.holds(), "{} of {count} histories", all.histories);
    let row = |name, value: u64| Row::plain(name, value as f64, "times");
    Ok(vec![
        row("histories", all.histories),
        row("double_payments", all.double_payments),
        row("misread", all.misread),
        row("unpayable", all.unpayable),
        row("overdrawn", all.overdrawn),
        row("unbalanced", all.unbalanced),
    ])
}
