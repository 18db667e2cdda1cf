//! The books in the formats of other tools: a spreadsheet, two plain-text accounting systems, a tax tool,
//! wallets.
//!
//! Functions of a [`Journal`], which has every name written out. Any member's or payee's name comes through
//! without breaking a format; what is in no block yet is in no export.

mod beancount;
mod bip329;
mod csv;
mod hledger;
mod koinly;

use crate::ledger::report::{Journal, JournalEntry};
use crate::price::{Currency, decimal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What the books of the treasury are kept in.
const COMMODITY: &str = "BTC";
/// How deep a block is for an entry to be marked as settled.
const SETTLED: u32 = crdt::limits::DEPTH;
/// The account of miners' fees.
const FEES: &str = "expenses:fees:network";
/// The account of the coins.
const TREASURY: &str = "assets:treasury";
/// The account that an opening balance is against.
const OPENING: &str = "equity:opening-balances";

/// A format to export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One line a posting, for spreadsheets.
    Csv,
    /// A journal of hledger.
    Hledger,
    /// A ledger of beancount.
    Beancount,
    /// The universal CSV of Koinly.
    Koinly,
    /// Labels with amounts, one JSON object a line.
    Bip329,
}

/// All formats, and what they are called.
pub const FORMATS: [(Format, &str); 5] = [
    (Format::Csv, "csv"),
    (Format::Hledger, "hledger"),
    (Format::Beancount, "beancount"),
    (Format::Koinly, "koinly"),
    (Format::Bip329, "bip329"),
];

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of csv, hledger, beancount, koinly, bip329")]
pub struct NotAFormat(String);

impl FromStr for Format {
    type Err = NotAFormat;
    fn from_str(word: &str) -> Result<Self, NotAFormat> {
        let found = FORMATS.iter().find(|(_, name)| *name == word);
        found.map(|(format, _)| *format).ok_or_else(|| NotAFormat(word.chars().take(40).collect()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FORMATS.iter().find(|(format, _)| format == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

/// The books of a journal in `format`.
#[must_use]
pub fn export(journal: &Journal, format: Format) -> String {
    match format {
        Format::Csv => csv::write(journal),
        Format::Hledger => hledger::write(journal),
        Format::Beancount => beancount::write(journal),
        Format::Koinly => koinly::write(journal),
        Format::Bip329 => bip329::write(journal),
    }
}

/// Satoshis as bitcoin, all eight digits.
fn btc(sat: i64) -> String {
    decimal(sat.into(), 8)
}

/// An amount of the journal's currency, and the currency.
fn money(journal: &Journal, minor: Option<i64>) -> Option<(String, &str)> {
    let code = journal.currency.as_deref()?;
    let currency: Currency = code.parse().ok()?;
    Some((currency.decimal(minor?), code))
}

/// A Unix time in UTC, as ISO 8601 writes it.
fn iso(unix: u64) -> String {
    let of_day = unix % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", crate::price::day_of(unix))
}

/// Words on one line: control characters, line breaks among them, become spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The first line of a plain-text ledger: a comment in all of them.
fn heading(journal: &Journal) -> String {
    format!("; Books of the treasury, told at height {}. Amounts are exact.", journal.height)
}

/// The entries that move something.
fn moving(journal: &Journal) -> impl Iterator<Item = &JournalEntry> {
    journal.entries.iter().filter(|entry| !entry.postings.is_empty())
}

/// Whether an entry is settled, as plain-text ledgers mark it.
fn mark(entry: &JournalEntry) -> char {
    if entry.depth >= SETTLED { '*' } else { '!' }
}

/// What was there before: the day, and two postings. None if there was nothing.
fn opening(journal: &Journal) -> Option<(&str, [(&'static str, String); 2])> {
    let day = journal.opening_date.as_deref().filter(|_| journal.opening_sat != 0)?;
    Some((day, [(TREASURY, btc(journal.opening_sat)), (OPENING, btc(-journal.opening_sat))]))
}

/// The day of the last entry, or of the opening balance.
fn last_day(journal: &Journal) -> Option<&str> {
    let last = journal.entries.last().map(|entry| entry.date.as_str());
    last.or(journal.opening_date.as_deref())
}

/// The prices of a journal's days, each once.
fn prices(journal: &Journal) -> BTreeSet<(&str, &str)> {
    let priced = journal.entries.iter();
    priced.filter_map(|entry| Some((entry.date.as_str(), entry.price.as_deref()?))).collect()
}

/// All accounts of a journal, that of an opening balance too.
fn accounts(journal: &Journal) -> BTreeSet<&str> {
    let postings = journal.entries.iter().flat_map(|entry| &entry.postings);
    postings.map(|posting| posting.account.as_str()).chain([TREASURY, OPENING]).collect()
}

/// What an entry is called where there is nothing better.
fn title(entry: &JournalEntry) -> String {
    if entry.description.is_empty() { entry.kind.clone() } else { entry.description.clone() }
}

#[cfg(test)]
mod tests;
