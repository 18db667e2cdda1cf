//! What people see: status, proposals, and what each of them waits for.

use super::decisions::Standing;
use super::{Node, keygen};
use crate::api::dto::{
    Answer, BallotDto, OutputDto, Payment, Peer, ProposalDto, Proposals, Signing, Status, TallyDto, V, Wait,
    Waiting,
};
use crate::core::ask::Subject;
use crate::error::{Failure, Outcome};
use bitcoin::Amount;
use crdt::ProposalId;
use crdt::governance::{Output, Tally};
use crdt::state::ProposalState;

/// What `status` calls a member that is not connected.
const CONNECTION: &str = "a connection";

impl Node {
    pub(super) fn status(&self) -> Status {
        let state = self.state();
        let key = state.key.as_ref();
        let ready = state.key_ready.get(&(keygen::EPOCH, self.keygen.attempt));
        let peers = state.members.keys().filter(|member| **member != self.me);
        Status {
            v: V,
            alarms: self.alarms.iter().map(ToString::to_string).collect(),
            waits: self.waits(),
            guild: self.guild.to_string(),
            name: self.charter.name.to_string(),
            network: self.charter.network.to_string(),
            member: self.name(&self.me),
            member_key: self.me.to_string(),
            signers_needed: self.signers_needed(),
            co_signers: state.co_signers.len(),
            height: state.height,
            block_hash: state.block_hash.to_string(),
            state_hash: state.hash().to_string(),
            entries: self.document.len(),
            founded: state.founded(),
            group_key: key.map(|key| key.ready.group_key.to_string()),
            key_ready: ready.map_or(0, std::collections::BTreeMap::len),
            key_usable: state.usable_key().is_some(),
            peers: peers.map(|member| self.peer(member)).collect(),
            balance: self.balance().ok(),
            chain: self.chain_dto(),
            open_proposals: state.proposals.values().filter(|proposal| proposal.settled.is_none()).count(),
        }
    }

    fn peer(&self, member: &crdt::MemberId) -> Peer {
        let connected = self.peers.connected.contains_key(member);
        Peer {
            name: self.name(member),
            key: member.to_string(),
            connected,
            last_seen_s: self.peers.last_seen.get(member).map(|then| self.seconds_since(*then)),
            co_signer: self.state().co_signers.contains(member),
        }
    }

    /// Remember since when each thing is waited for.
    pub(super) fn note_waits(&mut self) {
        let waits: Vec<String> = self.waits().iter().map(wait_key).collect();
        self.waits_since.retain(|key, _| waits.contains(key));
        for key in waits {
            self.waits_since.entry(key).or_insert(self.now);
        }
    }

    /// What the node waits for, most urgent first.
    fn waits(&self) -> Vec<Wait> {
        let wait = |what: &str, missing: Vec<String>, todo: &str| Wait {
            what: what.to_owned(),
            missing,
            since_s: None,
            todo: todo.to_owned(),
        };
        let state = self.state();
        let mut waits = Vec::new();
        if let Some((what, todo)) = self.without_share() {
            waits.push(wait(what, vec![], todo));
        }
        waits.extend(self.chain_waits());
        if let Some(recovery) = &self.recovery {
            waits.push(wait(
                &recovery.to_string(),
                vec![],
                "wait; the node forks its own chain if it speaks too soon",
            ));
        }
        if let Some(lost) = &self.lost {
            let todo = "wait: peers are asked for what others said";
            waits.push(wait(lost, vec![], todo));
        }
        if let Some((why, _)) = self.keygen.failed.as_ref().filter(|_| self.makes_a_key()) {
            let what = format!("attempt {} at the key failed: {why}", self.keygen.attempt);
            waits.push(wait(&what, vec![], "wait: the next attempt is called by a co-signer's node"));
        }
        let unsigned = state.members.values().filter(|member| !member.accepted);
        let unsigned: Vec<String> = unsigned.map(|member| member.name.to_string()).collect();
        if !unsigned.is_empty() {
            waits.push(wait(
                "signatures under the charter",
                unsigned,
                "send them the invitation (guild invite); they run guild join, then guild start",
            ));
        }
        if let Some(waiting) = self.keygen.waiting().filter(|_| state.founded() && self.signer.is_none()) {
            let missing = waiting.missing.iter().filter_map(|party| self.keygen.member(*party));
            let missing: Vec<String> = missing.map(|member| self.name(&member)).collect();
            if !missing.is_empty() {
                let what = match self.keygen.attempt {
                    1 => format!("key generation ({:?})", waiting.step).to_lowercase(),
                    attempt => {
                        format!("key generation, attempt {attempt} ({:?})", waiting.step).to_lowercase()
                    }
                };
                let todo = "their nodes must run; after 432 blocks the others go on without them";
                waits.push(wait(&what, missing, todo));
            }
        }
        if state.key.is_some() && state.usable_key().is_none() {
            waits.push(wait(
                "the two test signatures of the new key",
                vec![],
                "wait: co-signers make them by themselves",
            ));
        }
        waits.extend(self.aging_wait());
        waits.extend(self.absent());
        for wait in waits.iter_mut().filter(|wait| wait.since_s.is_none()) {
            wait.since_s = self.waits_since.get(&wait_key(wait)).map(|then| self.seconds_since(*then));
        }
        waits
    }

