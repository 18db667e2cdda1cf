//! What the treasury costs, and what must never happen to it: payments beside BDK's own building of the
//! same transaction, and random histories of payments, draws, exits, sweeps and reorganisations.

mod build;
mod histories;

use crate::report::Row;
use anyhow::Result;

/// All rows.
pub(crate) fn run() -> Result<Vec<Row>> {
    let mut rows = histories::rows()?;
    rows.push(build::row()?);
    Ok(rows)
}
