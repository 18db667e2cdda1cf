//! The document under measurement: all that the benches of cost know of `crdt`.

use super::dataset::Entries;
use crate::measure::in_parallel;
use anyhow::{Context as _, Result, bail, ensure};
use crdt::fold::Fold;
use crdt::governance::Tally;
use crdt::testkit::facts;
use crdt::{Charter, Document, Height, Insert, Payload, Verifier};

/// A document and what it folds to.
pub(crate) struct Subject {
    tip: Height,
    verifier: Verifier,
    document: Document,
    fold: Fold,
}

impl Subject {
    /// From bytes to the folded state.
    pub(crate) fn cold(charter: &Charter, tip: Height, entries: &Entries) -> Result<Self> {
        let entries: Vec<&[u8]> = entries.iter().collect();
        let verifier = Verifier::new(charter);
        let mut document = Document::new(charter);
        for signed in in_parallel(&entries, |bytes| verifier.verify(bytes)) {
            ensure!(matches!(document.insert(signed?, tip), Insert::New(_)), "an entry was not taken");
        }
        let mut fold = Fold::new(charter, &facts(tip));
        fold.catch_up(&document);
        document.take_touched();
        Ok(Self { tip, verifier, document, fold })
    }

    /// One more ballot, and the count of the votes on its proposal with it.
    pub(crate) fn vote(&mut self, bytes: &[u8]) -> Result<Tally> {
        let signed = self.verifier.verify(bytes)?;
        let Payload::Ballot(ballot) = &signed.entry().payload else { bail!("no ballot") };
        let proposal = ballot.proposal;
        let insert = self.document.insert(signed, self.tip);
        ensure!(matches!(insert, Insert::New(_)), "a ballot was not taken");
        let touched = self.document.take_touched();
        self.fold.follow(&self.document, touched);
        let state = self.fold.state();
        let proposal = state.proposals.get(&proposal).context("a ballot on no proposal")?;
        Ok(Tally::count(state, proposal))
    }

    /// Ballots that count.
    pub(crate) fn ballots(&self) -> usize {
        self.fold.state().proposals.values().map(|proposal| proposal.ballots.len()).sum()
    }
}
