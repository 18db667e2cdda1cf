//! The daemon: one loop that feeds the machine and carries out its effects, strictly in order.

use crate::api::dto::{Answer, Command};
use crate::api::events::{self, Event};
use crate::api::server::{self, Question};
use crate::chain::{self, News};
use crate::config::Config;
use crate::core::{Effect, Input, Node, Start};
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use crate::journal::{Journal, Record};
use crate::keystore::Keystore;
use crate::net;
use crate::store::{Kept, Store};
use bitcoin::hex::DisplayHex as _;
use crdt::signed::NotAnEntry;
use crdt::{Charter, MemberId, Signed, Verifier};
use rand::rngs::OsRng;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use threshold::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

/// How often the machine hears of time.
const TICK: Duration = Duration::from_millis(250);
/// How often the chain source is asked for news.
const POLL: Duration = Duration::from_millis(500);
/// Requests of the API under way.
const QUESTIONS: usize = 64;

struct Daemon {
    node: Node,
    keystore: Keystore,
    home: Home,
    journal: Journal,
    store: Store,
    wallet: wallet::Store,
    /// What a second chain source told.
    checked: wallet::Store,
    net: mpsc::Sender<net::Command>,
    chain: mpsc::Sender<chain::Question>,
    replies: HashMap<u64, oneshot::Sender<Outcome<Answer>>>,
    next_reply: u64,
    polling: bool,
    /// Who may connect, if the network did not take it yet.
    unsaid: Option<net::Command>,
    verifier: Verifier,
    verified: mpsc::Sender<Verified>,
    events: broadcast::Sender<Event>,
}

/// The number of a verification, and what it said.
type Verified = (u64, Result<Vec<Signed>, NotAnEntry>);

/// Where the daemon's words go.
struct Ends {
    net: mpsc::Sender<net::Command>,
    chain: mpsc::Sender<chain::Question>,
    verified: mpsc::Sender<Verified>,
    events: broadcast::Sender<Event>,
}

#[expect(clippy::disallowed_methods, reason = "the one clock of the node, in its shell")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Run the node in `home` until the process is told to stop. `ready` hears the API's address once it
/// answers.
///
/// # Errors
///
/// What keeps it from starting, or what it must not go on without: the disk, the journal.
pub async fn run(
    home: Home,
    config: Config,
    keystore: Keystore,
    share_locked: bool,
    ready: impl FnOnce(&Charter, &Config),
) -> Outcome<()> {
    let charter = read_charter(&home)?;
    if charter.network != config.network {
        let detail = format!("the charter is for {}, this node for {}", charter.network, config.network);
        return Err(Failure::new(Code::BadConfig, detail));
    }
    let listener = TcpListener::bind(config.api).await.map_err(|error| {
        Failure::new(Code::BadConfig, format!("the API cannot listen on {}: {error}", config.api))
    })?;
    let listen = config.listen.parse().map_err(|error| Failure::because("config: listen", error))?;
    let (cookie, link_token) = tokens(&home)?;

    let (net_events_in, mut net_events) = mpsc::channel(net::limits::QUEUE);
    let (net_commands, net_commands_out) = mpsc::channel(net::limits::QUEUE);
    let (questions_in, mut questions) = mpsc::channel::<Question>(QUESTIONS);
    let (chain_questions, mut chain_news) = chain::start(&config, &charter);

    let key = keystore.member().clone();
    let (verified_in, mut verified) = mpsc::channel(net::limits::QUEUE);
    let events = broadcast::Sender::new(events::BEHIND_MAX);
    let ends =
        Ends { net: net_commands, chain: chain_questions, verified: verified_in, events: events.clone() };
    let mut daemon = Daemon::open(home, &config, charter.clone(), keystore, share_locked, ends)?;
    let mut tasks: JoinSet<Outcome<()>> = JoinSet::new();
    tasks.spawn(net::run(key, charter.id(), listen, net_events_in, net_commands_out));
    tasks.spawn(server::serve(listener, questions_in, events, cookie, link_token));
    daemon.carry_out()?;
    ready(&charter, &config);

    let mut tick = tokio::time::interval(TICK);
    let mut poll = tokio::time::interval(POLL);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Failure::because("cannot listen for signals", error))?;
    let outcome = loop {
        tokio::select! {
            Some(event) = net_events.recv() => daemon.feed(Input::Net(event))?,
            news = chain_news.recv() => {
                let stopped = || Failure::because("the chain thread", "it stopped");
                daemon.on_news(news.ok_or_else(stopped)?)?;
            }
            Some((number, entries)) = verified.recv() => daemon.feed(Input::Verified(number, entries))?,
            Some((command, reply)) = questions.recv() => daemon.on_question(command, reply)?,
            _ = tick.tick() => daemon.feed(Input::Tick)?,
            _ = poll.tick() => daemon.poll(),
            Some(ended) = tasks.join_next() => {
                break ended.unwrap_or_else(|error| Err(Failure::because("a part of the node stopped", error)));
            }
            _ = tokio::signal::ctrl_c() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
        }
    };
    drop(std::fs::remove_file(daemon.home.cookie()));
    tasks.shutdown().await;
    daemon.store.close()?;
    outcome
}

