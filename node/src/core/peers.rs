//! Other nodes: who is there, what they have that we lack, what they may ask.

use super::{Effect, Node};
use crate::core::ask::Ask;
use crate::net::protocol::{Request, Response};
use crate::net::{Command, Event, Judgement, Received};
use crdt::sync::{Frontier, page};
use crdt::{Insert, MemberId, Signed};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use threshold::{PartyId, SessionId, Timestamp};

/// How often we tell everybody the digest of our frontier.
const DIGEST_EVERY: Duration = Duration::from_secs(5);
/// How often we compare frontiers with every peer, whatever gossip says.
const PULL_EVERY: Duration = Duration::from_secs(30);
/// How often we try to reach members who are not connected.
const DIAL_EVERY: Duration = Duration::from_secs(3);
/// How long a node whose journal was lost listens before it speaks again (§4).
const RECOVERY_WAIT: Duration = Duration::from_secs(30 * 60);

const GOSSIP_ENTRY: u8 = 0;
const GOSSIP_DIGEST: u8 = 1;
/// A digest and the time it was told.
const DIGEST_LEN: usize = 32 + 8;

/// What we know of the other nodes.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) connected: BTreeMap<MemberId, Timestamp>,
    pub(super) last_seen: BTreeMap<MemberId, Timestamp>,
    pending: BTreeMap<u64, Pending>,
    next_token: u64,
    allowed: BTreeSet<MemberId>,
    bootstrap: Vec<String>,
    next_digest: Timestamp,
    next_pull: Timestamp,
    next_dial: Timestamp,
}

