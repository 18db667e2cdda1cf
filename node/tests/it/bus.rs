//! Nodes on a bus with their own time: effects are carried out in order, messages arrive at once, a killed
//! node comes back from what was durable and nothing else.

mod chain;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use chain::Chain;
use crdt::testkit::{self, Person};
use crdt::{Charter, Digest, Document, Signed, Verifier};
use node::api::dto::treasury::{AddressQuery, TreasuryCommand};
use node::api::dto::{Answer, Command, Status};
use node::chain::Update;
use node::core::ask::Ask;
use node::core::{Effect, Input, Node, Start};
use node::error::Outcome;
use node::journal::Record;
use node::net::protocol::{Request, Response};
use node::net::{Command as Net, Event};
use rand::{CryptoRng, RngCore, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use threshold::sign::{Offer, RequestId};
use threshold::{KeyShare, SessionId, Timestamp, Wire as _};
use zeroize::Zeroizing;

/// What survives a kill.
#[derive(Default)]
pub(crate) struct Durable {
    pub(crate) journal: Vec<Record>,
    stored: Vec<Signed>,
    secrets: BTreeMap<String, Vec<Vec<u8>>>,
    pub(crate) share: Option<Vec<u8>>,
    /// Shares of later keys, by epoch and attempt.
    later: BTreeMap<(u32, u32), Vec<u8>>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// Whether the journal counts as whole.
    pub(crate) trusted: bool,
}

impl Durable {
    fn later_keys(&self) -> Vec<(KeyShare, Vec<u8>)> {
        let keys = self.later.iter().filter_map(|(at, share)| {
            let transcript = self.blobs.get(&Node::later_transcript(*at))?;
            Some((KeyShare::from_bytes(share).unwrap(), transcript.clone()))
        });
        keys.collect()
    }

    fn keygen(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let log = self.secrets.get(Node::KEYGEN_SECRET);
        log.into_iter().flatten().cloned().map(Zeroizing::new).collect()
    }

    fn checkpoints(&self) -> Vec<Vec<u8>> {
        let blobs = self.blobs.iter().filter(|(name, _)| name.starts_with("checkpoint-"));
        blobs.map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// K1, asserted over everything that crosses this bus: a nonce is shown in one session, and signs once.
#[derive(Default)]
struct Ledger {
    asked: BTreeMap<u64, Request>,
    drawn: BTreeMap<(usize, Vec<u8>), [u8; 32]>,
    signed: BTreeMap<(usize, Vec<u8>), u64>,
}

impl Ledger {
    fn asked(&mut self, number: u64, request: &Request) {
        if matches!(request, Request::Commit { .. } | Request::Sign { .. }) {
            self.asked.insert(number, request.clone());
        }
    }

    fn answered(&mut self, node: usize, number: u64, response: &Response) {
        match (self.asked.remove(&number), response) {
            (Some(Request::Commit { .. }), Response::Commitments(bytes)) => {
                let said = threshold::sign::Commitments::from_wire(bytes).unwrap();
                let session = said.session.to_bytes();
                for commitment in said.list {
                    let first = *self.drawn.entry((node, commitment.0.to_vec())).or_insert(session);
                    assert_eq!(first, session, "node {node} showed one nonce in two sessions");
                }
            }
            (Some(Request::Sign { package, .. }), Response::Shares(_)) => {
                let package = threshold::sign::SigningPackage::from_wire(&package).unwrap();
                for commitment in package.commitments.values().flatten() {
                    let ours = (node, commitment.0.to_vec());
                    if self.drawn.contains_key(&ours) {
                        assert_eq!(
                            self.signed.insert(ours, number),
                            None,
                            "node {node}: a nonce signed twice"
                        );
                    }
                }
            }
            _ => {}
        }
    }
}

/// Randomness that keeps what it gave.
struct Tape {
    rng: ChaCha12Rng,
    drawn: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl RngCore for Tape {
    fn next_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
        self.drawn.lock().unwrap().push(bytes.to_vec());
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Tape {}

pub(crate) struct Bus {
    pub(crate) people: Vec<Person>,
    pub(crate) charter: Charter,
    nodes: Vec<Option<Node>>,
    pub(crate) durable: Vec<Durable>,
    inbox: VecDeque<(usize, Input)>,
    now: u64,
    asked: BTreeMap<u64, (usize, u64)>,
    next: u64,
    pub(crate) answers: Vec<Outcome<Answer>>,
    /// Answers that requests of the test itself got.
    pub(crate) responses: Vec<Response>,
    /// Effects that the node of [`Bus::burning`] may still carry out before it is killed.
    pub(crate) fuse: Option<usize>,
    /// Whose fuse it is.
    pub(crate) burning: usize,
    /// Whoever would hear gossip asks its sender for news at once, instead of some time.
    pub(crate) chatty: bool,
    /// The height of everybody's chain.
    tip: crdt::Height,
    /// All nonces that were shown, and what they signed.
    nonces: Ledger,
    /// Everything random that nodes drew, of which their nonces follow.
    pub(crate) drawn: Arc<Mutex<Vec<Vec<u8>>>>,
    /// In the place of one node somebody answers who has this document and no software of ours.
    puppet: Option<(usize, Document)>,
    /// Nodes that start now leave their share sealed.
    pub(crate) locked: bool,
    pub(crate) chain: Chain,
    /// Alarms that any node raised.
    pub(crate) alarms: Vec<String>,
}

impl Bus {
    pub(crate) fn new(count: usize) -> Self {
        Self::made((count, count), &[], |_| {})
    }

    /// All nodes but some, whose owners are away.
    pub(crate) fn without(count: usize, absent: &[usize]) -> Self {
        Self::made((count, count), absent, |_| {})
    }

    /// A guild whose charter was changed before it was signed.
    pub(crate) fn with(count: usize, change: impl FnOnce(&mut Charter)) -> Self {
        Self::made((count, count), &[], change)
    }

    /// Founders, and others who run a node and read along, `count` in all.
    pub(crate) fn with_guests(founders: usize, count: usize) -> Self {
        Self::made((founders, count), &[], |_| {})
    }

    fn made((founders, count): (usize, usize), absent: &[usize], change: impl FnOnce(&mut Charter)) -> Self {
        let people = testkit::people(count);
        let mut charter = testkit::charter(people.get(..founders).expect("founders are among them"));
        change(&mut charter);
        charter.check().expect("a sound charter");
        let durable = (0..count).map(|_| Durable { trusted: true, ..Durable::default() }).collect();
        let mut bus = Self {
            people,
            charter,
            nodes: (0..count).map(|_| None).collect(),
            durable,
            inbox: VecDeque::new(),
            now: 1_000_000,
            asked: BTreeMap::new(),
            next: 0,
            answers: Vec::new(),
            responses: Vec::new(),
            fuse: None,
            burning: 0,
            chatty: false,
            tip: 1,
            nonces: Ledger::default(),
            drawn: Arc::default(),
            puppet: None,
            locked: false,
            chain: Chain::default(),
            alarms: Vec::new(),
        };
        (0..count).filter(|index| !absent.contains(index)).for_each(|index| bus.start(index));
        bus
    }

    /// Start a node from what it has that is durable, and connect it with all others.
    pub(crate) fn start(&mut self, index: usize) {
        let durable = &self.durable[index];
        let verifier = Verifier::of_anybody(self.charter.id());
        let own = durable.journal.iter().filter_map(|record| match record {
            Record::Own(bytes) => Some(verifier.verify(bytes).unwrap()),
            _ => None,
        });
        let transcript = durable.blobs.get(Node::TRANSCRIPT_BLOB).cloned();
        let unfinished = transcript.is_none() && durable.secrets.contains_key(Node::KEYGEN_SECRET);
        let share = durable.share.as_ref().filter(|_| !(unfinished || self.locked));
        let start = Start {
            key: self.people[index].key.clone(),
            charter: self.charter.clone(),
            own: own.collect(),
            others: durable.stored.clone(),
            lost: None,
            records: durable.journal.clone(),
            share: share.map(|share| KeyShare::from_bytes(share).unwrap()),
            transcript,
            share_locked: self.locked,
            later_keys: durable.later_keys(),
            checkpoints: durable.checkpoints(),
            keygen: durable.keygen(),
            wallet: None,
            addresses: vec![format!("/ip4/127.0.0.1/tcp/{}", 1_000 + index)],
            bootstrap: vec![],
            journal_intact: durable.trusted,
        };
        self.next += 1;
        let tape = Tape { rng: ChaCha12Rng::seed_from_u64(self.next), drawn: self.drawn.clone() };
        let node = Node::start(start, Box::new(tape), Timestamp::from_millis(self.now)).unwrap();
        self.nodes[index] = Some(node);
        self.tell_tip(index);
        for other in (0..self.nodes.len()).filter(|other| *other != index) {
            if self.nodes[other].is_some() {
                let (this, that) = (self.people[index].id(), self.people[other].id());
                self.inbox.push_back((index, Input::Net(Event::Connected(that))));
                self.inbox.push_back((other, Input::Net(Event::Connected(this))));
            }
        }
    }

    fn tell_tip(&mut self, index: usize) {
        let tip = (self.tip, BlockHash::from_byte_array(Digest::tagged("tip", &[&self.tip.to_be_bytes()]).0));
        let update = Update::at(tip.0, tip.1);
        self.inbox.push_back((index, Input::Chain(Box::new(update))));
    }

    /// Everybody's chain grows to this height.
    pub(crate) fn mine_to(&mut self, tip: crdt::Height) {
        self.tip = tip;
        (0..self.nodes.len()).for_each(|index| self.tell_tip(index));
        self.settle();
    }

    /// Stop a node and start it from what is durable.
    pub(crate) fn restart(&mut self, index: usize) {
        self.kill(index);
        self.settle();
        self.start(index);
    }

    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index] = None;
        self.inbox.retain(|(to, _)| *to != index);
        let gone = self.people[index].id();
        for other in (0..self.nodes.len()).filter(|other| *other != index) {
            self.inbox.push_back((other, Input::Net(Event::Disconnected(gone))));
        }
    }

    /// Let `seconds` pass, a quarter at a time, everything that is said being heard at once.
    pub(crate) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.now += 250;
            (0..self.nodes.len()).for_each(|index| self.inbox.push_back((index, Input::Tick)));
            self.settle();
        }
    }

    pub(crate) fn settle(&mut self) {
        while let Some((index, input)) = self.inbox.pop_front() {
            let Some(node) = self.nodes[index].as_mut() else { continue };
            node.handle(input, Timestamp::from_millis(self.now));
            while let Some(effect) = self.nodes[index].as_mut().and_then(Node::next_effect) {
                let burning = index == self.burning;
                if burning && self.fuse == Some(0) {
                    self.fuse = None;
                    self.kill(index);
                    break;
                }
                self.fuse = self.fuse.map(|left| left - usize::from(burning));
                self.carry_out(index, effect);
            }
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        let durable = &mut self.durable[index];
        match effect {
            Effect::Journal(record) => durable.journal.push(record),
            Effect::Store(entries) => durable.stored.extend(entries),
            Effect::Verify(number, entries) => {
                let verifier = Verifier::of_anybody(self.charter.id());
                let verified = entries.iter().map(|bytes| verifier.verify(bytes)).collect();
                self.inbox.push_back((index, Input::Verified(number, verified)));
            }
            Effect::BeginSecrets(name, secret) => drop(durable.secrets.insert(name, vec![secret.to_vec()])),
            Effect::AppendSecret(name, place, secret) => {
                let log = durable.secrets.get_mut(&name).expect("begun");
                assert_eq!(log.len(), place, "one after the other");
                log.push(secret.to_vec());
            }
            Effect::DropSecret(name) => drop(durable.secrets.remove(&name)),
            Effect::StoreShare(at, share) => {
                let bytes = share.to_bytes().to_vec();
                if at.0 == 1 {
                    durable.share = Some(bytes);
                } else {
                    durable.later.insert(at, bytes);
                }
                self.inbox.push_front((index, Input::ShareStored(share)));
            }
            Effect::StoreBlob(name, bytes) => drop(durable.blobs.insert(name, bytes)),
            Effect::Net(command) => self.carry(index, command),
            Effect::Reply(_, answer) => self.answers.push(answer),
            Effect::Broadcast(about, transaction) => {
                self.chain.take(transaction);
                self.inbox.push_back((index, Input::Broadcast(about, Ok(()))));
            }
            Effect::Alarm(what) => self.alarms.push(what),
            Effect::StoreWallet(_) | Effect::Tell(_) | Effect::Verifier(_) => {}
            Effect::Continue => self.inbox.push_front((index, Input::Continue)),
            Effect::TrustJournal => durable.trusted = true,
            Effect::DistrustJournal => durable.trusted = false,
        }
    }

    fn carry(&mut self, from: usize, command: Net) {
        match command {
            Net::Ask(to, token, request) => {
                let to = self.people.iter().position(|person| person.id() == to).unwrap();
                self.request(from, to, token, request);
            }
            Net::Respond(number, response) => {
                let Some((asker, token)) = self.asked.remove(&number) else { return };
                self.nonces.answered(from, number, &response);
                if asker == usize::MAX {
                    return self.responses.push(response);
                }
                let answerer = self.people[from].id();
                self.inbox.push_back((asker, Input::Net(Event::Response(answerer, token, Some(response)))));
            }
            Net::Gossip(_) if self.chatty => {
                let said = self.people[from].id();
                for other in (0..self.nodes.len()).filter(|other| *other != from) {
                    self.inbox.push_back((other, Input::Net(Event::Connected(said))));
                }
            }
            // Gossip is lost altogether here: pull must do.
            Net::Gossip(_) | Net::Judge(..) | Net::Allow(_) | Net::Dial(_) => {}
        }
    }

    /// Put a puppet in the place of node `index`: what it is to say is changed by `change`, in the name of
    /// that member and with that member's key.
    pub(crate) fn puppet(&mut self, index: usize, change: impl FnOnce(&mut Document, &Person)) {
        if self.puppet.is_none() {
            let mut document = Document::new(&self.charter);
            for signed in (0..self.nodes.len()).flat_map(|node| self.said(node)) {
                document.insert(signed, crdt::Height::MAX);
            }
            self.kill(index);
            self.puppet = Some((index, document));
        }
        let (index, document) = self.puppet.as_mut().unwrap();
        change(document, &self.people[*index]);
        let puppet = self.people[*index].id();
        for other in (0..self.nodes.len()).filter(|other| self.nodes[*other].is_some()) {
            self.inbox.push_back((other, Input::Net(Event::Connected(puppet))));
        }
        self.settle();
    }

    /// The puppet is gone, for good.
    pub(crate) fn drop_puppet(&mut self) {
        let Some((index, _)) = self.puppet.take() else { return };
        self.kill(index);
        self.settle();
    }

    fn request(&mut self, from: usize, to: usize, token: u64, request: Request) {
        let (asker, asked) = (self.people[from].id(), self.people[to].id());
        if let (Some((puppet, document)), Request::Sync(question)) = (&self.puppet, &request)
            && *puppet == to
        {
            let response = Some(Response::Sync(crdt::sync::answer(document, question)));
            return self.inbox.push_back((from, Input::Net(Event::Response(asked, token, response))));
        }
        if self.nodes[to].is_none() {
            return self.inbox.push_back((from, Input::Net(Event::Response(asked, token, None))));
        }
        self.next += 1;
        self.asked.insert(self.next, (from, token));
        self.nonces.asked(self.next, &request);
        self.inbox.push_back((to, Input::Net(Event::Request(asker, self.next, request))));
    }

    /// The offer of a seat in this session.
    pub(crate) fn offer(ask: Ask, session: [u8; 32], request: [u8; 32]) -> Request {
        let (session, request) = (SessionId::from_bytes(session), RequestId::from_bytes(request));
        Request::Commit { ask, offer: Offer { session, request }.to_wire(), witness: vec![] }
    }

    /// A request that the test makes in the name of somebody, whoever that is.
    pub(crate) fn forge(&mut self, from: crdt::MemberId, to: usize, request: Request) -> Response {
        self.next += 1;
        self.asked.insert(self.next, (usize::MAX, 0));
        self.nonces.asked(self.next, &request);
        self.inbox.push_back((to, Input::Net(Event::Request(from, self.next, request))));
        self.settle();
        if self.responses.is_empty() {
            self.run(2); // it waits for something that would let it say yes
        }
        self.responses.pop().unwrap()
    }

    pub(crate) fn member(&self, index: usize) -> crdt::MemberId {
        self.people[index].id()
    }

    /// Ask a node as its owner would.
    pub(crate) fn command(&mut self, index: usize, command: Command) -> Outcome<Answer> {
        let fuse = self.fuse.take(); // nobody dies of a question of ours
        self.inbox.push_back((index, Input::Command(1, command)));
        self.settle();
        self.fuse = fuse;
        self.answers.pop().unwrap()
    }

    pub(crate) fn status(&mut self, index: usize) -> Status {
        match self.command(index, Command::Status) {
            Ok(Answer::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Own entries of a node in its journal, by sequence number.
    pub(crate) fn said(&self, index: usize) -> Vec<Signed> {
        let verifier = Verifier::of_anybody(self.charter.id());
        let records = self.durable[index].journal.iter();
        let own = records.filter_map(|record| match record {
            Record::Own(bytes) => Some(verifier.verify(bytes).unwrap()),
            _ => None,
        });
        own.collect()
    }

    /// Every commitment to nonces that was shown, and how many of them signed.
    pub(crate) fn nonces(&self) -> (Vec<Vec<u8>>, usize) {
        let shown = self.nonces.drawn.keys().map(|(_, commitment)| commitment.clone());
        (shown.collect(), self.nonces.signed.len())
    }

    /// K2: whoever shows an address knows that all of `makers` said their share is stored, and that both test
    /// signatures exist.
    pub(crate) fn assert_addresses_are_late(&mut self, makers: &[usize]) {
        let all: Vec<Signed> = (0..self.nodes.len()).flat_map(|index| self.said(index)).collect();
        let said = |wanted: &dyn Fn(&Signed) -> bool| all.iter().any(wanted);
        let stored = makers.iter().all(|maker| {
            let maker = self.people[*maker].id();
            said(&|signed| {
                signed.entry().author == maker && matches!(signed.entry().payload, crdt::Payload::KeyReady(_))
            })
        });
        let tested = said(&|signed| matches!(signed.entry().payload, crdt::Payload::KeyTest { .. }))
            && said(&|signed| matches!(signed.entry().payload, crdt::Payload::Certificate(_)));
        let address = || Command::Treasury(TreasuryCommand::Address(AddressQuery::default()));
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_some() && self.command(index, address()).is_ok() {
                assert!(stored && tested, "node {index} shows an address too soon");
            }
        }
    }

    pub(crate) fn is_up(&self, index: usize) -> bool {
        self.nodes[index].is_some()
    }
}