/// The charter that `found` or `join` left.
///
/// # Errors
///
/// Says how to get one.
pub fn read_charter(home: &Home) -> Outcome<Charter> {
    if !home.charter().exists() {
        let detail = format!(
            "{} belongs to no guild yet: guild found CARD… makes one, guild join guild1… joins one",
            home.root().display()
        );
        return Err(Failure::new(Code::Conflict, detail));
    }
    let bytes = home::read(&home.charter())?;
    Charter::from_bytes(&bytes).map_err(|error| Failure::because("cannot read the charter", error))
}

/// A fresh token for the command line, and the lasting one of paired links.
fn tokens(home: &Home) -> Outcome<(String, String)> {
    let fresh = || {
        let mut token = [0; 32];
        getrandom::fill(&mut token).map_err(|error| Failure::because("no randomness", error))?;
        Ok::<_, Failure>(token.to_lower_hex_string())
    };
    let cookie = fresh()?;
    home::write_private(&home.cookie(), cookie.as_bytes())?;
    if !home.link_token().exists() {
        home::write_private(&home.link_token(), fresh()?.as_bytes())?;
    }
    let link_token = String::from_utf8_lossy(&home::read(&home.link_token())?).into_owned();
    Ok((cookie, link_token))
}

impl Daemon {
    fn open(
        home: Home,
        config: &Config,
        charter: Charter,
        keystore: Keystore,
        share_locked: bool,
        ends: Ends,
    ) -> Outcome<Self> {
        let (journal, records, journal_intact) = open_journal(&home)?;
        let mut store = Store::open(&home)?;
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot open the wallet", error);
        let mut wallet = wallet::Store::open(store.db()).map_err(|error| fail(&error))?;
        let kept = wallet.load().or_else(|error| {
            tracing::warn!(target: "guild::wallet", %error, "the wallet is read from the chain again");
            wallet.clear().map(|()| None)
        });
        let mut checked = wallet::Store::open_check(store.db()).map_err(|error| fail(&error))?;
        match checked.load() {
            // a new channel has room
            Ok(Some(stored)) => drop(ends.chain.try_send(chain::Question::Remember(Box::new(stored)))),
            Ok(None) => {}
            Err(_) => checked.clear().map_err(|error| fail(&error))?, // it is told again
        }
        let verifier = Verifier::of_anybody(charter.id()); // what rests here was verified before
        let me = MemberId::from(&keystore.member().verifying_key());
        let own = records.iter().filter_map(|record| match record {
            Record::Own(bytes) => Some(verifier.verify(bytes)),
            _ => None,
        });
        let own: Vec<Signed> =
            own.collect::<Result<_, _>>().map_err(|why| Failure::because("the journal", why))?;
        let Kept { mut entries, lost } = store.entries(&verifier)?;
        entries.retain(|signed| signed.entry().author != me);
        let lost = lost.filter(|_| !own.is_empty()); // a node that never spoke has lost nothing
        if let Some(lost) = &lost {
            tracing::warn!(target: "guild::store", lost, "peers are asked for what others said");
        }
        let start = Start {
            key: keystore.member().clone(),
            own,
            others: entries,
            lost,
            share: if share_locked { None } else { kept_share(&home, &keystore)? },
            transcript: kept_transcript(&home)?,
            share_locked,
            later_keys: later_keys(&home, &keystore)?,
            checkpoints: checkpoints(&home)?,
            keygen: keystore.load_log(Node::KEYGEN_SECRET)?,
            wallet: kept.map_err(|error| fail(&error))?,
            addresses: vec![config.announce.clone().unwrap_or_else(|| config.listen.clone())],
            bootstrap: read_lines(&home.peers()),
            charter,
            records,
            journal_intact,
        };
        let node = Node::start(start, Box::new(OsRng), now())?;
        Ok(Self {
            node,
            keystore,
            home,
            journal,
            store,
            wallet,
            checked,
            net: ends.net,
            chain: ends.chain,
            replies: HashMap::new(),
            next_reply: 0,
            polling: false,
            unsaid: None,
            verifier,
            verified: ends.verified,
            events: ends.events,
        })
    }

