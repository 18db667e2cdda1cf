//! Shares that were given: kept until a signature is seen, so that those who gave them can add them up
//! themselves, and no coordinator can keep the result to itself.

use super::Rejected;
use super::aggregate::{add_up, read};
use super::message::{Shares, SigningPackage};
use super::plan::Task;
use crate::keyset::PublicKeys;
use crate::party::PartyId;
use crate::session::{SessionId, Timestamp};
use std::collections::BTreeMap;

/// What we gave shares for, and the shares of it that are here.
#[derive(Debug)]
pub(super) struct Given {
    tasks: Vec<Task>,
    package: SigningPackage,
    shares: BTreeMap<PartyId, Shares>,
    pub(super) expires: Timestamp,
}

impl Given {
    pub(super) fn new(
        tasks: Vec<Task>,
        package: SigningPackage,
        ours: (PartyId, Shares),
        expires: Timestamp,
    ) -> Self {
        Self { tasks, package, shares: BTreeMap::from([ours]), expires }
    }

    /// The shares of this party, if they are here.
    pub(super) fn of(&self, party: PartyId) -> Option<&Shares> {
        self.shares.get(&party)
    }

    /// The coordinator's name for the session.
    pub(super) const fn session(&self) -> SessionId {
        self.package.session
    }

    /// Everybody with a seat.
    pub(super) fn seats(&self) -> impl Iterator<Item = PartyId> + '_ {
        self.package.commitments.keys().copied()
    }

    /// Take the shares of another seat; the signatures, once all are here. Shares that turn out to be wrong
    /// are dropped, so that their party can give better ones.
    pub(super) fn take(
        &mut self,
        from: PartyId,
        shares: Shares,
        keys: &PublicKeys,
    ) -> Result<Option<Vec<[u8; 64]>>, Rejected> {
        if !self.package.commitments.contains_key(&from) {
            return Err(Rejected::NoSeat(from));
        }
        if self.shares.get(&from).is_some_and(|first| *first != shares) {
            return Err(Rejected::Duplicate(from));
        }
        if read(&shares).len() != self.tasks.len() {
            return Err(Rejected::Malformed(from));
        }
        self.shares.insert(from, shares);
        if self.shares.len() < self.package.commitments.len() {
            return Ok(None);
        }
        let packages = self.package.open(&self.tasks)?;
        add_up(&self.tasks, keys, &packages, &self.shares).map(Some).map_err(|culprits| {
            culprits.iter().for_each(|culprit| drop(self.shares.remove(culprit)));
            Rejected::Malformed(culprits.first().copied().unwrap_or(from))
        })
    }
}
