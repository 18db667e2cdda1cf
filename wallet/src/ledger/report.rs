//! Reports: what the books say of a period, for people, programs and other tools' formats.
//!
//! Amounts are integer satoshis; values are integer minor units of one currency at the price of the entry's
//! own day, and none where that day has no price.

mod journal;
mod lists;
mod pnl;

pub use journal::{Journal, JournalEntry, JournalPosting};
pub use lists::{Contribution, Contributions, Contributor, Paid, Payout, Payouts};
pub use pnl::{Line, Pnl};

use super::entry::{Entry, Period};
use super::{Book, When};
use crate::price::{Currency, Price, Source};
use bitcoin::{Address, Network, OutPoint};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use time::Date;

/// What a report is made from, beside the books.
pub struct Terms<'a> {
    /// The time it is about.
    pub period: Period,
    /// The network that addresses are written for.
    pub network: Network,
    /// The currency of values, and where prices come from.
    pub money: Option<(Currency, &'a dyn Source)>,
}

impl fmt::Debug for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let currency = self.money.as_ref().map(|(currency, _)| currency);
        f.debug_struct("Terms").field("period", &self.period).field("currency", &currency).finish()
    }
}

impl Terms<'_> {
    fn currency(&self) -> Option<Currency> {
        self.money.as_ref().map(|(currency, _)| *currency)
    }

    fn bounds(&self) -> [Option<String>; 2] {
        [self.period.from, self.period.to].map(|bound| bound.map(|bound| bound.to_string()))
    }
}

/// Values what is reported, and keeps the days that have no price.
struct Valuer<'a> {
    terms: &'a Terms<'a>,
    missing: RefCell<BTreeSet<Date>>,
}

/// The price of one entry's day; none: no currency was asked for.
type OfDay = Option<(Currency, Option<Price>)>;

impl<'a> Valuer<'a> {
    fn new(terms: &'a Terms<'a>) -> Self {
        Self { terms, missing: RefCell::default() }
    }

    fn of(&self, entry: &Entry) -> OfDay {
        let (currency, source) = self.terms.money.as_ref()?;
        let day = entry.day();
        let price = source.price(day, currency);
        if price.is_none() {
            self.missing.borrow_mut().insert(day);
        }
        Some((*currency, price))
    }

    fn missing(&self) -> Vec<String> {
        self.missing.borrow().iter().map(Date::to_string).collect()
    }
}

fn value(price: &OfDay, sat: i64) -> Option<i64> {
    let (currency, price) = price.as_ref()?;
    price.as_ref()?.value(sat, currency)
}

/// A sum that is none as soon as one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    sat: i64,
    minor: Option<i64>,
}

impl Sum {
    const NOTHING: Self = Self { sat: 0, minor: Some(0) };

    fn add(&mut self, sat: i64, minor: Option<i64>) {
        self.sat += sat;
        self.minor = self.minor.zip(minor).and_then(|(sum, minor)| sum.checked_add(minor));
    }
}

impl Book {
    fn within<'a>(&'a self, period: &'a Period) -> impl Iterator<Item = &'a Entry> {
        self.ledger.entries().filter(|entry| period.when(entry) == When::Within)
    }

    /// What people call whom an output pays: the address book's name, a label, else the address itself.
    fn payee(&self, outpoint: OutPoint, network: Network) -> (Option<String>, Option<String>) {
        let seen = self.view.transaction(&outpoint.txid);
        let index = usize::try_from(outpoint.vout).unwrap_or(usize::MAX);
        let Some(output) = seen.and_then(|seen| seen.transaction.output.get(index)) else {
            return (None, None);
        };
        let script = &output.script_pubkey;
        let known = self.ledger.knowledge.payees.get(script).map(|payee| payee.name.clone());
        let name = known.or_else(|| self.ledger.knowledge.labels.addresses.get(script).cloned());
        (name, Address::from_script(script, network).ok().map(|address| address.to_string()))
    }
}
