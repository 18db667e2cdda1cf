//! Who may come in: how many at once, how many from one address, and who may not for a while.
//!
//! Pure. What an address did is held against the address and never against a worker's name, which
//! anybody can write. It wears off.

use crate::job::EXTRANONCE1;
use crate::share::Reason;
use crate::stratum::End;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Points at which an address is banned.
const BAN_AT: u32 = 100;
/// How long it is banned.
const BAN: Duration = Duration::from_secs(10 * 60);
/// In this time one point wears off.
const FORGET: Duration = Duration::from_secs(6);
/// Addresses that are remembered when nobody is connected from them.
const REMEMBERED: usize = 65_536;
/// An address may connect as often as it may be connected, at once, and that often again in this time.
const REFILL: Duration = Duration::from_secs(6);

/// What a farm allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Of them from one address.
    pub(crate) per_address: usize,
}

/// Why somebody does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("too many miners")]
    Full,
    #[error("too many connections from its address")]
    Address,
    #[error("its address connects too often")]
    Often,
    #[error("its address is banned for a while")]
    Banned,
}

#[derive(Debug, Default)]
struct Visitor {
    connections: usize,
    /// Connections it may open now, as the time they take to come back.
    owed: Duration,
    points: u32,
    since: Duration,
    banned_until: Option<Duration>,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Door {
    limits: Limits,
    visitors: BTreeMap<IpAddr, Visitor>,
    /// The extranonces 1 in use.
    taken: Vec<bool>,
    next: usize,
    inside: usize,
}

impl Door {
    pub(crate) fn new(limits: Limits) -> Self {
        let numbers = 1 << (8 * EXTRANONCE1);
        Self { limits, visitors: BTreeMap::new(), taken: vec![false; numbers], next: 0, inside: 0 }
    }

    /// Let somebody in, with an extranonce 1 that nobody else has and nobody had lately.
    pub(crate) fn admit(&mut self, address: IpAddr, now: Duration) -> Result<[u8; EXTRANONCE1], Refused> {
        let address = network_of(address);
        if self.inside >= self.limits.connections {
            return Err(Refused::Full);
        }
        self.forget(now);
        let per_address = self.limits.per_address;
        let step = REFILL / u32::try_from(per_address.max(1)).unwrap_or(u32::MAX);
        let visitor = self.visitors.entry(address).or_default();
        visitor.wear_off(now);
        if visitor.banned_until.is_some() {
            return Err(Refused::Banned);
        }
        if visitor.connections >= per_address {
            return Err(Refused::Address);
        }
        // `owed` runs behind the clock by what was opened in a burst.
        let owed = visitor.owed.max(now) + step;
        if owed.saturating_sub(now) > REFILL + step {
            return Err(Refused::Often);
        }
        let number = free(&mut self.taken, &mut self.next).ok_or(Refused::Full)?;
        visitor.owed = owed;
        visitor.connections += 1;
        self.inside += 1;
        Ok(number)
    }

    /// Somebody left.
    pub(crate) fn leave(&mut self, address: IpAddr, extranonce1: [u8; EXTRANONCE1]) {
        let place = usize::from(u16::from_be_bytes(extranonce1));
        if let Some(taken) = self.taken.get_mut(place).filter(|taken| **taken) {
            *taken = false;
            self.inside -= 1;
        }
        if let Some(visitor) = self.visitors.get_mut(&network_of(address)) {
            visitor.connections = visitor.connections.saturating_sub(1);
        }
    }

    /// Hold something against an address. True when that makes it banned.
    pub(crate) fn blame(&mut self, address: IpAddr, points: u32, now: Duration) -> bool {
        let Some(visitor) = self.visitors.get_mut(&network_of(address)) else { return false };
        visitor.wear_off(now);
        visitor.points = visitor.points.saturating_add(points);
        let bans = visitor.points >= BAN_AT && visitor.banned_until.is_none();
        if bans {
            visitor.banned_until = Some(now + BAN);
            visitor.points = 0;
        }
        bans
    }

    fn forget(&mut self, now: Duration) {
        if self.visitors.len() < REMEMBERED {
            return;
        }
        self.visitors.retain(|_, visitor| {
            visitor.wear_off(now);
            visitor.connections > 0 || visitor.banned_until.is_some() || visitor.owed > now
        });
    }
}

impl Visitor {
    fn wear_off(&mut self, now: Duration) {
        let steps = now.saturating_sub(self.since).as_secs() / FORGET.as_secs();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.points = self.points.saturating_sub(steps);
        self.since = if self.points == 0 { now } else { self.since + FORGET * steps };
        self.banned_until = self.banned_until.filter(|until| *until > now);
    }
}

/// What a whole customer's line is counted as: an IPv6 host has as many addresses as it likes.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The next number that is not taken, round and round, so that one comes back as late as can be.
fn free(taken: &mut [bool], next: &mut usize) -> Option<[u8; EXTRANONCE1]> {
    let count = taken.len();
    let place =
        (0..count).map(|step| (*next + step) % count).find(|place| taken.get(*place) == Some(&false))?;
    *taken.get_mut(place)? = true;
    *next = (place + 1) % count;
    u16::try_from(place).ok().map(u16::to_be_bytes)
}

/// What the end of a conversation says about an address. A hundred is too much.
pub(crate) const fn points_of_end(end: End) -> u32 {
    match end {
        End::LongLine | End::Malformed => 25,
        End::Rejected => 20,
        End::Handshake => 2,
        End::Idle | End::Room | End::Coinbase => 0,
    }
}

/// What a refused share says about an address. Stale and weak ones say nothing: they come from
/// networks and firmware, and one bad device must not shut out a farm.
pub(crate) const fn points_of_share(reason: Reason) -> u32 {
    match reason {
        Reason::Duplicate | Reason::TooFast => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
