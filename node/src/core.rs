//! The node as a machine: what happens comes in as [`Input`], what is to be done goes out as [`Effect`]s
//! to be carried out in order. No socket, clock or file in here; the randomness is given at the start.

mod answers;
pub mod ask;
mod attempts;
mod blocks;
mod books;
mod ceremony;
mod checkpoints;
mod coins;
mod commands;
mod custody;
mod decided;
mod decisions;
mod epochs;
mod exits;
mod explain;
mod forecast;
mod given;
mod keygen;
mod lifecycle;
mod money;
mod payments;
mod peers;
mod proposing;
mod receipts;
pub(crate) mod record;
mod rekey;
mod rights;
mod sealing;
mod seats;
mod statements;
mod succession;
mod sweeps;
mod transcript;
mod workspace;

use crate::api::dto::{Answer, Command};
use crate::chain;
use crate::error::{Code, Failure, Outcome};
use crate::journal::Record;
use crate::net;
use ask::Subject;
use bitcoin::{BlockHash, Transaction};
use ceremony::Ceremony;
use crdt::chain::Broken;
use crdt::limits::{PROPOSAL_BLOCKS, QUOTA_BLOCKS};
use crdt::signed::NotAnEntry;
use crdt::treasury::GroupKey;
use crdt::{
    ChainFacts, Change, Charter, Document, Fold, GuildId, Height, MemberId, Payload, ProposalId, Signed,
    State, Verifier,
};
use ed25519_dalek::SigningKey;
use rand::{CryptoRng, RngCore};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use threshold::sign::Signer;
use threshold::{KeyShare, Timestamp};
use wallet::Treasury;
use zeroize::Zeroizing;

/// Randomness from the operating system; a test gives its own.
pub trait Rng: RngCore + CryptoRng + Send {}
impl<R: RngCore + CryptoRng + Send> Rng for R {}

/// What can happen to a node.
#[derive(Debug)]
pub enum Input {
    /// Something on the network.
    Net(net::Event),
    /// News of the chain.
    Chain(Box<chain::Update>),
    /// The chain source does not answer.
    ChainLost(String),
    /// bitcoind took, or refused, a payment.
    Broadcast(ProposalId, Result<(), String>),
    /// Our key share was stored, and this is what reading it gave.
    ShareStored(KeyShare),
    /// A person asks; answer under this number.
    Command(u64, Command),
    /// What became of [`Effect::Verify`] of this number: the entries, in order, or what the first that is
    /// none is.
    Verified(u64, Result<Vec<Signed>, NotAnEntry>),
    /// Time passed.
    Tick,
    /// All effects before [`Effect::Continue`] were carried out.
    Continue,
}

/// What a node asks of its shell.
#[derive(Debug)]
pub enum Effect {
    /// Durable before any later effect.
    Journal(Record),
    /// What we had said is known again: from now on the journal counts as whole.
    TrustJournal,
    /// A peer had what we said and we had not: the journal is one of the past. Durable before any later
    /// effect.
    DistrustJournal,
    /// Keep entries of other members: peers can give them again.
    Store(Vec<Signed>),
    /// Verify what may be entries, away from this machine, and answer [`Input::Verified`].
    Verify(u64, Vec<Vec<u8>>),
    /// Other people may speak now: read entries with this from now on.
    Verifier(Verifier),
    /// Tell whoever follows the events.
    Tell(Change),
    /// Tell them that coins left the treasury for nothing that was decided.
    Alarm(String),
    /// Begin a log of secrets anew with this one, sealed, durable before any later effect.
    BeginSecrets(String, Zeroizing<Vec<u8>>),
    /// Add one to it, at this place, counted from 0; durable before any later effect.
    AppendSecret(String, usize, Zeroizing<Vec<u8>>),
    /// Forget secrets that are needed no more.
    DropSecret(String),
    /// Keep the share of a key, made for this epoch in this attempt, sealed, read it back, answer
    /// [`Input::ShareStored`].
    StoreShare((u32, u32), KeyShare),
    /// Keep a public blob.
    StoreBlob(String, Vec<u8>),
    /// Keep what the wallet learnt: Bitcoin can give it again.
    StoreWallet(Box<wallet::ChangeSet>),
    /// Tell the network.
    Net(net::Command),
    /// Give a transaction to bitcoind; the outcome comes back as [`Input::Broadcast`].
    Broadcast(ProposalId, Transaction),
    /// Answer a person.
    Reply(u64, Outcome<Answer>),
    /// Come back with [`Input::Continue`]: long work that others need not wait for.
    Continue,
}

