//! The treasury's side of the node: blocks in, payments checked and finished.

use super::keygen::EPOCH;
use super::{Effect, Node, Tip};
use crate::chain::Update;
use crate::error::{Code, Failure, Outcome};
use crate::journal::Record;
use bitcoin::OutPoint;
use crdt::governance::{self, Proposal, Spend};
use crdt::state::ProposalState;
use crdt::{Certified, ChainFacts, Height, Payload, ProposalId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::sign::Refusal;
use wallet::chain::NewBlock;
use wallet::{ChangeSet, CheckedTx, Lineage, Params, Treasury, View, anchor, policy, spend};

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
        self.chain_lost = None;
        self.decisions.set_fee_rate(update.fee_rate);
        let moved = self.tip.map(|tip| tip.hash) != Some(update.tip.1) || !update.blocks.is_empty();
        self.view.take();
        if let Some(treasury) = &mut self.treasury {
            for NewBlock { block, height, connected_to } in &update.blocks {
                if let Err(error) = treasury.apply_block(block, *height, *connected_to) {
                    tracing::warn!(target: "guild::wallet", %error, "asking for blocks anew");
                    self.follow_anew = true;
                    return;
                }
            }
            treasury.apply_mempool(update.mempool.seen, update.mempool.evicted);
        }
        self.keep_wallet();
        if moved {
            self.tip = Some(Tip { height: update.tip.0, hash: update.tip.1 });
            let released = self.document.tip_reached(update.tip.0);
            self.keep(released);
            self.follow_document();
            self.follow_chain();
        }
    }

    /// What the fold may know: the wallet's block if there is a wallet, else our tip.
    pub(super) fn facts(&self) -> ChainFacts {
        let birth = &self.charter.birth;
        if let Ok(view) = self.view() {
            return anchor::facts(&view, &self.spends(|_, _| true));
        }
        let (height, block_hash) = self.tip.map_or((birth.height, birth.hash), |tip| (tip.height, tip.hash));
        ChainFacts { height, block_hash, settled: BTreeMap::new() }
    }

    /// The spends of proposals that `wanted` picks.
    pub(super) fn spends(
        &self,
        wanted: impl Fn(&ProposalId, &ProposalState) -> bool,
    ) -> BTreeMap<ProposalId, Spend> {
        let proposals =
            self.document.chains().flat_map(|(_, chain)| chain.entries()).chain(self.document.adopted());
        let all = proposals.filter_map(|signed| match &signed.entry().payload {
            Payload::Propose(Proposal { effect: governance::Effect::Spend(spend), .. }) => {
                Some((ProposalId::from(signed.id()), spend.clone()))
            }
            _ => None,
        });
        let known = &self.fold.state().proposals;
        all.filter(|(id, _)| known.get(id).is_none_or(|proposal| wanted(id, proposal))).collect()
    }

    fn keep_wallet(&mut self) {
        if let Some(changes) = self.treasury.as_mut().and_then(Treasury::take_staged) {
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
        Ok(Arc::clone(self.view.get_or_init(|| Arc::new(treasury.view()))))
    }

    /// Where the lineage of a decision stands on our chain, mempool included.
    pub(super) fn lineage(&self, id: &ProposalId, proposal: &ProposalState) -> Option<Lineage> {
        let anchor = proposal.anchor()?;
        let view = self.view().ok()?;
        Some(anchor::lineage(&view, *id, anchor, anchor::MEMPOOL))
    }

    /// Coins that other decisions will have to spend: left alone where possible.
    fn reserved(&self, except: Option<&ProposalId>, view: &View) -> BTreeSet<OutPoint> {
        anchor::tips(view, &self.unsettled(except))
    }

    fn unsettled(&self, except: Option<&ProposalId>) -> BTreeMap<ProposalId, Spend> {
        self.spends(|id, proposal| Some(id) != except && proposal.settled.is_none() && !proposal.withdrawn)
    }

    /// A coin for a new proposal to name.
    pub(super) fn choose_anchor(&self) -> Outcome<OutPoint> {
        anchor::choose(&*self.view()?, &self.unsettled(None))
            .map_err(|error| Failure::new(Code::NotEnoughFunds, error.to_string()))
    }

    /// Build the payment of a decision from our own chain and let the policy judge it.
    pub(super) fn check_payment(
        &self,
        decision: ProposalId,
        height: Height,
        fee_rate: u64,
    ) -> Result<CheckedTx, Refusal> {
        let certified = self.certified(decision)?;
        let tip = self.tip_height();
        if tip != height {
            return Err(Refusal::new("same tip", format!("height {tip}"), format!("height {height}")));
        }
        let from = self.executable_from(&decision).unwrap_or(Height::MAX);
        if tip < from {
            return Err(Refusal::new("delay", format!("height {from} or later"), format!("height {tip}")));
        }
        let end = from.saturating_add(crdt::limits::WINDOW);
        if tip > end {
            return Err(Refusal::new(
                "expiry",
                format!("height {end} at the latest"),
                format!("height {tip}"),
            ));
        }
        let view = self.view().map_err(|error| Refusal::new("treasury", "a treasury", error.to_string()))?;
        if view.tip() != tip {
            let found = format!("height {}", view.tip());
            return Err(Refusal::new("treasury at the tip", format!("height {tip}"), found));
        }
        let avoid = self.reserved(Some(&decision), &view);
        let cap = self.charter.fee_cap.clone();
        let params = Params { lock_height: height, fee_rate: Some(fee_rate), cap, bump: 0, avoid };
        let unsigned = spend::build(&certified, &view, &params).map_err(|error| {
            Refusal::new("payment can be built", "enough confirmed coins", error.to_string())
        })?;
        policy::check(&unsigned.transaction, &certified, &view, &self.charter.fee_cap).map_err(|violation| {
            Refusal::new("payment policy", "a payment that every rule allows", violation.to_string())
        })
    }

    /// The decision with its certificate, verified here and now.
    fn certified(&self, decision: ProposalId) -> Result<Certified<Spend>, Refusal> {
        let missing =
            || Refusal::new("certificate", "a decision certified by the group key", "no certificate");
        let proposal = self.state().proposals.get(&decision).ok_or_else(missing)?;
        let certificate = proposal.certificate().cloned().ok_or_else(missing)?;
        let key = self.state().usable_key().ok_or_else(missing)?.ready.group_key;
        debug_assert_eq!(certificate.body.epoch, EPOCH);
        let nothing = || Refusal::new("payment", "a decision that pays", "one that does not");
        let spend = proposal.spend().ok_or_else(nothing)?.clone();
        Certified::verify(spend, certificate, self.guild, key)
            .map_err(|error| Refusal::new("certificate", "a valid certificate", error.to_string()))
    }

    /// Signatures are there: keep the payment, then send it.
    pub(super) fn finish_payment(&mut self, checked: &CheckedTx, signatures: &[[u8; 64]]) {
        let decision = checked.decision();
        match wallet::finish(checked, signatures) {
            Ok(payment) => {
                let transaction = bitcoin::consensus::serialize(&payment);
                self.effects.push_back(Effect::Journal(Record::Payment { decision, transaction }));
                self.effects.push_back(Effect::Broadcast(decision, payment.clone()));
                self.decisions.payments.insert(decision, payment);
            }
            Err(error) => {
                tracing::error!(target: "guild::wallet", decision = %decision.short(), %error, "cannot finish");
            }
        }
    }
}
