//! The treasury's side of the node: blocks in, payments checked and finished.

use super::{Effect, Node, Tip, keygen};
use crate::chain::Update;
use crate::error::{Code, Failure, Outcome};
use crate::journal::Record;
use bitcoin::OutPoint;
use crdt::governance;
use crdt::state::ProposalState;
use crdt::{ChainFacts, ProposalId};
use std::collections::BTreeMap;
use std::sync::Arc;
use wallet::{ChangeSet, CheckedTx, Line, Lineage, Treasury, View, anchor};

impl Node {
    /// Open the wallet of the group key, if there is one: from what was kept, else from nothing.
    pub(super) fn open_treasury(&mut self, kept: Option<ChangeSet>) -> Outcome<()> {
        let Some(key) = self.state().usable_key().map(|key| key.ready.group_key) else { return Ok(()) };
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot open the treasury", error);
        let loaded = kept.map(|kept| Treasury::load(&self.charter, key, kept));
        self.treasury = match loaded {
            Some(Ok(treasury)) => Some(treasury),
            Some(Err(why)) => {
                tracing::warn!(target: "guild::wallet", %why, "reading the treasury from the chain again");
                Some(Treasury::create(&self.charter, key).map_err(|error| fail(&error))?)
            }
            None => Some(Treasury::create(&self.charter, key).map_err(|error| fail(&error))?),
        };
        self.keep_wallet();
        self.view.take();
        self.follow_chain(); // from now on the state is told at the wallet's block
        Ok(())
    }

    pub(super) fn on_chain(&mut self, update: Update) {
        self.chain.answered(update.health);
        self.decisions.set_fee_rate(update.fee_rate);
        self.seats.news = true;
        let moved = self.tip.map(|tip| tip.hash) != Some(update.tip.1) || !update.found.is_empty();
        self.view.take();
        let treasuries = self.treasury.iter_mut().chain(self.vaults.values_mut());
        let applied = treasuries.map(|treasury| treasury.apply(update.found.clone()));
        if let Some(error) = applied.collect::<Vec<_>>().into_iter().find_map(Result::err) {
            tracing::warn!(target: "guild::wallet", %error, "asking for blocks anew");
            self.follow_anew = true;
            return;
        }
        self.keep_wallet();
        self.look_for_foreign_spends();
        if moved || self.chain.turned() {
            self.tip = Some(Tip { height: update.tip.0, hash: update.tip.1 });
            let released = self.document.tip_reached(update.tip.0);
            self.keep(released);
            self.follow_document();
            self.follow_chain();
            self.send_sweeps();
        }
    }

    /// Where a chain source takes up the thread: at the lowest of what we follow, with the scripts of all.
    pub(super) fn position(&self) -> Option<wallet::chain::Position> {
        let all = || self.treasury.iter().chain(self.vaults.values());
        let lowest = all().min_by_key(|treasury| treasury.tip().0)?;
        let mut position = self.treasury.as_ref()?.position();
        if !self.vaults.is_empty() {
            position.checkpoint = lowest.checkpoint();
            let scripts = all().flat_map(|treasury| treasury.position().scripts.to_vec());
            position.scripts = Arc::new(scripts.collect());
        }
        Some(position)
    }

    /// What the fold may know: the wallet's block if there is a wallet, else our tip. What ended is told as
    /// it was when the chain sources last agreed: a server that nobody checks settles nothing.
    pub(super) fn facts(&self) -> ChainFacts {
        let birth = &self.charter.birth;
        if let Ok(view) = self.view() {
            let facts = anchor::facts(&view, &self.lines(|_, _| true));
            return self.chain.agreed(ChainFacts { epochs: self.sealed_epochs(), ..facts });
        }
        let (height, block_hash) = self.tip.map_or((birth.height, birth.hash), |tip| (tip.height, tip.hash));
        ChainFacts { height, block_hash, settled: BTreeMap::new(), epochs: vec![] }
    }