/// What a node is started with.
#[derive(Debug)]
pub struct Start {
    /// Our key.
    pub key: SigningKey,
    /// The charter that we accepted.
    pub charter: Charter,
    /// Everything we ever said, from the journal, in order.
    pub own: Vec<Signed>,
    /// What others said, from the store.
    pub others: Vec<Signed>,
    /// What the store lost, in words.
    pub lost: Option<String>,
    /// The other records of the journal.
    pub records: Vec<Record>,
    /// Our key share, if there is one and it is not locked.
    pub share: Option<KeyShare>,
    /// The transcript that the key came from, if we have it.
    pub transcript: Option<Vec<u8>>,
    /// The share stays sealed: the node takes part in everything but signing.
    pub share_locked: bool,
    /// Shares of keys of later epochs, and the transcripts they came from.
    pub later_keys: Vec<(KeyShare, Vec<u8>)>,
    /// Checkpoints that were here.
    pub checkpoints: Vec<Vec<u8>>,
    /// The sealed state of an unfinished key generation.
    pub keygen: Vec<Zeroizing<Vec<u8>>>,
    /// What the wallet knew.
    pub wallet: Option<wallet::ChangeSet>,
    /// What to tell others about where we are.
    pub addresses: Vec<String>,
    /// Addresses that the invitation named.
    pub bootstrap: Vec<String>,
    /// Whether the journal is known to be whole: if not, others are asked before we speak (§4).
    pub journal_intact: bool,
}

/// Our best block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) height: Height,
    pub(crate) hash: BlockHash,
}

/// A member's node.
pub struct Node {
    key: SigningKey,
    me: MemberId,
    charter: Charter,
    guild: GuildId,
    document: Document,
    fold: Fold,
    workspace: crdt::workspace::Workspace,
    books: books::Books,
    tip: Option<Tip>,
    chain: blocks::Chain,
    /// The coins of the present key…
    treasury: Option<Treasury>,
    /// …and of keys before and after it.
    vaults: BTreeMap<GroupKey, Treasury>,
    /// What the treasury looks like; none when it changed and nobody asked since.
    view: OnceCell<Arc<wallet::View>>,
    built: RefCell<Option<(payments::Recipe, wallet::CheckedTx)>>,
    follow_anew: bool,
    /// Our share of the present key…
    signer: Option<Signer>,
    /// …and of keys before and after it.
    keyring: BTreeMap<GroupKey, Signer>,
    record: transcript::KeyRecord,
    keygen: keygen::Keygen,
    rekeying: rekey::Rekeying,
    succession: succession::Succession,
    peers: peers::Peers,
    ceremonies: BTreeMap<Subject, Ceremony>,
    seats: seats::Seats,
    given: given::Given,
    /// Look for what is due: at each tick and each proof, not at every word of a peer, which would cost less
    /// than the look.
    look_for_due: bool,
    /// The tip or the document moved since we last looked which votes are over.
    closes_may_be_due: bool,
    decisions: decisions::Local,
    /// Spends of the treasury that nobody decided, as the chain shows them now.
    alarms: Vec<wallet::alarm::Foreign>,
    /// The best block and the mempool that they were looked for at.
    alarms_at: Option<(BlockHash, BTreeSet<bitcoin::Txid>)>,
    seen: statements::Seen,
    decided: BTreeMap<ProposalId, decided::Decided>,
    /// A fork may have taken the proof of a decision out of the document.
    decided_may_lack: bool,
    recovery: Option<peers::Recovery>,
    /// What the store lost, until a peer has the same as we.
    lost: Option<String>,
    addresses: Vec<String>,
    /// Since when each thing is waited for, by what `status` calls it.
    waits_since: BTreeMap<String, Timestamp>,
    rng: Box<dyn Rng>,
    now: Timestamp,
    effects: VecDeque<Effect>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("me", &self.me).field("tip", &self.tip).finish_non_exhaustive()
    }
}

