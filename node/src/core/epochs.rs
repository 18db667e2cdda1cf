//! What people see of epochs: the seal, and where each change of the guild stands.

use super::Node;
use super::decisions::Standing;
use crate::api::dto::V;
use crate::api::dto::epoch::{ChangeDto, EpochDto, SealDto};
use bitcoin::Address;
use crdt::governance::Effect;
use crdt::limits::DEPTH;
use crdt::state::ProposalState;
use crdt::{Digest, MemberId, ProposalId};
use wallet::treasury::SealCoin;

impl Node {
    pub(super) fn epoch_answer(&self) -> EpochDto {
        let state = self.state();
        let seal = self.any_seal();
        let changes = state.proposals.iter().filter(|(_, proposal)| is_change(proposal));
        let changes = changes.map(|(id, proposal)| ChangeDto {
            id: id.to_string(),
            title: proposal.proposal.title.to_string(),
            next: self.next_line(id, proposal, &self.standing(id, proposal)),
        });
        EpochDto {
            v: V,
            epoch: state.epoch,
            members: state.members.len(),
            co_signers: state.co_signers.iter().map(|member| self.name(member)).collect(),
            signers_needed: state.signers_needed(),
            group_key: state.usable_key().map(|key| key.ready.group_key.to_string()),
            next: self.seal_line(seal.as_ref()),
            seal: self.seal_dto(seal.as_ref()),
            changes: changes.collect(),
        }
    }

    /// The seal, or what is to be the first one.
    fn any_seal(&self) -> Option<SealCoin> {
        self.seal().or_else(|| self.treasury.as_ref()?.seals().into_iter().next())
    }

    fn seal_dto(&self, seal: Option<&SealCoin>) -> SealDto {
        let usable = self.state().usable_key().is_some();
        let script = self.treasury.as_ref().filter(|_| usable).map(|treasury| treasury.seal_script().clone());
        let address = script.and_then(|script| Address::from_script(&script, self.charter.network).ok());
        let spent = seal.and_then(|seal| seal.spent.as_ref());
        SealDto {
            address: address.map(|address| address.to_string()),
            outpoint: seal.map(|seal| seal.outpoint.to_string()),
            amount_sat: seal.map(|seal| seal.output.value.to_sat()),
            depth: seal.map_or(0, |seal| seal.depth),
            spent_by: spent.map(|spent| spent.transaction.compute_txid().to_string()),
            spent_depth: spent.map_or(0, |spent| spent.depth),
        }
    }

    fn seal_line(&self, seal: Option<&SealCoin>) -> String {
        let Some(seal) = seal else {
            return "no seal yet: until somebody pays 10000 sat or more to its address, nothing of the guild \
                    itself can change"
                .to_owned();
        };
        let Some(spent) = &seal.spent else {
            return match seal.depth {
                depth if depth < DEPTH => format!("the seal is {depth} deep: it counts at {DEPTH}"),
                _ => "the seal stands: a certified change of the guild can be carried out".to_owned(),
            };
        };
        let known = spent.checkpoint().map(Digest).map(|hash| {
            let known = self.succession.checkpoints.contains_key(&hash);
            format!("{hash}{}", if known { "" } else { ", which nobody has shown here" })
        });
        let what = known.unwrap_or_else(|| "no checkpoint".to_owned());
        format!("the seal is spent for the checkpoint {what}, {} deep: in force at {DEPTH}", spent.depth)
    }

    /// Where a certified change of the guild stands.
    pub(super) fn standing_change(&self, id: &ProposalId, proposal: &ProposalState) -> Standing {
        let sealed = self.sealed_epochs();
        let of = |sealed: &&crdt::Sealed| {
            let certificate = sealed.checkpoint.certificate.as_ref();
            certificate.is_some_and(|certificate| certificate.body.proposal == *id)
        };
        if sealed.iter().any(|sealed| of(&sealed)) {
            return Standing::InForce;
        }
        if proposal.lapsed {
            let winner = sealed.iter().find(|sealed| sealed.checkpoint.epoch > self.epoch_of(proposal));
            return Standing::Overtaken(winner.map_or_else(String::new, |winner| {
                let decision = winner.checkpoint.certificate.as_ref().map(|of| of.body.proposal.short());
                format!(
                    "Bitcoin spent the seal for {} at height {}: epoch {} is that of another decision",
                    decision.unwrap_or_default(),
                    winner.height.saturating_sub(DEPTH - 1),
                    winner.checkpoint.epoch
                )
            }));
        }
        Standing::Changing(self.change_line(id))
    }

