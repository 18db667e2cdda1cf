//! Real nodes with a real network and a real database, but without what no bench here needs: bitcoind,
//! API and keys at rest.

use super::dataset::World;
use crate::report::note;
use anyhow::{Context as _, Result, bail};
use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use crdt::signed::NotAnEntry;
use crdt::{Charter, MemberId, Signed, Verifier};
use ed25519_dalek::SigningKey;
use node::api::dto::{Answer, Command, Status};
use node::chain::Update;
use node::core::{Effect, Input, Node, Start};
use node::error::Outcome;
use node::net::{self, Event};
use node::store::Store;
use rand::rngs::OsRng;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use threshold::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};

/// How often the machine hears of time, as in the daemon.
const TICK: Duration = Duration::from_millis(250);

/// A node on the network.
pub(crate) struct Peer {
    node: Node,
    store: Store,
    /// Entries of others that came and were kept.
    pub(crate) kept: usize,
    events: mpsc::Receiver<Event>,
    commands: mpsc::Sender<net::Command>,
    tick: Interval,
    answer: Option<Answer>,
    tasks: JoinSet<Outcome<()>>,
    verifier: Verifier,
    verified_in: mpsc::Sender<Verified>,
    verified: mpsc::Receiver<Verified>,
}

/// The number of a verification, and what it said.
type Verified = (u64, Result<Vec<Signed>, NotAnEntry>);

/// The node of `key` that has `entries`, at the tip.
pub(crate) fn node(world: &World, key: &SigningKey, entries: &[Signed]) -> Result<Node> {
    let me = MemberId::from(&key.verifying_key());
    let (own, others) = entries.iter().cloned().partition(|signed| signed.entry().author == me);
    let start = Start {
        key: key.clone(),
        charter: world.charter.clone(),
        own,
        others,
        lost: None,
        records: vec![],
        share: None,
        transcript: None,
        share_locked: false,
        later_keys: Vec::new(),
        checkpoints: Vec::new(),
        keygen: Vec::new(),
        wallet: None,
        addresses: vec![],
        bootstrap: vec![],
        journal_intact: true,
    };
    let mut node = Node::start(start, Box::new(OsRng), now())?;
    let update = Update::at(world.tip, BlockHash::all_zeros());
    node.handle(Input::Chain(Box::new(update)), now());
    Ok(node)
}

#[expect(clippy::disallowed_methods, reason = "the clock of these nodes")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Peer {
    /// Put `node` on the loopback. Also gives what another must be told to reach it.
    pub(crate) async fn start(
        node: Node,
        key: &SigningKey,
        charter: &Charter,
        store: Store,
    ) -> Result<(Self, net::Command)> {
        let (events_in, mut events) = mpsc::channel(net::limits::QUEUE);
        let (commands, commands_out) = mpsc::channel(net::limits::QUEUE);
        let mut tasks = JoinSet::new();
        let listen = "/ip4/127.0.0.1/tcp/0".parse()?;
        tasks.spawn(net::run(key.clone(), charter.id(), listen, events_in, commands_out));
        let Some(Event::Listening(address)) = events.recv().await else { bail!("the network did not start") };
        let tick = interval(TICK);
        let verifier = Verifier::new(charter);
        let (verified_in, verified) = mpsc::channel(net::limits::QUEUE);
        let mut peer = Self {
            node,
            store,
            kept: 0,
            events,
            commands,
            tick,
            answer: None,
            tasks,
            verifier,
            verified_in,
            verified,
        };
        peer.carry_out()?;
        Ok((peer, net::Command::Dial(address)))
    }

    /// Wait for one thing to happen and do what follows.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        let input = tokio::select! {
            event = self.events.recv() => Input::Net(event.context("the network ended")?),
            Some((number, entries)) = self.verified.recv() => Input::Verified(number, entries),
            _ = self.tick.tick() => Input::Tick,
        };
        self.node.handle(input, now());
        self.carry_out()
    }

    /// Tell the network.
    pub(crate) fn tell(&self, command: net::Command) -> Result<()> {
        self.commands.try_send(command).context("the network is too busy")
    }

    /// What its owner would see.
    pub(crate) fn status(&mut self) -> Result<Status> {
        self.node.handle(Input::Command(1, Command::Status), now());
        self.carry_out()?;
        match self.answer.take() {
            Some(Answer::Status(status)) => Ok(*status),
            _ => bail!("no status"),
        }
    }

    /// Leave the network.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    fn verify(&self, number: u64, entries: Vec<Vec<u8>>) {
        let (verifier, verified) = (self.verifier.clone(), self.verified_in.clone());
        tokio::task::spawn_blocking(move || {
            let entries = entries.iter().map(|bytes| verifier.verify(bytes)).collect();
            drop(verified.blocking_send((number, entries)));
        });
    }

    fn carry_out(&mut self) -> Result<()> {
        while let Some(effect) = self.node.next_effect() {
            match effect {
                Effect::Store(entries) => {
                    self.store.keep(&entries)?;
                    self.kept += entries.len();
                }
                Effect::Verify(number, entries) => self.verify(number, entries),
                Effect::Tell(_) | Effect::Alarm(_) => {}
                Effect::Net(command) => self.tell(command)?,
                Effect::Reply(_, answer) => self.answer = Some(answer?),
                other => note(&format!("not carried out: {other:?}")),
            }
        }
        Ok(())
    }
}
