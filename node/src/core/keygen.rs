//! Key generation: drives the threshold session, turns its statements into entries and back (§9).

use super::peers::Pending;
use super::{Effect, Node};
use crate::error::{Failure, Outcome as Result_};
use crate::net::protocol::Request;
use crdt::entry::KeyReady;
use crdt::treasury::GroupKey;
use crdt::{Digest, MemberId, Payload};
use std::collections::BTreeSet;
use threshold::dkg::{
    Change, Config, DkgMessage, Effect as DkgEffect, Input, Outcome, Session, Statement, Waiting,
};
use threshold::sign::Signer;
use threshold::{KeyShare, PartyId, SessionId, Threshold, Timestamp, Wire as _};
use zeroize::Zeroizing;

/// The epoch of the key that founders make.
pub(super) const EPOCH: u32 = 1;

/// Where our part in the key generation stands.
pub(super) struct Keygen {
    /// The epoch of the key.
    pub(super) epoch: u32,
    /// How many signers it takes.
    t: usize,
    /// The attempt that we take part in, or took part in last.
    pub(super) attempt: u32,
    /// Who makes the key in it, in seat order.
    pub(super) seats: Vec<MemberId>,
    pub(super) session: Option<Session>,
    /// What is not on the disk yet: it must be before anything leaves that follows from it.
    unkept: Vec<Zeroizing<Vec<u8>>>,
    /// How many records are on the disk, sealed.
    records: usize,
    /// The records of an earlier run.
    kept: Vec<Zeroizing<Vec<u8>>>,
    share: Option<KeyShare>,
    /// Messages of members whose nodes began before ours did.
    early: Vec<DkgMessage>,
    fed: BTreeSet<(MemberId, bool)>,
    /// Why this attempt makes no key, and who is to blame where one party alone can be.
    pub(super) failed: Option<(String, Vec<MemberId>)>,
    /// Since when we know that the attempt is over.
    pub(super) over_since: Option<Timestamp>,
}

/// What changed in a running key generation, in its order: a record of it as it rests.
type Changes<'a> = Vec<&'a [u8]>;
/// The first record: epoch, attempt, t, seats, and what changed.
type First<'a> = (u32, u32, u16, Vec<MemberId>, Changes<'a>);

impl Keygen {
    /// From what was kept, else the first attempt, among all co-signers of the charter.
    pub(super) fn new(kept: Vec<Zeroizing<Vec<u8>>>, charter: &crdt::Charter) -> Self {
        let resting = kept.first().and_then(|first| postcard::from_bytes::<First<'_>>(first).ok());
        let first = || (EPOCH, 1, charter.signers_needed(), charter.co_signers.clone());
        let (epoch, attempt, t, seats) = resting
            .map_or_else(first, |(epoch, attempt, t, seats, _)| (epoch, attempt, usize::from(t), seats));
        Self { kept, ..Self::among((epoch, attempt), seats, t) }
    }

    fn among((epoch, attempt): (u32, u32), seats: Vec<MemberId>, t: usize) -> Self {
        Self {
            epoch,
            t,
            attempt,
            seats,
            session: None,
            unkept: Vec::new(),
            records: 0,
            kept: Vec::new(),
            share: None,
            early: Vec::new(),
            fed: BTreeSet::new(),
            failed: None,
            over_since: None,
        }
    }

    /// Leave this attempt at the first key for another.
    pub(super) fn turn_to(&mut self, attempt: u32, seats: Vec<MemberId>, t: usize) {
        *self = Self::among((EPOCH, attempt), seats, t);
    }

    /// Turn to an attempt at the key of the next epoch.
    pub(super) fn turn_to_next(&mut self, at: (u32, u32), seats: Vec<MemberId>, t: usize) {
        *self = Self::among(at, seats, t);
    }

    /// Whether it goes on from what was kept.
    pub(super) const fn is_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether nothing is under way or kept.
    pub(super) const fn is_idle(&self) -> bool {
        self.session.is_none() && !self.is_kept()
    }

    /// For whom the key generation waits.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        self.session.as_ref().map(Session::waiting_on)
    }

    /// The member in this seat of the attempt.
    pub(super) fn member(&self, party: PartyId) -> Option<MemberId> {
        self.seats.get(usize::from(party.number()).checked_sub(1)?).copied()
    }

    /// The seat of this member in the attempt.
    pub(super) fn party(&self, member: &MemberId) -> Option<PartyId> {
        let index = self.seats.iter().position(|seat| seat == member)?;
        PartyId::new(u16::try_from(index + 1).ok()?).ok()
    }
}

