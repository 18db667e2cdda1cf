//! Doors for miners, and what everybody inside works with.
//!
//! Strangers are received in a lobby: a thread of its own that gives way to all others, so that who only
//! knocks, or says nothing sensible, costs those at work next to nothing. A miner that subscribed and
//! authorised is served among the others. One that speaks TLS stays in the lobby, where its cipher is.

use crate::blocks::Found;
use crate::clock::Clock;
use crate::connection::{Connection, Guest};
use crate::door::{Door, Limits};
use crate::job::{Offer, Proof};
use crate::shared::Shared;
use crate::stratum::Rules;
use crate::stratum::limits::{LOBBY_NICENESS, LOBBY_QUEUE};
use crate::upstream::pools::Routes;
use rustix::process::setpriority_process;
use std::io;
use std::net::TcpListener as Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// Pause after the system refused a connection, for want of files for example.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What every connection works with.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    pub(crate) jobs: watch::Receiver<Option<Offer>>,
    pub(crate) found: mpsc::Sender<Found>,
    pub(crate) proofs: mpsc::Sender<Box<Proof>>,
    pub(crate) routes: Routes,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    door: Arc<Mutex<Door>>,
}

impl Hub {
    pub(crate) fn new(
        jobs: watch::Receiver<Option<Offer>>,
        (found, proofs): (mpsc::Sender<Found>, mpsc::Sender<Box<Proof>>),
        routes: Routes,
        shared: Arc<Shared>,
        clock: Clock,
        (rules, limits): (Rules, Limits),
    ) -> Self {
        let door = Arc::new(Mutex::new(Door::new(limits)));
        Self { jobs, found, proofs, routes, shared, clock, rules, door }
    }

    pub(crate) fn door<T>(&self, ask: impl FnOnce(&mut Door, Duration) -> T) -> T {
        // Seats and points stay sound whatever happened to the thread that held them.
        ask(&mut self.door.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now().since_start)
    }
}

/// A door: where it is, and how one speaks TLS there, if one does.
pub(crate) type Way = (Bound, Option<TlsAcceptor>);

/// Receives strangers until it is dropped.
#[derive(Debug)]
pub(crate) struct Lobby {
    _open: oneshot::Sender<()>,
}

/// Open the lobby. Who is through it comes out of the channel.
pub(crate) fn open(ways: Vec<Way>, hub: Hub) -> io::Result<(Lobby, mpsc::Receiver<Guest>)> {
    let (through, guests) = mpsc::channel(LOBBY_QUEUE);
    let (open, closed) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("lobby".to_owned()).spawn(move || {
        // Of this thread alone, as Linux has it. Where it is refused, strangers are only less cheap.
        let _refused = setpriority_process(None, LOBBY_NICENESS);
        runtime.block_on(async {
            let mut doors = JoinSet::new();
            for way in ways {
                doors.spawn(receive(way, hub.clone(), through.clone()));
            }
            let _closed = closed.await;
        });
    })?;
    Ok((Lobby { _open: open }, guests))
}

async fn receive((listener, tls): Way, hub: Hub, through: mpsc::Sender<Guest>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "cannot listen for miners"),
    };
    let mut strangers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match hub.door(|door, now| door.admit(peer.ip(), now)) {
                    Ok(extranonce1) => {
                        let connection = Connection::new(extranonce1, peer, hub.clone());
                        strangers.spawn(connection.receive(stream, tls.clone(), through.clone()));
                    }
                    Err(why) => debug!(%peer, %why, "refused"),
                },
                Err(error) => {
                    warn!(%error, "cannot accept a miner");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_ended) = strangers.join_next() => {}
        }
    }
}

/// Serve those who are through the lobby, until dropped.
pub(crate) async fn serve(mut guests: mpsc::Receiver<Guest>) {
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            guest = guests.recv() => match guest {
                Some(guest) => { served.spawn(guest.serve()); }
                None => break,
            },
            Some(_ended) = served.join_next() => {}
        }
    }
    while served.join_next().await.is_some() {}
}
