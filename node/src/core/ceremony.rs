//! Leading a signature: who starts, who is asked, what becomes of the result (§9).

use super::Node;
use crate::api::dto::{Answer, Ceremony as CeremonyDto, RefusalDto};
use crate::core::ask::{Ask, Subject};
use crate::core::custody::Authorised;
use crate::error::{Code, Failure as Failed};
use crate::net::protocol::Response;
use crdt::certificate::{Certificate, Signature};
use crdt::{MemberId, Payload};
use std::collections::BTreeMap;
use std::time::Duration;
use threshold::sign::{
    Commitments, Coordinator, Effect as SignEffect, Failure, Input, Outcome, Refusal, RequestId, Shares,
};
use threshold::{PartyId, SessionId, Timestamp, Wire as _};
use wallet::CheckedTx;

/// How long the next in rank waits before it coordinates instead of a silent one.
const NEXT_COORDINATOR: Duration = Duration::from_secs(10);
/// How long after a failure the same is tried again.
const RETRY: Duration = Duration::from_secs(20);

/// A signature that is due, or being made.
pub(super) struct Ceremony {
    due_since: Timestamp,
    not_before: Timestamp,
    running: Option<Running>,
    pub(super) last: Option<CeremonyDto>,
}

/// Whom a ceremony waits for and since when, and who gets the next free seat.
pub(super) type WaitsFor = (Vec<(MemberId, Timestamp)>, Option<MemberId>);

struct Running {
    ask: Ask,
    coordinator: Coordinator,
    checked: Option<CheckedTx>,
    waiting: Vec<u64>,
}

impl Ceremony {
    const fn new(now: Timestamp) -> Self {
        Self { due_since: now, not_before: now, running: None, last: None }
    }
}

impl Node {
    /// Note what became due or is due no more; begin what is our turn.
    pub(super) fn drive_ceremonies(&mut self) {
        if !std::mem::take(&mut self.look_for_due) {
            return self.run_ceremonies();
        }
        let due = self.due();
        let now = self.now;
        self.ceremonies.retain(|subject, ceremony| {
            ceremony.running.is_some() || ceremony.last.is_some() || due.contains_key(subject)
        });
        for (subject, ask) in due {
            let ceremony = self.ceremonies.entry(subject).or_insert_with(|| Ceremony::new(now));
            let turn = ceremony.due_since.max(ceremony.not_before);
            if ceremony.running.is_none() && now >= turn && self.signer_for(&subject).is_some() {
                let late = self.turn_of(&subject).map(|rank| turn.after(NEXT_COORDINATOR * rank));
                if late.is_some_and(|late| now >= late) {
                    self.begin(ask, None);
                }
            }
        }
        self.run_ceremonies();
    }

    /// The holder of this share of the key that signs what is about `subject`.
    pub(super) fn seat_in(&self, subject: &Subject, party: PartyId) -> Option<MemberId> {
        self.quorum(subject).0.get(usize::from(party.number()).checked_sub(1)?).copied()
    }

    /// The number of this member's share of that key.
    pub(super) fn party_in(&self, subject: &Subject, member: &MemberId) -> Option<PartyId> {
        let index = self.quorum(subject).0.iter().position(|seat| seat == member)?;
        PartyId::new(u16::try_from(index + 1).ok()?).ok()
    }

    /// The number of this member's share of the key, or of the one it is to get.
    pub(super) fn party_of(&self, member: &MemberId) -> Option<PartyId> {
        let index = self.state().co_signers.iter().position(|seat| seat == member)?;
        PartyId::new(u16::try_from(index + 1).ok()?).ok()
    }

    /// t: how many of them sign.
    pub(super) fn signers_needed(&self) -> usize {
        self.state().signers_needed()
    }

    /// How many co-signers who are here coordinate before us; none if we are no co-signer.
    fn turn_of(&self, subject: &Subject) -> Option<u32> {
        let here = |member: &&MemberId| **member == self.me || self.peers.connected.contains_key(*member);
        let ranked = subject.ranked(&self.quorum(subject).0);
        let rank = ranked.iter().filter(here).position(|member| *member == self.me)?;
        u32::try_from(rank).ok()
    }

    /// The order in which seats are filled: by rank, those who are not here last.
    pub(super) fn seat_order(&self, subject: &Subject) -> Vec<MemberId> {
        let mut ranked = subject.ranked(&self.quorum(subject).0);
        ranked.sort_by_key(|member| *member != self.me && !self.peers.connected.contains_key(member));
        ranked
    }

