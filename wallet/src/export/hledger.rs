//! A journal of hledger: accounts and commodities declared, prices, entries, and the balance asserted, so
//! that `hledger check --strict` finds whatever is not right.

use super::{
    COMMODITY, TREASURY, accounts, btc, heading, last_day, mark, money, moving, one_line, opening, prices,
    title,
};
use crate::ledger::report::{Journal, JournalEntry, JournalPosting};
use crate::price::Currency;
use std::fmt::{self, Write};

pub(super) fn write(journal: &Journal) -> String {
    let mut out = String::new();
    all(&mut out, journal).expect("a string takes all");
    out
}

fn all(out: &mut String, journal: &Journal) -> fmt::Result {
    writeln!(out, "{}", heading(journal))?;
    writeln!(out, "commodity 1.00000000 {COMMODITY}")?;
    if let Some(currency) = journal.currency.as_deref().and_then(|code| code.parse::<Currency>().ok()) {
        let digits = usize::try_from(currency.minor_digits()).unwrap_or_default();
        writeln!(out, "commodity 1.{} {currency}", "0".repeat(digits))?;
    }
    for account in accounts(journal) {
        writeln!(out, "account {account}")?;
    }
    let currency = journal.currency.as_deref().unwrap_or_default();
    for (day, price) in prices(journal) {
        writeln!(out, "P {day} {COMMODITY} {price} {currency}")?;
    }
    if let Some((day, postings)) = opening(journal) {
        writeln!(out, "\n{day} * opening balance")?;
        for (name, amount) in postings {
            writeln!(out, "    {name}  {amount} {COMMODITY}")?;
        }
    }
    moving(journal).try_for_each(|entry| self::entry(out, journal, entry))?;
    closing(out, journal)
}

fn entry(out: &mut String, journal: &Journal, entry: &JournalEntry) -> fmt::Result {
    writeln!(out, "\n{} {} ({}) {}", entry.date, mark(entry), entry.txid, description(&title(entry)))?;
    write!(out, "    ; kind:{}", entry.kind)?;
    if let Some(height) = entry.height {
        write!(out, ", height:{height}")?;
    }
    if let Some(proposal) = &entry.proposal {
        write!(out, ", proposal:{proposal}")?;
    }
    writeln!(out)?;
    entry.postings.iter().try_for_each(|posting| self::posting(out, journal, posting))
}

fn posting(out: &mut String, journal: &Journal, posting: &JournalPosting) -> fmt::Result {
    write!(out, "    {}  {} {COMMODITY}", posting.account, btc(posting.sat))?;
    let value = money(journal, posting.value_minor).map(|(value, code)| format!("value:{value} {code}"));
    let address = posting.address.as_ref().map(|address| format!("address:{address}"));
    let payee = posting.payee.as_deref().map(|payee| format!("payee:{}", tag(payee)));
    let tags: Vec<String> = [value, address, payee].into_iter().flatten().collect();
    if tags.is_empty() { writeln!(out) } else { writeln!(out, "  ; {}", tags.join(", ")) }
}

fn closing(out: &mut String, journal: &Journal) -> fmt::Result {
    let Some(day) = last_day(journal) else { return Ok(()) };
    writeln!(out, "\n{day} * closing balance")?;
    writeln!(out, "    {TREASURY}  0 {COMMODITY} = {} {COMMODITY}", btc(journal.closing_sat))
}

/// A semicolon begins a comment, a bar the note.
fn description(text: &str) -> String {
    one_line(text).replace(';', ",").replace('|', "/")
}

/// A comma ends the value of a tag.
fn tag(text: &str) -> String {
    one_line(text).replace(',', " ")
}