    fn feed(&mut self, input: Input) -> Outcome<()> {
        if let Some(command) = self.unsaid.take() {
            self.tell_network(command);
        }
        self.node.handle(input, now());
        self.carry_out()
    }

    fn on_news(&mut self, news: News) -> Outcome<()> {
        match news {
            News::Update(mut update) => {
                if let Some(changes) = update.checked.take() {
                    let kept = self.checked.append(&changes);
                    kept.map_err(|error| Failure::because("the wallet's database", error))?;
                }
                let more = update.found.more;
                self.polling = false;
                self.feed(Input::Chain(update))?;
                if more {
                    self.poll();
                }
                Ok(())
            }
            News::Lost(why) => {
                self.polling = false;
                self.feed(Input::ChainLost(why))
            }
            News::Broadcast(decision, result) => self.feed(Input::Broadcast(decision, result)),
        }
    }

    fn on_question(&mut self, command: Command, reply: oneshot::Sender<Outcome<Answer>>) -> Outcome<()> {
        self.replies.retain(|_, waiting| !waiting.is_closed());
        self.next_reply += 1;
        self.replies.insert(self.next_reply, reply);
        self.feed(Input::Command(self.next_reply, command))
    }

    /// Ask the chain source for news, unless it still works on the last question.
    fn poll(&mut self) {
        if !self.polling {
            let (position, anew) = self.node.chain_position();
            self.polling = self.chain.try_send(chain::Question::Poll(position, anew)).is_ok();
        }
    }

    /// Never wait for the network here: it may be waiting for us. What finds its queue full is lost, as on
    /// any network, but who may connect is said again.
    fn tell_network(&mut self, command: net::Command) {
        let Err(TrySendError::Full(command)) = self.net.try_send(command) else { return };
        tracing::warn!(target: "guild::net", "the network is too busy");
        match command {
            net::Command::Allow(_) => self.unsaid = Some(command),
            net::Command::Ask(to, token, _) => {
                self.node.handle(Input::Net(net::Event::Response(to, token, None)), now());
            }
            _ => {}
        }
    }

    /// Verify on another thread; what comes of it is an input like any other.
    fn verify(&self, number: u64, entries: Vec<Vec<u8>>) {
        let (verifier, verified) = (self.verifier.clone(), self.verified.clone());
        tokio::task::spawn_blocking(move || {
            drop(verified.blocking_send((number, verify_in_order(&verifier, &entries))));
        });
    }

