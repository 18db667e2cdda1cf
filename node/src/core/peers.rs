//! Other nodes: who is there, what they have that we lack, what they may ask.

use super::{Effect, Node, since_start};
use crate::core::ask::Ask;
use crate::net::protocol::{Request, Response};
use crate::net::{Command, Event, Judgement, Received};
use crdt::signed::{NotAnEntry, claimed_id};
use crdt::sync::machine::{self, Fault, Syncer};
use crdt::sync::{Answer, Frontier, Question};
use crdt::{Digest, EntryId, Insert, MemberId, Signed};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use threshold::{PartyId, SessionId, Timestamp};

/// How often we tell everybody the digest of our frontier.
const DIGEST_EVERY: Duration = Duration::from_secs(5);
/// How often we try to reach members who are not connected.
const DIAL_EVERY: Duration = Duration::from_secs(3);
/// How long a node whose journal was lost listens before it speaks again (§4).
const RECOVERY_WAIT: Duration = Duration::from_secs(30 * 60);
/// Pages and gossiped entries that are being verified. Gossip above that is dropped: pull brings it again.
const VERIFYING_MAX: usize = 256;
/// Entries that one peer gossips and that are being verified, so that it cannot fill the queue.
const VERIFYING_PER_PEER: usize = 64;

const GOSSIP_ENTRY: u8 = 0;
const GOSSIP_DIGEST: u8 = 1;
/// A digest and the time it was told.
const DIGEST_LEN: usize = 32 + 8;

/// What we know of the other nodes.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) connected: BTreeMap<MemberId, Timestamp>,
    pub(super) last_seen: BTreeMap<MemberId, Timestamp>,
    pub(super) syncer: Syncer,
    /// Peers that did wrong, and what, for people to see.
    pub(super) cut: BTreeMap<MemberId, (Fault, Timestamp)>,
    pending: BTreeMap<u64, Pending>,
    next_token: u64,
    verifying: BTreeMap<u64, Verifying>,
    allowed: BTreeSet<MemberId>,
    bootstrap: Vec<String>,
    next_digest: Timestamp,
    next_dial: Timestamp,
}

/// A question of ours that has no answer yet.
#[derive(Debug)]
pub(super) enum Pending {
    /// Of anti-entropy, by the machine's number.
    Sync(u64),
    /// A key generation message; nothing depends on the answer.
    Sent,
    /// For commitments.
    Commit(Ask, PartyId, SessionId),
    /// For shares.
    Sign(Ask, PartyId, SessionId),
    /// For the transcript of the key.
    Transcript,
    /// For a checkpoint.
    Checkpoint(Digest),
}

/// What came of entries that were put into the document.
struct Taken {
    /// Some were new.
    new: bool,
    /// Something before one of them is missing, or our chain is behind.
    gap: bool,
}

/// What is being verified.
#[derive(Debug)]
enum Verifying {
    /// A page that a peer sent, without the entries that we have: those.
    Page(MemberId, u64, Vec<Signed>),
    /// An entry that was gossiped.
    Gossip(Received),
}

/// A node whose journal was lost asks others what it had said, before it says anything.
#[derive(Debug)]
pub(super) struct Recovery {
    until: Timestamp,
    answered: BTreeSet<MemberId>,
    needed: usize,
}

impl Recovery {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { until: now.after(RECOVERY_WAIT), answered: BTreeSet::new(), needed: 1 }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (have, minutes) = (self.answered.len(), RECOVERY_WAIT.as_secs() / 60);
        write!(
            f,
            "the journal was restored or lost: this node asks what it said before, {have} of {} members \
             answered, and speaks {minutes} minutes after its start",
            self.needed
        )
    }
}

impl Peers {
    pub(super) fn new(bootstrap: Vec<String>) -> Self {
        let start = Timestamp::default();
        Self {
            connected: BTreeMap::new(),
            last_seen: BTreeMap::new(),
            syncer: Syncer::default(),
            cut: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_token: 0,
            verifying: BTreeMap::new(),
            allowed: BTreeSet::new(),
            bootstrap,
            next_digest: start,
            next_dial: start,
        }
    }

    /// Whether this changes who may connect.
    pub(super) fn allow(&mut self, members: &BTreeSet<MemberId>) -> bool {
        let changed = self.allowed != *members;
        self.allowed.clone_from(members);
        changed
    }

