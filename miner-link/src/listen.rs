//! Carries bytes between miners and their sessions.

use crate::blocks::Found;
use crate::clock::Clock;
use crate::job::Job;
use crate::shared::Shared;
use crate::stratum::limits::{CONNECTIONS_MAX, LINE_MAX, TICK, WRITE};
use crate::stratum::{Effect, Input, Session};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

/// Pause after the system refused a connection, for want of files for example.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What every connection works with.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    pub(crate) jobs: watch::Receiver<Option<Arc<Job>>>,
    pub(crate) found: mpsc::Sender<Found>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
}

/// Serve miners until dropped.
pub(crate) async fn listen(listener: TcpListener, hub: Hub) {
    let mut connections = JoinSet::new();
    let mut next: u32 = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() < CONNECTIONS_MAX => {
                    next = next.wrapping_add(1);
                    let connection = Connection::new(next.to_be_bytes(), hub.clone());
                    connections.spawn(connection.run(stream, peer));
                }
                Ok((_, peer)) => warn!(%peer, "too many miners: refused"),
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
    names: Vec<String>,
    hub: Hub,
}

/// Why a connection ended, when not by the session's wish.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("closed by the miner")]
    ByMiner,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the miner does not read")]
    SlowReader,
    #[error(transparent)]
    BySession(#[from] crate::stratum::End),
    #[error("the link stops")]
    Stopping,
}

impl Connection {
    fn new(extranonce1: [u8; 4], hub: Hub) -> Self {
        Self { session: Session::new(extranonce1, hub.clock.now()), names: Vec::new(), hub }
    }

    async fn run(mut self, stream: TcpStream, peer: SocketAddr) {
        debug!(%peer, "connected");
        let Err(why) = self.converse(stream).await;
        info!(%peer, worker = self.names.first(), %why, "disconnected");
    }

    async fn converse(&mut self, stream: TcpStream) -> Result<std::convert::Infallible, Ended> {
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let mut lines = Lines { reader, buffer: Vec::new() };
        let mut jobs = self.hub.jobs.clone();
        jobs.mark_changed();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All three are safe to cancel: bytes read stay in the buffer, a job stays in the channel.
            tokio::select! {
                changed = jobs.changed() => {
                    changed.map_err(|_| Ended::Stopping)?;
                    let job = jobs.borrow_and_update().clone();
                    if let Some(job) = job {
                        self.handle(Input::Job(job), &mut writer).await?;
                    }
                }
                line = lines.next() => match line? {
                    Some(line) => self.handle(Input::Line(&line), &mut writer).await?,
                    None => self.handle(Input::LongLine, &mut writer).await?,
                },
                _ = tick.tick() => self.handle(Input::Tick, &mut writer).await?,
            }
        }
    }

    async fn handle(&mut self, input: Input<'_>, writer: &mut OwnedWriteHalf) -> Result<(), Ended> {
        let now = self.hub.clock.now();
        for effect in self.session.handle(input, now) {
            match effect {
                Effect::Send(mut line) => {
                    line.push('\n');
                    let written = timeout(WRITE, writer.write_all(line.as_bytes())).await;
                    written.map_err(|_| Ended::SlowReader)??;
                }
                Effect::Joined { name, agent } => {
                    info!(worker = name, agent, "worker joined");
                    self.hub.shared.joined(&name, &agent);
                    self.names.push(name);
                }
                Effect::Share { name, rejected, target } => {
                    debug!(worker = name, ?rejected, "share");
                    self.hub.shared.share(&name, rejected, target, now.unix);
                }
                Effect::Found { name, block } => {
                    let found = Found { worker: name, block };
                    self.hub.found.send(found).await.map_err(|_| Ended::Stopping)?;
                }
                Effect::Close(end) => return Err(end.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.shared.left(&self.names);
    }
}

/// Splits a stream into lines of bounded length.
struct Lines {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next line; none when it is too long.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok((line.len() <= LINE_MAX).then_some(line));
            }
            if self.buffer.len() > LINE_MAX {
                return Ok(None);
            }
            self.buffer.reserve(1_024);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(Ended::ByMiner);
            }
        }
    }
}
