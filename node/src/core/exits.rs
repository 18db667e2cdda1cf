//! Exits (§7, §9): certified by the cooling rule, paid from the lineage of the guild anchor, once for each
//! member key.

use super::Node;
use super::ask::{Ask, Quote};
use crdt::certificate::Certified;
use crdt::governance::{Exit, exit_id};
use crdt::state::ExitState;
use crdt::{Certificate, MemberId, ProposalId};
use std::collections::BTreeMap;
use threshold::sign::Refusal;
use wallet::ledger::Decision;
use wallet::spend::{self, Order};
use wallet::{Line, Lineage, Outline, View, anchor};

impl Node {
    /// Exits that are certified: who leaves, what it pays, and the proof.
    fn granted(&self) -> impl Iterator<Item = (ProposalId, MemberId, Exit, &Certificate)> {
        self.state().exits.iter().filter_map(|(member, exit)| {
            let (claim, pays) = self.state().granted(member)?;
            let body = pays.body(self.guild, self.state().epoch, claim.height);
            let proofs = exit.certificates.values().filter(|proof| proof.body == body);
            let proof = proofs.min_by(|one, other| one.signature.cmp(&other.signature))?;
            Some((exit_id(self.guild, member), *member, pays, proof))
        })
    }

    /// The ids of exits that are certified.
    pub(super) fn granted_ids(&self) -> Vec<ProposalId> {
        self.granted().map(|(id, ..)| id).collect()
    }

    /// The lineages of exits that are certified: all begin at the guild anchor. None before there is one.
    pub(super) fn exit_lines(&self) -> BTreeMap<ProposalId, Line> {
        let ids = self.granted_ids();
        if ids.is_empty() {
            return BTreeMap::new(); // looking for the anchor goes through all coins
        }
        let anchor = self.view().ok().and_then(|view| anchor::guild(&view));
        anchor.map_or_else(BTreeMap::new, |anchor| {
            ids.into_iter().map(|id| (id, Line::Once { anchor })).collect()
        })
    }

    /// What an exit is in the books.
    pub(super) fn exit_decisions(&self) -> BTreeMap<ProposalId, Decision> {
        let lines = self.exit_lines();
        let named = self.granted().filter_map(|(id, member, ..)| {
            let title = format!("exit of {}", self.name(&member));
            let category = Some(crdt::category::Category::Distribution);
            Some((id, Decision { line: *lines.get(&id)?, title, category }))
        });
        named.collect()
    }

    /// What the payment of an exit has to be.
    pub(super) fn exit_outline(&self, id: &ProposalId, view: &View) -> Result<Outline, Refusal> {
        let mut granted = self.granted();
        let found = granted.find(|(known, ..)| known == id);
        let (_, _, exit, proof) =
            found.ok_or_else(|| Refusal::new("certificate", "an exit certified by the group key", "none"))?;
        let certified: Certified<Exit> = self.verified(exit, proof.clone())?;
        let anchor = anchor::guild(view).ok_or_else(|| {
            Refusal::new("guild anchor", "an output to an external address, 10,000 sat, buried", "none yet")
        })?;
        spend::payment(Order::exit(&certified, anchor), view)
            .map_err(|why| Refusal::new("payment policy", "an exit that can be paid now", why.to_string()))
    }

    /// Whether an exit ended, buried: then nothing of it is promised any more.
    pub(super) fn exit_ended(&self, view: &View, id: &ProposalId) -> bool {
        let Some(anchor) = anchor::guild(view) else { return false };
        let stands = Line::Once { anchor }.follow(view, *id, anchor::BURIED);
        matches!(stands, Lineage::Paid(_) | Lineage::Closed(_) | Lineage::Lost(_))
    }

    /// What is due for exits: a certificate, a payment, its replacement, or a closing move.
    pub(super) fn due_exits(&self) -> impl Iterator<Item = Ask> {
        self.state().exits.iter().filter_map(|(member, exit)| self.due_for_exit(member, exit))
    }

    fn due_for_exit(&self, member: &MemberId, exit: &ExitState) -> Option<Ask> {
        let id = exit_id(self.guild, member);
        if exit.certificates.is_empty() {
            return self.judge(&id).is_ok().then_some(Ask::Certificate(id));
        }
        let view = self.view().ok()?;
        let line = Line::Once { anchor: anchor::guild(&view)? };
        match line.follow(&view, id, anchor::MEMPOOL) {
            Lineage::Paid(end) if end.height.is_none() => self.replacement_due(&id, end.txid),
            Lineage::Closed(end) if end.height.is_none() => self.closing_due(&id),
            Lineage::Open { .. } if self.to_be_closed(&id) => self.closing_due(&id),
            Lineage::Open { .. } if !self.decisions.payments.contains_key(&id) => {
                let Quote { height, fee_rate } = self.quote();
                let ask = Ask::Payment { decision: id, height, fee_rate };
                let checked = self.check_transaction(&ask).ok()?;
                super::payments::in_flight(&checked, &view).is_none().then_some(ask)
            }
            _ => None,
        }
    }
}
