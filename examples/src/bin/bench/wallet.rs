//! What the treasury costs, and what must never happen to it: payments beside BDK's own building of the
//! same transaction; random histories of payments, draws, exits, sweeps and reorganisations; its books
//! after a long history.

mod books;
mod build;
mod histories;

use crate::report::Row;
use anyhow::Result;

/// All rows.
pub(crate) fn run() -> Result<Vec<Row>> {
    let mut rows = histories::rows()?;
    rows.extend(build::rows()?);
    rows.extend(books::rows()?);
    Ok(rows)
}

/// The process in which memory is measured.
pub(crate) fn child() -> Result<()> {
    books::child()
}
