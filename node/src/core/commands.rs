//! What people ask of their node, and the answers.

use super::decisions::Standing;
use super::{Node, keygen};
use crate::api::dto::{
    self, Answer, Command, History, InvitationDto, Movement, NewBallot, NewSpend, OutputDto, Pair, V,
};
use crate::card::{Invitation, MemberCard};
use crate::core::ask::Ask;
use crate::error::{Code, Failure, Outcome};
use bitcoin::{Amount, NetworkKind};
use crdt::entry::Invite;
use crdt::governance::{
    Approvals, Ballot, Basis, Carried, Distribute, Output, Proposal, Setting, SettingKey,
};
use crdt::mining::MiningPolicy;
use crdt::text::{Line, Note};
use crdt::treasury::GroupKey;
use crdt::{Certificate, Choice, MemberId, Payload, ProposalId};
use miner_link::contract::PolicyAnswer;
use std::str::FromStr as _;
use wallet::ledger::{Account, Entry, Kind, Posting};
use wallet::payee;
use wallet::split::{By, split};

/// Blocks an invitation lasts.
const INVITATION_BLOCKS: u32 = 1_008;
/// Shortest beginning of a proposal's id that names it.
const PREFIX_MIN: usize = 4;

impl Node {
    pub(super) fn on_command(&mut self, number: u64, command: Command) {
        let answer = match command {
            Command::Execute(id) => match self.find_decision(&id) {
                Ok(id) => return self.execute(number, id),
                Err(error) => Err(error),
            },
            Command::Status => Ok(Answer::Status(Box::new(self.status()))),
            Command::Proposals => Ok(Answer::Proposals(self.proposals())),
            Command::Proposal(id) => self.find(&id).and_then(|id| self.proposal_answer(id)),
            Command::Propose(spend) => self.propose(spend),
            Command::Vote(id, ballot) => self.find(&id).and_then(|id| self.vote(id, ballot)),
            Command::Withdraw(id) => self.find(&id).and_then(|id| self.withdraw(id)),
            Command::Treasury(command) => self.on_treasury(command),
            Command::Explain(id) => self.find(&id).and_then(|id| self.explain(id)),
            Command::Certificate(id) => self.certificate_file(&id),
            Command::Comment(id, text) => self.find(&id).and_then(|id| self.comment(id, text)),
            Command::Delegate(to) => self.name_delegate(to),
            Command::Pause(on) => self.said(Payload::Pause { on }),
            Command::Leave(amount_sat) => self.said(Payload::Exit { amount: Amount::from_sat(amount_sat) }),
            Command::Draw(id, draw) => self.find(&id).and_then(|id| self.draw(id, draw)),
            Command::Settings => Ok(Answer::Settings(self.settings())),
            Command::Epoch => Ok(Answer::Epoch(Box::new(self.epoch_answer()))),
            Command::Balance => self.balance().map(Answer::Balance),
            Command::History => self.history(),
            Command::Books => self.book().map(|book| Answer::Books(Box::new(book), self.charter.network)),
            Command::Export(format, as_of) => self.export(format, &as_of),
            Command::Audit => Ok(Answer::Audit(Box::new(self.audit()))),
            Command::Invite(card) => self.invite(&card),
            Command::Invitation => Ok(Answer::Invitation(self.invitation(None))),
            Command::Entry(id) => self.entry(&id),
            Command::LinkPolicy => Ok(Answer::LinkPolicy(Box::new(self.link_policy()))),
            Command::Receipt(receipt) => self.receipt(&receipt),
            Command::Pair => self.pair(),
            Command::Workspace(command) => self.on_workspace(command),
        };
        self.reply(number, answer);
    }

    pub(super) fn find(&self, text: &str) -> Outcome<ProposalId> {
        if let Ok(id) = ProposalId::from_str(text)
            && self.state().proposals.contains_key(&id)
        {
            return Ok(id);
        }
        let like: Vec<ProposalId> = if text.len() >= PREFIX_MIN {
            let known = self.state().proposals.keys();
            known.filter(|id| id.to_string().starts_with(text)).copied().collect()
        } else {
            Vec::new()
        };
        match like.as_slice() {
            [id] => Ok(*id),
            [] => Err(Failure::not_found(format!("there is no proposal '{text}'"))),
            many => {
                let detail =
                    format!("'{text}' is the beginning of {} proposals: give more of it", many.len());
                Err(Failure::new(Code::Usage, detail))
            }
        }
    }

    pub(super) fn propose(&mut self, new: NewSpend) -> Outcome<Answer> {
        let effect = self.effect_of(&new)?;
        let title = Line::try_from(new.title).map_err(Failure::usage)?;
        let text = Note::try_from(new.text).map_err(Failure::usage)?;
        let proposal = Proposal { title, text, effect };
        let signed = self.say(Payload::Propose(proposal))?;
        self.proposal_answer(signed.id().into())
    }

