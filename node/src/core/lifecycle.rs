//! The life of what was signed (§9): when a version is replaced by a dearer one, when a decision is closed,
//! when draws and renewals are due. All of it follows from the document, the chain and the mempool; nothing
//! else is remembered, so that a node which starts anew goes on where it was.

use super::Node;
use super::ask::{Ask, Quote};
use crdt::governance::Effect;
use crdt::state::ProposalState;
use crdt::{EntryId, Height, ProposalId};
use std::collections::BTreeSet;
use wallet::fee;
use wallet::spend::{self, Price};
use wallet::{Lineage, View, anchor};

/// Blocks that a transaction waits for its own before it is replaced by a dearer one, whatever the
/// estimate says.
pub(super) const BUMP_AFTER: Height = 6;
/// Blocks after which it is replaced if it pays less than is estimated now.
pub(super) const BUMP_EARLY: Height = 2;
/// Rounds in which the rate of a replacement is raised until it replaces: its size may change with it.
const ROUNDS: usize = 3;

impl Node {
    /// Block and price of what is asked now.
    pub(super) fn quote(&self) -> Quote {
        Quote { height: self.tip_height(), fee_rate: self.fee_rate() }
    }

    /// The replacement that is due for a version in the mempool.
    pub(super) fn bump_due(&self, old: &bitcoin::Transaction, ask: impl Fn(Quote) -> Ask) -> Option<Ask> {
        let view = self.view().ok()?;
        let seen = view.transaction(&old.compute_txid())?;
        let price = Price::of(&view, seen);
        let waited = self.tip_height().saturating_sub(old.lock_time.to_consensus_u32());
        let cheap = price.rate() < self.fee_rate();
        if waited < BUMP_EARLY || waited < BUMP_AFTER && !cheap {
            return None;
        }
        let mut rate = spend::rate_above(&price, price.vsize, self.fee_rate());
        for _ in 0..ROUNDS {
            let bounded = self.fee_bounds().rate(rate);
            let ask = ask(Quote { height: self.tip_height(), fee_rate: bounded });
            let built = self.check_transaction(&ask).ok()?;
            let vsize = fee::signed_vsize(built.transaction());
            if built.fee().to_sat() == vsize.saturating_mul(bounded) {
                return Some(ask); // signers who do not see the old version build the same
            }
            rate = built.fee().to_sat().div_ceil(vsize.max(1));
        }
        None
    }

    /// The bump of a payment in the mempool, or the closing move that takes its place.
    pub(super) fn replacement_due(&self, id: &ProposalId, txid: bitcoin::Txid) -> Option<Ask> {
        if self.to_be_closed(id) {
            return self.closing_due(id);
        }
        let view = self.view().ok()?;
        let old = &view.transaction(&txid)?.transaction;
        self.bump_due(old, |quote| Ask::Bump(*id, quote))
    }

    /// The closing move of a decision that expired or was cancelled, or a dearer version of it.
    pub(super) fn closing_due(&self, id: &ProposalId) -> Option<Ask> {
        let view = self.view().ok()?;
        let outline = spend::closing(&view, *id, self.line_of(id)?).ok()?;
        let Some((txid, price)) = Price::in_the_way(&view, &outline) else {
            return self.first_version(Ask::Closing(*id, self.quote()));
        };
        let old = &view.transaction(&txid)?.transaction;
        if outline.is_form_of(old) {
            return self.bump_due(old, |quote| Ask::Closing(*id, quote));
        }
        let rate = self.fee_bounds().rate(spend::rate_above(&price, price.vsize, self.fee_rate()));
        self.first_version(Ask::Closing(*id, Quote { fee_rate: rate, ..self.quote() }))
    }

    /// `ask`, if all that it takes is there now.
    fn first_version(&self, ask: Ask) -> Option<Ask> {
        self.check_transaction(&ask).ok().map(|_| ask)
    }

    /// The draws that are due: of each budget the first bill that is not paid and can be.
    pub(super) fn due_draws(&self) -> Vec<Ask> {
        let Ok(view) = self.view() else { return Vec::new() };
        let budgets = self.state().proposals.iter();
        budgets.filter_map(|(id, proposal)| self.draw_due(&view, *id, proposal)).collect()
    }

    fn draw_due(&self, view: &View, id: ProposalId, proposal: &ProposalState) -> Option<Ask> {
        let Effect::Budget(budget) = &proposal.proposal.effect else { return None };
        if proposal.certificate().is_none() || proposal.draws.is_empty() || self.to_be_closed(&id) {
            return None;
        }
        let drawn = anchor::draws(view, id, budget.anchor, anchor::CONFIRMED);
        let Lineage::Open { tip } = drawn.lineage else { return None };
        let paid: BTreeSet<EntryId> = drawn.drawn.iter().map(|draw| draw.disburse).collect();
        let spender = view.coin(&tip)?.spent;
        if let Some(spender) = spender {
            let waiting = anchor::draws(view, id, budget.anchor, anchor::MEMPOOL);
            let drawn = waiting.drawn.iter().find(|draw| draw.txid == spender.txid)?;
            let old = &view.transaction(&spender.txid)?.transaction;
            return self.bump_due(old, |quote| Ask::Draw(drawn.disburse, quote));
        }
        let mut bills: Vec<_> = proposal.draws.values().filter(|bill| !paid.contains(&bill.entry)).collect();
        bills.sort_by_key(|bill| (bill.height, bill.entry));
        bills.into_iter().find_map(|bill| self.first_version(Ask::Draw(bill.entry, self.quote())))
    }

    /// The renewal that is due, if a coin is old, or a dearer version of it.
    pub(super) fn renewal_due(&self) -> Option<Ask> {
        let view = self.view().ok()?;
        let tips = anchor::confirmed_tips(&view, &self.unsettled(None));
        let outline = spend::renewal(&view, self.recovery_delay(), &tips, &self.apart()).ok()?;
        match Price::in_the_way(&view, &outline) {
            None => self.first_version(Ask::Renewal(self.quote())),
            Some((txid, _)) => {
                let old = &view.transaction(&txid)?.transaction;
                self.bump_due(old, Ask::Renewal).filter(|_| outline.is_form_of(old))
            }
        }
    }

    /// Spends of the treasury that nobody decided, as far as we know what was: a node that still asks others
    /// for what was said raises no alarm.
    pub(super) fn look_for_foreign_spends(&mut self) {
        let Ok(view) = self.view() else { return };
        let waiting = self.treasury.as_ref().map(wallet::Treasury::unconfirmed).unwrap_or_default();
        let now = (view.tip_hash(), waiting.iter().map(|waiting| waiting.compute_txid()).collect());
        if self.recovery.is_some() || self.alarms_at.as_ref() == Some(&now) {
            return; // a poll that brought nothing
        }
        self.alarms_at = Some(now);
        let lines = self.lines(|_, _| true);
        let mut found = wallet::alarm::foreign(&view, &lines);
        let seals = self.treasury.iter().chain(self.vaults.values()).flat_map(wallet::Treasury::seals);
        let seals: BTreeSet<_> =
            seals.filter_map(|seal| Some(seal.spent?.transaction.compute_txid())).collect();
        found.retain(|found| found.recovery || !seals.contains(&found.txid));
        for new in found.iter().filter(|new| self.alarms.iter().all(|known| known.txid != new.txid)) {
            tracing::error!(target: "guild::wallet", "ALARM: {new}");
            self.effects.push_back(super::Effect::Alarm(new.to_string()));
        }
        self.alarms = found;
    }
}
