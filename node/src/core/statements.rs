//! What this node saw in time, and what it says of it when votes close (§7). First-seen heights are kept in
//! the journal at once; a statement is written once and never again, whatever becomes of the chain.

use super::{Effect, Node};
use crate::journal::Record;
use crdt::governance::{Local, closes_due, statement};
use crdt::{EntryId, Height, Payload, ProposalId, Signed};
use std::collections::BTreeMap;

/// First-seen heights: this node's own observations.
#[derive(Debug, Default)]
pub(super) struct Seen {
    at: BTreeMap<EntryId, Height>,
    /// The highest tip ever: a reorg does not reopen what was over.
    highest: Height,
}

impl Seen {
    /// What the journal remembers. Our own entries tell how high our tip was, too.
    pub(super) fn from_records(records: &[Record], own: &[Signed]) -> Self {
        let mut seen = Self::default();
        for record in records {
            if let Record::Seen { height, entries } = record {
                seen.highest = seen.highest.max(*height);
                for entry in entries {
                    seen.at.entry(*entry).or_insert(*height);
                }
            }
        }
        let said = own.iter().map(|signed| signed.entry().height).max().unwrap_or_default();
        seen.highest = seen.highest.max(said);
        seen
    }
}

/// What a statement may name, and what clocks start from.
fn is_observed(signed: &Signed) -> bool {
    let payload = &signed.entry().payload;
    matches!(
        payload,
        Payload::Propose(_) | Payload::Ballot(_) | Payload::Delegate { .. } | Payload::Exit { .. }
    )
}

impl Node {
    /// Whether our tip is near enough to the present to say what is in time.
    pub(super) fn is_fresh(&self) -> bool {
        self.tip.is_some() && self.chain_fresh()
    }

    /// The highest tip this node ever had.
    pub(super) fn highest_tip(&self) -> Height {
        self.seen.highest.max(self.tip_height())
    }

    /// Remember when entries came, durably, before anything follows from them.
    pub(super) fn observe<'a>(&mut self, new: impl IntoIterator<Item = &'a Signed>) {
        if !self.is_fresh() {
            return;
        }
        let height = self.highest_tip();
        let known = |signed: &&Signed| is_observed(signed) && !self.seen.at.contains_key(&signed.id());
        let entries: Vec<EntryId> = new.into_iter().filter(known).map(Signed::id).collect();
        if entries.is_empty() {
            return;
        }
        self.seen.at.extend(entries.iter().map(|entry| (*entry, height)));
        self.effects.push_back(Effect::Journal(Record::Seen { height, entries }));
    }

    /// Say what we saw of the votes that are over now, if the tip or the document moved.
    pub(super) fn speak_of_closes(&mut self) {
        let Some(tip) = self.tip else { return };
        if self.recovery.is_some() || !std::mem::take(&mut self.closes_may_be_due) {
            return;
        }
        self.seen.highest = self.seen.highest.max(tip.height);
        self.observe_exits();
        let (due, fresh) = (closes_due(self.state(), &self.me, self.seen.highest), self.is_fresh());
        for close in due {
            let parts = statement(self.state(), close, fresh, |entry| self.seen.at.get(entry).copied());
            for part in parts {
                self.say_or_log(Payload::CloseStatement(part));
            }
        }
    }

    /// An exit that came while we were not fresh cools from when we are.
    fn observe_exits(&mut self) {
        let claims = self.state().exits.values().flat_map(|exit| exit.claims.values());
        let unseen = claims.map(|claim| claim.entry).filter(|entry| !self.seen.at.contains_key(entry));
        let unseen: Vec<Signed> = unseen.filter_map(|entry| self.document.find(entry).cloned()).collect();
        self.observe(&unseen);
    }

    /// What this node knows itself about the proposal or exit `id`.
    pub(super) fn local(&self, id: &ProposalId) -> Local {
        let claim = self.leaving_by(id).and_then(|member| Some(self.state().claim(&member)?.0.entry));
        let entry = claim.unwrap_or(EntryId(id.0));
        Local { me: Some(self.me), tip: self.highest_tip(), first_seen: self.seen.at.get(&entry).copied() }
    }
}
