//! Which transaction a request names: built from this node's own document and chain, and judged by the
//! policy. Nothing of it comes from whoever asks but the names, the block and the price.

use super::Node;
use super::ask::{Ask, Quote};
use bitcoin::OutPoint;
use crdt::certificate::Decidable;
use crdt::governance::{Budget, Disburse, Effect};
use crdt::limits::WINDOW;
use crdt::state::ProposalState;
use crdt::{Certificate, Certified, EntryId, Height, MemberId, ProposalId};
use std::sync::Arc;
use threshold::sign::Refusal;
use wallet::fee::{self, Bounds};
use wallet::policy::Terms;
use wallet::spend::{self, Bill};
use wallet::{CheckedTx, Outline, Params, View, anchor, policy};

/// All that a transaction follows from.
#[derive(Debug)]
pub(super) struct Recipe {
    outline: Outline,
    view: Arc<View>,
    params: Params,
    terms: Terms,
}

impl Recipe {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.view, &other.view)
            && (&self.outline, &self.params, &self.terms) == (&other.outline, &other.params, &other.terms)
    }
}

impl Node {
    /// Build the transaction that `ask` names and let the policy judge it.
    pub(super) fn check_transaction(&self, ask: &Ask) -> Result<CheckedTx, Refusal> {
        let quote = ask.quote().ok_or_else(|| Refusal::new("transaction", "a transaction", "none"))?;
        self.check_chain()?;
        if self.is_reading() {
            return Err(Refusal::new("treasury", "the coins of all keys", "they are being read"));
        }
        let tip = self.tip_height();
        if tip != quote.height {
            return Err(Refusal::new(
                "same tip",
                format!("height {tip}"),
                format!("height {}", quote.height),
            ));
        }
        let view = self.view().map_err(|error| Refusal::new("treasury", "a treasury", error.to_string()))?;
        if view.tip() != tip {
            let found = format!("height {}", view.tip());
            return Err(Refusal::new("treasury at the tip", format!("height {tip}"), found));
        }
        if let Ask::Seal { .. } | Ask::Sweep { .. } | Ask::LateSweep { .. } = ask {
            return self.check_succession(ask);
        }
        let outline = self.outline(ask, &view)?;
        let apart = self.apart();
        if let Some(coin) = outline.first().find(|first| apart.contains(first)) {
            let found = format!("{coin}, which is still to be swept");
            return Err(Refusal::new("coins of this epoch", "coins of the present key", found));
        }
        let params = self.params(ask, quote, &outline, &view)?;
        self.build(Recipe { outline, view, params, terms: self.terms() })
    }

    /// Build a transaction and let the policy judge it. Both are functions of the recipe alone, so the same
    /// is not worked out again at each tick, nor for each round of one ceremony.
    fn build(&self, recipe: Recipe) -> Result<CheckedTx, Refusal> {
        if let Some((_, built)) = self.built.borrow().as_ref().filter(|(of, _)| of.is_same(&recipe)) {
            return Ok(built.clone());
        }
        let Recipe { outline, view, params, terms } = &recipe;
        let unsigned = spend::fund(outline, view, params).map_err(|error| {
            Refusal::new("payment can be built", "enough confirmed coins", error.to_string())
        })?;
        let checked = policy::judge(&unsigned.transaction, outline, view, terms).map_err(|violation| {
            Refusal::new("payment policy", "a payment that every rule allows", violation.to_string())
        })?;
        *self.built.borrow_mut() = Some((recipe, checked.clone()));
        Ok(checked)
    }

    fn terms(&self) -> Terms {
        Terms { fee: self.fee_bounds(), apart: self.apart() }
    }

    /// What this node lets a transaction pay: the charter's caps, and its own estimate from both sides.
    pub(super) fn fee_bounds(&self) -> Bounds {
        Bounds { cap: self.charter.fee_cap.clone(), estimate: self.decisions.fee_rate() }
    }