    /// Whether one more gossiped entry of `from` may be verified.
    fn has_room_for(&self, from: &MemberId) -> bool {
        let theirs = self.verifying.values().filter(|job| match job {
            Verifying::Gossip(received) => received.from() == Some(*from),
            Verifying::Page(..) => false,
        });
        self.verifying.len() < VERIFYING_MAX && theirs.count() < VERIFYING_PER_PEER
    }
}

impl Node {
    pub(super) fn ask(&mut self, to: MemberId, request: Request, pending: Pending) {
        self.peers.next_token += 1;
        self.peers.pending.insert(self.peers.next_token, pending);
        self.effects.push_back(Effect::Net(Command::Ask(to, self.peers.next_token, request)));
    }

    pub(super) fn gossip(&mut self, signed: &Signed) {
        let mut message = vec![GOSSIP_ENTRY];
        message.extend_from_slice(&signed.to_bytes());
        self.effects.push_back(Effect::Net(Command::Gossip(message)));
    }

    pub(super) fn on_net(&mut self, event: Event) {
        match event {
            Event::Listening(address) => tracing::info!(target: "guild::net", %address, "listening"),
            Event::Connected(peer) => {
                self.peers.connected.insert(peer, self.now);
                self.peers.last_seen.insert(peer, self.now);
                tracing::info!(target: "guild::net", peer = %self.name(&peer), "connected");
                if self.speaks(&peer) {
                    self.sync(machine::Input::Connected(peer));
                }
            }
            Event::Disconnected(peer) => {
                self.peers.connected.remove(&peer);
                tracing::info!(target: "guild::net", peer = %self.name(&peer), "disconnected");
                self.sync(machine::Input::Disconnected(peer));
                self.peer_left(peer);
            }
            Event::Request(from, number, request) => {
                self.peers.last_seen.insert(from, self.now);
                if let Some(response) = self.answer(from, number, request) {
                    self.effects.push_back(Effect::Net(Command::Respond(number, response)));
                }
            }
            Event::Response(from, token, response) => self.on_response(from, token, response),
            Event::Gossip(received) => self.on_gossip(received),
        }
    }

    /// Somebody judges otherwise than we: compare with everybody, so that what they have is judged here too.
    pub(super) fn compare_with_all(&mut self) {
        self.sync(machine::Input::Gap);
    }

    /// Let the machine of anti-entropy take `input`, and carry out what it wants.
    fn sync(&mut self, input: machine::Input) {
        let now = since_start(self.now);
        for effect in self.peers.syncer.handle(input, &self.document, now) {
            match effect {
                machine::Effect::Ask(peer, number, question) => {
                    self.ask(peer, Request::Sync(question), Pending::Sync(number));
                }
                machine::Effect::Verify(peer, number, page) => self.verify_page(peer, number, page),
                machine::Effect::Cut(peer, fault, lasts) => self.cut_off(peer, fault, lasts),
            }
        }
    }

    fn cut_off(&mut self, peer: MemberId, fault: Fault, lasts: Duration) {
        let seconds = lasts.as_secs();
        tracing::warn!(target: "guild::net", peer = %self.name(&peer), %fault, seconds, "cut off");
        self.peers.cut.insert(peer, (fault, self.now.after(lasts)));
        self.allow_peers();
    }

    /// What `from` may know; none if it is answered later. Guests read; only members ask for shares.
    fn answer(&mut self, from: MemberId, number: u64, request: Request) -> Option<Response> {
        let member = self.speaks(&from);
        Some(match request {
            Request::Charter => Response::Charter(self.charter.to_bytes()),
            Request::Sync(question) => self.answer_sync(from, &question),
            _ if !member => Response::NotAllowed,
            Request::Transcript => self.answer_transcript(),
            Request::Checkpoint(hash) => self.answer_checkpoint(&hash),
            Request::Complete { ask, signatures } => self.hear_complete(from, ask, &signatures),
            Request::Dkg(message) => {
                self.keygen_message(&message);
                Response::Taken
            }
            Request::Commit { ask, offer, witness } => {
                return self.seat(from, number, ask, (&offer, witness));
            }
            Request::Sign { ask, package } => self.give_shares(from, ask, &package),
            Request::Given { coordinator, shares } => self.hear_given(from, coordinator, &shares),
        })
    }

    /// Somebody who is here may speak from now on.
    pub(super) fn meet(&mut self, peer: MemberId) {
        self.sync(machine::Input::Connected(peer));
    }

    /// Whether what this peer says counts: a member's word, or a candidate's.
    fn speaks(&self, peer: &MemberId) -> bool {
        self.state().members.contains_key(peer)
            || self.document.chain(peer).is_some_and(|chain| !chain.is_over())
    }