impl Node {
    /// Start from what was kept.
    ///
    /// # Errors
    ///
    /// If what was kept contradicts itself: our own chain with a gap, a share that is not of this key.
    pub fn start(start: Start, rng: Box<dyn Rng>, now: Timestamp) -> Outcome<Self> {
        let guild = start.charter.id();
        let mut document = Document::new(&start.charter);
        // Checked when they came, against the tip and against who might speak.
        succession::admit_authors(&mut document, start.own.iter().chain(&start.others));
        for signed in &start.own {
            if !matches!(document.insert(signed.clone(), Height::MAX), crdt::Insert::New(_)) {
                let seq = signed.entry().seq;
                return Err(Failure::because(
                    "our own chain in the journal",
                    format!("entry {seq} does not follow"),
                ));
            }
        }
        for signed in &start.others {
            document.insert(signed.clone(), Height::MAX);
        }
        let birth = &start.charter.birth;
        let facts = ChainFacts {
            height: birth.height,
            block_hash: birth.hash,
            settled: BTreeMap::new(),
            epochs: vec![],
        };
        let mut fold = Fold::new(&start.charter, &facts);
        document.take_touched();
        fold.catch_up(&document);
        let me = MemberId::from(&start.key.verifying_key());
        let mut node = Self {
            me,
            guild,
            fold,
            workspace: crdt::workspace::Workspace::default(),
            books: books::Books::default(),
            tip: None,
            chain: blocks::Chain::default(),
            treasury: None,
            vaults: BTreeMap::new(),
            view: OnceCell::new(),
            built: RefCell::new(None),
            follow_anew: false,
            signer: None,
            keyring: BTreeMap::new(),
            record: transcript::KeyRecord::new(start.share_locked),
            keygen: keygen::Keygen::new(start.keygen, &start.charter),
            rekeying: rekey::Rekeying::default(),
            succession: succession::Succession::recall(&start.records, &start.checkpoints),
            peers: peers::Peers::new(start.bootstrap),
            ceremonies: BTreeMap::new(),
            seats: seats::Seats::default(),
            given: given::Given::new(),
            look_for_due: true,
            closes_may_be_due: true,
            decisions: decisions::Local::from_records(&start.records)?,
            alarms: Vec::new(),
            alarms_at: None,
            seen: statements::Seen::from_records(&start.records, &start.own),
            decided: BTreeMap::new(),
            decided_may_lack: true,
            recovery: (!start.journal_intact).then(|| peers::Recovery::new(now)),
            lost: start.lost,
            addresses: start.addresses,
            waits_since: BTreeMap::new(),
            key: start.key,
            charter: start.charter,
            document,
            rng,
            now,
            effects: VecDeque::new(),
        };
        node.use_key_record(start.share, start.transcript)?;
        node.use_later_keys(start.later_keys)?;
        node.effects.push_back(Effect::Verifier(node.document.verifier()));
        node.recall_decided(&start.records);
        node.note_certificates();
        node.open_treasury(start.wallet)?;
        node.allow_peers();
        Ok(node)
    }

