//! Who was paid, and who paid in.

use super::{Book, Sum, Terms, Valuer, value};
use crate::ledger::{Account, Entry, Party, Posting};
use bitcoin::OutPoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was paid to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payouts {
    /// The beginning of the period: a day or a height.
    pub from: Option<String>,
    /// Its end.
    pub to: Option<String>,
    /// The block it is told at.
    pub height: u32,
    /// The currency of values.
    pub currency: Option<String>,
    /// Days of entries that have no price.
    pub missing_prices: Vec<String>,
    /// Each payment, oldest first.
    pub payouts: Vec<Payout>,
    /// The sum for each payee.
    pub payees: Vec<Paid>,
    /// The sum.
    pub total_sat: i64,
}

/// One output that was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// The day (UTC) of its block.
    pub date: String,
    /// The block.
    pub height: Option<u32>,
    /// The transaction.
    pub txid: String,
    /// The output's place in it.
    pub vout: u32,
    /// The decision it pays; none for what nobody decided.
    pub proposal: Option<String>,
    /// The account it is on.
    pub account: String,
    /// What people call the payee, else its address.
    pub payee: String,
    /// Satoshis.
    pub sat: i64,
    /// What they were worth that day, in minor units.
    pub value_minor: Option<i64>,
}

/// What one payee got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// Whom.
    pub payee: String,
    /// How often.
    pub count: usize,
    /// Satoshis.
    pub sat: i64,
    /// What they were worth when they were paid, in minor units; none if a price is missing.
    pub value_minor: Option<i64>,
}

/// What was paid in by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contributions {
    /// The beginning of the period: a day or a height.
    pub from: Option<String>,
    /// Its end.
    pub to: Option<String>,
    /// The block it is told at.
    pub height: u32,
    /// The currency of values.
    pub currency: Option<String>,
    /// Days of entries that have no price.
    pub missing_prices: Vec<String>,
    /// Each contribution, oldest first.
    pub contributions: Vec<Contribution>,
    /// The sum for each contributor.
    pub contributors: Vec<Contributor>,
    /// The sum.
    pub total_sat: i64,
}

/// One contribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The day (UTC) of its block.
    pub date: String,
    /// The block.
    pub height: Option<u32>,
    /// The transaction.
    pub txid: String,
    /// Who.
    pub contributor: String,
    /// Satoshis; negative if they were given back.
    pub sat: i64,
    /// What they were worth that day, in minor units.
    pub value_minor: Option<i64>,
}

/// What one contributor paid in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contributor {
    /// Who.
    pub contributor: String,
    /// Satoshis.
    pub sat: i64,
    /// What they were worth when they came, in minor units; none if a price is missing.
    pub value_minor: Option<i64>,
    /// Millionths of all contributions.
    pub share_ppm: u64,
}

impl Book {
    /// What was paid to whom.
    #[must_use]
    pub fn payouts(&self, terms: &Terms<'_>) -> Payouts {
        let valuer = Valuer::new(terms);
        let (mut payouts, mut sums, mut total) = (Vec::new(), BTreeMap::<String, (usize, Sum)>::new(), 0);
        for entry in self.within(&terms.period) {
            let out = |posting: &&Posting| posting.sat > 0 && posting.account != Account::Treasury;
            let price = valuer.of(entry);
            for posting in entry.postings.iter().filter(out) {
                let Some(payout) = self.payout(entry, posting, terms, value(&price, posting.sat)) else {
                    continue;
                };
                total += payout.sat;
                let (count, sum) = sums.entry(payout.payee.clone()).or_insert((0, Sum::NOTHING));
                *count += 1;
                sum.add(payout.sat, payout.value_minor);
                payouts.push(payout);
            }
        }
        let [from, to] = terms.bounds();
        let paid = |(payee, (count, sum)): (String, (usize, Sum))| Paid {
            payee,
            count,
            sat: sum.sat,
            value_minor: sum.minor,
        };
        Payouts {
            from,
            to,
            height: self.view.tip(),
            currency: terms.currency().map(|currency| currency.to_string()),
            missing_prices: valuer.missing(),
            payouts,
            payees: sums.into_iter().map(paid).collect(),
            total_sat: total,
        }
    }

    fn payout(
        &self,
        entry: &Entry,
        posting: &Posting,
        terms: &Terms<'_>,
        value_minor: Option<i64>,
    ) -> Option<Payout> {
        let vout = posting.vout?;
        let (name, address) = self.payee(OutPoint { txid: entry.txid, vout }, terms.network);
        let proposal = entry.kind.decision().map(|id| id.to_string());
        Some(Payout {
            date: entry.day().to_string(),
            height: entry.height,
            txid: entry.txid.to_string(),
            vout,
            proposal,
            account: self.corrected(entry, posting).name(&self.ledger.knowledge.names),
            payee: name.or(address).unwrap_or_default(),
            sat: posting.sat,
            value_minor,
        })
    }

    /// The account an output is on in the end.
    fn corrected(&self, entry: &Entry, posting: &Posting) -> Account {
        let other = |other: &&Posting| other.vout == posting.vout && other.sat == posting.sat;
        entry.corrections.iter().find(other).map_or(posting.account, |other| other.account)
    }

    /// What was paid in by whom.
    #[must_use]
    pub fn contributions(&self, terms: &Terms<'_>) -> Contributions {
        let valuer = Valuer::new(terms);
        let (mut contributions, mut sums) = (Vec::new(), BTreeMap::<Party, Sum>::new());
        for entry in self.within(&terms.period) {
            for posting in entry.postings.iter().chain(&entry.corrections) {
                let Account::Contributions(party) = posting.account else { continue };
                let (sat, minor) = (-posting.sat, value(&valuer.of(entry), -posting.sat));
                sums.entry(party).or_insert(Sum::NOTHING).add(sat, minor);
                contributions.push(Contribution {
                    date: entry.day().to_string(),
                    height: entry.height,
                    txid: entry.txid.to_string(),
                    contributor: self.contributor(party),
                    sat,
                    value_minor: minor,
                });
            }
        }
        let total: i64 = sums.values().map(|sum| sum.sat).sum();
        let [from, to] = terms.bounds();
        let line = |(party, sum): (Party, Sum)| Contributor {
            contributor: self.contributor(party),
            sat: sum.sat,
            value_minor: sum.minor,
            share_ppm: share_ppm(sum.sat, total),
        };
        Contributions {
            from,
            to,
            height: self.view.tip(),
            currency: terms.currency().map(|currency| currency.to_string()),
            missing_prices: valuer.missing(),
            contributions,
            contributors: sums.into_iter().map(line).collect(),
            total_sat: total,
        }
    }

    fn contributor(&self, party: Party) -> String {
        let account = Account::Contributions(party).name(&self.ledger.knowledge.names);
        account.rsplit(':').next().unwrap_or_default().to_owned()
    }
}

fn share_ppm(part: i64, whole: i64) -> u64 {
    let ppm = i128::from(part) * 1_000_000 / i128::from(whole).max(1);
    u64::try_from(ppm.max(0)).unwrap_or(u64::MAX)
}