    fn absent(&self) -> impl Iterator<Item = Wait> {
        let others = self.state().members.keys().filter(|member| **member != self.me);
        let gone = others.filter(|member| !self.peers.connected.contains_key(member));
        gone.filter(|_| self.state().founded()).map(|member| Wait {
            what: CONNECTION.to_owned(),
            missing: vec![self.name(member)],
            since_s: self.peers.last_seen.get(member).map(|then| self.seconds_since(*then)),
            todo: "its node must run and be reachable".to_owned(),
        })
    }

    pub(super) fn proposals(&self) -> Proposals {
        let mut proposals: Vec<_> = self.state().proposals.iter().collect();
        proposals.sort_by_key(|(id, proposal)| (proposal.height, **id));
        Proposals {
            v: V,
            proposals: proposals.into_iter().map(|(id, state)| self.proposal_dto(id, state)).collect(),
        }
    }

    pub(super) fn proposal_answer(&self, id: ProposalId) -> Outcome<Answer> {
        let state = self.state().proposals.get(&id);
        let state = state.ok_or_else(|| Failure::not_found(format!("there is no proposal '{id}'")))?;
        Ok(Answer::Proposal(Box::new(self.proposal_dto(&id, state))))
    }

    fn proposal_dto(&self, id: &ProposalId, state: &ProposalState) -> ProposalDto {
        let standing = self.standing(id, state);
        let tally = Tally::count(self.state(), state);
        let ballots = state.ballots.iter().map(|(member, held)| BallotDto {
            member: self.name(member),
            choice: held.choice.to_string(),
            last: held.last,
            reason: held.reason.to_string(),
        });
        let payable = state.payable();
        let payment = match &standing {
            Standing::Paid(txid, depth) => Some(Payment { txid: txid.to_string(), depth: *depth }),
            Standing::Sent(txid) => Some(Payment { txid: txid.to_string(), depth: 0 }),
            _ => None,
        };
        let subject =
            if state.certificate().is_none() { Subject::Certificate(*id) } else { Subject::Payment(*id) };
        ProposalDto {
            v: V,
            id: id.to_string(),
            title: state.proposal.title.to_string(),
            text: state.proposal.text.to_string(),
            author: self.name(&state.author),
            height: state.height,
            close: state.close,
            class: state.proposal.effect.class().to_string(),
            outputs: payable
                .iter()
                .flat_map(|pays| pays.outputs())
                .map(|output| self.output_dto(output))
                .collect(),
            total_sat: payable.and_then(|pays| pays.total()).map_or(0, Amount::to_sat),
            anchor: state.anchor().map(|anchor| anchor.to_string()),
            status: Self::status_word(&standing).to_owned(),
            next: self.next_line(id, state, &standing),
            tally: TallyDto {
                final_yes: tally.final_yes,
                changeable_yes: tally.changeable_yes,
                no: tally.no,
                abstain: tally.abstain,
                roll: tally.roll,
                needed_above: tally.needed_above,
            },
            ballots: ballots.collect(),
            not_voted: self.not_voted(state),
            signing: payment.is_none().then(|| self.signing(&subject)),
            certificate: state.certificate().map(|certificate| format!("{:?}", certificate.signature)),
            payment,
            last_ceremony: self.last_report(&subject).cloned(),
        }
    }

    fn output_dto(&self, output: &Output) -> OutputDto {
        let address = bitcoin::Address::from_script(&output.script, self.charter.network);
        OutputDto {
            address: address.map_or_else(|_| output.script.to_hex_string(), |address| address.to_string()),
            amount_sat: output.amount.to_sat(),
        }
    }

    fn signing(&self, subject: &Subject) -> Signing {
        let order = self.seat_order(subject);
        let seats = order.iter().take(self.signers_needed()).map(|member| self.name(member));
        let (missing, next) = self.waits_for(subject).unwrap_or_default();
        let waiting_for = missing.iter().map(|(member, since)| Waiting {
            member: self.name(member),
            seconds: self.seconds_since(*since),
        });
        Signing {
            subject: subject.to_string(),
            coordinator: order.first().map(|member| self.name(member)).unwrap_or_default(),
            seats: seats.collect(),
            waiting_for: waiting_for.collect(),
            next_seat: next.map(|member| self.name(&member)),
        }
    }
}

/// The same wait has the same key, whoever is still missing.
fn wait_key(wait: &Wait) -> String {
    if wait.what == CONNECTION { wait.missing.concat() } else { wait.what.clone() }
}