    fn params(&self, ask: &Ask, quote: Quote, outline: &Outline, view: &View) -> Result<Params, Refusal> {
        let except = match ask {
            Ask::Payment { decision, .. } | Ask::Bump(decision, _) | Ask::Closing(decision, _) => {
                Some(decision)
            }
            _ => None,
        };
        let bump = self.bump(ask, outline);
        if bump > fee::BUMPS_MAX {
            let found = format!("{bump} versions before it");
            return Err(Refusal::new("bumps", format!("at most {} replacements", fee::BUMPS_MAX), found));
        }
        Ok(Params {
            lock_height: quote.height,
            fee_rate: Some(quote.fee_rate),
            cap: self.charter.fee_cap.clone(),
            bump,
            avoid: anchor::confirmed_tips(view, &self.unsettled(except)),
            apart: self.apart(),
        })
    }

    /// Which version this is: how many of the same this node has ever seen, in the mempool or as its own
    /// work. A first version is 0, whatever came before it and is gone.
    fn bump(&self, ask: &Ask, outline: &Outline) -> u32 {
        if matches!(ask, Ask::Payment { .. }) {
            return 0;
        }
        let seen = self.treasury.iter().flat_map(|treasury| {
            outline.first().next().map(|first| treasury.spends_of(first)).unwrap_or_default()
        });
        let versions = seen.filter(|before| outline.is_form_of(before)).count();
        u32::try_from(versions.max(1)).unwrap_or(u32::MAX)
    }

    /// What the transaction has to be, and whether it is time for it.
    fn outline(&self, ask: &Ask, view: &View) -> Result<Outline, Refusal> {
        let none = |why: spend::NoOutline| {
            Refusal::new("payment policy", "a decision that can be paid now", why.to_string())
        };
        match ask {
            Ask::Payment { decision, .. } | Ask::Bump(decision, _) => {
                self.may_pay(decision)?;
                if self.leaving_by(decision).is_some() {
                    return self.exit_outline(decision, view);
                }
                let proposal = self.proven(decision)?;
                let paid = match (&proposal.proposal.effect, proposal.spend()) {
                    (Effect::Distribute(effect), _) => {
                        spend::payment(&self.certified(proposal, effect)?, view)
                    }
                    (_, Some(chosen)) => spend::payment(&self.certified(proposal, chosen)?, view),
                    _ => return Err(Refusal::new("payment", "a decision that pays", "one that does not")),
                };
                paid.map_err(none)
            }
            Ask::Closing(decision, _) => {
                self.may_close(decision)?;
                if self.leaving_by(decision).is_none() {
                    self.proven(decision)?;
                }
                let line = self.line_of(decision);
                let line =
                    line.ok_or_else(|| Refusal::new("closing move", "a decision with a lineage", "none"))?;
                spend::closing(view, *decision, line).map_err(none)
            }
            Ask::Draw(entry, quote) => self.draw_outline(*entry, quote.height, view),
            Ask::Renewal(_) => {
                let tips = anchor::confirmed_tips(view, &self.unsettled(None));
                spend::renewal(view, self.recovery_delay(), &tips, &self.apart()).map_err(none)
            }
            Ask::KeyTest
            | Ask::Founding
            | Ask::Certificate(_)
            | Ask::NextTest(_)
            | Ask::Seal { .. }
            | Ask::Sweep { .. }
            | Ask::LateSweep { .. } => Err(Refusal::new("transaction", "a transaction", "none")),
        }
    }

    pub(super) fn recovery_delay(&self) -> Height {
        Height::from(self.charter.recovery.delay)
    }

    fn draw_outline(&self, entry: EntryId, height: Height, view: &View) -> Result<Outline, Refusal> {
        let (budget, author, disburse, said) = self.bill(&entry)?;
        self.may_draw(&budget)?;
        let proposal = self.proven(&budget)?;
        let Effect::Budget(effect) = &proposal.proposal.effect else {
            return Err(Refusal::new("budget", "a budget", "another proposal"));
        };
        let certified: Certified<Budget> = self.certified(proposal, effect)?;
        let bill = Bill { id: entry, author, height: said, disburse: &disburse };
        spend::draw(&certified, &bill, view, height)
            .map_err(|why| Refusal::new("payment policy", "a draw that the budget allows", why.to_string()))
    }

    /// A Disburse entry that the fold counts: budget, author, what it asks for, the height it claims.
    fn bill(&self, entry: &EntryId) -> Result<(ProposalId, MemberId, Disburse, Height), Refusal> {
        let mut all = self.state().proposals.iter();
        let found = all.find_map(|(id, proposal)| {
            let ((author, _), draw) = proposal.draws.iter().find(|(_, draw)| draw.entry == *entry)?;
            let (outputs, reason) = (draw.outputs.clone(), draw.reason.clone());
            Some((*id, *author, Disburse { budget: *id, outputs, reason }, draw.height))
        });
        found.ok_or_else(|| Refusal::new("draw", "a bill in this node's document", "none of this name"))
    }

