//! Which pools to call, and which one to use.
//!
//! A machine without sockets. The first pool in order that is ready is used, and no later one is kept.
//! A pool that is lost is called again after a pause that doubles; meanwhile the next one is called.
//! A better pool that comes back is used the moment it has work, and not before.

use crate::upstream::limits::{PATIENCE, PAUSE, PAUSE_MAX, STABLE};
use std::time::Duration;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Whether pools may be used at all.
    Allowed(bool),
    /// This pool gave work.
    Ready(usize),
    /// The connection to this pool ended, or was never made.
    Lost(usize),
    /// Time passed.
    Tick,
}

/// What is wanted, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Connect to this pool.
    Dial(usize),
    /// Give miners this pool's work from now on; without one, our own.
    Use(Option<usize>),
    /// Let this pool's connection end once what is on its way has arrived.
    Drain(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting { until: Duration },
    Dialling { since: Duration },
    Ready { since: Duration },
}

#[derive(Debug, Clone, Copy)]
struct Pool {
    state: State,
    /// What was waited after the last loss.
    pause: Duration,
}

/// The machine.
#[derive(Debug)]
pub struct Choice {
    pools: Vec<Pool>,
    allowed: bool,
    using: Option<usize>,
}

impl Choice {
    /// Nothing is allowed yet.
    #[must_use]
    pub fn new(pools: usize) -> Self {
        let pool = Pool { state: State::Resting { until: Duration::ZERO }, pause: Duration::ZERO };
        Self { pools: vec![pool; pools], allowed: false, using: None }
    }

    /// The pool in use.
    #[must_use]
    pub const fn using(&self) -> Option<usize> {
        self.using
    }

    /// What this pool is doing, in a word.
    #[must_use]
    pub fn state(&self, pool: usize) -> &'static str {
        match self.pools.get(pool).map(|pool| pool.state) {
            Some(State::Ready { .. }) if self.using == Some(pool) => "in use",
            Some(State::Ready { .. }) => "ready",
            Some(State::Dialling { .. }) => "connecting",
            Some(State::Resting { .. }) | None => "not connected",
        }
    }

    /// Take one input.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<Effect> {
        match input {
            Input::Allowed(allowed) => self.allowed = allowed,
            Input::Ready(pool) => self.ready(pool, now),
            Input::Lost(pool) => self.lost(pool, now),
            Input::Tick => {}
        }
        self.settle(now)
    }

    fn ready(&mut self, pool: usize, now: Duration) {
        if let Some(pool) = self.pools.get_mut(pool)
            && matches!(pool.state, State::Dialling { .. })
        {
            pool.state = State::Ready { since: now };
        }
    }

    fn lost(&mut self, pool: usize, now: Duration) {
        let Some(pool) = self.pools.get_mut(pool) else { return };
        let stable = |since: Duration| now.saturating_sub(since) >= STABLE;
        pool.pause = match pool.state {
            State::Resting { .. } => return,
            State::Ready { since } if stable(since) => PAUSE,
            State::Ready { .. } | State::Dialling { .. } => {
                pool.pause.saturating_mul(2).clamp(PAUSE, PAUSE_MAX)
            }
        };
        pool.state = State::Resting { until: now.saturating_add(pool.pause) };
    }

    fn settle(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_ready = |pool: &Pool| matches!(pool.state, State::Ready { .. });
        let first = self.pools.iter().position(is_ready).filter(|_| self.allowed);
        if self.using != first {
            self.using = first;
            effects.push(Effect::Use(first));
        }
        let allowed = self.allowed;
        let needed = |place| allowed && first.is_none_or(|first| place <= first);
        for (place, pool) in self.pools.iter_mut().enumerate().filter(|(place, _)| !needed(*place)) {
            if !matches!(pool.state, State::Resting { .. }) {
                pool.state = State::Resting { until: now };
                effects.push(Effect::Drain(place));
            }
        }
        effects.extend(self.dial(first, now));
        effects
    }

    /// Call the best pool that is to be called now, unless a better one is being called.
    fn dial(&mut self, first: Option<usize>, now: Duration) -> Option<Effect> {
        let better = if self.allowed { first.unwrap_or(self.pools.len()) } else { 0 };
        for (place, pool) in self.pools.iter_mut().enumerate().take(better) {
            match pool.state {
                State::Dialling { since } if now.saturating_sub(since) < PATIENCE => return None,
                State::Resting { until } if until <= now => {
                    pool.state = State::Dialling { since: now };
                    return Some(Effect::Dial(place));
                }
                State::Dialling { .. } | State::Resting { .. } | State::Ready { .. } => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