/// A question of ours that has no answer yet.
#[derive(Debug)]
pub(super) enum Pending {
    /// For a frontier.
    Frontier,
    /// For entries.
    Pull,
    /// A key generation message; nothing depends on the answer.
    Sent,
    /// For commitments.
    Commit(Ask, PartyId, SessionId),
    /// For shares.
    Sign(Ask, PartyId, SessionId),
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
            pending: BTreeMap::new(),
            next_token: 0,
            allowed: BTreeSet::new(),
            bootstrap,
            next_digest: start,
            next_pull: start,
            next_dial: start,
        }
    }

    /// Whether this changes who may connect.
    pub(super) fn allow(&mut self, members: &BTreeSet<MemberId>) -> bool {
        let changed = self.allowed != *members;
        self.allowed.clone_from(members);
        changed
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
        message.extend_from_slice(signed.bytes());
        self.effects.push_back(Effect::Net(Command::Gossip(message)));
    }

    pub(super) fn on_net(&mut self, event: Event) {
        match event {
            Event::Listening(address) => tracing::info!(target: "guild::net", %address, "listening"),
            Event::Connected(peer) => {
                self.peers.connected.insert(peer, self.now);
                self.peers.last_seen.insert(peer, self.now);
                tracing::info!(target: "guild::net", peer = %self.name(&peer), "connected");
                self.ask_frontier(peer);
            }
            Event::Disconnected(peer) => {
                self.peers.connected.remove(&peer);
                tracing::info!(target: "guild::net", peer = %self.name(&peer), "disconnected");
                self.peer_left(peer);
            }
            Event::Request(from, number, request) => {
                self.peers.last_seen.insert(from, self.now);
                let response = self.answer(from, request);
                self.effects.push_back(Effect::Net(Command::Respond(number, response)));
            }
            Event::Response(from, token, response) => self.on_response(from, token, response),
            Event::Gossip(received) => self.on_gossip(received),
        }
    }

    fn ask_frontier(&mut self, peer: MemberId) {
        let ours = Frontier::of(&self.document);
        self.ask(peer, Request::Frontier(ours), Pending::Frontier);
    }

    /// What `from` may know. Guests read; only members ask for shares.
    fn answer(&mut self, from: MemberId, request: Request) -> Response {
        let member = self.state().members.contains_key(&from);
        match request {
            Request::Charter => Response::Charter(self.charter.to_bytes()),
            Request::Frontier(theirs) => {
                let ours = Frontier::of(&self.document);
                if member && !ours.lacks(&theirs).is_empty() {
                    self.ask(from, Request::Pull(ours.lacks(&theirs)), Pending::Pull);
                }
                Response::Frontier(ours)
            }
            Request::Pull(ranges) => Response::Entries(page(&self.document, &ranges)),
            _ if !member => Response::NotAllowed,
            Request::Dkg(message) => {
                self.keygen_message(&message);
                Response::Taken
            }
            Request::Commit { ask, session, request } => self.seat(from, ask, session, request),
            Request::Sign { ask, package } => self.give_shares(from, ask, &package),
        }
    }

    fn on_response(&mut self, from: MemberId, token: u64, response: Option<Response>) {
        let Some(pending) = self.peers.pending.remove(&token) else { return };
        if response.is_some() {
            self.peers.last_seen.insert(from, self.now);
        }
        match (pending, response) {
            (Pending::Frontier, Some(Response::Frontier(theirs))) => self.compare(from, &theirs),
            (Pending::Pull, Some(Response::Entries(entries))) => self.take_page(from, entries),
            (Pending::Commit(ask, party, session), response) => self.committed(ask, party, session, response),
            (Pending::Sign(ask, party, session), response) => self.shared(ask, party, session, response),
            (Pending::Frontier | Pending::Pull | Pending::Sent, _) => {}
        }
    }

    fn compare(&mut self, from: MemberId, theirs: &Frontier) {
        let member = self.folded.state.members.contains_key(&from);
        if let Some(recovery) = self.recovery.as_mut().filter(|_| member) {
            let (t, n) = (self.charter.signers_needed(), self.charter.co_signer_count());
            recovery.needed = (n - t).max(1);
            recovery.answered.insert(from);
        }
        let lacks = Frontier::of(&self.document).lacks(theirs);
        if !lacks.is_empty() {
            self.ask(from, Request::Pull(lacks), Pending::Pull);
        }
    }

    fn take_page(&mut self, from: MemberId, entries: Vec<Vec<u8>>) {
        let before = self.document.version();
        for bytes in entries {
            if let Err(why) = self.take_entry(&bytes) {
                tracing::warn!(target: "guild::net", peer = %self.name(&from), %why, "sent what is no entry");
                return;
            }
        }
        if self.document.version() != before {
            self.ask_frontier(from); // the page may not have been all
        }
    }

    /// Whether these bytes brought something new.
    fn take_entry(&mut self, bytes: &[u8]) -> Result<bool, crdt::signed::NotAnEntry> {
        let signed = Signed::verify(bytes, self.guild)?;
        let kind = signed.entry().payload.kind();
        match self.document.insert(signed, self.tip_height()) {
            Insert::New(new) => {
                self.keep(new);
                Ok(true)
            }
            Insert::Held | Insert::Dropped => {
                self.pull_soon(); // something before it is missing
                Ok(false)
            }
            Insert::Nothing => Ok(false),
            refused @ (Insert::Stranger(_) | Insert::Invalid(_)) => {
                tracing::debug!(target: "guild::core", kind, ?refused, "entry refused");
                Ok(false)
            }
        }
    }

    /// Keep entries that are new here. One of our own among them was lost here and not there.
    pub(super) fn keep(&mut self, new: Vec<Signed>) {
        for signed in new {
            self.effects.push_back(if signed.entry().author == self.me {
                tracing::warn!(target: "guild::core", "a peer had an entry of ours that we lost");
                Effect::Journal(crate::journal::Record::Own(signed.bytes().to_vec()))
            } else {
                Effect::Store(signed)
            });
        }
    }

    fn on_gossip(&mut self, received: Received) {
        let judgement = match received.data.split_first() {
            Some((&GOSSIP_ENTRY, bytes)) => match self.take_entry(bytes) {
                Ok(true) => Judgement::Good,
                Ok(false) => Judgement::Idle,
                Err(_) => Judgement::Bad,
            },
            Some((&GOSSIP_DIGEST, said)) if said.len() == DIGEST_LEN => {
                if !said.starts_with(&Frontier::of(&self.document).digest().0) {
                    self.pull_soon();
                }
                Judgement::Idle // each node tells its own
            }
            _ => Judgement::Bad,
        };
        self.effects.push_back(Effect::Net(Command::Judge(received, judgement)));
    }

    /// Somebody has what we lack, or lacks what we have: compare with all at the next tick.
    fn pull_soon(&mut self) {
        self.peers.next_pull = self.peers.next_pull.min(self.now);
    }

    pub(super) fn tend_peers(&mut self) {
        let now = self.now;
        if now >= self.peers.next_pull {
            self.peers.next_pull = now.after(PULL_EVERY);
            for peer in self.peers.connected.keys().copied().collect::<Vec<_>>() {
                self.ask_frontier(peer);
            }
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
        let announced = known.flat_map(|(_, member)| member.addresses.iter().map(str::to_owned));
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
