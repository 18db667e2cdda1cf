//! The books of a period, entry by entry, with names written out: what exports are made from.

use super::{Book, OfDay, Terms, Valuer, value};
use crate::ledger::{Entry, Kind, Posting, When};
use bitcoin::{Network, OutPoint};
use serde::{Deserialize, Serialize};

/// The entries of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The beginning of the period: a day or a height.
    pub from: Option<String>,
    /// Its end.
    pub to: Option<String>,
    /// The block it is told at.
    pub height: u32,
    /// What the treasury held before.
    pub opening_sat: i64,
    /// The day of the first entry, or of the last before; none if there never was one.
    pub opening_date: Option<String>,
    /// What it held at the end.
    pub closing_sat: i64,
    /// The currency of values.
    pub currency: Option<String>,
    /// Days of entries that have no price.
    pub missing_prices: Vec<String>,
    /// By day, then block, then id; a correction after what it corrects.
    pub entries: Vec<JournalEntry>,
    /// What is in no block yet, if the period is not over.
    pub pending: Vec<JournalEntry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The day (UTC) of its block.
    pub date: String,
    /// The time of its block, in Unix seconds.
    pub time: u64,
    /// The block; none while it waits.
    pub height: Option<u32>,
    /// How deep it is.
    pub depth: u32,
    /// The transaction.
    pub txid: String,
    /// What it is: block reward, received, payment, draw, closing move, move, recovery, undecided or correction.
    pub kind: String,
    /// The decision it pays or ends.
    pub proposal: Option<String>,
    /// The decision's title, or the label on the transaction.
    pub description: String,
    /// The price of one bitcoin that day.
    pub price: Option<String>,
    /// What it moved. Sums to zero.
    pub postings: Vec<JournalPosting>,
}

/// What went to an account or, negative, came from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPosting {
    /// The account.
    pub account: String,
    /// Satoshis.
    pub sat: i64,
    /// What they were worth that day, in minor units.
    pub value_minor: Option<i64>,
    /// What people call whom the output pays.
    pub payee: Option<String>,
    /// The output's address.
    pub address: Option<String>,
    /// The output's place in the transaction.
    pub vout: Option<u32>,
}

impl Kind {
    /// What reports call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BlockReward => "block reward",
            Self::Received => "received",
            Self::Payment(_) => "payment",
            Self::Draw(_) => "draw",
            Self::Closing(_) => "closing move",
            Self::Move => "move",
            Self::Recovery => "recovery",
            Self::Undecided => "undecided",
        }
    }
}

impl Book {
    /// The entries of a period.
    #[must_use]
    pub fn journal(&self, terms: &Terms<'_>) -> Journal {
        let valuer = Valuer::new(terms);
        let (mut opening, mut closing, mut last) = (0, 0, None);
        let (mut entries, mut pending) = (Vec::new(), Vec::new());
        for entry in self.ledger.entries() {
            let when = terms.period.when(entry);
            let change = if when == When::After { 0 } else { entry.treasury };
            match when {
                When::Before => {
                    opening += change;
                    last = Some(entry);
                }
                When::Within => entries.extend(self.written(entry, &valuer, terms.network)),
                When::After if entry.height.is_none() && terms.period.to.is_none() => {
                    pending.extend(self.written(entry, &valuer, terms.network));
                }
                When::After => {}
            }
            closing += change;
        }
        entries.sort_by(|one: &JournalEntry, two| one.date.cmp(&two.date)); // block times go back now and then
        let [from, to] = terms.bounds();
        let currency = terms.currency().map(|currency| currency.to_string());
        Journal {
            from,
            to,
            height: self.view.tip(),
            opening_sat: opening,
            opening_date: entries
                .first()
                .map(|entry| entry.date.clone())
                .or_else(|| last.map(|entry| entry.day().to_string())),
            closing_sat: closing,
            currency,
            missing_prices: valuer.missing(),
            entries,
            pending,
        }
    }

    fn written(
        &self,
        entry: &Entry,
        valuer: &Valuer<'_>,
        network: Network,
    ) -> impl Iterator<Item = JournalEntry> {
        let price = valuer.of(entry);
        let write = |kind: &str, postings: &[Posting]| {
            let postings = postings.iter().map(|posting| self.posting(entry, posting, &price, network));
            self.write(entry, kind, &price, postings.collect())
        };
        let corrected = !entry.corrections.is_empty();
        let correction = corrected.then(|| write("correction", &entry.corrections));
        [write(entry.kind.word(), &entry.postings)].into_iter().chain(correction)
    }

    fn write(&self, entry: &Entry, kind: &str, price: &OfDay, postings: Vec<JournalPosting>) -> JournalEntry {
        let decision = entry.kind.decision();
        let title =
            decision.and_then(|id| self.ledger.knowledge.decisions.get(&id)).map(|known| known.title.clone());
        let label = || self.ledger.knowledge.labels.transactions.get(&entry.txid).cloned();
        JournalEntry {
            date: entry.day().to_string(),
            time: entry.time,
            height: entry.height,
            depth: self.view.depth(entry.height),
            txid: entry.txid.to_string(),
            kind: kind.to_owned(),
            proposal: decision.map(|id| id.to_string()),
            description: title.or_else(label).unwrap_or_default(),
            price: price.as_ref().and_then(|(_, price)| price.as_ref()).map(ToString::to_string),
            postings,
        }
    }

    fn posting(&self, entry: &Entry, posting: &Posting, price: &OfDay, network: Network) -> JournalPosting {
        let outpoint = posting.vout.map(|vout| OutPoint { txid: entry.txid, vout });
        let (payee, address) = outpoint.map_or((None, None), |outpoint| self.payee(outpoint, network));
        JournalPosting {
            account: posting.account.name(&self.ledger.knowledge.names),
            sat: posting.sat,
            value_minor: value(price, posting.sat),
            payee,
            address,
            vout: posting.vout,
        }
    }
}
