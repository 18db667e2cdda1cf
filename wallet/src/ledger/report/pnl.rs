//! Profit and loss: what came in, what it cost, what is left.

use super::{Book, Sum, Terms, Valuer, value};
use crate::ledger::{Account, Part, When};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Income and expenses of a period, and what else moved the treasury.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pnl {
    /// The beginning of the period: a day or a height.
    pub from: Option<String>,
    /// Its end.
    pub to: Option<String>,
    /// The block it is told at.
    pub height: u32,
    /// What the treasury held before.
    pub opening_sat: i64,
    /// What it held at the end.
    pub closing_sat: i64,
    /// What came in, by account.
    pub income: Vec<Line>,
    /// What it cost, by account.
    pub expenses: Vec<Line>,
    /// What was paid in, taken out, bought and sold: positive into the treasury.
    pub equity: Vec<Line>,
    /// All income.
    pub income_sat: i64,
    /// All expenses.
    pub expenses_sat: i64,
    /// Income less expenses.
    pub net_sat: i64,
    /// The currency of values.
    pub currency: Option<String>,
    /// Income less expenses in minor units; none if a price is missing.
    pub net_minor: Option<i64>,
    /// Days of entries that have no price.
    pub missing_prices: Vec<String>,
}

/// The sum on one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The account.
    pub account: String,
    /// Satoshis.
    pub sat: i64,
    /// What they were worth when they moved, in minor units; none if a price is missing.
    pub value_minor: Option<i64>,
}

impl Book {
    /// Income and expenses of a period.
    #[must_use]
    pub fn pnl(&self, terms: &Terms<'_>) -> Pnl {
        let valuer = Valuer::new(terms);
        let mut sums = BTreeMap::<Account, Sum>::new();
        let (mut opening, mut closing) = (0, 0);
        for entry in self.ledger.entries() {
            let when = terms.period.when(entry);
            let change = if when == When::After { 0 } else { entry.treasury };
            opening += if when == When::Before { change } else { 0 };
            closing += change;
            if when != When::Within {
                continue;
            }
            let price = valuer.of(entry);
            for posting in entry.postings.iter().chain(&entry.corrections) {
                let sum = sums.entry(posting.account).or_insert(Sum::NOTHING);
                sum.add(posting.sat, value(&price, posting.sat));
            }
        }
        let [from, to] = terms.bounds();
        let [income, expenses] = [Part::Income, Part::Expenses].map(|part| total(&sums, part));
        let net = income.minor.zip(expenses.minor);
        Pnl {
            from,
            to,
            height: self.view.tip(),
            opening_sat: opening,
            closing_sat: closing,
            income: self.lines(&sums, Part::Income, -1),
            expenses: self.lines(&sums, Part::Expenses, 1),
            equity: self.lines(&sums, Part::Equity, -1),
            income_sat: -income.sat,
            expenses_sat: expenses.sat,
            net_sat: -income.sat - expenses.sat,
            currency: terms.currency().map(|currency| currency.to_string()),
            net_minor: net.filter(|_| terms.money.is_some()).map(|(income, expenses)| -income - expenses),
            missing_prices: valuer.missing(),
        }
    }

    fn lines(&self, sums: &BTreeMap<Account, Sum>, part: Part, sign: i64) -> Vec<Line> {
        let of_part = sums.iter().filter(|(account, _)| account.part() == part);
        let line = |(account, sum): (&Account, &Sum)| Line {
            account: account.name(&self.ledger.knowledge.names),
            sat: sign * sum.sat,
            value_minor: sum.minor.map(|minor| sign * minor),
        };
        of_part.map(line).collect()
    }
}

fn total(sums: &BTreeMap<Account, Sum>, part: Part) -> Sum {
    let of_part = sums.iter().filter(|(account, _)| account.part() == part);
    of_part.fold(Sum::NOTHING, |mut total, (_, sum)| {
        total.add(sum.sat, sum.minor);
        total
    })
}
