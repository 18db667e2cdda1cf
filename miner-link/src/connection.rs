//! Carries bytes between one miner and its session.

use crate::allowance::Allowance;
use crate::blocks::Found;
use crate::clock::Now;
use crate::door::{points_of_end, points_of_share};
use crate::job::{EXTRANONCE1, Offer};
use crate::lines::{Lines, Outbox, Read};
use crate::listen::Hub;
use crate::stratum::limits::{
    HANDSHAKE, LINE_MAX, LINE_OF_STRANGER, OUT_MAX, READ_BURST, READ_PER_SECOND, TICK, WRITE,
};
use crate::stratum::{Effect, End, Input, Session};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

/// How long a miner waits at most for the block it found to be on disk.
const KEEP: Duration = Duration::from_secs(2);

pub(crate) struct Connection {
    session: Session,
    extranonce1: [u8; EXTRANONCE1],
    peer: SocketAddr,
    names: Vec<String>,
    outbox: Outbox,
    jobs: watch::Receiver<Option<Offer>>,
    reads: Allowance,
    hub: Hub,
}

/// A miner that is through the lobby.
pub(crate) struct Guest {
    connection: Connection,
    stream: std::net::TcpStream,
    /// What it said already.
    said: Vec<u8>,
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
    BySession(#[from] End),
    #[error("its address is banned for a while")]
    Banned,
    #[error("the link stops")]
    Stopping,
}

/// What a connection was woken by.
enum News {
    Job,
    Read(Read),
    Tick,
    /// Nothing that the session hears of.
    Nothing,
}

/// How far to go with a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until the miner subscribed and authorised.
    Ready,
    /// To its end.
    End,
}

impl Guest {
    /// Converse to the end.
    pub(crate) async fn serve(self) {
        let Self { mut connection, stream, said } = self;
        let stream = TcpStream::from_std(stream).map_err(Ended::from);
        let ended = match stream {
            Err(why) => Err(why),
            Ok(stream) => {
                let (reader, mut writer) = stream.into_split();
                let mut lines = Lines::resume(reader, said, LINE_MAX);
                connection.converse(&mut lines, &mut writer, Until::End).await
            }
        };
        if let Err(why) = ended {
            connection.farewell(&why);
        }
    }
}

impl Connection {
    pub(crate) fn new(extranonce1: [u8; EXTRANONCE1], peer: SocketAddr, hub: Hub) -> Self {
        let now = hub.clock.now();
        let mut jobs = hub.jobs.clone();
        jobs.mark_changed();
        Self {
            session: Session::new(extranonce1, hub.rules, now),
            extranonce1,
            peer,
            names: Vec::new(),
            outbox: Outbox::new(OUT_MAX),
            jobs,
            reads: Allowance::new(READ_PER_SECOND, READ_BURST, now.since_start),
            hub,
        }
    }

    /// Receive a stranger. One that turns out to be a miner is sent `through`.
    pub(crate) async fn receive(
        mut self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        through: mpsc::Sender<Guest>,
    ) {
        debug!(peer = %self.peer, "connected");
        let received = match tls {
            None => self.greet(stream).await,
            // Its buffers are large: a connection without TLS should not carry their weight.
            Some(acceptor) => Box::pin(self.secure(stream, acceptor)).await.map(|never| match never {}),
        };
        match received {
            Ok((stream, said)) => {
                // Nobody takes it when the link stops.
                let _stopping = through.send(Guest { connection: self, stream, said }).await;
            }
            Err(why) => self.farewell(&why),
        }
    }

    async fn greet(&mut self, stream: TcpStream) -> Result<(std::net::TcpStream, Vec<u8>), Ended> {
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let mut lines = Lines::new(reader, LINE_OF_STRANGER);
        self.converse(&mut lines, &mut writer, Until::Ready).await?;
        let (reader, said) = lines.into_parts();
        let stream = reader.reunite(writer).map_err(io::Error::other)?;
        Ok((stream.into_std()?, said))
    }