    /// `total` divided among the members by their units, together with what the last distribution left; what
    /// is too small to be paid is left to the next.
    pub(super) fn by_shares(&self, total: Amount) -> Outcome<Distribute> {
        let members = &self.state().members;
        let shares = members.keys().map(|id| (*id, self.state().units(id))).collect();
        let dust =
            |id: &MemberId| members.get(id).map_or(Amount::MAX, |member| member.payout.minimal_non_dust());
        let (after, before) = self.state().carried();
        let before = before.into_iter().map(|(id, sat)| (id, Amount::from_sat(sat))).collect();
        let divided = split(total, &By::Shares(shares), &before, dust).map_err(Failure::usage)?;
        let outputs =
            crdt::governance::outputs(&divided.paid, |id| members.get(id).map(|member| &member.payout));
        let left = divided.carried.into_iter().map(|(id, part)| (id, part.to_sat())).collect();
        let basis = Basis::Carried(Carried { after, left });
        Ok(Distribute { total, outputs, anchor: self.choose_anchor()?, basis })
    }

    pub(super) fn parse_output(&self, output: &OutputDto) -> Outcome<Output> {
        payee::output(&output.address, output.amount_sat, self.charter.network).map_err(Failure::usage)
    }

    fn vote(&mut self, proposal: ProposalId, ballot: NewBallot) -> Outcome<Answer> {
        let choice = choice_of(&ballot)?;
        let reason = Note::try_from(ballot.reason).map_err(Failure::usage)?;
        let state = self.state().proposals.get(&proposal);
        let state = state.ok_or_else(|| Failure::not_found(format!("there is no proposal '{proposal}'")))?;
        if let Some(held) = state.ballots.get(&self.me).filter(|held| held.last) {
            return Err(Failure::conflict(format!("you voted {} and marked it final", held.choice)));
        }
        if state.withdrawn {
            return Err(Failure::new(Code::Refused, "its author withdrew it"));
        }
        let options = (state.options() > 1).then(|| usize::from(state.options()));
        if !choice.fits(options) {
            let how = match options {
                Some(many) => {
                    format!("it has {many} options: vote for one or more of them, or no, or abstain")
                }
                None => "it has no options: vote yes, no or abstain".to_owned(),
            };
            return Err(Failure::usage(how));
        }
        let (tip, close) = (self.tip_height(), state.close);
        if tip > close && !(ballot.last && choice.is_for()) {
            let detail =
                format!("voting closed at height {close}, the tip is {tip}: only a final yes counts now");
            return Err(Failure::new(Code::Refused, detail));
        }
        self.say(Payload::Ballot(Ballot { proposal, choice, last: ballot.last, reason }))?;
        self.proposal_answer(proposal)
    }

    fn withdraw(&mut self, proposal: ProposalId) -> Outcome<Answer> {
        let author = self.state().proposals.get(&proposal).map(|state| state.author);
        if author != Some(self.me) {
            return Err(Failure::new(Code::NotAuthorised, "only its author withdraws a proposal"));
        }
        if self.state().proposals.get(&proposal).is_some_and(|state| state.certificate().is_some()) {
            return Err(Failure::conflict("it is certified: withdrawing changes nothing now"));
        }
        self.say(Payload::Withdraw { proposal })?;
        self.proposal_answer(proposal)
    }

    /// Ask every co-signer now for the next signature of a proposal, whatever they will say.
    fn execute(&mut self, number: u64, id: ProposalId) {
        let Some(state) = self.state().proposals.get(&id) else {
            let ask = if self.granted_ids().contains(&id) {
                let (height, fee_rate) = (self.tip_height(), self.fee_rate());
                Ask::Payment { decision: id, height, fee_rate }
            } else {
                Ask::Certificate(id)
            };
            return self.begin(ask, Some(number)); // an exit
        };
        match self.standing(&id, state) {
            Standing::Paid(txid, _) | Standing::Sent(txid) => {
                self.reply(number, Err(Failure::conflict(format!("already paid by {txid}"))));
            }
            Standing::Expired(_) | Standing::Cancelled(_) => {
                let quote = self.quote();
                self.begin(Ask::Closing(id, quote), Some(number));
            }
            _ if state.certificate().is_none() => self.begin(Ask::Certificate(id), Some(number)),
            _ => {
                let (height, fee_rate) = (self.tip_height(), self.fee_rate());
                self.begin(Ask::Payment { decision: id, height, fee_rate }, Some(number));
            }
        }
    }

