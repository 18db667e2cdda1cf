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

use crate::anchor::{self, Lineage};
use crate::view::View;
use bitcoin::Txid;
use classify::Classifier;
use crdt::{Height, ProposalId};
use knowledge::Markers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where entries lie that are in no block.
const PENDING: Height = Height::MAX;

/// The books at one block. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    view: View,
    knowledge: Arc<Knowledge>,
    markers: Arc<Markers>,
    entries: Arc<BTreeMap<(Height, Txid), Entry>>,
    heights: Arc<BTreeMap<Txid, Height>>,
}

impl Ledger {
    /// The books of a treasury, from nothing.
    #[must_use]
    pub fn of(view: View, knowledge: Arc<Knowledge>) -> Self {
        let markers = Arc::new(knowledge.markers(view.guild()));
        let (entries, heights) = (Arc::default(), Arc::default());
        let mut ledger = Self { view, knowledge, markers, entries, heights };
        let classifier = ledger.classifier();
        let entries = ledger.view.transactions.iter().map(|(txid, seen)| {
            let entry = classifier.entry(*txid, seen);
            ((entry.height.unwrap_or(PENDING), *txid), entry)
        });
        let entries: BTreeMap<_, _> = entries.collect();
        ledger.heights = Arc::new(entries.keys().map(|(height, txid)| (*txid, *height)).collect());
        ledger.entries = Arc::new(entries);
        ledger
    }

    /// Go on to another view of the same treasury: `touched` came, moved or went since
    /// ([`crate::Treasury::take_touched`]).
    pub fn follow(&mut self, view: View, touched: &BTreeSet<Txid>) {
        self.view = view;
        self.classify(touched);
    }

    /// Know something else from now on.
    pub fn learn(&mut self, knowledge: Arc<Knowledge>) {
        let Some((mut touched, decisions)) = self.knowledge.differs(&knowledge) else {
            *self = Self::of(self.view.clone(), knowledge);
            return;
        };
        touched.extend(self.ends(&decisions));
        let markers = (!decisions.is_empty()).then(|| Arc::new(knowledge.markers(self.view.guild())));
        self.markers = markers.unwrap_or_else(|| Arc::clone(&self.markers));
        self.knowledge = knowledge;
        touched.extend(self.ends(&decisions));
        self.classify(&touched);
    }

    /// The transactions that ended these decisions.
    fn ends(&self, decisions: &BTreeSet<ProposalId>) -> Vec<Txid> {
        let known = decisions.iter().filter_map(|id| Some((id, self.knowledge.decisions.get(id)?)));
        let ends = known.filter_map(|(id, decision)| {
            match anchor::lineage(&self.view, *id, decision.anchor, anchor::MEMPOOL) {
                Lineage::Paid(end) | Lineage::Closed(end) => Some(end.txid),
                _ => None,
            }
        });
        ends.collect()
    }

    fn classify(&mut self, touched: &BTreeSet<Txid>) {
        if touched.is_empty() {
            return;
        }
        let classifier = self.classifier();
        let seen = touched.iter().filter_map(|txid| Some((*txid, self.view.transaction(txid)?)));
        let new: Vec<Entry> = seen.map(|(txid, seen)| classifier.entry(txid, seen)).collect();
        let (entries, heights) = (Arc::make_mut(&mut self.entries), Arc::make_mut(&mut self.heights));
        for txid in touched {
            if let Some(height) = heights.remove(txid) {
                entries.remove(&(height, *txid));
            }
        }
        for entry in new {
            let height = entry.height.unwrap_or(PENDING);
            heights.insert(entry.txid, height);
            entries.insert((height, entry.txid), entry);
        }
    }

    fn classifier(&self) -> Classifier<'_> {
        Classifier { view: &self.view, knowledge: &self.knowledge, markers: &self.markers }
    }

    /// The treasury that these are the books of.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
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

#[cfg(test)]
mod tests;
