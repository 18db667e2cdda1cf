//! What is due, and what to tell people about it. Judgements of this node, never part of the state (§5).

use super::Node;
use crate::core::ask::{Ask, Subject};
use crate::error::Outcome;
use crate::journal::Record;
use bitcoin::{Amount, Transaction};
use crdt::governance::{Effect, Funds, NotPassing, Tally, exit_id, judged_from};
use crdt::limits::DEPTH;
use crdt::rules::{ClassRule, Rule};
use crdt::state::{How, ProposalState};
use crdt::{Height, MemberId, ProposalId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use threshold::Timestamp;
use wallet::Lineage;

/// How often an unconfirmed payment is given to bitcoind again.
const REBROADCAST: Duration = Duration::from_secs(60);

/// What this node alone knows of decisions: from its journal.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// The height at which we first held the certificate.
    pub(super) certified_at: BTreeMap<ProposalId, Height>,
    /// Fully signed payments.
    pub(super) payments: BTreeMap<ProposalId, Transaction>,
    /// What we gave shares for, as the journal has it: said once each.
    pub(super) intents: BTreeSet<(ProposalId, bitcoin::Txid)>,
    /// Why bitcoind refused one.
    refused: BTreeMap<ProposalId, String>,
    next_broadcast: Timestamp,
    fee_rate: Option<u64>,
}

impl Local {
    pub(super) fn from_records(records: &[Record]) -> Outcome<Self> {
        let mut local = Self::default();
        for record in records {
            match record {
                Record::Certified { decision, height } => {
                    local.certified_at.entry(*decision).or_insert(*height);
                }
                Record::Payment { decision, transaction } => {
                    let transaction = bitcoin::consensus::deserialize(transaction)
                        .map_err(|error| crate::error::Failure::because("cannot read the journal", error))?;
                    local.payments.insert(*decision, transaction);
                }
                Record::SpendIntent { decision, txid } => drop(local.intents.insert((*decision, *txid))),
                Record::Begin(_)
                | Record::Own(_)
                | Record::Decided { .. }
                | Record::Seen { .. }
                | Record::Cut { .. }
                | Record::Sweep { .. } => {}
            }
        }
        Ok(local)
    }

    /// What bitcoind estimates, in satoshis per virtual byte.
    pub(super) const fn fee_rate(&self) -> Option<u64> {
        self.fee_rate
    }

    pub(super) const fn set_fee_rate(&mut self, rate: Option<u64>) {
        self.fee_rate = rate;
    }

    pub(super) fn broadcast(&mut self, decision: ProposalId, result: Result<(), String>) {
        match result {
            Ok(()) => drop(self.refused.remove(&decision)),
            Err(why) => {
                tracing::warn!(target: "guild::wallet", decision = %decision.short(), %why, "bitcoind refused a payment");
                self.refused.insert(decision, why);
                self.payments.remove(&decision); // to be built anew from the present chain
            }
        }
    }
}

/// Where a decision stands for this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Taken back.
    Withdrawn,
    /// Not decided.
    Open(NotPassing),
    /// Decided; its certificate is due.
    Passing,
    /// Decided, and nothing is left to pay.
    InForce,
    /// Certified; the delay runs until this height.
    Delayed(Height),
    /// Certified, its payment is due.
    Payable,
    /// Certified, but no payment can be made now: the line says why.
    Stuck(String),
    /// Certified, and not paid in time.
    Expired(Height),
    /// Stopped by this certified veto.
    Cancelled(ProposalId),
    /// Its closing move is not buried yet.
    Closing(bitcoin::Txid),
    /// A change of the guild that is certified: what it waits for.
    Changing(String),
    /// A change of the guild that another one came before: how.
    Overtaken(String),
    /// Signed by us and given to bitcoind.
    Sent(bitcoin::Txid),
    /// Paid at this depth; 0 in the mempool.
    Paid(bitcoin::Txid, Height),
    /// Ended without payment.
    Ended(How, bitcoin::Txid),
}

impl Node {
    /// Journal when we first held each certificate: delays run from there.
    pub(super) fn note_certificates(&mut self) {
        let Some(tip) = self.tip else { return };
        let proposals = self.fold.state().proposals.iter();
        let certified = proposals.filter(|(_, proposal)| proposal.certificate().is_some()).map(|(id, _)| *id);
        let certified = certified.chain(self.granted_ids());
        let first_held = certified.filter(|id| !self.decisions.certified_at.contains_key(id));
        for id in first_held.collect::<Vec<_>>() {
            self.decisions.certified_at.insert(id, tip.height);
            let record = Record::Certified { decision: id, height: tip.height };
            self.effects.push_back(super::Effect::Journal(record));
            self.keep_decided(id);
        }
    }

