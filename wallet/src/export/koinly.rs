//! Koinly's universal CSV: what was sent, received and paid in fees, in UTC, with the tags that it knows.
//!
//! A correction is in the line of what it corrects: Koinly asks what a transaction was, not how the guild
//! came to see it so.

use super::csv::{table, text_cell};
use super::{COMMODITY, FEES, TREASURY, btc, iso, money, title};
use crate::ledger::report::{Journal, JournalEntry};
use std::collections::BTreeMap;

const HEADER: [&str; 12] = [
    "Date",
    "Sent Amount",
    "Sent Currency",
    "Received Amount",
    "Received Currency",
    "Fee Amount",
    "Fee Currency",
    "Net Worth Amount",
    "Net Worth Currency",
    "Label",
    "Description",
    "TxHash",
];

/// What moved on one account: satoshis, and their value if it is known.
type Moved = (i64, Option<i64>);

pub(super) fn write(journal: &Journal) -> String {
    let mut transactions: Vec<(&JournalEntry, BTreeMap<&str, Moved>)> = Vec::new();
    for entry in &journal.entries {
        let corrects = transactions.last().filter(|(first, _)| first.txid == entry.txid).is_some();
        if !corrects {
            transactions.push((entry, BTreeMap::new()));
        }
        let Some((_, sums)) = transactions.last_mut() else { continue };
        for posting in entry.postings.iter().filter(|posting| posting.account != TREASURY) {
            let (sat, minor) = sums.entry(&posting.account).or_insert((0, Some(0)));
            *sat += posting.sat;
            *minor = minor.zip(posting.value_minor).map(|(sum, minor)| sum + minor);
        }
    }
    let rows = transactions.into_iter().flat_map(|(entry, sums)| rows(journal, entry, sums));
    table(&HEADER, rows)
}

fn rows(journal: &Journal, entry: &JournalEntry, mut sums: BTreeMap<&str, Moved>) -> Vec<Vec<String>> {
    let sends = sums.iter().any(|(account, (sat, _))| *account != FEES && *sat > 0);
    let mut fee = if sends { sums.remove(FEES).map(|(sat, _)| sat) } else { None };
    let moved = sums.into_iter().filter(|(_, (sat, _))| *sat != 0);
    let rows = moved.map(|(account, moved)| row(journal, entry, account, moved, &mut fee));
    rows.collect()
}

/// One line. The first that sends carries the fee.
fn row(
    journal: &Journal,
    entry: &JournalEntry,
    account: &str,
    (sat, minor): Moved,
    fee: &mut Option<i64>,
) -> Vec<String> {
    let amount = |some: bool, sat: i64| match some {
        true => [btc(sat), COMMODITY.to_owned()],
        false => [String::new(), String::new()],
    };
    let fee = if sat > 0 { fee.take() } else { None };
    let (value, currency) = money(journal, minor.map(i64::abs)).unzip();
    let worth = [value.unwrap_or_default(), currency.unwrap_or_default().to_owned()];
    let date = iso(entry.time).replace('T', " ");
    let minute = date.get(..16).unwrap_or_default();
    let mut row = vec![format!("{minute} UTC")];
    row.extend(amount(sat > 0, sat));
    row.extend(amount(sat < 0, -sat));
    row.extend(amount(fee.is_some(), fee.unwrap_or_default()));
    row.extend(worth);
    row.extend([tag(account, sat).to_owned(), text_cell(&title(entry)), entry.txid.clone()]);
    row
}

/// The tag that Koinly knows for an account: none for what it takes for bought, sold or moved.
fn tag(account: &str, sat: i64) -> &'static str {
    match (account, sat > 0) {
        ("income:mining:blocks" | "income:mining:pools", false) => "mining",
        ("income:mining:rented-out", false) => "income",
        ("expenses:undecided", true) => "",
        (account, true) if account.starts_with("expenses:") => "cost",
        _ => "",
    }
}