impl Node {
    /// Begin when all founders signed; feed what others stated; act on what the session wants.
    pub(super) fn drive_keygen(&mut self) {
        if self.makes_a_key() && self.state().founded() && self.tip.is_some() && self.recovery.is_none() {
            self.follow_attempts();
            // Its messages go straight from each to each: there is no use in beginning before all are here.
            let here = |member: &MemberId| *member == self.me || self.peers.connected.contains_key(member);
            let all_here = self.keygen.is_kept() || self.keygen.seats.iter().all(here);
            if all_here {
                self.begin_attempt();
            }
        }
        let first = self.keygen.epoch == EPOCH;
        let other = self.state().key.as_ref().filter(|key| key.ready.attempt != self.keygen.attempt);
        if first && other.is_some() && !self.keygen.is_idle() {
            let (attempt, seats, t) = (self.keygen.attempt, self.keygen.seats.clone(), self.keygen.t);
            self.keygen.turn_to(attempt, seats, t); // another attempt made the key
            self.effects.push_back(Effect::DropSecret(Self::KEYGEN_SECRET.to_owned()));
        }
        if self.look_for_due {
            self.drive_rekey();
        }
        if self.keygen.session.is_some() {
            for message in std::mem::take(&mut self.keygen.early) {
                self.take_keygen_message(message);
            }
            self.feed_statements();
        }
        self.carry_out_keygen();
    }

    /// A key that all said they stored is not made again by who lost its share of it, nor by who had no part
    /// in it.
    pub(super) fn makes_a_key(&self) -> bool {
        if self.signer.is_some() || self.keygen.epoch != EPOCH {
            return false;
        }
        match &self.state().key {
            Some(key) => key.ready.attempt == self.keygen.attempt && !self.keygen.is_idle(),
            None => self.keygen.is_kept() || !self.has_transcript(),
        }
    }

    /// Begin the attempt that we are in, unless it began or failed.
    pub(super) fn begin_attempt(&mut self) {
        if self.keygen.session.is_none() && self.keygen.failed.is_none() {
            match self.begin_keygen() {
                Ok(session) => self.keygen.session = session,
                Err(error) => self.keygen.failed = Some((error.to_string(), vec![])),
            }
        }
    }

