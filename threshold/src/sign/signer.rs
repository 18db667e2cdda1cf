//! The signer: a member's share at work.

use super::Rejected;
use super::given::Given;
use super::message::{self, Commitments, Shares, SigningPackage};
use super::nonce::OneShot;
use super::plan::{Task, plan};
use super::request::{Request, RequestId};
use crate::keyset::{KeyError, KeyShare, PublicKeys};
use crate::party::PartyId;
use crate::session::{SessionId, Timestamp};
use rand::{CryptoRng, RngCore};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long nonces wait for their coordinator.
pub const NONCE_LIFE: Duration = Duration::from_secs(60);
/// Most sessions that one coordinator has open here at once: no coordinator can take the seats of another.
/// With 200 inputs each, those of 100 coordinators hold some tens of megabytes.
pub const MAX_OPEN_SESSIONS: usize = 8;
/// Most sessions in which we gave shares and wait for a signature to be seen. With 200 inputs and 100
/// parties each, some tens of megabytes.
pub const MAX_GIVEN: usize = 32;

/// A member's share at work, for one key.
///
/// # Security
///
/// It signs what it is asked. The caller has judged the request before [`commit`](Self::commit), and has
/// made its intent durable between `commit` and [`sign`](Self::sign): a share that left cannot be called
/// back. Dropping it drops all nonces.
#[derive(Debug)]
pub struct Signer {
    share: KeyShare,
    keys: PublicKeys,
    /// A session is its coordinator's: what one asks does nothing to the sessions of another.
    open: BTreeMap<(PartyId, RequestId), Open>,
    /// By coordinator and its name for the session.
    given: BTreeMap<(PartyId, SessionId), Given>,
}

#[derive(Debug)]
struct Open {
    session: SessionId,
    tasks: Vec<Task>,
    nonces: OneShot,
    commitments: Commitments,
    expires: Timestamp,
}

impl Signer {
    /// Put a share to work.
    ///
    /// # Errors
    ///
    /// [`KeyError::Mismatch`] if it is no share of this key.
    pub fn new(share: KeyShare, keys: PublicKeys) -> Result<Self, KeyError> {
        share.check(&keys)?;
        Ok(Self { share, keys, open: BTreeMap::new(), given: BTreeMap::new() })
    }

    /// Whose share it is.
    #[must_use]
    pub fn party(&self) -> PartyId {
        self.share.party()
    }

    /// The key it signs for.
    #[must_use]
    pub fn keys(&self) -> &PublicKeys {
        &self.keys
    }

    /// Draw nonces for a request that the caller is willing to sign, and commit to them.
    ///
    /// Each coordinator has one open session for a request: a new one drops the nonces of the one before,
    /// and of no other coordinator's. The same session asked again is answered with the same commitments.
    /// `rng` must be the operating system's.
    ///
    /// # Errors
    ///
    /// [`Rejected::Request`] if an input is not of this key, [`Rejected::NotAParty`],
    /// [`Rejected::SessionTaken`], [`Rejected::Busy`].
    pub fn commit(
        &mut self,
        request: &Request,
        session: SessionId,
        coordinator: PartyId,
        rng: &mut (impl RngCore + CryptoRng),
        now: Timestamp,
    ) -> Result<Commitments, Rejected> {
        self.expire(now);
        if !self.keys.threshold().has(coordinator) {
            return Err(Rejected::NotAParty(coordinator));
        }
        let place = (coordinator, request.id());
        if let Some((taken, open)) = self.find(coordinator, session) {
            return if taken == place {
                Ok(open.commitments.clone())
            } else {
                Err(Rejected::SessionTaken(session))
            };
        }
        let tasks = plan(request, &self.keys)?;
        let open = self.open.keys().filter(|other| other.0 == coordinator && **other != place).count();
        if open >= MAX_OPEN_SESSIONS {
            return Err(Rejected::Busy { open });
        }
        let (nonces, list) = OneShot::draw(tasks.len(), &self.share, rng);
        let commitments = Commitments { session, list: list.iter().map(message::write).collect() };
        let expires = now.after(NONCE_LIFE);
        let open = Open { session, tasks, nonces, commitments: commitments.clone(), expires };
        self.open.insert(place, open);
        Ok(commitments)
    }

