//! Random histories (§9, §13: S1, S4, S6, S7), on all cores. What to ask for a long run with, in parts if
//! need be: [`Run::asked`].

use crate::measure::threads;
use crate::report::{Row, note};
use anyhow::{Result, ensure};
use wallet::testkit::histories::Run;

/// Histories where nobody says otherwise: some seconds. The long run has a million.
const HISTORIES: u64 = 20_000;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let run = Run::asked(HISTORIES).map_err(anyhow::Error::from_boxed)?;
    note(&format!("{} random histories from seed {} on {} threads", run.count, run.first, threads()));
    let all = run.live(threads())?;
    note(&format!("{all:?}"));
    ensure!(all.histories == run.count || !all.holds(), "{} of {} histories", all.histories, run.count);
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