    /// The proposal, if it has a certificate.
    fn proven(&self, decision: &ProposalId) -> Result<&ProposalState, Refusal> {
        let proposal = self.state().proposals.get(decision);
        proposal.filter(|proposal| proposal.certificate().is_some()).ok_or_else(missing)
    }

    /// The decision with its certificate, verified here and now.
    fn certified<E: Decidable + Clone>(
        &self,
        proposal: &ProposalState,
        effect: &E,
    ) -> Result<Certified<E>, Refusal> {
        self.verified(effect.clone(), proposal.certificate().cloned().ok_or_else(missing)?)
    }

    /// What `certificate` decides, verified here and now.
    pub(super) fn verified<E: Decidable>(
        &self,
        effect: E,
        certificate: Certificate,
    ) -> Result<Certified<E>, Refusal> {
        let key = self.state().key_of(certificate.body.epoch).ok_or_else(missing)?;
        Certified::verify(effect, certificate, self.guild, key)
            .map_err(|error| Refusal::new("certificate", "a valid certificate", error.to_string()))
    }

    /// Whether a payment of it may be signed now: the delay is over, the window is not, nobody cancelled it.
    fn may_pay(&self, decision: &ProposalId) -> Result<(), Refusal> {
        self.may_draw(decision)?;
        let (tip, end) = (self.tip_height(), self.payable_until(decision));
        if tip > end {
            let found = format!("height {tip}");
            return Err(Refusal::new("expiry", format!("height {end} at the latest"), found));
        }
        Ok(())
    }

    fn may_draw(&self, decision: &ProposalId) -> Result<(), Refusal> {
        let tip = self.tip_height();
        let from = self.executable_from(decision).unwrap_or(Height::MAX);
        if tip < from {
            return Err(Refusal::new("delay", format!("height {from} or later"), format!("height {tip}")));
        }
        match self.cancelled_by(decision) {
            Some(by) => Err(Refusal::new("cancel", "a decision that stands", format!("cancelled by {by}"))),
            None => Ok(()),
        }
    }

    fn may_close(&self, decision: &ProposalId) -> Result<(), Refusal> {
        if self.to_be_closed(decision) {
            return Ok(());
        }
        let end = self.payable_until(decision);
        let expected = format!("a certified cancel, or a tip above {end}");
        Err(Refusal::new("closing move", expected, format!("height {}", self.tip_height())))
    }

    /// Whether co-signers end this decision without a vote: it is cancelled, or was not paid in time. A
    /// budget does not expire like that: its end is part of it.
    pub(super) fn to_be_closed(&self, decision: &ProposalId) -> bool {
        let expired = self.tip_height() > self.payable_until(decision);
        self.cancelled_by(decision).is_some() || expired
    }

    /// The height above which no payment of it is signed.
    pub(super) fn payable_until(&self, decision: &ProposalId) -> Height {
        let is_budget = self
            .state()
            .proposals
            .get(decision)
            .is_some_and(|proposal| matches!(proposal.proposal.effect, Effect::Budget(_)));
        let from = self.executable_from(decision).unwrap_or(Height::MAX);
        if is_budget { Height::MAX } else { from.saturating_add(WINDOW) }
    }

    /// The certified decision that cancels it.
    pub(super) fn cancelled_by(&self, decision: &ProposalId) -> Option<ProposalId> {
        self.state().cancelled(decision)
    }
}

fn missing() -> Refusal {
    Refusal::new("certificate", "a decision certified by the group key", "no certificate")
}

/// The transaction in the mempool that spends a coin which `checked` adds: it has to confirm first.
pub(super) fn in_flight(checked: &CheckedTx, view: &View) -> Option<(OutPoint, bitcoin::Txid)> {
    let added = checked.transaction().input.iter().skip(1);
    let mut coins = added.filter_map(|input| view.coin(&input.previous_output));
    coins.find_map(|coin| {
        let spender = coin.spent.filter(|spender| spender.height.is_none())?;
        Some((coin.outpoint, spender.txid))
    })
}