    fn begin_keygen(&mut self) -> Result_<Option<Session>> {
        let Some(me) = self.keygen.party(&self.me) else { return Ok(None) };
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot make a key", error);
        let seats = self.keygen.seats.iter().zip(1u16..);
        let parties = seats.filter_map(|(member, seat)| Some((PartyId::new(seat).ok()?, member.to_bytes())));
        let n = self.keygen.seats.len();
        let t = self.keygen.t;
        let threshold = Threshold::new(
            u16::try_from(t).map_err(|error| fail(&error))?,
            u16::try_from(n).map_err(|error| fail(&error))?,
        )
        .map_err(|error| fail(&error))?;
        let config = Config::new(self.attempt_session(), me, threshold, parties.collect(), self.key.clone())
            .map_err(|error| fail(&error))?;
        let kept = std::mem::take(&mut self.keygen.kept);
        let Some((first, later)) = kept.split_first() else {
            tracing::info!(target: "guild::keygen", attempt = self.keygen.attempt, n, "making a key");
            return Ok(Some(Session::new(config, &mut &mut *self.rng, self.now)));
        };
        self.keygen.records = kept.len();
        let mut changes = postcard::from_bytes::<First<'_>>(first).map_err(|error| fail(&error))?.4;
        for record in later {
            changes.extend(postcard::from_bytes::<Changes<'_>>(record).map_err(|error| fail(&error))?);
        }
        let changes = changes.into_iter().map(Change::from_bytes).collect::<Result<Vec<_>, _>>();
        let changes = changes.map_err(|error| fail(&error))?;
        Session::resume(config, changes, self.now).map(Some).map_err(|error| fail(&error))
    }

    fn attempt_session(&self) -> SessionId {
        Self::session_of(&self.guild, (self.keygen.epoch, self.keygen.attempt), &self.keygen.seats)
    }

    /// Tell the session what others stated since.
    fn feed_statements(&mut self) {
        let (attempt, id) = ((self.keygen.epoch, self.keygen.attempt), self.attempt_session());
        let state = self.fold.state();
        let fed = &self.keygen.fed;
        let echoes = state.echoes.get(&attempt).into_iter().flatten();
        let echoes = echoes
            .filter(|(member, _)| !fed.contains(&(**member, false)))
            .map(|(member, round1)| (*member, false, Statement::Echo { session: id, round1_hash: round1.0 }));
        let ready = state.key_ready.get(&attempt).into_iter().flatten();
        let ready =
            ready.filter(|(member, _)| !fed.contains(&(**member, true))).filter_map(|(member, ready)| {
                let group_key = threshold::GroupKey::from_bytes(ready.group_key.to_bytes()).ok()?;
                let statement =
                    Statement::KeyReady { session: id, group_key, transcript_hash: ready.transcript.0 };
                Some((*member, true, statement))
            });
        let statements: Vec<_> = echoes.chain(ready).collect();
        for (member, kind, statement) in statements {
            let Some(party) = self.keygen.party(&member) else { continue };
            let Some(session) = &mut self.keygen.session else { return };
            self.keygen.fed.insert((member, kind));
            if let Err(why) = session.handle(Input::Statement(party, statement), self.now) {
                tracing::warn!(target: "guild::keygen", member = %member.short(), %why, "statement refused");
            }
        }
    }

    pub(super) fn keygen_message(&mut self, bytes: &[u8]) {
        let Ok(message) = DkgMessage::from_wire(bytes) else { return };
        if self.keygen.session.is_some() {
            self.take_keygen_message(message);
        } else if self.keygen.early.len() < crdt::limits::CO_SIGNERS_MAX.min(self.state().members.len() * 2) {
            self.keygen.early.push(message); // what does not fit is sent again
        }
    }

    fn take_keygen_message(&mut self, message: DkgMessage) {
        if let Some(session) = &mut self.keygen.session
            && let Err(why) = session.handle(Input::Message(message), self.now)
        {
            tracing::warn!(target: "guild::keygen", %why, "message refused");
        }
    }

    pub(super) fn tick_keygen(&mut self) {
        if let Some(session) = &mut self.keygen.session
            && let Err(why) = session.handle(Input::Tick, self.now)
        {
            tracing::debug!(target: "guild::keygen", %why, "tick refused");
        }
    }

    pub(super) fn share_stored(&mut self, share: KeyShare) {
        self.keygen.share = Some(share.clone());
        if let Some(session) = &mut self.keygen.session
            && let Err(why) = session.handle(Input::Stored(share), self.now)
        {
            let why = format!("the stored key share is not what was to be stored: {why}");
            self.keygen.failed = Some((why, vec![]));
        }
    }

    fn carry_out_keygen(&mut self) {
        while let Some(effect) = self.keygen.session.as_mut().and_then(Session::next_effect) {
            match effect {
                DkgEffect::Persist(Change::Share(share)) => {
                    self.keep_changes();
                    let at = (self.keygen.epoch, self.keygen.attempt);
                    self.effects.push_back(Effect::StoreShare(at, share));
                    continue;
                }
                DkgEffect::Persist(change) => {
                    self.keygen.unkept.push(Zeroizing::new(change.to_bytes().to_vec()));
                    continue;
                }
                _ => self.keep_changes(),
            }
            match effect {
                DkgEffect::Persist(_) => {}
                DkgEffect::Send(to, message) => {
                    if let Some(member) = self.keygen.member(to) {
                        self.ask(member, Request::Dkg(message.to_wire()), Pending::Sent);
                    }
                }
                DkgEffect::Publish(statement) => self.publish(&statement),
                DkgEffect::WakeAt(_) => {} // ticks come anyway
                DkgEffect::Done(outcome) => self.keygen_done(outcome),
            }
        }
    }

    /// What came is durable before anything leaves, not each message on its own: what a crash takes before
    /// that was answered by nothing, and is sent again.
    fn keep_changes(&mut self) {
        let unkept = std::mem::take(&mut self.keygen.unkept);
        if unkept.is_empty() {
            return;
        }
        let changes: Changes<'_> = unkept.iter().map(|bytes| bytes.as_slice()).collect();
        let (name, records) = (Self::KEYGEN_SECRET.to_owned(), self.keygen.records);
        let encode =
            |record: postcard::Result<Vec<u8>>| Zeroizing::new(record.expect("changes always encode"));
        self.effects.push_back(if records == 0 {
            let Keygen { epoch, attempt, t, seats, .. } = &self.keygen;
            let t = u16::try_from(*t).unwrap_or(u16::MAX);
            let first: First<'_> = (*epoch, *attempt, t, seats.clone(), changes);
            Effect::BeginSecrets(name, encode(postcard::to_stdvec(&first)))
        } else {
            Effect::AppendSecret(name, records, encode(postcard::to_stdvec(&changes)))
        });
        self.keygen.records += 1;
    }

    fn publish(&mut self, statement: &Statement) {
        let (epoch, attempt) = (self.keygen.epoch, self.keygen.attempt);
        let payload = match statement {
            Statement::Echo { round1_hash, .. } => {
                Payload::DkgEcho { epoch, attempt, round1: Digest(*round1_hash) }
            }
            Statement::KeyReady { group_key, transcript_hash, .. } => {
                let Ok(group_key) = GroupKey::try_from(group_key.to_bytes().to_vec()) else { return };
                let transcript = Digest(*transcript_hash);
                Payload::KeyReady(KeyReady { epoch, attempt, group_key, transcript })
            }
        };
        tracing::debug!(target: "guild::keygen", step = payload.kind(), "our word");
        let said = self.document.chain(&self.me);
        if said.is_some_and(|chain| chain.entries().iter().any(|own| own.entry().payload == payload)) {
            return;
        }
        self.say_or_log(payload);
    }

    fn keygen_done(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ready { keys, transcript } => {
                let Some(share) = self.keygen.share.take() else { return };
                let signer = match Signer::new(share, *keys) {
                    Ok(signer) => signer,
                    Err(error) => return self.keygen.failed = Some((error.to_string(), vec![])),
                };
                if self.keygen.epoch == EPOCH {
                    self.signer = Some(signer);
                    self.keep_transcript(transcript.to_wire());
                } else {
                    self.keep_next_key(signer, transcript.to_wire());
                }
                self.effects.push_back(Effect::DropSecret(Self::KEYGEN_SECRET.to_owned()));
                self.keygen.session = None;
                tracing::info!(target: "guild::keygen", "the group key is ready");
            }
            Outcome::Failed { culprits, why } => {
                let culprits = culprits.iter().filter_map(|party| self.keygen.member(*party));
                let culprits: Vec<MemberId> = culprits.collect();
                let names: Vec<String> = culprits.iter().map(|member| self.name(member)).collect();
                let blame = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
                tracing::error!(target: "guild::keygen", %why, %blame, "key generation failed");
                self.keygen.failed = Some((format!("{why}{blame}"), culprits));
            }
        }
    }

