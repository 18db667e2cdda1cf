//! The document under measurement: all that the benches of cost know of `crdt`.

use super::dataset::Entries;
use crate::measure::in_parallel;
use anyhow::{Context as _, Result, bail, ensure};
use crdt::governance::Tally;
use crdt::testkit::facts;
use crdt::{ChainFacts, Charter, Document, Folded, Height, Insert, Payload, Signed, fold};

/// A document and what it folds to.
pub(crate) struct Subject {
    charter: Charter,
    facts: ChainFacts,
    document: Document,
    folded: Folded,
}

impl Subject {
    /// From bytes to the folded state.
    pub(crate) fn cold(charter: &Charter, tip: Height, entries: &Entries) -> Result<Self> {
        let entries: Vec<&[u8]> = entries.iter().collect();
        let guild = charter.id();
        let mut document = Document::new(guild, charter.founders.iter().map(|founder| founder.key));
        for signed in in_parallel(&entries, |bytes| Signed::verify(bytes, guild)) {
            ensure!(matches!(document.insert(signed?, tip), Insert::New(_)), "an entry was not taken");
        }
        let facts = facts(tip);
        let folded = fold(charter, &document, &facts);
        Ok(Self { charter: charter.clone(), facts, document, folded })
    }

    /// One more ballot, and the count of the votes on its proposal with it.
    pub(crate) fn vote(&mut self, bytes: &[u8]) -> Result<Tally> {
        let signed = Signed::verify(bytes, self.document.guild())?;
        let Payload::Ballot(ballot) = &signed.entry().payload else { bail!("no ballot") };
        let proposal = ballot.proposal;
        let insert = self.document.insert(signed, self.facts.height);
        ensure!(matches!(insert, Insert::New(_)), "a ballot was not taken");
        self.folded = fold(&self.charter, &self.document, &self.facts);
        let state = &self.folded.state;
        let proposal = state.proposals.get(&proposal).context("a ballot on no proposal")?;
        Ok(Tally::count(state, proposal))
    }

    /// Ballots that count.
    pub(crate) fn ballots(&self) -> usize {
        self.folded.state.proposals.values().map(|proposal| proposal.ballots.len()).sum()
    }
}