    /// Ask the others to sign; `waiting` wants to hear the outcome.
    pub(super) fn begin(&mut self, ask: Ask, waiting: Option<u64>) {
        let subject = ask.subject();
        let now = self.now;
        if let Some(running) =
            self.ceremonies.get_mut(&subject).and_then(|ceremony| ceremony.running.as_mut())
        {
            running.waiting.extend(waiting);
            return;
        }
        match self.open_ceremony(ask) {
            Ok((coordinator, checked)) => {
                tracing::info!(target: "guild::signing", %subject, "asking for signatures");
                let ceremony = self.ceremonies.entry(subject).or_insert_with(|| Ceremony::new(now));
                let waiting = waiting.into_iter().collect();
                ceremony.running = Some(Running { ask, coordinator, checked, waiting });
            }
            Err(refusal) => {
                tracing::debug!(target: "guild::signing", %subject, found = refusal.found(), "cannot ask");
                let ceremony = self.ceremonies.entry(subject).or_insert_with(|| Ceremony::new(now));
                ceremony.not_before = now.after(RETRY);
                if let Some(number) = waiting {
                    self.reply(number, Err(refused(&refusal)));
                }
            }
        }
    }

    fn open_ceremony(&mut self, ask: Ask) -> Result<(Coordinator, Option<CheckedTx>), Refusal> {
        let Authorised { request, checked } = self.request_to_ask(ask)?;
        let subject = ask.subject();
        let keys = self.signer_for(&subject).ok_or_else(|| self.no_share())?.keys().clone();
        let order = self.seat_order(&subject);
        let ranked = order.iter().filter_map(|member| self.party_in(&subject, member)).collect();
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        Coordinator::new(&request, keys, ranked, seed, self.now)
            .map(|coordinator| (coordinator, checked))
            .map_err(|error| Refusal::new("signable request", "a request to sign", error.to_string()))
    }

    pub(super) fn tick_ceremonies(&mut self) {
        for subject in self.ceremonies.keys().copied().collect::<Vec<_>>() {
            self.feed(subject, Input::Tick);
        }
    }

    /// A peer is gone: whoever waits for it need not wait longer.
    pub(super) fn peer_left(&mut self, peer: MemberId) {
        for subject in self.ceremonies.keys().copied().collect::<Vec<_>>() {
            if let Some(party) = self.party_in(&subject, &peer) {
                self.feed(subject, Input::Gone(party));
            }
        }
    }

    pub(super) fn feed(&mut self, subject: Subject, input: Input) {
        let now = self.now;
        let running = self.ceremonies.get_mut(&subject).and_then(|ceremony| ceremony.running.as_mut());
        if let Some(running) = running
            && let Err(why) = running.coordinator.handle(input, now)
        {
            tracing::debug!(target: "guild::signing", %subject, %why, "input refused");
        }
    }

    pub(super) fn committed(
        &mut self,
        ask: Ask,
        party: PartyId,
        session: SessionId,
        response: Option<Response>,
    ) {
        let input = match response {
            Some(Response::Commitments(bytes)) => match Commitments::from_wire(&bytes) {
                Ok(commitments) if commitments.session == session => Input::Commitments(party, commitments),
                _ => Input::Silent(party, session),
            },
            Some(Response::Refused(refusal)) => Input::Refused(party, session, refusal),
            _ => Input::Silent(party, session),
        };
        self.feed(ask.subject(), input);
    }

    pub(super) fn shared(
        &mut self,
        ask: Ask,
        party: PartyId,
        session: SessionId,
        response: Option<Response>,
    ) {
        let input = match response {
            Some(Response::Shares(bytes)) => match Shares::from_wire(&bytes) {
                Ok(shares) if shares.session == session => Input::Shares(party, shares),
                _ => Input::Silent(party, session),
            },
            Some(Response::Refused(refusal)) => Input::Refused(party, session, refusal),
            _ => Input::Silent(party, session),
        };
        self.feed(ask.subject(), input);
    }

    /// Carry out what coordinators want, until they want nothing.
    fn run_ceremonies(&mut self) {
        while let Some((ask, effect)) = self.next_ceremony_effect() {
            match effect {
                SignEffect::AskCommit(party, session) => self.ask_commit(ask, party, session),
                SignEffect::AskSign(party, package) => self.ask_sign(ask, party, package),
                SignEffect::WakeAt(_) => {} // ticks come anyway
                SignEffect::Done(outcome) => self.ceremony_done(ask, outcome),
            }
        }
    }

    fn next_ceremony_effect(&mut self) -> Option<(Ask, SignEffect)> {
        let mut running = self.ceremonies.values_mut().filter_map(|ceremony| ceremony.running.as_mut());
        running.find_map(|running| Some((running.ask, running.coordinator.next_effect()?)))
    }

    /// What the running ceremony about `ask` signs.
    pub(super) fn request_of(&self, ask: &Ask) -> Option<RequestId> {
        let running = self.ceremonies.get(&ask.subject())?.running.as_ref()?;
        Some(running.coordinator.request())
    }

