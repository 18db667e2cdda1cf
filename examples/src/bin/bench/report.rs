//! What a bench found, for people and for programs.

use anyhow::Result;
use serde::Serialize;

/// One thing measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What.
    pub(crate) name: &'static str,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// The least it could be here and now, in the same unit.
    pub(crate) floor: Option<f64>,
    /// How many times the floor.
    pub(crate) ratio: Option<f64>,
}

impl Row {
    /// A cost and the least it could be.
    pub(crate) fn above(name: &'static str, value: f64, unit: &'static str, floor: f64) -> Self {
        Self { name, value, unit, floor: Some(floor), ratio: Some(value / floor) }
    }

    /// A cost that is what it is.
    pub(crate) const fn plain(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, floor: None, ratio: None }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    bench: &'a str,
    rows: &'a [Row],
}

/// Print the rows of a bench: one object, or a table.
#[expect(clippy::print_stdout, reason = "the result goes to stdout")]
pub(crate) fn print(bench: &str, rows: &[Row], as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(&Report { bench, rows })?);
        return Ok(());
    }
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
    println!("{bench:<28} {:>12} {:<7} {:>12} {:>8}", "value", "unit", "floor", "ratio");
    for row in rows {
        let (value, floor, ratio) = (significant(row.value), number(row.floor), number(row.ratio));
        println!("{:<28} {value:>12} {:<7} {floor:>12} {ratio:>8}", row.name, row.unit);
    }
    Ok(())
}

/// As many digits as a measurement deserves.
fn significant(value: f64) -> String {
    match value {
        _ if value.abs() >= 1_000.0 => format!("{value:.0}"),
        _ if value.abs() >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Say what a long bench does, or what went wrong.
#[expect(clippy::print_stderr, reason = "stdout is for the result")]
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}
