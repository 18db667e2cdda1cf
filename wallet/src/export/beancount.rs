//! A ledger of beancount, with the balance asserted: `bean-check` finds whatever is not right.

use super::{
    COMMODITY, TREASURY, accounts, btc, heading, last_day, mark, money, moving, opening, prices, title,
};
use crate::ledger::report::{Journal, JournalEntry, JournalPosting};
use crate::price::parse_day;
use std::fmt::{self, Write};

pub(super) fn write(journal: &Journal) -> String {
    let mut out = String::new();
    all(&mut out, journal).expect("a string takes all");
    out
}

fn all(out: &mut String, journal: &Journal) -> fmt::Result {
    writeln!(out, "{}", heading(journal))?;
    writeln!(out, "option \"title\" \"treasury\"")?;
    if let Some(currency) = &journal.currency {
        writeln!(out, "option \"operating_currency\" \"{currency}\"")?;
    }
    let Some(first) = journal.opening_date.as_deref() else { return Ok(()) };
    for name in accounts(journal) {
        writeln!(out, "{first} open {} {COMMODITY}", account(name))?;
    }
    let currency = journal.currency.as_deref().unwrap_or_default();
    for (day, price) in prices(journal) {
        writeln!(out, "{day} price {COMMODITY} {price} {currency}")?;
    }
    if let Some((day, postings)) = opening(journal) {
        writeln!(out, "\n{day} * \"opening balance\"")?;
        for (name, amount) in postings {
            writeln!(out, "  {}  {amount} {COMMODITY}", account(name))?;
        }
    }
    moving(journal).try_for_each(|entry| self::entry(out, journal, entry))?;
    closing(out, journal)
}

fn entry(out: &mut String, journal: &Journal, entry: &JournalEntry) -> fmt::Result {
    writeln!(out, "\n{} {} {} ^{}", entry.date, mark(entry), string(&title(entry)), entry.txid)?;
    writeln!(out, "  kind: {}", string(&entry.kind))?;
    if let Some(height) = entry.height {
        writeln!(out, "  height: {height}")?;
    }
    if let Some(proposal) = &entry.proposal {
        writeln!(out, "  proposal: {}", string(proposal))?;
    }
    entry.postings.iter().try_for_each(|posting| self::posting(out, journal, posting))
}

fn posting(out: &mut String, journal: &Journal, posting: &JournalPosting) -> fmt::Result {
    writeln!(out, "  {}  {} {COMMODITY}", account(&posting.account), btc(posting.sat))?;
    if let Some((value, code)) = money(journal, posting.value_minor) {
        writeln!(out, "    value: {value} {code}")?;
    }
    for (key, text) in [("address", &posting.address), ("payee", &posting.payee)] {
        if let Some(text) = text {
            writeln!(out, "    {key}: {}", string(text))?;
        }
    }
    Ok(())
}

/// A balance of beancount is that of the beginning of a day, and exact only if it says so.
fn closing(out: &mut String, journal: &Journal) -> fmt::Result {
    let last = last_day(journal).and_then(|last| parse_day(last).ok());
    let Some(next) = last.and_then(time::Date::next_day) else { return Ok(()) };
    writeln!(out, "\n{next} balance {}  {} ~ 0 {COMMODITY}", account(TREASURY), btc(journal.closing_sat))
}

/// Each part of an account begins with a capital letter or a digit.
fn account(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split(':').map(capital).collect::<Vec<_>>().join(":")
}

/// A string of beancount, on one line.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
