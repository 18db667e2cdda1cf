//! One party's session: what comes in, what is kept, what is sent again.

use super::message::{Body, DkgMessage, Round1};
use super::{
    BadConfig, Change, Config, Effect, Input, MAX_KEY_READY, RESEND_AFTER, Rejected, Statement, Step, Waiting,
};
use super::{Outcome, Why, envelope};
use crate::fault::Equivocation;
use crate::keyset::{GroupKey, PublicKeys};
use crate::party::PartyId;
use crate::session::Timestamp;
use frost_secp256k1_tr::keys::dkg as frost;
use frost_secp256k1_tr::keys::dkg::round1::Package;
use rand::{CryptoRng, RngCore};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use zeroize::Zeroizing;

/// One party's part in one key generation.
///
/// Handling the last second-round message does all the arithmetic of the protocol at once: about half a
/// second for 100 parties. Do it where it blocks nobody.
pub struct Session {
    pub(super) config: Config,
    /// For the encryption of our shares.
    pub(super) seed: Zeroizing<[u8; 32]>,
    pub(super) phase: Phase,
    pub(super) round1: BTreeMap<PartyId, DkgMessage>,
    /// The first-round messages of others as the crate reads them.
    pub(super) packages: BTreeMap<PartyId, Package>,
    pub(super) echoes: BTreeMap<PartyId, [u8; 32]>,
    pub(super) round2: BTreeMap<PartyId, DkgMessage>,
    pub(super) ready: BTreeMap<PartyId, Vec<Ready>>,
    pub(super) effects: VecDeque<Effect>,
    resend_at: Timestamp,
}

/// What a `KeyReady` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) group_key: GroupKey,
    pub(super) transcript_hash: [u8; 32],
}

/// Secrets live inside the phase that needs them, are consumed by the next, and erased on drop.
pub(super) enum Phase {
    RoundOne(frost::round1::SecretPackage),
    Echo(frost::round1::SecretPackage),
    RoundTwo(frost::round2::SecretPackage),
    Store(PublicKeys),
    KeyReady(PublicKeys, Ready),
    Closed,
}

impl Session {
    /// Begin: draw a polynomial, sign our first message.
    ///
    /// `rng` must be the operating system's: whoever can predict it knows our part of the key.
    pub fn new(config: Config, rng: &mut (impl RngCore + CryptoRng), now: Timestamp) -> Self {
        let (t, n) = (config.threshold.t(), config.threshold.n());
        let (secret, package) =
            frost::part1(config.me.identifier(), n, t, &mut *rng).expect("a Threshold satisfies 2 <= t <= n");
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        let (_, sealing_key) = envelope::keypair(&config.member, config.session);
        let package = package.serialize().expect("a package of our own serializes");
        let body = Body::Round1(Round1 { package, sealing_key });
        let message = DkgMessage::sign(config.session, config.me, body, &config.member);
        let stored = store_secret(&seed, &secret);

        let mut session = Self::with(config, seed, secret, message.clone(), now);
        session.effects.push_back(Effect::Persist(Change::RoundOne { secret: stored, message }));
        session.resend(now);
        session
    }

    /// Go on after a restart, from the changes in the order in which they were persisted. Feed all
    /// statements again that were published for this session, then [`Input::Tick`].
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if the changes are not those of a session of this configuration.
    pub fn resume(config: Config, changes: Vec<Change>, now: Timestamp) -> Result<Self, BadConfig> {
        let mut changes = changes.into_iter();
        let Some(Change::RoundOne { secret, message }) = changes.next() else {
            return Err(BadConfig::NoRoundOne);
        };
        let ours = message.session() == config.session
            && message.from() == config.me
            && message.signed_by(&config.member.verifying_key().to_bytes());
        let (seed, secret) = load_secret(&secret).filter(|_| ours).ok_or(BadConfig::Change)?;
        let mut session = Self::with(config, seed, secret, message, now);
        for change in changes {
            match change {
                Change::RoundOne { .. } => return Err(BadConfig::Change),
                Change::Received(message) => {
                    session.accept(message).map_err(|_| BadConfig::Change)?;
                }
                // computed again from the messages, and stored and read back again
                Change::Share(_) => {}
            }
        }
        // what was received is durable already
        session.effects.retain(|effect| matches!(effect, Effect::Done(_)));
        session.advance();
        session.effects.push_back(Effect::WakeAt(now));
        Ok(session)
    }

    fn with(
        config: Config,
        seed: Zeroizing<[u8; 32]>,
        secret: frost::round1::SecretPackage,
        message: DkgMessage,
        now: Timestamp,
    ) -> Self {
        Self {
            round1: BTreeMap::from([(config.me, message)]),
            packages: BTreeMap::new(),
            config,
            seed,
            phase: Phase::RoundOne(secret),
            echoes: BTreeMap::new(),
            round2: BTreeMap::new(),
            ready: BTreeMap::new(),
            effects: VecDeque::new(),
            resend_at: now,
        }
    }

