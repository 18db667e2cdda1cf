//! The books: every transaction of the treasury in double entry.
//!
//! Nothing is ever entered. The books are a function of the chain (a [`View`]) and of what is known
//! ([`Knowledge`]: decisions, labels, names), and follow both by what changed: a reorganisation takes
//! entries away as if they had never been there. Each entry sums to zero, all together are the balance.
//!
//! A decision says what its payment is for, an address what comes in; where they do not, members' labels do
//! (`category:…`). A label on what was already said changes no posting: it adds a correction beside it.

mod account;
mod classify;
mod entry;
mod knowledge;
pub mod report;

pub use account::{Account, Cost, Names, Part, Party};
pub use entry::{Bound, Entry, Kind, NotABound, Period, Posting, When};
pub use knowledge::{Decision, Knowledge, Labels, Payee};

use crate::anchor::{self, Line, Lineage};
use crate::marker;
use crate::view::View;
use bitcoin::{Transaction, Txid};
use classify::Classifier;
use crdt::{GuildId, Height, ProposalId};
use knowledge::Markers;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

/// Where entries lie that are in no block.
const PENDING: Height = Height::MAX;

/// The books. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    guild: GuildId,
    knowledge: Arc<Knowledge>,
    /// Made when first needed: it takes two hashes a decision.
    markers: OnceCell<Arc<Markers>>,
    entries: Arc<BTreeMap<(Height, Txid), Entry>>,
    heights: Arc<BTreeMap<Txid, Height>>,
}

/// The books and the view they follow: what reports are made from. Whoever keeps one makes the treasury copy
/// its view at the next block.
#[derive(Debug, Clone)]
pub struct Book {
    view: View,
    ledger: Ledger,
}

impl Ledger {
    /// The books of a treasury, from nothing.
    #[must_use]
    pub fn of(view: &View, knowledge: Arc<Knowledge>) -> Self {
        let ends = ends(view, &knowledge, knowledge.decisions.keys());
        let decided = |txid: Txid, _: &Transaction| ends.get(&txid).copied();
        let classifier = Classifier { view, knowledge: &knowledge, decided: &decided };
        // in the order of ids, as coins are too: none of them is looked up
        let mut coins = view.coins.values().peekable();
        let entries = view.transactions.iter().map(|(txid, seen)| {
            while coins.next_if(|coin| coin.outpoint.txid < *txid).is_some() {}
            let made = iter::from_fn(|| coins.next_if(|coin| coin.outpoint.txid == *txid)).collect();
            Some(classifier.entry(*txid, seen, made))
        });
        let mut entries: Vec<Option<Entry>> = entries.collect();
        let heights = entries.iter().flatten().map(|entry| (entry.txid, place(entry.height))).collect();
        let places = entries.iter().map(|entry| place(entry.as_ref().and_then(|entry| entry.height)));
        let mut order: Vec<(Height, usize)> = places.zip(0..).collect();
        order.sort_unstable(); // rather these than whole entries
        let ordered = order.into_iter().filter_map(|(height, index)| {
            let entry = entries.get_mut(index)?.take()?;
            Some(((height, entry.txid), entry))
        });
        let (entries, heights) = (Arc::new(ordered.collect()), Arc::new(heights));
        Self { guild: view.guild(), knowledge, markers: OnceCell::new(), entries, heights }
    }

    /// Go on to another view of the same treasury: `touched` came, moved or went since
    /// ([`crate::Treasury::take_touched`]).
    pub fn follow(&mut self, view: &View, touched: &BTreeSet<Txid>) {
        if touched.is_empty() {
            return;
        }
        let decided = |txid: Txid, transaction: &Transaction| self.decided(view, txid, transaction);
        let classifier = Classifier { view, knowledge: &self.knowledge, decided: &decided };
        let seen = touched.iter().filter_map(|txid| Some((*txid, view.transaction(txid)?)));
        let made = |txid| view.made_by(txid).collect();
        let new: Vec<Entry> = seen.map(|(txid, seen)| classifier.entry(txid, seen, made(txid))).collect();
        let (entries, heights) = (Arc::make_mut(&mut self.entries), Arc::make_mut(&mut self.heights));
        for txid in touched {
            if let Some(height) = heights.remove(txid) {
                entries.remove(&(height, *txid));
            }
        }
        for entry in new {
            let height = place(entry.height);
            heights.insert(entry.txid, height);
            entries.insert((height, entry.txid), entry);
        }
    }

    /// Know something else from now on.
    pub fn learn(&mut self, view: &View, knowledge: Arc<Knowledge>) {
        let Some((mut touched, decisions)) = self.knowledge.differs(&knowledge) else {
            *self = Self::of(view, knowledge);
            return;
        };
        touched.extend(ends(view, &self.knowledge, &decisions).into_keys());
        touched.extend(ends(view, &knowledge, &decisions).into_keys());
        self.knowledge = knowledge;
        if !decisions.is_empty() {
            self.markers = OnceCell::new();
        }
        self.follow(view, &touched);
    }

    /// The decision whose lineage a transaction ends: a marker alone proves nothing.
    fn decided(&self, view: &View, txid: Txid, transaction: &Transaction) -> Option<Kind> {
        let markers = self.markers.get_or_init(|| Arc::new(self.knowledge.markers(self.guild)));
        let marked = transaction.output.iter().find_map(|output| {
            let marker = marker::pushed(output);
            let named = marker.map(|marker| markers.get(&marker).into_iter().flatten().collect::<Vec<_>>());
            // what a draw carries is longer
            named.or_else(|| output.script_pubkey.is_op_return().then(|| self.knowledge.budgets().collect()))
        })?;
        ends(view, &self.knowledge, marked).remove(&txid)
    }

    /// The books as they are at `view`, which they follow, for reports.
    #[must_use]
    pub fn at(&self, view: View) -> Book {
        Book { view, ledger: self.clone() }
    }

    /// What is known besides.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// All entries: oldest block first, in the order of ids within a block, the mempool last.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry of a transaction.
    #[must_use]
    pub fn entry(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(&(*self.heights.get(txid)?, *txid))
    }

    /// Satoshis on an account: of blocks only, or of the mempool too.
    #[must_use]
    pub fn balance(&self, account: Account, mempool: bool) -> i64 {
        let counted = self.entries().filter(|entry| mempool || entry.height.is_some());
        counted.map(|entry| entry.change(account)).sum()
    }
}

const fn place(height: Option<Height>) -> Height {
    match height {
        Some(height) => height,
        None => PENDING,
    }
}

/// The transactions that pay, draw on or end these decisions, and which.
fn ends<'a>(
    view: &View,
    knowledge: &Knowledge,
    decisions: impl IntoIterator<Item = &'a ProposalId>,
) -> BTreeMap<Txid, Kind> {
    let mut ends = BTreeMap::new();
    for id in decisions {
        let Some(decision) = knowledge.decisions.get(id) else { continue };
        let lineage = match decision.line {
            Line::Budget { anchor } => {
                let draws = anchor::draws(view, *id, anchor, anchor::MEMPOOL);
                ends.extend(draws.drawn.iter().map(|drawn| (drawn.txid, Kind::Draw(*id))));
                draws.lineage
            }
            line => line.follow(view, *id, anchor::MEMPOOL),
        };
        match lineage {
            Lineage::Paid(end) => {
                ends.insert(end.txid, Kind::Payment(*id));
            }
            // what pays one distribution by work closes all others of its number
            Lineage::Closed(end) => {
                ends.entry(end.txid).or_insert(Kind::Closing(*id));
            }
            _ => {}
        }
    }
    ends
}

#[cfg(test)]
mod tests;
