//! Seats in signing sessions: those that others offer us, and our own in the sessions that we lead.
//!
//! Who is asked for a seat too early (a ballot, a block, a statement is still on its way to it) does not
//! refuse at once: it answers when what was missing is here, or after [`PATIENCE`]. For a certificate the
//! asker names the entries that its own judgement rests on, its witness; what of them is not here is asked
//! for first, so that own ∪ witness is judged (§7).

use super::custody::SESSION;
use super::{Effect, Node};
use crate::core::ask::Ask;
use crate::core::peers::Pending;
use crate::net;
use crate::net::protocol::{Request, Response};
use crdt::governance::{is_held, witness};
use crdt::limits::WITNESS_MAX;
use crdt::{EntryId, MemberId};
use std::collections::VecDeque;
use std::time::Duration;
use threshold::sign::{Input, Offer, Refusal, SigningPackage};
use threshold::{PartyId, SessionId, Timestamp, Wire as _};

/// How long a question for a seat waits for what would let us say yes: entries and blocks reach all nodes
/// within a second or so of each other.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Questions of one peer that wait; more are answered at once.
const WAITING_PER_PEER: usize = 8;

/// What we do in sessions, apart from what the asker waits for.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// Our own part in sessions that we lead: done after the others were asked, so that they do theirs at
    /// the same time.
    own: VecDeque<Own>,
    waiting: Vec<Question>,
    /// Something came that may change an answer.
    pub(super) news: bool,
}

#[derive(Debug)]
enum Own {
    Commit(Ask, PartyId, SessionId),
    Sign(Ask, PartyId, SigningPackage),
}

/// A question for a seat that may have a better answer soon.
#[derive(Debug)]
struct Question {
    from: MemberId,
    number: u64,
    ask: Ask,
    offer: Offer,
    /// The entries that the asker's judgement rests on; more than [`WITNESS_MAX`] are not looked at.
    witness: Vec<EntryId>,
    until: Timestamp,
}

impl Node {
    /// Ask a party to commit, or do so ourselves when the others were asked.
    pub(super) fn ask_commit(&mut self, ask: Ask, party: PartyId, session: SessionId) {
        let Some(member) = self.seat_in(&ask.subject(), party) else { return };
        if member == self.me {
            return self.later(Own::Commit(ask, party, session));
        }
        let Some(request) = self.request_of(&ask) else { return };
        let offer = Offer { session, request }.to_wire();
        let witness = match &ask {
            Ask::Certificate(id) => witness(&self.document, self.state(), id),
            _ => Vec::new(),
        };
        self.ask(member, Request::Commit { ask, offer, witness }, Pending::Commit(ask, party, session));
    }

    /// Ask a party for its shares, or give ours when the others were asked.
    pub(super) fn ask_sign(&mut self, ask: Ask, party: PartyId, package: SigningPackage) {
        let Some(member) = self.seat_in(&ask.subject(), party) else { return };
        if member == self.me {
            return self.later(Own::Sign(ask, party, package));
        }
        let session = package.session;
        let request = Request::Sign { ask, package: package.to_wire() };
        self.ask(member, request, Pending::Sign(ask, party, session));
    }

    fn later(&mut self, own: Own) {
        self.seats.own.push_back(own);
        self.effects.push_back(Effect::Continue);
    }

    /// Everything that was to be sent is on its way: do our own part.
    pub(super) fn do_own_part(&mut self) {
        match self.seats.own.pop_front() {
            Some(Own::Commit(ask, party, session)) => {
                let Some(request) = self.request_of(&ask) else { return };
                let input = match self.commit(self.me, ask, session, request) {
                    Ok(commitments) => Input::Commitments(party, commitments),
                    Err(refusal) => Input::Refused(party, session, refusal),
                };
                self.feed(ask.subject(), input);
            }
            Some(Own::Sign(ask, party, package)) => {
                let session = package.session;
                let input = match self.share(self.me, ask, &package) {
                    Ok(shares) => Input::Shares(party, shares),
                    Err(refusal) => Input::Refused(party, session, refusal),
                };
                self.feed(ask.subject(), input);
            }
            None => {}
        }
    }

    /// Answer a coordinator that offers us a seat, unless the answer may be a better one soon.
    pub(super) fn seat(
        &mut self,
        from: MemberId,
        number: u64,
        ask: Ask,
        (offer, mut witness): (&[u8], Vec<EntryId>),
    ) -> Option<Response> {
        let offer = match Offer::from_wire(offer) {
            Ok(offer) => offer,
            Err(why) => {
                let expected = "an offer of this version and scheme";
                return Some(Response::Refused(Refusal::new(SESSION, expected, why.to_string())));
            }
        };
        witness.truncate(WITNESS_MAX);
        let theirs = self.seats.waiting.iter().filter(|question| question.from == from).count();
        let subject = ask.subject();
        let seated = self.signer_for(&subject).is_some() && self.party_in(&subject, &from).is_some();
        let may_wait = seated && theirs < WAITING_PER_PEER;
        // own ∪ witness: what the coordinator has is judged here too
        if !may_wait || is_held(&self.document, &witness) {
            match self.take_seat(from, ask, offer) {
                Ok(response) => return Some(response),
                Err(refusal) if !may_wait || refusal.rule() == SESSION => {
                    return Some(Response::Refused(refusal));
                }
                Err(_) => {}
            }
        }
        if matches!(ask, Ask::Certificate(_)) {
            self.compare_with_all();
        }
        let until = self.now.after(PATIENCE);
        self.seats.waiting.push(Question { from, number, ask, offer, witness, until });
        None
    }

    fn take_seat(&mut self, from: MemberId, ask: Ask, offer: Offer) -> Result<Response, Refusal> {
        let Offer { session, request } = offer;
        self.commit(from, ask, session, request).map(|said| Response::Commitments(said.to_wire()))
    }

    /// Look again at the questions that wait, if something came, and answer those that waited long enough.
    pub(super) fn answer_waiting(&mut self) {
        let (news, now) = (std::mem::take(&mut self.seats.news), self.now);
        if self.seats.waiting.is_empty() {
            return;
        }
        for question in std::mem::take(&mut self.seats.waiting) {
            let over = now >= question.until;
            let ready = over || news && is_held(&self.document, &question.witness);
            if !ready {
                self.seats.waiting.push(question);
                continue;
            }
            let response = match self.take_seat(question.from, question.ask, question.offer) {
                Ok(response) => response,
                Err(refusal) if over => Response::Refused(refusal),
                Err(_) => {
                    self.seats.waiting.push(question);
                    continue;
                }
            };
            self.effects.push_back(Effect::Net(net::Command::Respond(question.number, response)));
        }
    }
}