    pub(super) fn balance(&self) -> Outcome<dto::Balance> {
        let view = self.view()?;
        let balance = view.balance();
        Ok(dto::Balance {
            v: V,
            confirmed_sat: balance.confirmed.to_sat(),
            immature_sat: balance.immature.to_sat(),
            pending_sat: balance.pending.to_sat(),
            height: self.tip_height(),
        })
    }

    /// What moved the treasury, oldest first: a reading of the books.
    fn history(&mut self) -> Outcome<Answer> {
        let movement = |entry: &Entry| Movement {
            txid: entry.txid.to_string(),
            height: entry.height,
            kind: kind(entry),
            delta_sat: entry.change(Account::Treasury),
            proposal: entry.kind.decision().map(|id| id.to_string()),
        };
        let transactions = self.books()?.entries().map(movement).collect();
        Ok(Answer::History(History { v: V, transactions }))
    }

    fn invite(&mut self, card: &str) -> Outcome<Answer> {
        let card = MemberCard::from_str(card).map_err(Failure::usage)?;
        if NetworkKind::from(card.network) != NetworkKind::from(self.charter.network)
            || card.network != self.charter.network
        {
            let detail = format!(
                "{}'s card is of {}, the guild is on {}",
                card.name, card.network, self.charter.network
            );
            return Err(Failure::usage(detail));
        }
        let expiry = self.tip_height().saturating_add(INVITATION_BLOCKS);
        if self.state().members.contains_key(&card.key) {
            return Ok(Answer::Invitation(self.invitation(None)));
        }
        self.say(Payload::Invite(Invite { guest: card.key, name: card.name, expiry }))?;
        Ok(Answer::Invitation(self.invitation(Some(expiry))))
    }

    fn invitation(&self, expiry: Option<u32>) -> InvitationDto {
        let peer = crate::net::peer_of(&self.me);
        let lines = self.addresses.iter().map(|address| format!("{address}/p2p/{peer}"));
        let invitation = Invitation {
            guild: self.guild,
            network: self.charter.network,
            addresses: lines.filter_map(|line| Line::try_from(line).ok()).collect(),
        };
        InvitationDto { v: V, invitation: invitation.to_string(), expiry }
    }

    /// The policy in force and its proof, which may be of an epoch before.
    fn policy_in_force(&self) -> Option<(&MiningPolicy, &Certificate)> {
        let key = self.state().key.as_ref();
        let founding = key.and_then(|key| key.founding()).map(|proof| (&self.charter.mining, proof));
        let decided = self.state().setting(&SettingKey::Mining).and_then(|(_, proposal, setting)| {
            let Setting::Mining(policy) = setting else { return None };
            Some((policy, proposal.certificate()?))
        });
        decided.or(founding)
    }

    /// The epoch of that proof and its key: what a link verifies by. Links follow no seals yet; what they mine
    /// to an older key is swept.
    fn key_of_links(&self) -> (u32, Option<GroupKey>) {
        let epoch = self.policy_in_force().map_or(keygen::EPOCH, |(_, proof)| proof.body.epoch);
        (epoch, self.state().key_of(epoch))
    }

    fn link_policy(&self) -> PolicyAnswer {
        let (epoch, key) = self.key_of_links();
        PolicyAnswer::new(&self.charter, epoch, key, self.policy_in_force())
    }

    fn pair(&self) -> Outcome<Answer> {
        let why = "links are paired once the group key is ready and tested";
        let usable = self.state().usable_key().is_some();
        let (epoch, key) = self.key_of_links();
        let key = key.filter(|_| usable).ok_or_else(|| Failure::new(Code::TryAgain, why))?;
        Ok(Answer::Pair(Pair {
            v: V,
            guild: self.guild.to_string(),
            member: self.me.to_string(),
            epoch,
            group_key: key.to_string(),
        }))
    }
}

/// What a ballot says: yes to options is an approval of them.
fn choice_of(ballot: &NewBallot) -> Outcome<Choice> {
    if ballot.options.is_empty() {
        return Ok(Choice::from(ballot.choice));
    }
    if ballot.choice != dto::ChoiceDto::Yes || ballot.options.contains(&0) {
        return Err(Failure::usage("options are counted from 1, and go with a yes"));
    }
    Ok(Choice::Approve(Approvals::of(ballot.options.iter().map(|option| option - 1))))
}

/// What a transaction is, in a word or two.
fn kind(entry: &Entry) -> String {
    let contributes = |posting: &Posting| matches!(posting.account, Account::Contributions(_));
    match entry.kind {
        Kind::Received if entry.postings.iter().any(contributes) => "contribution".to_owned(),
        Kind::Undecided => "other".to_owned(),
        kind => kind.word().to_owned(),
    }
}
