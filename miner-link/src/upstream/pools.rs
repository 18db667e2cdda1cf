//! The pools of a farm: calls them, and keeps their latest work at hand.

use crate::clock::Clock;
use crate::config::PoolAt;
use crate::error::Error;
use crate::job::{Forward, Job, JobId, Route, Work};
use crate::shared::Shared;
use crate::tls;
use crate::upstream::check::{Check, View};
use crate::upstream::choice::{Choice, Effect as Wanted, Input};
use crate::upstream::dial::{Dial, Event};
use crate::upstream::limits::{EVENTS_QUEUE, SECONDS_PER_SHARE, SHARES_QUEUE};
use crate::upstream::session::{Effect, Wants};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tracing::{info, warn};

/// Takes shares to the connections that their jobs came over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Arc<RwLock<Vec<Way>>>);

/// A connection, and where its shares go.
type Way = (Route, mpsc::Sender<Box<Forward>>);
/// What a connection said.
type Heard = (Route, Event);

impl Routes {
    /// False when that connection is gone or cannot keep up.
    pub(crate) fn forward(&self, share: Box<Forward>) -> bool {
        // The list is replaced as a whole, so a panic elsewhere leaves it sound.
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let route = routes.iter().find(|(route, _)| *route == share.route);
        route.is_some_and(|(_, sender)| sender.try_send(share).is_ok())
    }

    fn open(&self, route: Route, sender: mpsc::Sender<Box<Forward>>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((route, sender));
    }

    fn close(&self, route: Route) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != route);
    }
}

/// A pool that is called or connected.
#[derive(Debug)]
struct Line {
    route: Route,
    drain: Option<oneshot::Sender<()>>,
    job: Option<Arc<Job>>,
    check: Check,
}

/// What changed for miners.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Nothing.
    No,
    /// There is other work of the pool in use, or another pool, or none.
    Work,
}

/// All pools.
pub(crate) struct Pools {
    pools: Vec<(PoolAt, Option<TlsConnector>)>,
    choice: Choice,
    lines: Vec<Option<Line>>,
    routes: Routes,
    tasks: JoinSet<()>,
    events: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
    shared: Arc<Shared>,
    clock: Clock,
    connections: u32,
    /// Bytes of extranonce 2 that a connection of ours fills.
    room: usize,
}

impl Pools {
    pub(crate) fn new(
        pools: &[PoolAt],
        room: usize,
        shared: Arc<Shared>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let secure = |pool: &PoolAt| pool.tls.then(|| tls::connector(pool.authority.as_deref())).transpose();
        let pools: Vec<_> =
            pools.iter().map(|pool| Ok((pool.clone(), secure(pool)?))).collect::<Result<_, Error>>()?;
        Ok(Self {
            choice: Choice::new(pools.len()),
            lines: pools.iter().map(|_| None).collect(),
            pools,
            routes: Routes::default(),
            tasks: JoinSet::new(),
            events: mpsc::channel(EVENTS_QUEUE),
            shared,
            clock,
            connections: 0,
            room,
        })
    }

    pub(crate) fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// The latest work of the pool in use.
    pub(crate) fn job(&self) -> Option<Arc<Job>> {
        self.lines.get(self.choice.using()?)?.as_ref()?.job.clone()
    }

    /// What pools say, one at a time.
    pub(crate) async fn heard(&mut self) -> Heard {
        // Own tasks hold nothing that ends this channel, since it holds a sender itself.
        let heard = self.events.1.recv().await;
        heard.expect("a sender is kept beside the receiver")
    }

    /// Whether the certified policy lets pools be used (M1).
    pub(crate) fn allow(&mut self, allowed: bool) -> Changed {
        self.choose(Input::Allowed(allowed))
    }

    /// Time passed, or our node has another view.
    pub(crate) fn look(&mut self, view: Option<&View>) -> Changed {
        while self.tasks.try_join_next().is_some() {}
        let now = self.clock.now().since_start;
        let mut lost = Vec::new();
        for line in self.lines.iter_mut().flatten() {
            if let Err(objection) = line.check.against(view, now) {
                lost.push((line.route, objection.to_string()));
            }
        }
        let mut changed = self.choose(Input::Tick);
        for (route, why) in lost {
            changed = changed.or(self.lose(route, &why));
        }
        changed
    }