    fn epoch_of(&self, proposal: &ProposalState) -> u32 {
        proposal.certificate().map_or(0, |certificate| certificate.body.epoch)
    }

    /// What a certified change waits for.
    fn change_line(&self, id: &ProposalId) -> String {
        let state = self.state();
        let Some(seal) = self.seal() else { return "there is no seal yet (guild epoch)".to_owned() };
        if let Some(spent) = &seal.spent {
            let checkpoint =
                spent.checkpoint().and_then(|hash| self.succession.checkpoints.get(&Digest(hash)));
            let ours = checkpoint.and_then(|checkpoint| checkpoint.certificate.as_ref());
            let ours = ours.is_some_and(|certificate| certificate.body.proposal == *id);
            let whose = if ours { "its" } else { "another" };
            return format!(
                "the seal is spent for {whose} checkpoint, {} deep: in force at {DEPTH}",
                spent.depth
            );
        }
        let ready = state.made_for(*id);
        if let Some(checkpoint) = self.checkpoint_of(id) {
            let (hash, co_signers) = checkpoint;
            let lacking = self.names_of(co_signers.iter().filter(|member| {
                !state.next.holders.get(&hash).is_some_and(|holders| holders.contains(member))
            }));
            return match self.fits(&hash) {
                Err(why) => format!("a checkpoint is here that this node would not sign: {why}"),
                Ok(()) if lacking.is_empty() => "its seal is being signed".to_owned(),
                Ok(()) => format!("its checkpoint is to be held by {lacking}"),
            };
        }
        if let Some(made) = ready.first() {
            let cut = state.cuts(made.change, made.attempt).last().copied();
            return cut.map_or_else(
                || "its key is ready; the cut is to be announced".to_owned(),
                |cut| format!("the chains are cut at height {cut}; the tip is {}", self.tip_height()),
            );
        }
        if state.made().any(|made| made.change == *id) {
            return "its key is made and to be tested".to_owned();
        }
        self.key_line(id)
    }

    fn checkpoint_of(&self, id: &ProposalId) -> Option<(Digest, Vec<MemberId>)> {
        let next = self.state().epoch.saturating_add(1);
        let found = self.succession.checkpoints.iter().filter(|(_, checkpoint)| {
            let certificate = checkpoint.certificate.as_ref();
            checkpoint.epoch == next && certificate.is_some_and(|of| of.body.proposal == *id)
        });
        let newest = found.max_by_key(|(hash, checkpoint)| (checkpoint.cut, **hash));
        newest.map(|(hash, checkpoint)| (*hash, checkpoint.co_signers.clone()))
    }

    fn key_line(&self, id: &ProposalId) -> String {
        let candidates =
            self.state().changes().find(|(of, _)| of == id).map(|(_, change)| &change.candidates);
        let candidates = candidates.cloned().unwrap_or_default();
        let away = candidates
            .iter()
            .filter(|member| **member != self.me && !self.peers.connected.contains_key(*member));
        let away = self.names_of(away);
        if away.is_empty() {
            "its candidates make their key".to_owned()
        } else {
            format!("its candidates make their key; not here: {away}")
        }
    }

    fn names_of<'a>(&self, members: impl Iterator<Item = &'a MemberId>) -> String {
        let named =
            members.map(|member| self.state().candidate_name(member).unwrap_or_else(|| self.name(member)));
        named.collect::<Vec<_>>().join(", ")
    }
}

fn is_change(proposal: &ProposalState) -> bool {
    matches!(proposal.proposal.effect, Effect::Epoch(_)) && proposal.certificate().is_some()
}