    /// Give our shares to the coordinator of the session, once. The caller makes its intent durable before
    /// they leave.
    ///
    /// # Errors
    ///
    /// [`Rejected::NoSuchSession`] if this coordinator never opened the session, or it is over, or its nonces
    /// expired. Any other rejection leaves the session open, since nothing was signed, except
    /// [`Rejected::Failed`], after which the nonces are gone.
    pub fn sign(
        &mut self,
        coordinator: PartyId,
        package: &SigningPackage,
        now: Timestamp,
    ) -> Result<Shares, Rejected> {
        self.expire(now);
        let session = package.session;
        let none = Rejected::NoSuchSession(session);
        let (place, open) = self.find(coordinator, session).ok_or(none.clone())?;
        self.check(place.1, open, package)?;
        let packages = package.open(&open.tasks)?;
        // from here on this session cannot sign again, whatever happens
        let open = self.open.remove(&place).ok_or(none)?;
        let list = open.nonces.spend(&open.tasks, &packages, &self.share);
        let shares = Shares { session, list: list.map_err(|_| Rejected::Failed(session))? };
        let ours = (self.party(), shares.clone());
        self.keep(coordinator, Given::new(open.tasks, package.clone(), ours, now.after(NONCE_LIFE)));
        Ok(shares)
    }

    /// What we gave in a session, and the other seats of it: to be told to them if no signature is seen.
    #[must_use]
    pub fn given(&self, coordinator: PartyId, session: SessionId) -> Option<(&Shares, Vec<PartyId>)> {
        let given = self.given.get(&(coordinator, session))?;
        let others = given.seats().filter(|party| *party != self.party());
        Some((given.of(self.party())?, others.collect()))
    }

    /// Another seat of a session in which we gave shares told us its own. The signatures, once all are here.
    ///
    /// # Errors
    ///
    /// [`Rejected::NoSuchSession`] if we gave none there; [`Rejected::NoSeat`], [`Rejected::Duplicate`];
    /// [`Rejected::Malformed`] names a party whose shares are wrong.
    pub fn told(
        &mut self,
        coordinator: PartyId,
        from: PartyId,
        shares: Shares,
    ) -> Result<Option<Vec<[u8; 64]>>, Rejected> {
        let session = shares.session;
        let given = self.given.get_mut(&(coordinator, session)).ok_or(Rejected::NoSuchSession(session))?;
        given.take(from, shares, &self.keys)
    }

    /// Keep what we gave, in the place of the oldest if there is no more room.
    fn keep(&mut self, coordinator: PartyId, given: Given) {
        if self.given.len() >= MAX_GIVEN
            && let Some(oldest) = self.given.iter().min_by_key(|(_, given)| given.expires)
        {
            let oldest = *oldest.0;
            self.given.remove(&oldest);
        }
        self.given.insert((coordinator, given.session()), given);
    }

    /// The session of this name that this coordinator opened.
    fn find(&self, coordinator: PartyId, session: SessionId) -> Option<((PartyId, RequestId), &Open)> {
        let mut open = self.open.iter();
        open.find(|(place, open)| place.0 == coordinator && open.session == session)
            .map(|(place, open)| (*place, open))
    }

    /// Drop expired nonces. Every call does so; call it on a timer too, so that they do not linger.
    pub fn expire(&mut self, now: Timestamp) {
        self.open.retain(|_, open| now < open.expires);
        self.given.retain(|_, given| now < given.expires);
    }

    /// Drop the nonces of a request, when the caller is no longer willing.
    pub fn forget(&mut self, request: RequestId) {
        self.open.retain(|place, _| place.1 != request);
    }

    fn check(&self, request: RequestId, open: &Open, package: &SigningPackage) -> Result<(), Rejected> {
        if package.request != request {
            return Err(Rejected::OtherRequest { expected: request, found: package.request });
        }
        let threshold = self.keys.threshold();
        if package.commitments.len() != usize::from(threshold.t()) {
            return Err(Rejected::Seats { expected: threshold.t(), found: package.commitments.len() });
        }
        if let Some(stranger) = package.commitments.keys().find(|party| !threshold.has(**party)) {
            return Err(Rejected::NotAParty(*stranger));
        }
        if package.commitments.get(&self.share.party()) != Some(&open.commitments.list) {
            return Err(Rejected::OurCommitments);
        }
        Ok(())
    }
}