    fn answer_sync(&mut self, from: MemberId, question: &Question) -> Response {
        let now = since_start(self.now);
        if !self.peers.syncer.may_ask(from, now) {
            self.sync(machine::Input::Tick); // it may be cut off for that
            return Response::NotAllowed;
        }
        if let Question::Compare(theirs) = question
            && self.speaks(&from)
        {
            self.sync(machine::Input::Digest(from, *theirs)); // does it have what we lack?
        }
        Response::Sync(crdt::sync::answer(&self.document, question))
    }

    fn on_response(&mut self, from: MemberId, token: u64, response: Option<Response>) {
        let Some(pending) = self.peers.pending.remove(&token) else { return };
        if response.is_some() {
            self.peers.last_seen.insert(from, self.now);
        }
        match (pending, response) {
            (Pending::Sync(number), Some(Response::Sync(answer))) => {
                self.count_recovery(from, &answer);
                if answer == Answer::Same {
                    self.lost = None;
                }
                self.sync(machine::Input::Answer(from, number, Some(answer)));
            }
            (Pending::Sync(number), _) => self.sync(machine::Input::Answer(from, number, None)),
            (Pending::Commit(ask, party, session), response) => self.committed(ask, party, session, response),
            (Pending::Sign(ask, party, session), response) => self.shared(ask, party, session, response),
            (Pending::Transcript, Some(Response::Transcript(bytes))) => self.take_transcript(from, bytes),
            (Pending::Checkpoint(hash), Some(Response::Checkpoint(bytes))) => {
                self.take_checkpoint(from, hash, &bytes);
            }
            (Pending::Transcript | Pending::Checkpoint(_) | Pending::Sent, _) => {}
        }
    }

    /// `from` told its frontier, or that it equals ours: it has given all it has of our own chain, or will
    /// within the wait that follows.
    fn count_recovery(&mut self, from: MemberId, answer: &Answer) {
        let member = self.state().members.contains_key(&from);
        if let Some(recovery) = self.recovery.as_mut().filter(|_| member)
            && matches!(answer, Answer::Same | Answer::Frontier(_))
        {
            let (t, n) = (self.charter.signers_needed(), self.charter.co_signer_count());
            recovery.needed = (n - t).max(1);
            recovery.answered.insert(from);
        }
    }

    /// Have a page verified, but for what we have already.
    fn verify_page(&mut self, peer: MemberId, number: u64, page: Vec<Vec<u8>>) {
        let have = |bytes: &Vec<u8>| claimed_id(bytes).and_then(|id| self.document.find(id));
        let known: Vec<Signed> = page.iter().filter_map(have).cloned().collect();
        let news: Vec<Vec<u8>> = page.into_iter().filter(|bytes| have(bytes).is_none()).collect();
        self.verify(Verifying::Page(peer, number, known), news);
    }

    fn verify(&mut self, job: Verifying, entries: Vec<Vec<u8>>) {
        self.peers.next_token += 1;
        self.peers.verifying.insert(self.peers.next_token, job);
        self.effects.push_back(Effect::Verify(self.peers.next_token, entries));
    }

    /// What was verified goes into the document.
    pub(super) fn on_verified(&mut self, number: u64, entries: Result<Vec<Signed>, NotAnEntry>) {
        let Some(job) = self.peers.verifying.remove(&number) else { return };
        let taken = self.take(entries.as_deref().unwrap_or_default());
        match job {
            Verifying::Page(peer, number, known) => {
                let given = entries.map(|entries| entries.into_iter().chain(known).collect());
                self.sync(machine::Input::Taken(peer, number, given));
            }
            Verifying::Gossip(received) => {
                // Who heard of a change of the guild before us lets people speak whom we do not know yet.
                let early = matches!(entries, Err(NotAnEntry::Stranger(_)));
                let judgement = match taken {
                    _ if early => Judgement::Idle,
                    _ if entries.is_err() => Judgement::Bad,
                    Taken { new: true, .. } => Judgement::Good,
                    Taken { .. } => Judgement::Idle,
                };
                if let (Err(why), Some(from), false) = (entries, received.from(), early) {
                    self.sync(machine::Input::Garbage(from, why));
                }
                if taken.gap {
                    self.sync(machine::Input::Gap);
                }
                self.effects.push_back(Effect::Net(Command::Judge(received, judgement)));
            }
        }
    }

