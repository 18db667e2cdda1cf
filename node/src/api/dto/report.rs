//! What reports are asked for by, and what they are given as.

use serde::{Deserialize, Serialize};
use wallet::export::Format;

/// Which report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// Income and expenses.
    Pnl,
    /// Every entry.
    Ledger,
    /// Who was paid.
    Payouts,
    /// Who paid in.
    Contributions,
}

/// What a report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The first day (YYYY-MM-DD, UTC) or block.
    #[serde(default)]
    pub from: Option<String>,
    /// The last.
    #[serde(default)]
    pub to: Option<String>,
    /// The currency of values, such as EUR. Takes prices.
    #[serde(default)]
    pub currency: Option<String>,
    /// A price file: lines of date,currency,price under that header.
    #[serde(default)]
    pub prices: Option<String>,
    /// Of the ledger: another tool's format.
    #[serde(default)]
    pub format: Option<Format>,
}

/// A report and the version of its fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// [`super::V`].
    pub v: u32,
    /// The report.
    #[serde(flatten)]
    pub report: T,
}

/// The books in another tool's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The format.
    pub format: Format,
    /// The file.
    pub text: String,
}