    /// The height from which a certified spend may be paid.
    pub(super) fn executable_from(&self, id: &ProposalId) -> Option<Height> {
        let certified = self.decisions.certified_at.get(id)?;
        let proposal = self.state().proposals.get(id);
        let delay = proposal.map_or(self.state().rules.exit.delay, |proposal| self.delay_of(proposal));
        // What those who vote decide is not carried out before their ballots are known.
        let by_all = |proposal: &&ProposalState| {
            (0..proposal.options()).any(|option| Tally::of(self.state(), proposal, option).passes())
        };
        let by_some = proposal.filter(|proposal| !by_all(proposal));
        let known = by_some.map_or(0, |proposal| judged_from(self.state(), proposal.close));
        Some(certified.saturating_add(delay).max(known))
    }

    fn rule_of(&self, proposal: &ProposalState) -> Option<&ClassRule> {
        self.state().rules.of(proposal.proposal.effect.class())
    }

    /// Blocks between a certificate and what follows from it.
    pub(super) fn delay_of(&self, proposal: &ProposalState) -> Height {
        self.rule_of(proposal).map_or(0, |rule| rule.delay)
    }

    pub(super) fn standing(&self, id: &ProposalId, proposal: &ProposalState) -> Standing {
        if let Some(settled) = &proposal.settled
            && settled.how != How::Paid
        {
            return Standing::Ended(settled.how, settled.txid);
        }
        match self.lineage(id, proposal) {
            Some(Lineage::Paid(end)) => return Standing::Paid(end.txid, end.depth),
            Some(Lineage::Closed(end)) if end.depth < DEPTH => return Standing::Closing(end.txid),
            Some(Lineage::Closed(end)) => return Standing::Ended(How::Closed, end.txid),
            Some(Lineage::Lost(end)) => return Standing::Ended(How::Lost, end.txid),
            Some(Lineage::Open { .. } | Lineage::NoAnchor) | None => {}
        }
        if proposal.certificate().is_none() {
            return match self.judge(id) {
                Ok(_) => Standing::Passing,
                Err(NotPassing::Withdrawn) => Standing::Withdrawn,
                Err(NotPassing::Cancelled(veto)) => Standing::Cancelled(veto),
                Err(why) => Standing::Open(why),
            };
        }
        if let Some(veto) = self.state().cancelled(id) {
            return Standing::Cancelled(veto);
        }
        if matches!(proposal.proposal.effect, Effect::Epoch(_)) {
            return self.standing_change(id, proposal);
        }
        if proposal.anchor().is_none() {
            return Standing::InForce;
        }
        self.standing_certified(id)
    }

    fn standing_certified(&self, id: &ProposalId) -> Standing {
        if let Some(payment) = self.decisions.payments.get(id) {
            return Standing::Sent(payment.compute_txid());
        }
        let from = self.executable_from(id).unwrap_or(Height::MAX);
        let (tip, end) = (self.tip_height(), self.payable_until(id));
        if tip < from {
            return Standing::Delayed(from);
        }
        if tip > end {
            return Standing::Expired(end);
        }
        if self.state().proposals.get(id).is_some_and(|proposal| proposal.payable().is_none()) {
            return Standing::InForce; // a budget: draws are made on it
        }
        let (height, fee_rate) = (tip, self.fee_rate());
        match self.check_transaction(&Ask::Payment { decision: *id, height, fee_rate }) {
            Ok(checked) => self.payable_or_waiting(&checked),
            Err(why) => {
                Standing::Stuck(format!("{}: expected {}, found {}", why.rule(), why.expected(), why.found()))
            }
        }
    }

    /// A payment whose further coins another one has in the mempool waits for it.
    fn payable_or_waiting(&self, checked: &wallet::CheckedTx) -> Standing {
        let view = self.view().ok();
        match view.and_then(|view| super::payments::in_flight(checked, &view)) {
            None => Standing::Payable,
            Some((coin, txid)) => {
                Standing::Stuck(format!("coins at hand: {coin} is in {txid}, which waits for a block"))
            }
        }
    }

    /// Certificates, payments, their replacements and closing moves, draws and renewals that are due.
    pub(super) fn due_decisions(&self) -> impl Iterator<Item = Ask> {
        let decisions = self.state().proposals.iter().filter_map(|(id, proposal)| self.due_for(id, proposal));
        decisions.chain(self.due_exits()).chain(self.due_draws()).chain(self.renewal_due())
    }

