//! What the treasury costs: its books after a long history.

mod books;

use crate::report::Row;
use anyhow::Result;

/// All rows.
pub(crate) fn run() -> Result<Vec<Row>> {
    books::rows()
}

/// The process in which memory is measured.
pub(crate) fn child() -> Result<()> {
    books::child()
}