    /// The lineages of all that was ever proposed to be paid, as far as `wanted` picks it, and of exits that
    /// are certified.
    pub(super) fn lines(
        &self,
        wanted: impl Fn(&ProposalId, &ProposalState) -> bool,
    ) -> BTreeMap<ProposalId, Line> {
        let known = &self.fold.state().proposals;
        let all = anchor::lines(&self.document).into_iter();
        let all = all.filter(|(id, _)| known.get(id).is_none_or(|proposal| wanted(id, proposal)));
        all.chain(self.exit_lines()).collect()
    }

    pub(super) fn keep_wallet(&mut self) {
        let first = self.state().key_of(keygen::EPOCH);
        for vault in self.vaults.values_mut().filter(|vault| Some(vault.key()) != first) {
            drop(vault.take_staged()); // read from the chain again after a restart
        }
        let mut all = self.treasury.iter_mut().chain(self.vaults.values_mut());
        let kept = all.find(|treasury| first.is_none_or(|first| treasury.key() == first));
        if let Some(changes) = kept.and_then(Treasury::take_staged) {
            self.effects.push_back(Effect::StoreWallet(Box::new(changes)));
        }
    }

    /// The fee rate a payment is built at now.
    pub(super) fn fee_rate(&self) -> u64 {
        let estimate = self.decisions.fee_rate().unwrap_or(wallet::fee::DEFAULT_RATE);
        estimate.clamp(1, self.charter.fee_cap.sat_per_vb)
    }

    /// The treasury as it is now: worked out once for each change of the chain.
    pub(super) fn view(&self) -> Outcome<Arc<View>> {
        let why = "there is no treasury yet: the group key is not ready on all co-signers";
        let treasury = self.treasury.as_ref().ok_or_else(|| Failure::new(Code::TryAgain, why))?;
        Ok(Arc::clone(self.view.get_or_init(|| {
            let (view, tip) = (treasury.view(), treasury.tip());
            // what is still being read shows nothing yet
            let others = self.vaults.values().filter(|vault| vault.tip() == tip).map(Treasury::view);
            let others: Vec<View> = others.collect();
            let view = if others.is_empty() { view } else { view.joined(&others) };
            Arc::new(view.with_frozen(self.state().frozen()))
        })))
    }

    /// Where the lineage of a decision stands on our chain, mempool included.
    pub(super) fn lineage(&self, id: &ProposalId, proposal: &ProposalState) -> Option<Lineage> {
        let line = line(&proposal.proposal.effect)?;
        Some(line.follow(&*self.view().ok()?, *id, anchor::MEMPOOL))
    }

    /// The lineage of a decision or an exit.
    pub(super) fn line_of(&self, id: &ProposalId) -> Option<Line> {
        let proposal = self.state().proposals.get(id);
        proposal.map_or_else(|| self.exit_lines().get(id).copied(), |known| line(&known.proposal.effect))
    }

    /// What is still to be paid, besides `except`.
    pub(super) fn unsettled(&self, except: Option<&ProposalId>) -> BTreeMap<ProposalId, Line> {
        let mut lines = self.lines(|_, proposal| proposal.settled.is_none() && !proposal.withdrawn);
        lines.retain(|id, _| Some(id) != except);
        lines
    }

    /// A coin for a new proposal to name.
    pub(super) fn choose_anchor(&self) -> Outcome<OutPoint> {
        anchor::choose(&*self.view()?, &self.unsettled(None))
            .map_err(|error| Failure::new(Code::NotEnoughFunds, error.to_string()))
    }

    /// Signatures are there: keep the transaction, then send it.
    pub(super) fn finish_payment(&mut self, checked: &CheckedTx, signatures: &[[u8; 64]]) {
        let about = ProposalId(crdt::Digest(checked.purpose().subject()));
        match wallet::finish(checked, signatures) {
            Ok(payment) => {
                let transaction = bitcoin::consensus::serialize(&payment);
                self.effects.push_back(Effect::Journal(Record::Payment { decision: about, transaction }));
                self.effects.push_back(Effect::Broadcast(about, payment.clone()));
                self.decisions.payments.insert(about, payment);
            }
            Err(error) => {
                tracing::error!(target: "guild::wallet", about = %about.short(), %error, "cannot finish");
            }
        }
    }
}

/// The lineage of what an effect decides to pay, if it does.
pub(super) fn line(effect: &governance::Effect) -> Option<Line> {
    Line::of(effect)
}
