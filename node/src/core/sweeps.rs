//! Sweeps (§10): those that a seal takes along are signed before it and sent after it; coins that reach an old key
//! later follow on their own.

use super::ask::{Ask, Quote};
use super::peers::Pending;
use super::{Effect, Node};
use crate::journal::Record;
use crate::net::protocol::{Request, Response};
use bitcoin::Txid;
use bitcoin::hashes::Hash as _;
use crdt::{Digest, MemberId, ProposalId};
use std::collections::BTreeSet;
use threshold::sign::Refusal;
use wallet::{CheckedTx, Params, Treasury, policy, spend};

impl Node {
    /// A sweep is complete: durable, then told to all who must see it before they sign the seal.
    pub(super) fn finish_sweep(&mut self, ask: Ask, checked: &CheckedTx, signatures: &[[u8; 64]]) {
        if self.keep_sweep(ask, checked, signatures) {
            let list = signatures.concat();
            let (mut members, _) = self.quorum(&ask.subject());
            members.retain(|member| *member != self.me);
            for member in members {
                self.ask(member, Request::Complete { ask, signatures: list.clone() }, Pending::Sent);
            }
        }
    }

    fn keep_sweep(&mut self, ask: Ask, checked: &CheckedTx, signatures: &[[u8; 64]]) -> bool {
        let Ask::Sweep { checkpoint, number, .. } = ask else { return false };
        let Some(seal) = checked.transaction().input.first().map(|input| input.previous_output.txid) else {
            return false;
        };
        match wallet::finish(checked, signatures) {
            Ok(transaction) => {
                let bytes = bitcoin::consensus::serialize(&transaction);
                let record = Record::Sweep { checkpoint, seal, number, transaction: bytes };
                self.effects.push_back(Effect::Journal(record));
                self.succession.sweeps.insert((checkpoint, seal, number), transaction);
                self.look_for_due = true;
                true
            }
            Err(error) => {
                tracing::warn!(target: "guild::wallet", %error, "a sweep that is not complete");
                false
            }
        }
    }

    /// Another signer tells that a sweep is complete: we build it ourselves and check each signature.
    pub(super) fn hear_complete(&mut self, from: MemberId, ask: Ask, signatures: &[u8]) -> Response {
        if !self.quorum(&ask.subject()).0.contains(&from) || !matches!(ask, Ask::Sweep { .. }) {
            return Response::NotAllowed;
        }
        let (list, rest) = signatures.as_chunks::<64>();
        let list = rest.is_empty().then_some(list);
        match (self.check_transaction(&ask), list) {
            (Ok(checked), Some(list)) if self.keep_sweep(ask, &checked, list) => Response::Taken,
            (Err(refusal), _) => Response::Refused(refusal),
            _ => Response::Refused(Refusal::new("complete sweep", "a signature for each input", "others")),
        }
    }

    /// Send the sweeps whose seal is in a block and that are in none.
    pub(super) fn send_sweeps(&mut self) {
        if self.succession.sweeps.is_empty() {
            return;
        }
        let Ok(view) = self.view() else { return };
        let mined = |txid: &Txid| view.transaction(txid).is_some_and(|seen| seen.height.is_some());
        let confirmed = self.mined_seals();
        let all = self.succession.sweeps.iter();
        let due =
            all.filter(|((_, seal, _), sweep)| confirmed.contains(seal) && !mined(&sweep.compute_txid()));
        let due: Vec<_> =
            due.map(|((_, seal, number), sweep)| (name_of(*seal, *number), sweep.clone())).collect();
        self.effects.extend(due.into_iter().map(|(id, sweep)| Effect::Broadcast(id, sweep)));
    }

    /// Spends of seals that are in a block.
    pub(super) fn mined_seals(&self) -> BTreeSet<Txid> {
        let seals = self.treasury.iter().chain(self.vaults.values()).flat_map(Treasury::seals);
        let spends = seals.filter_map(|seal| seal.spent).filter(|spent| spent.height.is_some());
        spends.map(|spent| spent.transaction.compute_txid()).collect()
    }

    /// Coins that reached a key of the past once its seal was K deep, and that we can help to move.
    pub(super) fn due_late_sweeps(&self) -> Vec<Ask> {
        let quote = self.quote();
        let past = self.state().past.iter().filter(|(_, past)| self.keyring.contains_key(&past.group_key));
        let asks = past.map(|(epoch, _)| Ask::LateSweep { epoch: *epoch, quote });
        asks.filter(|ask| self.check_succession(ask).is_ok()).collect()
    }

    pub(super) fn late_sweep(&self, epoch: u32, quote: Quote) -> Result<CheckedTx, Refusal> {
        let none = |what: &str| Refusal::new("late sweep", "coins of an old key", what.to_owned());
        let past = self.state().past.get(&epoch).ok_or_else(|| none("no such epoch"))?;
        let current = self.treasury.as_ref().ok_or_else(|| none("no treasury"))?;
        let old = self.vaults.get(&past.group_key).ok_or_else(|| none("the key is in force"))?;
        let view = self.view().map_err(|error| none(&error.to_string()))?;
        let hooks = BTreeSet::new();
        let lots = spend::batches(&old.view(), &hooks);
        let lot = lots.first().ok_or_else(|| none("no coin is due"))?;
        let heir = current.view().change_script().clone();
        let outline = spend::sweep(&view, None, lot, heir).map_err(|why| none(&why.to_string()))?;
        let params = Params {
            lock_height: quote.height,
            fee_rate: Some(quote.fee_rate),
            cap: self.charter.fee_cap.clone(),
            bump: 0,
            avoid: BTreeSet::new(),
            apart: BTreeSet::new(),
        };
        let built = spend::fund(&outline, &view, &params).map_err(|why| none(&why.to_string()))?;
        let terms = policy::Terms { fee: self.fee_bounds(), apart: BTreeSet::new() };
        policy::judge(&built.transaction, &outline, &view, &terms).map_err(|why| none(&why.to_string()))
    }
}

/// What a sweep is called where things to be sent have names.
fn name_of(seal: Txid, number: u16) -> ProposalId {
    ProposalId(Digest::tagged("hashguild/sweep/v1", &[seal.as_byte_array(), &number.to_be_bytes()]))
}
