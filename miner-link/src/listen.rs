//! Carries bytes between miners and their sessions.

use crate::blocks::Found;
use crate::clock::Clock;
use crate::door::{Door, Limits, points_of_end, points_of_share};
use crate::job::{EXTRANONCE1, Job};
use crate::lines::{Lines, Outbox};
use crate::shared::Shared;
use crate::stratum::limits::{HANDSHAKE, LINE_MAX, OUT_MAX, TICK, WRITE};
use crate::stratum::{Effect, Input, Rules, Session};
use crate::upstream::pools::Routes;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

/// Pause after the system refused a connection, for want of files for example.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long a miner waits at most for the block it found to be on disk.
const KEEP: Duration = Duration::from_secs(2);

/// What every connection works with.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    pub(crate) jobs: watch::Receiver<Option<Arc<Job>>>,
    pub(crate) found: mpsc::Sender<Found>,
    pub(crate) routes: Routes,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    door: Arc<Mutex<Door>>,
}

impl Hub {
    pub(crate) fn new(
        jobs: watch::Receiver<Option<Arc<Job>>>,
        found: mpsc::Sender<Found>,
        routes: Routes,
        shared: Arc<Shared>,
        clock: Clock,
        (rules, limits): (Rules, Limits),
    ) -> Self {
        Self { jobs, found, routes, shared, clock, rules, door: Arc::new(Mutex::new(Door::new(limits))) }
    }

    fn door<T>(&self, ask: impl FnOnce(&mut Door, Duration) -> T) -> T {
        // Seats and points stay sound whatever happened to the thread that held them.
        ask(&mut self.door.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now().since_start)
    }
}

/// Serve miners until dropped; over TLS if there is an acceptor.
pub(crate) async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, hub: Hub) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match hub.door(|door, now| door.admit(peer.ip(), now)) {
                    Ok(extranonce1) => {
                        let connection = Connection::new(extranonce1, peer.ip(), hub.clone());
                        connections.spawn(connection.run(stream, tls.clone(), peer));
                    }
                    Err(why) => debug!(%peer, %why, "refused"),
                },
                Err(error) => {
                    warn!(%error, "cannot accept a miner");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

struct Connection {
    session: Session,
    extranonce1: [u8; EXTRANONCE1],
    address: IpAddr,
    names: Vec<String>,
    outbox: Outbox,
    hub: Hub,
}

/// Why a connection ended, when not by the session's wish.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("closed by the miner: {0}")]
    Io(#[from] io::Error),
    #[error("no TLS in time")]
    Tls,
    #[error("the miner does not read")]
    SlowReader,
    #[error(transparent)]
    BySession(#[from] crate::stratum::End),
    #[error("its address is banned for a while")]
    Banned,
    #[error("the link stops")]
    Stopping,
}

impl Connection {
    fn new(extranonce1: [u8; EXTRANONCE1], address: IpAddr, hub: Hub) -> Self {
        let session = Session::new(extranonce1, hub.rules, hub.clock.now());
        Self { session, extranonce1, address, names: Vec::new(), outbox: Outbox::new(OUT_MAX), hub }
    }

    async fn run(mut self, stream: TcpStream, tls: Option<TlsAcceptor>, peer: SocketAddr) {
        debug!(%peer, "connected");
        let Err(why) = self.secure(stream, tls).await;
        if let Ended::BySession(end) = &why {
            self.blame(points_of_end(*end));
        }
        // Who never got as far as a name is not worth a line of the log.
        match self.names.first() {
            Some(worker) => info!(%peer, worker, %why, "disconnected"),
            None => debug!(%peer, %why, "disconnected"),
        }
    }

    async fn secure(&mut self, stream: TcpStream, tls: Option<TlsAcceptor>) -> Result<Infallible, Ended> {
        stream.set_nodelay(true)?;
        match tls {
            None => {
                let (reader, writer) = stream.into_split();
                self.converse(reader, writer).await
            }
            Some(acceptor) => {
                let secured = timeout(HANDSHAKE, acceptor.accept(stream)).await;
                let (reader, writer) = tokio::io::split(secured.map_err(|_| Ended::Tls)??);
                // Its buffers are large: a connection without TLS should not carry their weight.
                Box::pin(self.converse(reader, writer)).await
            }
        }
    }

    async fn converse<R, W>(&mut self, reader: R, mut writer: W) -> Result<Infallible, Ended>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut lines = Lines::new(reader, LINE_MAX);
        let mut jobs = self.hub.jobs.clone();
        jobs.mark_changed();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let waiting = !self.outbox.is_empty();
            // All are safe to cancel: bytes read stay in the buffer, a job stays in the channel.
            tokio::select! {
                changed = jobs.changed() => {
                    changed.map_err(|_| Ended::Stopping)?;
                    let job = jobs.borrow_and_update().clone();
                    if let Some(job) = job {
                        self.handle(Input::Job(job)).await?;
                    }
                }
                line = lines.next() => match line? {
                    Some(line) => self.handle(Input::Line(&line)).await?,
                    None => self.handle(Input::LongLine).await?,
                },
                wrote = self.outbox.write_on(&mut writer), if waiting => wrote?,
                _ = tick.tick() => self.handle(Input::Tick).await?,
            }
            let now = self.hub.clock.now().since_start;
            self.outbox.write_some(&mut writer, now).await?;
            if self.outbox.is_stuck(now, WRITE) {
                return Err(Ended::SlowReader);
            }
        }
    }

    async fn handle(&mut self, input: Input<'_>) -> Result<(), Ended> {
        let now = self.hub.clock.now();
        for effect in self.session.handle(input, now) {
            match effect {
                Effect::Send(line) => self.outbox.push(&line),
                Effect::Joined { name, agent } => {
                    info!(worker = name, agent, "worker joined");
                    self.hub.shared.joined(&name, &agent);
                    self.names.push(name);
                }
                Effect::Share { name, rejected, target, pool } => {
                    self.hub.shared.share(&name, rejected, target, pool, now);
                    if rejected.is_some_and(|reason| self.blame(points_of_share(reason))) {
                        return Err(Ended::Banned);
                    }
                }
                Effect::Forward(share) => {
                    let pool = share.route.pool;
                    if !self.hub.routes.forward(share) {
                        self.hub.shared.pool_late(pool);
                    }
                }
                Effect::Found { name, block } => {
                    let (kept, on_disk) = oneshot::channel();
                    let found = Found { worker: name, block, kept };
                    self.hub.found.send(found).await.map_err(|_| Ended::Stopping)?;
                    // A miner that hears `true` will not send it again: not before it is on disk.
                    let _slow = timeout(KEEP, on_disk).await;
                }
                Effect::Close(end) => return Err(end.into()),
            }
        }
        Ok(())
    }

    /// Hold something against the address. True when that is too much.
    fn blame(&self, points: u32) -> bool {
        let banned = points > 0 && self.hub.door(|door, now| door.blame(self.address, points, now));
        if banned {
            warn!(address = %self.address, "banned for a while");
        }
        banned
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.shared.left(&self.names);
        self.hub.door(|door, _| door.leave(self.address, self.extranonce1));
    }
}
