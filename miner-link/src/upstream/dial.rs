//! Carries bytes between pools and their sessions.

use crate::clock::Clock;
use crate::config::PoolAt;
use crate::job::{Forward, Route};
use crate::lines::{Lines, Outbox, Read};
use crate::stratum::limits::{OUT_MAX, WRITE};
use crate::upstream::limits::{DIAL, DRAIN, LINE_MAX, TICK};
use crate::upstream::session::{Effect, End, Input, Session, Wants};
use std::convert::Infallible;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// What a connection to a pool says.
#[derive(Debug)]
pub(crate) enum Event {
    /// One of the effects of its session.
    Effect(Effect),
    /// It is over.
    Ended(String),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("not reached within {} s", DIAL.as_secs())]
    TimeOut,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the pool does not read")]
    SlowReader,
    #[error(transparent)]
    BySession(#[from] End),
    #[error("not used any more")]
    Drained,
    #[error("the link stops")]
    Stopping,
}

/// One connection to one pool, to be made.
pub(crate) struct Dial {
    pub(crate) pool: PoolAt,
    pub(crate) connector: Option<TlsConnector>,
    pub(crate) route: Route,
    pub(crate) wants: Wants,
    pub(crate) clock: Clock,
    pub(crate) events: mpsc::Sender<(Route, Event)>,
    pub(crate) shares: mpsc::Receiver<Box<Forward>>,
    /// Resolves when the connection is not used any more.
    pub(crate) drain: oneshot::Receiver<()>,
}

impl Dial {
    /// Connect, converse, and say why it ended.
    pub(crate) async fn run(mut self) {
        let Err(why) = self.connect().await;
        // Shares that nobody takes any more must not be lost without a word.
        self.shares.close();
        while self.shares.recv().await.is_some() {
            let _stopping = self.events.send((self.route, Event::Effect(Effect::Late))).await;
        }
        let _stopping = self.events.send((self.route, Event::Ended(why.to_string()))).await;
    }

    async fn connect(&mut self) -> Result<Infallible, Ended> {
        let address = (self.pool.host.clone(), self.pool.port);
        let stream = timeout(DIAL, TcpStream::connect(address)).await.map_err(|_| Ended::TimeOut)??;
        stream.set_nodelay(true)?;
        match self.connector.take() {
            None => {
                let (reader, writer) = stream.into_split();
                self.converse(reader, writer).await
            }
            Some(connector) => {
                let name = ServerName::try_from(self.pool.host.clone());
                let name = name.map_err(|_| io::Error::other("a host that no certificate can name"))?;
                let secured = timeout(DIAL, connector.connect(name, stream)).await;
                let (reader, writer) = tokio::io::split(secured.map_err(|_| Ended::TimeOut)??);
                self.converse(reader, writer).await
            }
        }
    }

    async fn converse<R, W>(&mut self, reader: R, mut writer: W) -> Result<Infallible, Ended>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut lines = Lines::new(reader, LINE_MAX);
        let mut outbox = Outbox::new(OUT_MAX);
        let (account, now) = (self.pool.account(), self.clock.now());
        let (mut session, words) = Session::new(self.route, account, self.wants, now);
        self.carry_out(words, &mut outbox).await?;
        outbox.write_some(&mut writer, self.clock.now().since_start).await?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drained = None;
        loop {
            let waiting = !outbox.is_empty();
            let effects = tokio::select! {
                line = lines.next() => match line? {
                    Read::Line(line) => session.handle(Input::Line(&line), self.clock.now()),
                    Read::Part => Vec::new(),
                    Read::TooLong => session.handle(Input::LongLine, self.clock.now()),
                },
                Some(share) = self.shares.recv() => session.handle(Input::Share(&share), self.clock.now()),
                wrote = outbox.write_on(&mut writer), if waiting => { wrote?; Vec::new() }
                _ = &mut self.drain, if drained.is_none() => {
                    drained = Some(self.clock.now().since_start + DRAIN);
                    Vec::new()
                }
                _ = tick.tick() => session.handle(Input::Tick, self.clock.now()),
            };
            let now = self.clock.now().since_start;
            self.carry_out(effects, &mut outbox).await?;
            outbox.write_some(&mut writer, now).await?;
            if outbox.is_stuck(now, WRITE) {
                return Err(Ended::SlowReader);
            }
            if drained.is_some_and(|until| now >= until) {
                return Err(Ended::Drained);
            }
        }
    }

    async fn carry_out(&self, effects: Vec<Effect>, outbox: &mut Outbox) -> Result<(), Ended> {
        for effect in effects {
            match effect {
                Effect::Send(line) => outbox.push(&line),
                Effect::Close(end) => return Err(end.into()),
                told => {
                    self.events.send((self.route, Event::Effect(told))).await.map_err(|_| Ended::Stopping)?
                }
            }
        }
        Ok(())
    }
}