    /// Put entries into the document, and keep those that are new, all at once.
    fn take(&mut self, entries: &[Signed]) -> Taken {
        let (mut new, mut gap) = (Vec::new(), false);
        for signed in entries {
            match self.document.insert(signed.clone(), self.tip_height()) {
                Insert::New(more) => new.extend(more),
                Insert::Held | Insert::Dropped => gap = true,
                Insert::Nothing => {}
                refused @ (Insert::Stranger(_) | Insert::Invalid(_)) => {
                    let kind = signed.entry().payload.kind();
                    tracing::debug!(target: "guild::core", kind, ?refused, "entry refused");
                }
            }
        }
        let taken = Taken { new: !new.is_empty(), gap };
        self.keep(new);
        taken
    }

    /// Keep entries that are new here. One of our own among them was lost here and not there: the journal is
    /// one of the past, and there may be more that we do not remember.
    pub(super) fn keep(&mut self, new: Vec<Signed>) {
        let (own, others): (Vec<Signed>, _) =
            new.into_iter().partition(|signed| signed.entry().author == self.me);
        for signed in own {
            tracing::warn!(target: "guild::core", "a peer had an entry of ours that we lost");
            if self.recovery.is_none() {
                self.recovery = Some(Recovery::new(self.now));
                self.effects.push_back(Effect::DistrustJournal);
            }
            self.effects.push_back(Effect::Journal(crate::journal::Record::Own(signed.to_bytes())));
        }
        if !others.is_empty() {
            self.observe(&others);
            self.effects.push_back(Effect::Store(others));
        }
    }

    fn on_gossip(&mut self, received: Received) {
        let idle = |received| Effect::Net(Command::Judge(received, Judgement::Idle));
        let Some(from) = received.from() else { return self.effects.push_back(idle(received)) };
        match received.data.split_first() {
            Some((&GOSSIP_ENTRY, bytes)) => {
                let known = claimed_id(bytes).is_some_and(|id: EntryId| self.document.find(id).is_some());
                if known || !self.peers.has_room_for(&from) {
                    return self.effects.push_back(idle(received));
                }
                let bytes = bytes.to_vec();
                self.verify(Verifying::Gossip(received), vec![bytes]);
            }
            Some((&GOSSIP_DIGEST, said)) if said.len() == DIGEST_LEN => {
                if let Some(digest) = said.first_chunk() {
                    self.sync(machine::Input::Digest(from, Digest(*digest)));
                }
                self.effects.push_back(idle(received)); // each node tells its own
            }
            _ => self.effects.push_back(Effect::Net(Command::Judge(received, Judgement::Bad))),
        }
    }

    pub(super) fn tend_peers(&mut self) {
        let now = self.now;
        self.sync(machine::Input::Tick);
        let ended = self.peers.cut.values().any(|(_, until)| *until <= now);
        if ended {
            self.peers.cut.retain(|_, (_, until)| *until > now);
            self.allow_peers();
        }
        if now >= self.peers.next_digest {
            self.peers.next_digest = now.after(DIGEST_EVERY);
            let mut message = vec![GOSSIP_DIGEST];
            message.extend_from_slice(&Frontier::of(&self.document).digest().0);
            message.extend_from_slice(&now.as_millis().to_be_bytes()); // gossip drops what it said before
            self.effects.push_back(Effect::Net(Command::Gossip(message)));
        }
        if now >= self.peers.next_dial {
            self.peers.next_dial = now.after(DIAL_EVERY);
            self.dial_missing();
        }
        if let Some(recovery) = &self.recovery
            && recovery.answered.len() >= recovery.needed
            && now >= recovery.until
        {
            self.recovery = None;
            self.effects.push_back(Effect::TrustJournal);
        }
    }

    fn dial_missing(&mut self) {
        let missing = |member: &&MemberId| **member != self.me && !self.peers.connected.contains_key(*member);
        let known = self.state().members.iter().filter(|(member, _)| missing(member));
        let candidates = self.state().next.addresses.iter().filter(|(member, _)| missing(member));
        let announced = known.map(|(_, member)| &member.addresses).chain(candidates.map(|(_, at)| at));
        let announced = announced.flat_map(|addresses| addresses.iter().map(str::to_owned));
        let addresses: BTreeSet<String> = if self.peers.connected.is_empty() {
            announced.chain(self.peers.bootstrap.iter().cloned()).collect()
        } else {
            announced.collect()
        };
        for address in addresses.iter().filter_map(|address| address.parse().ok()) {
            self.effects.push_back(Effect::Net(Command::Dial(address)));
        }
    }
}