    /// A connection said something.
    pub(crate) fn take(&mut self, (route, event): Heard, view: Option<&View>, id: JobId) -> Changed {
        let name = self.pools.get(route.pool).map_or("", |(pool, _)| pool.name.as_str()).to_owned();
        match event {
            Event::Effect(Effect::Work(work)) => return self.work(&work, view, id),
            Event::Effect(Effect::Answered { refused, target }) => {
                self.shared.pool_answered(route.pool, refused, target);
            }
            Event::Effect(Effect::Late) => self.shared.pool_late(route.pool),
            Event::Effect(Effect::Note(note)) => warn!(pool = name, note, "the pool says"),
            Event::Effect(Effect::Send(_) | Effect::Close(_)) => {}
            Event::Ended(why) => {
                self.routes.close(route);
                return self.lose(route, &why);
            }
        }
        Changed::No
    }

    fn work(&mut self, work: &Arc<Work>, view: Option<&View>, id: JobId) -> Changed {
        let (route, now) = (work.route, self.clock.now().since_start);
        let Some(line) = self.lines.get_mut(route.pool).and_then(Option::as_mut) else { return Changed::No };
        if line.route != route || line.drain.is_none() {
            return Changed::No;
        }
        line.check.work(work);
        if let Err(objection) = line.check.against(view, now) {
            return self.lose(route, &objection.to_string());
        }
        line.job = Some(Arc::new(Job::of_pool(id, work.clone(), work.clean)));
        let was = self.choice.using();
        match self.choose(Input::Ready(route.pool)) {
            Changed::No if was == Some(route.pool) => Changed::Work,
            changed => changed,
        }
    }

    /// What there was between us and this pool is over.
    fn lose(&mut self, route: Route, why: &str) -> Changed {
        let Some(place) = self.lines.get_mut(route.pool) else { return Changed::No };
        // A connection that was drained ends without meaning anything.
        if place.as_ref().is_none_or(|line| line.route != route || line.drain.is_none()) {
            return Changed::No;
        }
        *place = None;
        if let Some((pool, _)) = self.pools.get(route.pool) {
            warn!(pool = pool.name, why, "pool lost");
        }
        self.shared.pool_trouble(route.pool, Some(why.to_owned()));
        self.choose(Input::Lost(route.pool))
    }

    fn choose(&mut self, input: Input) -> Changed {
        let mut changed = Changed::No;
        for wanted in self.choice.handle(input, self.clock.now().since_start) {
            match wanted {
                Wanted::Dial(pool) => self.dial(pool),
                Wanted::Drain(pool) => self.drain(pool),
                Wanted::Use(using) => {
                    changed = Changed::Work;
                    let name =
                        using.and_then(|pool| self.pools.get(pool)).map(|(pool, _)| pool.name.as_str());
                    info!(pool = name.unwrap_or("none: solo"), "mining for");
                    if let Some(pool) = using {
                        self.shared.pool_trouble(pool, None);
                    }
                }
            }
        }
        for pool in 0..self.pools.len() {
            self.shared.pool_state(pool, self.choice.state(pool));
        }
        changed
    }

    fn dial(&mut self, pool: usize) {
        let Some((at, connector)) = self.pools.get(pool).cloned() else { return };
        let Some(place) = self.lines.get_mut(pool) else { return };
        self.connections = self.connections.wrapping_add(1);
        let route = Route { pool, connection: self.connections };
        let (sender, shares) = mpsc::channel(SHARES_QUEUE);
        let (drain, drained) = oneshot::channel();
        self.routes.open(route, sender);
        *place = Some(Line { route, drain: Some(drain), job: None, check: Check::default() });
        let (events, clock) = (self.events.0.clone(), self.clock);
        let difficulty = difficulty_of(self.shared.hashes_per_second(clock.now()));
        let wants = Wants { difficulty, room: self.room };
        let dial = Dial { pool: at, connector, route, wants, clock, events, shares, drain: drained };
        self.tasks.spawn(dial.run());
    }

    fn drain(&mut self, pool: usize) {
        if let Some(line) = self.lines.get_mut(pool).and_then(Option::as_mut) {
            // The task may have ended already.
            let _ended = line.drain.take().map(|drain| drain.send(()));
        }
    }
}

/// At which a farm of this speed finds a share in [`SECONDS_PER_SHARE`]; none for what is no farm.
fn difficulty_of(hashes_per_second: u128) -> Option<u64> {
    let difficulty = hashes_per_second.saturating_mul(SECONDS_PER_SHARE) >> 32;
    u64::try_from(difficulty).ok().filter(|difficulty| *difficulty > 0)
}

impl Changed {
    fn or(self, other: Self) -> Self {
        if self == Self::Work { self } else { other }
    }
}