    fn due_for(&self, id: &ProposalId, proposal: &ProposalState) -> Option<Ask> {
        let (height, fee_rate) = (self.tip_height(), self.fee_rate());
        match self.standing(id, proposal) {
            Standing::Passing => Some(Ask::Certificate(*id)),
            Standing::Payable => Some(Ask::Payment { decision: *id, height, fee_rate }),
            Standing::Paid(txid, 0) => self.replacement_due(id, txid),
            Standing::Expired(_) | Standing::Cancelled(_) | Standing::Closing(_) => self.closing_due(id),
            Standing::Sent(_) if self.to_be_closed(id) => self.closing_due(id),
            _ => None,
        }
    }

    /// What an exit's part is a part of: coins ≥ K deep, less what is promised.
    pub(super) fn funds(&self) -> Funds {
        let Ok(view) = self.view() else { return Funds { confirmed: Amount::ZERO, promised: Amount::ZERO } };
        let confirmed = view.unspent().filter(|coin| coin.depth >= DEPTH).map(|coin| coin.output.value).sum();
        let tip = self.tip_height();
        let open = self.state().proposals.values().filter(|proposal| {
            // A cancelled payment counts until its lineage is closed: it may still be on its way.
            proposal.decided().is_some() && proposal.settled.is_none()
        });
        let waits = |member: &&MemberId| !self.exit_ended(&view, &exit_id(self.guild, member));
        let granted = self.state().exits.keys().filter(waits);
        let granted = granted.filter_map(|member| Some(self.state().granted(member)?.0.amount));
        let promised = open.map(|proposal| match &proposal.proposal.effect {
            Effect::Budget(budget) => budget.most(tip).unwrap_or(Amount::MAX_MONEY),
            _ => proposal.payable().and_then(|pays| pays.total()).unwrap_or(Amount::ZERO),
        });
        let promised = promised
            .chain(granted)
            .fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(Amount::MAX));
        Funds { confirmed, promised }
    }

    /// Give unconfirmed payments to bitcoind again, from time to time.
    pub(super) fn rebroadcast(&mut self) {
        if self.now < self.decisions.next_broadcast {
            return;
        }
        self.decisions.next_broadcast = self.now.after(REBROADCAST);
        self.send_sweeps();
        let (view, seals) = (self.view().ok(), self.mined_seals());
        let mined = |payment: &Transaction| {
            let txid = payment.compute_txid();
            let seen = view.as_ref().and_then(|view| view.transaction(&txid));
            seals.contains(&txid) || seen.is_some_and(|seen| seen.height.is_some())
        };
        let open = self.decisions.payments.iter().filter(|(_, payment)| !mined(payment));
        let again: Vec<_> = open.map(|(id, payment)| (*id, payment.clone())).collect();
        for (id, payment) in again {
            self.effects.push_back(super::Effect::Broadcast(id, payment));
        }
    }

    /// One word for lists.
    pub(super) fn status_word(standing: &Standing) -> &'static str {
        match standing {
            Standing::Withdrawn => "withdrawn",
            Standing::InForce => "in force",
            Standing::Open(NotPassing::Late { .. } | NotPassing::Lapsed)
            | Standing::Expired(_)
            | Standing::Overtaken(_) => "lapsed",
            Standing::Cancelled(_) => "cancelled",
            Standing::Closing(_) => "closing",
            Standing::Open(_) => "open",
            Standing::Passing => "passing",
            Standing::Delayed(_) | Standing::Payable | Standing::Stuck(_) | Standing::Changing(_) => {
                "certified"
            }
            Standing::Sent(_) | Standing::Paid(_, 0) => "sent",
            Standing::Paid(_, depth) if *depth >= DEPTH => "final",
            Standing::Paid(..) => "paid",
            Standing::Ended(How::Closed, _) => "closed",
            Standing::Ended(..) => "lost",
        }
    }

    /// One line: what happens next and why, or why nothing can.
    pub(super) fn next_line(&self, id: &ProposalId, proposal: &ProposalState, standing: &Standing) -> String {
        let tip = self.tip_height();
        match standing {
            Standing::Withdrawn => "cannot execute because its author withdrew it".to_owned(),
            Standing::Open(why @ NotPassing::Votes(tally)) => {
                let missing = self.not_voted(proposal).join(", ");
                let hint = if tally.final_yes + tally.changeable_yes > tally.needed_above {
                    "; some yes votes are not final: their voters can make them so".to_owned()
                } else if missing.is_empty() {
                    String::new()
                } else {
                    format!("; not voted: {missing}")
                };
                format!("cannot execute because {why}{hint}")
            }
            Standing::Open(why) => format!("cannot execute because {why}"),
            Standing::Passing => {
                let why = self.judge(id).map_or_else(
                    |why| why.to_string(),
                    |passing| {
                        let option = passing.body().option;
                        let tally = Tally::of(self.state(), proposal, option);
                        match passing.rule() {
                            Rule::Absolute => {
                                format!(
                                    "final yes {} is above {} of {}",
                                    tally.final_yes, tally.needed_above, tally.roll
                                )
                            }
                            Rule::Relative => "those who voted in time want it, with a quorum".to_owned(),
                        }
                    },
                );
                format!("is certified next because {why}; {}", self.progress(&Subject::Certificate(*id)))
            }
            Standing::Cancelled(veto) if proposal.anchor().is_none() => {
                format!("cannot execute because the decision {} cancels it", veto.short())
            }
            Standing::InForce => self.in_force_line(id, proposal),
            Standing::Changing(line) => line.clone(),
            Standing::Overtaken(how) => format!("lost: {how}"),
            Standing::Delayed(from) => format!(
                "executes at height {from}, in {} blocks, because it waits {} blocks for a veto",
                from - tip,
                self.delay_of(proposal)
            ),
            Standing::Payable => format!(
                "executes next because it was certified at height {} and the delay of {} blocks is over; {}",
                self.decisions.certified_at.get(id).copied().unwrap_or_default(),
                self.delay_of(proposal),
                self.progress(&Subject::Payment(*id))
            ),
            Standing::Stuck(why) => format!("cannot execute because of the rule {why}"),
            Standing::Expired(end) => {
                let progress = self.progress(&Subject::Closing(*id));
                format!(
                    "is closed next because it was payable until height {end}, the tip is {tip}; {progress}"
                )
            }
            Standing::Cancelled(by) => {
                let progress = self.progress(&Subject::Closing(*id));
                format!("is closed next because {} cancelled it; {progress}", by.short())
            }
            Standing::Closing(txid) => {
                format!("is being closed without payment by {txid}: final at depth {DEPTH}")
            }
            Standing::Sent(txid) => match self.decisions.refused.get(id) {
                Some(why) => format!("paid by {txid}, which bitcoind refuses: {why}"),
                None => format!("paid by {txid}, sent to bitcoind"),
            },
            Standing::Paid(txid, 0) => format!("paid by {txid}, which waits for a block"),
            Standing::Paid(txid, depth) if *depth < DEPTH => {
                format!("paid by {txid}, {depth} deep: final in {} blocks", DEPTH - depth)
            }
            Standing::Paid(txid, depth) => format!("paid by {txid}, final at depth {depth}"),
            Standing::Ended(How::Closed, txid) => format!("closed without payment by {txid}"),
            Standing::Ended(_, txid) => format!("lost: its coin left by the recovery leaf in {txid}"),
        }
    }

    /// What a decision that nobody pays means now.
    fn in_force_line(&self, id: &ProposalId, proposal: &ProposalState) -> String {
        if matches!(proposal.proposal.effect, Effect::Epoch(_)) {
            return "carried out: its seal is final".to_owned();
        }
        let Some(setting) = proposal.setting() else {
            return "decided: its certificate is all it takes".to_owned();
        };
        match self.state().setting(&setting.key()) {
            Some((newest, ..)) if newest == *id => {
                format!("decided: it is the value of {} now", setting.key())
            }
            Some((newest, ..)) => format!("decided, and replaced by {} since", newest.short()),
            None => "decided, and out of the register".to_owned(),
        }
    }

    /// Who has not voted.
    pub(super) fn not_voted(&self, proposal: &ProposalState) -> Vec<String> {
        let members = self.state().members.keys();
        members
            .filter(|member| !proposal.ballots.contains_key(member))
            .map(|member| self.name(member))
            .collect()
    }

    /// Who leads a signature and whom it waits for.
    fn progress(&self, subject: &Subject) -> String {
        let order = self.seat_order(subject);
        let leader = order.first().map(|member| self.name(member)).unwrap_or_default();
        match self.waits_for(subject) {
            Some((missing, next)) if !missing.is_empty() => {
                let waits = missing.iter().map(|(member, since)| {
                    format!("{} (silent {} s)", self.name(member), self.seconds_since(*since))
                });
                let next = next.map(|member| format!("; {} takes the next free seat", self.name(&member)));
                let waits = waits.collect::<Vec<_>>().join(", ");
                format!("waiting for {waits}{}", next.unwrap_or_default())
            }
            Some(_) => "signing".to_owned(),
            None => format!("{leader} coordinates"),
        }
    }

    pub(super) fn seconds_since(&self, then: Timestamp) -> u64 {
        self.now.as_millis().saturating_sub(then.as_millis()) / 1_000
    }
}