    fn ceremony_done(&mut self, ask: Ask, outcome: Outcome) {
        let subject = ask.subject();
        let Some(ceremony) = self.ceremonies.get_mut(&subject) else { return };
        let Some(running) = ceremony.running.take() else { return };
        ceremony.not_before = self.now.after(RETRY);
        let report = match &outcome {
            Outcome::Signed(_) => {
                self.report(&subject, self.quorum(&subject).1, &running.coordinator.verdicts())
            }
            Outcome::Failed(failure) => self.report(&subject, 0, failure),
        };
        tracing::info!(target: "guild::signing", %subject, signed = report.signed, "ceremony ended");
        if let Some(ceremony) = self.ceremonies.get_mut(&subject) {
            ceremony.last = Some(report.clone());
        }
        if let Outcome::Signed(signatures) = outcome {
            self.use_signatures(ask, running.checked, &signatures);
        }
        for number in running.waiting {
            self.reply(number, Ok(Answer::Ceremony(report.clone())));
        }
    }

    fn report(&self, subject: &Subject, signed: usize, failure: &Failure) -> CeremonyDto {
        let (seats, needed) = self.quorum(subject);
        let name = |party: &PartyId| {
            self.seat_in(subject, *party).map_or_else(String::new, |member| self.name(&member))
        };
        let refusals = failure.refusals.iter().map(|(party, refusal)| RefusalDto {
            member: name(party),
            rule: refusal.rule().to_owned(),
            expected: refusal.expected().to_owned(),
            found: refusal.found().to_owned(),
        });
        CeremonyDto {
            subject: subject.to_string(),
            signed,
            co_signers: seats.len(),
            needed,
            refusals: refusals.collect(),
            silent: failure.silent.iter().map(name).collect(),
            faulty: failure.faulty.iter().map(name).collect(),
        }
    }

    pub(super) fn use_signatures(&mut self, ask: Ask, checked: Option<CheckedTx>, signatures: &[[u8; 64]]) {
        let Some(signature) = signatures.first().map(|bytes| Signature::from(*bytes)) else { return };
        match ask {
            Ask::KeyTest => {
                let epoch = self.state().key.as_ref().map_or(super::keygen::EPOCH, |key| key.ready.epoch);
                self.say_or_log(Payload::KeyTest { epoch, signature });
            }
            Ask::NextTest(_) => {
                let epoch = self.state().epoch.saturating_add(1);
                self.say_or_log(Payload::KeyTest { epoch, signature });
            }
            Ask::Sweep { .. } => {
                if let Some(checked) = checked {
                    self.finish_sweep(ask, &checked, signatures);
                }
            }
            Ask::Founding => {
                let body = crdt::certificate::Body::founding(&self.charter);
                self.say_or_log(Payload::Certificate(Certificate { body, signature }));
            }
            Ask::Certificate(id) => {
                let Some(body) = self.body_to_ask(&id) else { return };
                self.say_or_log(Payload::Certificate(Certificate { body, signature }));
            }
            Ask::Payment { .. }
            | Ask::Bump(..)
            | Ask::Closing(..)
            | Ask::Draw(..)
            | Ask::Renewal(_)
            | Ask::Seal { .. }
            | Ask::LateSweep { .. } => {
                if let Some(checked) = checked {
                    self.finish_payment(&checked, signatures);
                }
            }
        }
    }

    /// Whom a running ceremony waits for: member, since when, and who is next.
    pub(super) fn waits_for(&self, subject: &Subject) -> Option<WaitsFor> {
        let running = self.ceremonies.get(subject)?.running.as_ref()?;
        let waiting = running.coordinator.waiting_on();
        let missing = waiting.missing.iter();
        let missing = missing.filter_map(|(party, since)| Some((self.seat_in(subject, *party)?, *since)));
        Some((missing.collect(), waiting.next.and_then(|party| self.seat_in(subject, party))))
    }

    /// What the last ceremony about `subject` led here came to.
    pub(super) fn last_report(&self, subject: &Subject) -> Option<&CeremonyDto> {
        self.ceremonies.get(subject)?.last.as_ref()
    }

    /// What is due now, by subject.
    pub(super) fn due(&self) -> BTreeMap<Subject, Ask> {
        let mut due = BTreeMap::new();
        if let Some(key) = &self.state().key {
            if key.tested().is_none() {
                due.insert(Subject::KeyTest, Ask::KeyTest);
            }
            if key.founding().is_none() {
                due.insert(Subject::Founding, Ask::Founding);
            }
        }
        let decisions = if self.is_leaving() { Vec::new() } else { self.due_decisions().collect() };
        let others = self.due_tests().chain(self.due_seals());
        due.extend(decisions.into_iter().chain(others).map(|ask| (ask.subject(), ask)));
        due
    }
}

/// A refusal as a failure of the command that asked.
pub(super) fn refused(refusal: &Refusal) -> Failed {
    let detail = format!("{}: expected {}, found {}", refusal.rule(), refusal.expected(), refusal.found());
    Failed::new(Code::Refused, detail)
}