    async fn secure(&mut self, stream: TcpStream, tls: TlsAcceptor) -> Result<Infallible, Ended> {
        stream.set_nodelay(true)?;
        let secured = timeout(HANDSHAKE, tls.accept(stream)).await.map_err(|_| Ended::Tls)??;
        let (reader, mut writer) = tokio::io::split(secured);
        let mut lines = Lines::new(reader, LINE_MAX);
        self.converse(&mut lines, &mut writer, Until::End).await?;
        Err(Ended::Stopping)
    }

    fn farewell(&self, why: &Ended) {
        if let Ended::BySession(end) = why {
            self.blame(points_of_end(*end));
        }
        // Who never got as far as a name is not worth a line of the log.
        match self.names.first() {
            Some(worker) => info!(peer = %self.peer, worker, %why, "disconnected"),
            None => debug!(peer = %self.peer, %why, "disconnected"),
        }
    }

    async fn converse<R, W>(
        &mut self,
        lines: &mut Lines<R>,
        writer: &mut W,
        until: Until,
    ) -> Result<(), Ended>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause = Duration::ZERO;
        while until == Until::End || !self.session.ready() {
            let (waiting, paused) = (!self.outbox.is_empty(), !pause.is_zero());
            // All are safe to cancel: bytes read stay in the buffer, a job stays in the channel. A job goes
            // first, and nothing else of ten thousand connections is touched on its way.
            let news = tokio::select! {
                biased;
                changed = self.jobs.changed() => {
                    changed.map_err(|_| Ended::Stopping)?;
                    News::Job
                }
                wrote = self.outbox.write_on(writer), if waiting => wrote.map(|()| News::Nothing)?,
                _ = tick.tick() => News::Tick,
                read = lines.next(), if !paused => News::Read(read?),
                () = async { sleep(pause).await }, if paused => News::Nothing,
            };
            let now = self.hub.clock.now();
            let handled = match news {
                News::Job => {
                    let offer = self.jobs.borrow_and_update().clone();
                    match offer {
                        Some(offer) => self.handle(Input::Job(offer), now).await,
                        None => Ok(()),
                    }
                }
                News::Read(Read::Line(line)) => self.handle(Input::Line(&line), now).await,
                News::Read(Read::TooLong) => self.handle(Input::LongLine, now).await,
                News::Tick => self.handle(Input::Tick, now).await,
                News::Read(Read::Part) | News::Nothing => Ok(()),
            };
            pause = self.reads.have(lines.cost(), now.since_start);
            self.outbox.write_some(writer, now.since_start).await?;
            // A last word is said before hanging up.
            handled?;
            if self.outbox.is_stuck(now.since_start, WRITE) {
                return Err(Ended::SlowReader);
            }
        }
        Ok(())
    }

    async fn handle(&mut self, input: Input<'_>, now: Now) -> Result<(), Ended> {
        for effect in self.session.handle(input, now) {
            match effect {
                Effect::Send(line) => self.outbox.push(&line),
                Effect::Joined { name, agent } => {
                    info!(worker = name, agent, "worker joined");
                    self.hub.shared.joined(&name, &agent);
                    self.names.push(name);
                }
                Effect::Share { name, outcome, target, pool } => {
                    self.hub.shared.share(&name, outcome, target, pool, now);
                    if outcome.is_err_and(|reason| self.blame(points_of_share(reason))) {
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
                // A proof more or less is no reason to keep a miner waiting.
                Effect::Keep(proof) => {
                    if self.hub.proofs.try_send(proof).is_err() {
                        warn!("a receipt is not kept: too many at once");
                    }
                }
                Effect::Close(end) => return Err(end.into()),
            }
        }
        Ok(())
    }

    /// Hold something against the address. True when that is too much.
    fn blame(&self, points: u32) -> bool {
        let banned = points > 0 && self.hub.door(|door, now| door.blame(self.peer.ip(), points, now));
        if banned {
            warn!(address = %self.peer.ip(), "banned for a while");
        }
        banned
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.shared.left(&self.names);
        self.hub.door(|door, _| door.leave(self.peer.ip(), self.extranonce1));
    }
}
