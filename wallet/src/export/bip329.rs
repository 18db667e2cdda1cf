//! BIP329: a label for each transaction and output, with the additional fields for amounts and prices.
//!
//! Numbers are written digit for digit: no price passes through a float on its way into JSON.

use super::{FEES, TREASURY, iso, money, one_line, title};
use crate::ledger::report::{Journal, JournalEntry, JournalPosting};

/// From this depth on a height may be written: the specification's words.
const CONFIRMED: u32 = 6;
/// Characters of a label that importing wallets are told to keep.
const LABEL_MAX: usize = 255;

pub(super) fn write(journal: &Journal) -> String {
    let first = journal.entries.iter().filter(|entry| entry.kind != "correction");
    let lines = first.flat_map(|entry| {
        let outputs = entry.postings.iter().filter_map(|posting| output(journal, entry, posting));
        std::iter::once(transaction(journal, entry)).chain(outputs).collect::<Vec<_>>()
    });
    lines.map(|line| line + "\n").collect()
}

fn transaction(journal: &Journal, entry: &JournalEntry) -> String {
    let sum = |account: &str| {
        let on = entry.postings.iter().filter(|posting| posting.account == account);
        on.map(|posting| posting.sat).sum::<i64>()
    };
    let deep = entry.depth >= CONFIRMED;
    let fee = sum(FEES);
    object([
        ("type", Some(string("tx"))),
        ("ref", Some(string(&entry.txid))),
        ("label", Some(label(&title(entry)))),
        ("height", entry.height.filter(|_| deep).map(|height| height.to_string())),
        ("time", deep.then(|| string(&iso(entry.time)))),
        ("fee", (fee > 0).then(|| fee.to_string())),
        ("value", Some(sum(TREASURY).to_string())),
        ("rate", entry.price.clone().and_then(|price| by_currency(journal, price))),
    ])
}

fn output(journal: &Journal, entry: &JournalEntry, posting: &JournalPosting) -> Option<String> {
    let of = posting.payee.as_ref().map(|payee| format!(" {payee}")).unwrap_or_default();
    let worth = money(journal, posting.value_minor.map(i64::abs));
    Some(object([
        ("type", Some(string("output"))),
        ("ref", Some(string(&format!("{}:{}", entry.txid, posting.vout?)))),
        ("label", Some(label(&format!("{}{of}", posting.account)))),
        ("value", Some(posting.sat.abs().to_string())),
        ("fmv", worth.and_then(|(value, _)| by_currency(journal, value))),
    ]))
}

/// A decimal number under the journal's currency.
fn by_currency(journal: &Journal, decimal: String) -> Option<String> {
    let currency = journal.currency.as_deref()?;
    Some(object([(currency, Some(decimal))]))
}

/// A JSON object of values that are JSON already.
fn object<const N: usize>(fields: [(&str, Option<String>); N]) -> String {
    let given = fields.into_iter().filter_map(|(key, value)| Some(format!("{}:{}", string(key), value?)));
    format!("{{{}}}", given.collect::<Vec<_>>().join(","))
}

fn string(text: &str) -> String {
    serde_json::to_string(text).expect("a string always encodes")
}

fn label(text: &str) -> String {
    string(&one_line(text).chars().take(LABEL_MAX).collect::<String>())
}