    /// Carry out what the machine wants, in order. A failure of the disk stops the node.
    fn carry_out(&mut self) -> Outcome<()> {
        while let Some(effect) = self.node.next_effect() {
            match effect {
                Effect::Journal(record) => self.journal.append(&record)?,
                Effect::TrustJournal => mark_journal(&self.home)?,
                Effect::DistrustJournal => home::remove(&self.home.journal_mark())?,
                Effect::Store(entries) => self.store.keep(&entries)?,
                Effect::Verify(number, entries) => self.verify(number, entries),
                Effect::Verifier(verifier) => self.verifier = verifier,
                Effect::Tell(change) => {
                    if self.events.receiver_count() > 0 {
                        drop(self.events.send(Event::of(&change, self.node.names())));
                    }
                }
                Effect::Alarm(what) => drop(self.events.send(Event::alarm(what))), // nobody may listen
                Effect::BeginSecrets(name, secret) => self.keystore.begin_log(&name, &secret)?,
                Effect::AppendSecret(name, place, secret) => {
                    self.keystore.append_log(&name, place, &secret)?;
                }
                Effect::DropSecret(name) => drop(std::fs::remove_file(self.home.secret(&name))),
                Effect::StoreShare(at, share) => {
                    let read_back = self.keystore.store_share_of(at, &share)?;
                    self.node.handle(Input::ShareStored(read_back), now());
                }
                Effect::StoreBlob(name, bytes) => home::write_private(&self.home.blob(&name), &bytes)?,
                Effect::StoreWallet(changes) => {
                    let kept = self.wallet.append(&changes);
                    kept.map_err(|error| Failure::because("the wallet's database", error))?;
                }
                Effect::Net(command) => self.tell_network(command),
                Effect::Broadcast(decision, transaction) => {
                    // what finds the queue full is sent again with the next round
                    drop(self.chain.try_send(chain::Question::Broadcast(decision, transaction)));
                }
                Effect::Continue => self.node.handle(Input::Continue, now()),
                Effect::Reply(number, answer) => {
                    if let Some(reply) = self.replies.remove(&number) {
                        drop(reply.send(answer));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The first that is no entry says what all are worth: honest peers send entries only.
fn verify_in_order(verifier: &Verifier, entries: &[Vec<u8>]) -> Result<Vec<Signed>, NotAnEntry> {
    entries.iter().map(|bytes| verifier.verify(bytes)).collect()
}

/// The journal of this node. One that is missing, or not the one these keys began with, is not trusted:
/// a restored backup must not sign its own past a second time.
fn open_journal(home: &Home) -> Outcome<(Journal, Vec<Record>, bool)> {
    let path = home.journal();
    if !path.exists() {
        tracing::warn!(target: "guild::journal", "there is no journal: listening before speaking");
        let journal = new_journal(home)?;
        return Ok((journal, Vec::new(), false));
    }
    let opened = Journal::open(&path)?;
    if opened.cut > 0 {
        tracing::warn!(target: "guild::journal", bytes = opened.cut, "cut off a half-written record");
    }
    let mark = std::fs::read(home.journal_mark()).unwrap_or_default();
    let intact = match opened.records.first() {
        Some(Record::Begin(id)) => mark == mark_of(&path, *id)?,
        _ => false,
    };
    Ok((opened.journal, opened.records, intact))
}

/// Begin a journal. Only `guild init` also leaves the mark that says it is whole.
///
/// # Errors
///
/// If there is one, or the disk refuses.
pub fn new_journal(home: &Home) -> Outcome<Journal> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Failure::because("no randomness", error))?;
    Journal::create(&home.journal(), id)
}

/// Say that the journal is whole: a journal that is put in its place later is not trusted.
///
/// # Errors
///
/// If there is none, or the disk refuses.
pub fn mark_journal(home: &Home) -> Outcome<()> {
    match Journal::open(&home.journal())?.records.first() {
        Some(Record::Begin(id)) => home::write_private(&home.journal_mark(), &mark_of(&home.journal(), *id)?),
        _ => Err(Failure::because("cannot mark the journal", "it has no beginning")),
    }
}

/// What names this journal in this place: its id and the file itself, so that a copy of the whole folder
/// that is put back is not taken for the journal that went on.
fn mark_of(journal: &std::path::Path, id: [u8; 16]) -> Outcome<Vec<u8>> {
    use std::os::unix::fs::MetadataExt as _;
    let file =
        std::fs::metadata(journal).map_err(|error| Failure::because("cannot look at the journal", error))?;
    Ok([&id[..], &file.dev().to_be_bytes(), &file.ino().to_be_bytes()].concat())
}

/// The share, unless its key generation has not finished: that goes on from its own state.
fn kept_share(home: &Home, keystore: &Keystore) -> Outcome<Option<threshold::KeyShare>> {
    if home.secret(Node::KEYGEN_SECRET).exists() && !home.blob(Node::TRANSCRIPT_BLOB).exists() {
        return Ok(None);
    }
    keystore.share(Node::EPOCH)
}

fn kept_transcript(home: &Home) -> Outcome<Option<Vec<u8>>> {
    let path = home.blob(Node::TRANSCRIPT_BLOB);
    path.exists().then(|| home::read(&path)).transpose()
}

/// Shares of keys of later epochs, each with the transcript of the attempt that made it.
fn later_keys(home: &Home, keystore: &Keystore) -> Outcome<Vec<(threshold::KeyShare, Vec<u8>)>> {
    let mut keys = Vec::new();
    for name in home.blobs("transcript-")? {
        let Some(at) = name.strip_prefix("transcript-").and_then(|at| at.split_once('-')) else { continue };
        let (Ok(epoch), Ok(attempt)) = (at.0.parse(), at.1.parse()) else { continue };
        if let Some(share) = keystore.share_of((epoch, attempt))? {
            keys.push((share, home::read(&home.blob(&name))?));
        }
    }
    Ok(keys)
}

/// Checkpoints that were here.
fn checkpoints(home: &Home) -> Outcome<Vec<Vec<u8>>> {
    let names = home.blobs("checkpoint-")?;
    names.iter().map(|name| home::read(&home.blob(name))).collect()
}

fn read_lines(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
