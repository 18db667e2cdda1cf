//! The protocol's round trips with nothing in them, over the network that nodes use; and its fsyncs.

use super::Size;
use crate::measure::{Stopwatch, each, median, timed};
use anyhow::{Context as _, Result, bail};
use crdt::testkit::Person;
use node::error::Outcome;
use node::journal::{Journal, Record};
use node::net::protocol::{Request, Response};
use node::net::{self, Command, Event};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often a round is measured.
const TURNS: usize = 5;
/// Rounds in which each speaks to each: both rounds of messages, echoes, words that the share is stored.
const ALL_TO_ALL: u32 = 4;
/// Rounds of a signature, each a question of one to all other seats.
const ROUNDS: u32 = 2;

/// The rounds of a key generation, and of both test signatures, which are made at the same time.
pub(super) fn key_generation(size: Size) -> Result<Duration> {
    in_network(size.n, async |peers| {
        let all = rounds(peers, usize::from(size.n)).await?;
        let stars = rounds(peers, 2).await?;
        Ok(all * ALL_TO_ALL + stars * ROUNDS)
    })
}

/// The rounds of one signature.
pub(super) fn signing(size: Size) -> Result<Duration> {
    in_network(size.t, async |peers| Ok(rounds(peers, 1).await? * ROUNDS))
}

/// A network without a node behind it.
struct Peer {
    id: crdt::MemberId,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
}

fn in_network<T>(count: u16, measure: impl AsyncFnOnce(&mut [Peer]) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let people = crdt::testkit::people(usize::from(count));
        let mut tasks = JoinSet::new();
        let mut peers = connected(&people, &mut tasks).await?;
        let measured = measure(&mut peers).await;
        tasks.shutdown().await;
        measured
    })
}

/// Peers of which each is connected with each.
async fn connected(people: &[Person], tasks: &mut JoinSet<Outcome<()>>) -> Result<Vec<Peer>> {
    let guild = crdt::testkit::charter(people).id();
    let (mut peers, mut addresses) = (Vec::<Peer>::new(), Vec::<String>::new());
    for person in people {
        let (events_in, mut events) = mpsc::channel(net::limits::QUEUE);
        let (commands, commands_out) = mpsc::channel(net::limits::QUEUE);
        let listen = "/ip4/127.0.0.1/tcp/0".parse()?;
        tasks.spawn(net::run(person.key.clone(), guild, listen, events_in, commands_out));
        commands.send(Command::Allow(people.iter().map(Person::id).collect())).await?;
        let Some(Event::Listening(address)) = events.recv().await else { bail!("the network did not start") };
        for other in &addresses {
            commands.send(Command::Dial(other.parse()?)).await?;
        }
        addresses.push(address.to_string());
        let mut peer = Peer { id: person.id(), commands, events };
        for other in &mut peers {
            until(&mut peer, |event| matches!(event, Event::Connected(_))).await?;
            until(other, |event| matches!(event, Event::Connected(_))).await?;
        }
        peers.push(peer);
    }
    Ok(peers)
}

async fn until(peer: &mut Peer, wanted: impl Fn(&Event) -> bool) -> Result<()> {
    loop {
        let event = peer.events.recv().await.context("the network ended")?;
        if wanted(&event) {
            return Ok(());
        }
    }
}

/// The first `askers` ask all others something empty, all at once; how long until all have all answers.
async fn rounds(peers: &mut [Peer], askers: usize) -> Result<Duration> {
    let ids: Vec<_> = peers.iter().map(|peer| peer.id).collect();
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let watch = Stopwatch::start();
        let (answers, questions) = (ids.len() - 1, askers);
        let mut waits = Vec::new();
        for (index, peer) in peers.iter_mut().enumerate() {
            let asks = index < askers;
            let others: Vec<_> = ids.iter().filter(|id| **id != peer.id).copied().collect();
            waits.push(async move {
                if asks {
                    for (token, other) in (0..).zip(&others) {
                        peer.commands.send(Command::Ask(*other, token, Request::Dkg(vec![]))).await?;
                    }
                }
                let mut expected = (if asks { answers } else { 0 }) + questions - usize::from(asks);
                while expected > 0 {
                    match peer.events.recv().await.context("the network ended")? {
                        Event::Request(_, number, _) => {
                            peer.commands.send(Command::Respond(number, Response::Taken)).await?;
                        }
                        Event::Response(_, _, Some(_)) => {}
                        Event::Response(_, _, None) => bail!("no answer"),
                        _ => continue,
                    }
                    expected -= 1;
                }
                Ok::<(), anyhow::Error>(())
            });
        }
        for done in join_all(waits).await {
            done?;
        }
        took.push(watch.elapsed());
    }
    Ok(median(took))
}

/// All of `waits`, at the same time, in one task.
async fn join_all<F: Future>(waits: Vec<F>) -> Vec<F::Output> {
    let mut waits: Vec<_> = waits.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waits.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (wait, done) in waits.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = wait.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(done.iter_mut().filter_map(Option::take).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

/// `each_time` records of each of `nodes` journals on the disk, as many at a time as there are cores.
pub(super) fn fsyncs(nodes: u16, each_time: usize) -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let create = |index| Journal::create(&folder.path().join(format!("{index}")), [1; 16]);
    let mut journals: Vec<Journal> = (0..nodes).map(create).collect::<Outcome<_>>()?;
    let record = Record::Own(vec![7; 200]);
    let ((), took) = timed(|| {
        each(&mut journals, |journal| {
            for _ in 0..each_time {
                journal.append(&record).expect("the disk of this bench takes a record");
            }
        });
    });
    Ok(took)
}