    /// Take one input.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the input has no place now; the session is unchanged.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Result<(), Rejected> {
        match input {
            Input::Tick => {
                if now >= self.resend_at {
                    self.resend(now);
                }
                return Ok(());
            }
            Input::Message(message) => self.accept(message)?,
            Input::Statement(from, statement) => self.hear(from, &statement)?,
            Input::Stored(share) => self.stored(&share)?,
        }
        self.advance();
        Ok(())
    }

    /// The next effect to carry out, if any.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// For whom the session waits.
    #[must_use]
    pub fn waiting_on(&self) -> Waiting {
        let without = |has: &dyn Fn(&PartyId) -> bool| -> Vec<PartyId> {
            self.config.threshold.parties().filter(|party| !has(party)).collect()
        };
        let (step, missing, disagreeing) = match &self.phase {
            Phase::RoundOne(_) => (Step::RoundOne, without(&|party| self.round1.contains_key(party)), vec![]),
            Phase::Echo(_) => (Step::Echo, without(&|party| self.echoes.contains_key(party)), vec![]),
            Phase::RoundTwo(_) => (Step::RoundTwo, without(&|party| self.round2.contains_key(party)), vec![]),
            Phase::Store(_) => (Step::Store, vec![self.config.me], vec![]),
            Phase::KeyReady(_, ours) => {
                let missing = without(&|party| self.agrees(*party, ours));
                let disagreeing = missing.iter().filter(|party| self.ready.contains_key(party)).copied();
                (Step::KeyReady, missing.clone(), disagreeing.collect())
            }
            Phase::Closed => (Step::Closed, vec![], vec![]),
        };
        Waiting { step, missing, disagreeing }
    }

    pub(super) fn agrees(&self, party: PartyId, ours: &Ready) -> bool {
        self.ready.get(&party).is_some_and(|said| said.contains(ours))
    }

    fn accept(&mut self, message: DkgMessage) -> Result<(), Rejected> {
        let from = message.from();
        if message.session() != self.config.session {
            return Err(Rejected::OtherSession(message.session()));
        }
        let key = self.config.parties.get(&from).ok_or(Rejected::NotAParty(from))?;
        if !message.signed_by(key) {
            return Err(Rejected::BadSignature(from));
        }
        let seats = match message.body() {
            Body::Round1(_) => &mut self.round1,
            Body::Round2(_) => &mut self.round2,
        };
        match seats.get(&from) {
            Some(first) if first.same_content(&message) => return Ok(()),
            Some(first) => {
                let evidence = Equivocation { first: first.clone(), second: message };
                return Err(Rejected::Equivocation(Box::new(evidence)));
            }
            // our own messages are made here; one from elsewhere would be another's with our key
            None if from == self.config.me || matches!(self.phase, Phase::Closed) => {
                return Err(Rejected::OutOfPhase);
            }
            None => {}
        }
        let verdict = message.body().check(&self.config);
        seats.insert(from, message.clone());
        self.effects.push_back(Effect::Persist(Change::Received(message)));
        match verdict {
            Ok(package) => self.packages.extend(package.map(|package| (from, package))),
            Err(why) => self.fail(vec![from], why),
        }
        Ok(())
    }

    fn hear(&mut self, from: PartyId, statement: &Statement) -> Result<(), Rejected> {
        if statement.session() != self.config.session {
            return Err(Rejected::OtherSession(statement.session()));
        }
        if !self.config.threshold.has(from) {
            return Err(Rejected::NotAParty(from));
        }
        match *statement {
            Statement::Echo { round1_hash, .. } => match self.echoes.get(&from) {
                Some(first) if *first != round1_hash => return Err(Rejected::Contradiction(from)),
                _ => drop(self.echoes.insert(from, round1_hash)),
            },
            // kept whatever they say, so that the end does not depend on which of two came first
            Statement::KeyReady { group_key, transcript_hash, .. } => {
                let ready = Ready { group_key, transcript_hash };
                let said = self.ready.get(&from).map_or(&[][..], Vec::as_slice);
                if !said.contains(&ready) {
                    if said.len() >= MAX_KEY_READY {
                        return Err(Rejected::Contradiction(from));
                    }
                    self.ready.entry(from).or_default().push(ready);
                }
            }
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, culprits: Vec<PartyId>, why: Why) {
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Closed;
            self.effects.push_back(Effect::Done(Outcome::Failed { culprits, why }));
        }
    }

    /// Send our message of a round to those who show no sign of having it: no echo after the first round,
    /// no `KeyReady` after the second.
    fn resend(&mut self, now: Timestamp) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        let (first, second) = (self.round1.get(&self.config.me), self.round2.get(&self.config.me));
        for to in self.config.others() {
            let message = if self.echoes.contains_key(&to) {
                second.filter(|_| !self.ready.contains_key(&to))
            } else {
                first
            };
            self.effects.extend(message.map(|message| Effect::Send(to, message.clone())));
        }
        self.resend_at = now.after(RESEND_AFTER);
        self.effects.push_back(Effect::WakeAt(self.resend_at));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("session", &self.config.session)
            .field("me", &self.config.me)
            .field("waiting_on", &self.waiting_on())
            .field("echoes", &self.echoes)
            .field("ready", &self.ready)
            .field("effects", &self.effects.len())
            .finish_non_exhaustive()
    }
}

/// The seed, then the crate's own encoding of the polynomial.
fn store_secret(seed: &[u8; 32], secret: &frost::round1::SecretPackage) -> Zeroizing<Vec<u8>> {
    let package = Zeroizing::new(secret.serialize().expect("a package of our own serializes"));
    Zeroizing::new([&seed[..], &package].concat())
}

fn load_secret(bytes: &[u8]) -> Option<(Zeroizing<[u8; 32]>, frost::round1::SecretPackage)> {
    let (seed, package) = bytes.split_first_chunk()?;
    Some((Zeroizing::new(*seed), frost::round1::SecretPackage::deserialize(package).ok()?))
}
