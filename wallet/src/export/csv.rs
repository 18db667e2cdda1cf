//! One line a posting, for spreadsheets. What people wrote is never taken for a formula.

use super::{btc, iso, money, one_line};
use crate::ledger::report::{Journal, JournalEntry, JournalPosting};

const HEADER: [&str; 15] = [
    "date",
    "time",
    "height",
    "txid",
    "kind",
    "proposal",
    "description",
    "account",
    "amount_sat",
    "amount_btc",
    "value",
    "currency",
    "price",
    "payee",
    "address",
];

pub(super) fn write(journal: &Journal) -> String {
    let rows = journal
        .entries
        .iter()
        .flat_map(|entry| entry.postings.iter().map(move |posting| row(journal, entry, posting).to_vec()));
    table(&HEADER, rows)
}

fn row(journal: &Journal, entry: &JournalEntry, posting: &JournalPosting) -> [String; 15] {
    let value = money(journal, posting.value_minor).map(|(value, _)| value);
    let words = |text: &Option<String>| text.as_deref().map(text_cell).unwrap_or_default();
    [
        entry.date.clone(),
        iso(entry.time),
        entry.height.map(|height| height.to_string()).unwrap_or_default(),
        entry.txid.clone(),
        entry.kind.clone(),
        words(&entry.proposal),
        text_cell(&entry.description),
        text_cell(&posting.account),
        posting.sat.to_string(),
        btc(posting.sat),
        value.unwrap_or_default(),
        journal.currency.clone().unwrap_or_default(),
        entry.price.clone().unwrap_or_default(),
        words(&posting.payee),
        words(&posting.address),
    ]
}

/// A header and rows as CSV.
pub(super) fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(header).expect("memory takes all");
    rows.for_each(|row| writer.write_record(row).expect("memory takes all, and rows have equal lengths"));
    let bytes = writer.into_inner().expect("memory takes all");
    String::from_utf8(bytes).expect("made of strings")
}

/// What somebody wrote, on one line, and so that no spreadsheet runs it: these begin formulas.
pub(super) fn text_cell(text: &str) -> String {
    let line = one_line(text);
    let formula =
        line.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if formula { format!("'{line}") } else { line }
}