    /// Put our share to work: from the disk at the start, or fresh from a key generation.
    pub(super) fn take_share(&mut self, share: KeyShare, transcript: &[u8]) -> Result_<()> {
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot use the key share", error);
        let transcript = threshold::dkg::Transcript::from_wire(transcript).map_err(|error| fail(&error))?;
        let keys = transcript.verify().map_err(|error| fail(&error))?;
        self.signer = Some(Signer::new(share, keys).map_err(|error| fail(&error))?);
        self.keygen.session = None;
        Ok(())
    }

    /// A fresh wallet, unless one was kept.
    pub(super) fn open_treasury_when_ready(&mut self) {
        if self.treasury.is_some() || self.state().usable_key().is_none() {
            return;
        }
        match self.open_treasury(None) {
            Ok(()) => tracing::info!(target: "guild::wallet", "the treasury is open"),
            Err(error) => tracing::error!(target: "guild::wallet", %error, "cannot open the treasury"),
        }
    }

    fn session_of(guild: &crdt::GuildId, (epoch, attempt): (u32, u32), seats: &[MemberId]) -> SessionId {
        if epoch == EPOCH {
            return Self::key_session(guild, attempt, seats);
        }
        let members: Vec<[u8; 32]> = seats.iter().map(|member| member.to_bytes()).collect();
        SessionId::dkg_among(guild.to_bytes(), epoch, attempt, &members)
    }

    /// The name of a first key generation of this guild, among these members.
    #[must_use]
    pub fn key_session(guild: &crdt::GuildId, attempt: u32, seats: &[MemberId]) -> SessionId {
        let (guild, members) = (guild.to_bytes(), seats.iter().map(|member| member.to_bytes()));
        match attempt {
            1 => SessionId::dkg(guild, EPOCH, attempt),
            _ => SessionId::dkg_among(guild, EPOCH, attempt, &members.collect::<Vec<_>>()),
        }
    }

    /// Whether this records an attempt at the key of this charter's guild, each party in its seat.
    #[must_use]
    pub fn is_transcript_of(charter: &crdt::Charter, transcript: &threshold::dkg::Transcript) -> bool {
        let parties = transcript.parties();
        let has_seat = |member: &&MemberId| parties.values().any(|key| *key == member.to_bytes());
        let seats: Vec<MemberId> = charter.co_signers.iter().filter(has_seat).copied().collect();
        let named = (1..=crdt::limits::ATTEMPTS_MAX)
            .any(|attempt| transcript.session() == Self::key_session(&charter.id(), attempt, &seats));
        named && parties.values().copied().eq(seats.iter().map(|member| member.to_bytes()))
    }

    /// The epoch of the key that founders make.
    pub const EPOCH: u32 = EPOCH;
    /// The name of the sealed state of a running key generation.
    pub const KEYGEN_SECRET: &str = "keygen-1.sealed";
    /// The name of the public record of a finished one.
    pub const TRANSCRIPT_BLOB: &str = "transcript-1";
}