    /// Take one input.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        self.now = now;
        self.look_for_due |= !matches!(input, Input::Net(_) | Input::Verified(..) | Input::Continue);
        match input {
            Input::Net(event) => self.on_net(event),
            Input::Chain(update) => self.on_chain(*update),
            Input::ChainLost(why) => self.chain.lost(why),
            Input::Broadcast(decision, result) => self.decisions.broadcast(decision, result),
            Input::ShareStored(share) => self.share_stored(share),
            Input::Command(number, command) => self.on_command(number, command),
            Input::Verified(number, entries) => self.on_verified(number, entries),
            Input::Tick => self.on_tick(),
            Input::Continue => self.do_own_part(),
        }
        self.follow_document();
        self.proceed();
    }

    /// The next effect to carry out, if any.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Where the chain shell continues from, once there is a wallet, and whether it lost its way.
    pub fn chain_position(&mut self) -> (Option<Box<wallet::chain::Position>>, bool) {
        (self.position().map(Box::new), std::mem::take(&mut self.follow_anew))
    }

    fn state(&self) -> &State {
        self.fold.state()
    }

    fn tip_height(&self) -> Height {
        self.tip.map_or(self.charter.birth.height, |tip| tip.height)
    }

    /// What to call everybody.
    pub fn names(&self) -> impl Fn(&MemberId) -> String {
        |member| self.name(member)
    }

    fn name(&self, member: &MemberId) -> String {
        self.state().name(member)
    }

    /// Everything that follows of itself from where we stand.
    fn proceed(&mut self) {
        self.say_decided_again();
        self.introduce();
        self.speak_of_closes();
        self.drive_keygen();
        self.fetch_transcript();
        if self.look_for_due {
            self.drive_succession();
        }
        self.drive_ceremonies();
        self.answer_waiting();
    }

    /// Take in what is new in the document.
    fn follow_document(&mut self) {
        let touched = self.document.take_touched();
        if touched.is_empty() {
            return;
        }
        self.books.age();
        self.seats.news = true;
        let changes = self.fold.follow(&self.document, touched);
        self.closes_may_be_due |= !changes.is_empty();
        let proposed = changes.iter().any(|change| matches!(change, Change::Proposed(_)));
        self.tell(changes);
        if self.view.get().is_some_and(|view| *view.frozen() != self.state().frozen()) {
            self.view.take(); // by a decision
        }
        if proposed {
            self.follow_chain(); // its payment may be on the chain already
            self.alarms_at = None;
            self.look_for_foreign_spends();
        }
    }

    /// Take in what is new on the chain.
    fn follow_chain(&mut self) {
        let facts = self.facts();
        self.chain.told(&facts);
        self.closes_may_be_due = true;
        if self.fold.is_of(&facts.epochs) {
            let changes = self.fold.at(&facts);
            self.tell(changes);
        } else {
            self.turn_epoch(&facts);
        }
        self.note_certificates();
        self.allow_peers(); // invitations end
    }

    fn tell(&mut self, changes: Vec<Change>) {
        let rekeyed =
            |change: &Change| matches!(change, Change::Certified(_) | Change::Key | Change::Forked(_));
        if changes.iter().any(rekeyed) {
            self.look_for_due = true;
            self.note_certificates();
            self.admit_candidates();
        }
        if changes.contains(&Change::KeyTested) && self.state().usable_key().is_some() {
            tracing::info!(target: "guild::keygen", "two quorums have signed: the key can be used");
        }
        if changes.iter().any(|change| matches!(change, Change::Invited(_) | Change::Forked(_))) {
            self.allow_peers();
        }
        self.decided_may_lack |= changes.iter().any(|change| matches!(change, Change::Forked(_)));
        self.effects.extend(changes.into_iter().map(Effect::Tell));
    }

    fn on_tick(&mut self) {
        for signer in self.signer.iter_mut().chain(self.keyring.values_mut()) {
            signer.expire(self.now);
        }
        self.tend_peers();
        self.open_treasury_when_ready(); // a long piece of work: not while others wait for our word
        self.tick_keygen();
        self.tick_ceremonies();
        self.tell_given();
        self.rebroadcast();
        self.note_waits();
    }

    /// Say something: durable first, then to all.
    fn say(&mut self, payload: Payload) -> Outcome<Signed> {
        let Some(tip) = self.tip else {
            return Err(Failure::new(Code::TryAgain, "no block seen yet: bitcoind has not answered"));
        };
        if let Some(recovery) = &self.recovery {
            return Err(Failure::new(Code::TryAgain, recovery.to_string()));
        }
        let entry = self.document.next_entry(self.me, (tip.height, tip.hash), payload);
        let signed = Signed::sign(entry, &self.key);
        match self.document.insert(signed.clone(), tip.height) {
            crdt::Insert::New(_) => {}
            crdt::Insert::Invalid(broken) => return Err(too_much(&broken, tip.height)),
            other => return Err(Failure::because("cannot say that", format!("{other:?}"))),
        }
        self.effects.push_back(Effect::Journal(Record::Own(signed.to_bytes())));
        self.observe([&signed]);
        self.gossip(&signed);
        self.follow_document();
        Ok(signed)
    }

    /// First words: the charter is accepted, and where we can be reached.
    fn introduce(&mut self) {
        let state = self.state();
        let (accepted, said) = match state.members.get(&self.me) {
            Some(member) => (member.accepted, member.addresses.clone()),
            None if state.candidates().contains(&self.me) => {
                (true, state.next.addresses.get(&self.me).cloned().unwrap_or_default())
            }
            None => return, // a guest only reads
        };
        if self.tip.is_none() || self.recovery.is_some() {
            return;
        }
        if !accepted {
            self.say_or_log(Payload::Accept);
        }
        let lines = self.addresses.iter().filter_map(|address| address.clone().try_into().ok());
        let Ok(addresses) = crdt::entry::Addresses::try_from(lines.collect::<Vec<_>>()) else { return };
        if said != addresses {
            self.say_or_log(Payload::Reachable(addresses));
        }
    }

    fn say_or_log(&mut self, payload: Payload) {
        let kind = payload.kind();
        if let Err(error) = self.say(payload) {
            tracing::warn!(target: "guild::core", kind, %error, "could not say");
        }
    }

    fn reply(&mut self, number: u64, answer: Outcome<Answer>) {
        self.effects.push_back(Effect::Reply(number, answer));
    }

    /// Who may connect: members, and guests whose invitation has not ended; but nobody who was cut off.
    fn allow_peers(&mut self) {
        let (state, tip, now) = (self.fold.state(), self.tip_height(), since_start(self.now));
        let guests = state.guests().filter(|(_, expiry)| *expiry >= tip).map(|(guest, _)| guest);
        let guests = guests.take(net::limits::GUESTS);
        let candidates = state.candidates();
        let mut allowed: BTreeSet<MemberId> =
            state.members.keys().copied().chain(guests).chain(candidates).collect();
        allowed.retain(|peer| *peer != self.me && !self.peers.syncer.is_cut(peer, now));
        if self.peers.allow(&allowed) {
            self.effects.push_back(Effect::Net(net::Command::Allow(allowed)));
        }
    }
}

/// We said as much as the quota of these blocks lets anybody say.
fn too_much(broken: &Broken, tip: Height) -> Failure {
    let blocks = if *broken == Broken::Proposals { PROPOSAL_BLOCKS } else { QUOTA_BLOCKS };
    let next = (tip / blocks + 1).saturating_mul(blocks);
    Failure::new(Code::TryAgain, format!("{broken}; from height {next} on there is room again"))
}

/// The time as the machine of anti-entropy counts it.
const fn since_start(now: Timestamp) -> std::time::Duration {
    std::time::Duration::from_millis(now.as_millis())
}
