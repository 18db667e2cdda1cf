//! Decisions that this node holds proof of. Whoever proposed one, or showed its certificate, may fork its
//! own chain later and take both out of the document; then every node that held them says them again, so
//! that nothing un-decides (V5).

use super::{Effect, Node};
use crate::journal::Record;
use crdt::{Certificate, EntryId, Height, Payload, ProposalId, Signed};

/// A decision and its proof.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    certificate: Certificate,
    proposal: Signed,
}

impl Node {
    /// Keep what proves the decision `id`, durably: once.
    pub(super) fn keep_decided(&mut self, id: ProposalId) {
        let certificate =
            self.state().proposals.get(&id).and_then(|proposal| proposal.certificate()).cloned();
        let proposal = self.document.find(EntryId(id.0)).cloned();
        let Some((certificate, proposal)) = certificate.zip(proposal) else { return };
        if self.decided.contains_key(&id) {
            return;
        }
        self.effects.push_back(Effect::Journal(Record::Decided {
            certificate: certificate.clone(),
            proposal: proposal.to_bytes(),
        }));
        self.decided.insert(id, Decided { certificate, proposal });
    }

    /// What the journal remembers of decisions.
    pub(super) fn recall_decided(&mut self, records: &[Record]) {
        let verifier = self.document.verifier();
        for record in records {
            let Record::Decided { certificate, proposal } = record else { continue };
            if let Ok(proposal) = verifier.verify(proposal) {
                let decided = Decided { certificate: certificate.clone(), proposal };
                self.decided.insert(certificate.body.proposal, decided);
            }
        }
    }

    /// Say again what is decided and no more in the document.
    pub(super) fn say_decided_again(&mut self) {
        if !self.decided_may_lack || self.tip.is_none() || self.recovery.is_some() {
            return;
        }
        self.decided_may_lack = false;
        let proven = |id: &ProposalId| {
            self.state().proposals.get(id).is_some_and(|proposal| proposal.certificate().is_some())
        };
        let lacking: Vec<Decided> =
            self.decided.iter().filter(|(id, _)| !proven(id)).map(|(_, decided)| decided.clone()).collect();
        for Decided { certificate, proposal } in lacking {
            let id = certificate.body.proposal;
            tracing::warn!(target: "guild::core", decision = %id.short(), "a fork took its proof: said again");
            self.say_or_log(Payload::Certificate(certificate));
            if let crdt::Insert::New(new) = self.document.insert(proposal, Height::MAX) {
                self.keep(new); // the certificate names it: it counts again
            }
            self.follow_document();
        }
    }
}
