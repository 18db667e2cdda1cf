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
use threshold::{KeyShare, PartyId, SessionId, Threshold, Wire as _};
use zeroize::Zeroizing;

/// The epoch of the key that founders make.
pub(super) const EPOCH: u32 = 1;
/// The attempt at it. A failed attempt is shown, not repeated: that needs a rule on who may be left out.
pub(super) const ATTEMPT: u32 = 1;

/// Where our part in the key generation stands.
pub(super) struct Keygen {
    session: Option<Session>,
    /// As it rests, sealed, on the disk.
    changes: Vec<Zeroizing<Vec<u8>>>,
    kept: Option<Zeroizing<Vec<u8>>>,
    share: Option<KeyShare>,
    /// Messages of members whose nodes began before ours did.
    early: Vec<DkgMessage>,
    fed: BTreeSet<(MemberId, bool)>,
    pub(super) failed: Option<String>,
}

impl Keygen {
    pub(super) const fn new(kept: Option<Zeroizing<Vec<u8>>>) -> Self {
        Self {
            session: None,
            changes: Vec::new(),
            kept,
            share: None,
            early: Vec::new(),
            fed: BTreeSet::new(),
            failed: None,
        }
    }

    /// Whether nothing is under way or kept.
    pub(super) const fn is_idle(&self) -> bool {
        self.session.is_none() && self.kept.is_none()
    }

    /// For whom the key generation waits.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        self.session.as_ref().map(Session::waiting_on)
    }
}

impl Node {
    /// The member in this seat.
    pub(super) fn seat_of(&self, party: PartyId) -> Option<MemberId> {
        self.charter.co_signers.get(usize::from(party.number()).checked_sub(1)?).copied()
    }

    /// The seat of this member.
    pub(super) fn party_of(&self, member: &MemberId) -> Option<PartyId> {
        let index = self.charter.co_signers.iter().position(|seat| seat == member)?;
        PartyId::new(u16::try_from(index + 1).ok()?).ok()
    }

    /// Begin when all founders signed; feed what others stated; act on what the session wants.
    pub(super) fn drive_keygen(&mut self) {
        // Its messages go straight from each to each: there is no use in beginning before all are here.
        let here = |member: &MemberId| *member == self.me || self.peers.connected.contains_key(member);
        let all_here = self.keygen.kept.is_some() || self.charter.co_signers.iter().all(here);
        let ready = self.signer.is_none()
            && self.makes_a_key()
            && self.tip.is_some()
            && self.state().founded()
            && all_here;
        if ready && self.keygen.session.is_none() && self.keygen.failed.is_none() && self.recovery.is_none() {
            match self.begin_keygen() {
                Ok(session) => self.keygen.session = session,
                Err(error) => self.keygen.failed = Some(error.to_string()),
            }
        }
        if self.keygen.session.is_some() {
            for message in std::mem::take(&mut self.keygen.early) {
                self.take_keygen_message(message);
            }
        }
        self.feed_statements();
        self.carry_out_keygen();
    }

    /// A key that all said they stored is not made again by who lost its share of it.
    fn makes_a_key(&self) -> bool {
        self.keygen.kept.is_some() || (self.state().key.is_none() && !self.has_transcript())
    }

    fn begin_keygen(&mut self) -> Result_<Option<Session>> {
        let Some(me) = self.party_of(&self.me) else { return Ok(None) };
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot make a key", error);
        let seats = self.charter.co_signers.iter().zip(1u16..);
        let parties = seats.filter_map(|(member, seat)| Some((PartyId::new(seat).ok()?, member.to_bytes())));
        let (t, n) = (self.charter.signers_needed(), self.charter.co_signer_count());
        let threshold = Threshold::new(
            u16::try_from(t).map_err(|error| fail(&error))?,
            u16::try_from(n).map_err(|error| fail(&error))?,
        )
        .map_err(|error| fail(&error))?;
        let session = SessionId::dkg(self.guild.to_bytes(), EPOCH, ATTEMPT);
        let config = Config::new(session, me, threshold, parties.collect(), self.key.clone())
            .map_err(|error| fail(&error))?;
        let Some(kept) = self.keygen.kept.take() else {
            return Ok(Some(Session::new(config, &mut &mut *self.rng, self.now)));
        };
        let stored: Vec<Vec<u8>> = postcard::from_bytes(&kept).map_err(|error| fail(&error))?;
        self.keygen.changes = stored.into_iter().map(Zeroizing::new).collect();
        let changes = self.keygen.changes.iter().map(|bytes| Change::from_bytes(bytes));
        let changes = changes.collect::<Result<Vec<_>, _>>().map_err(|error| fail(&error))?;
        Session::resume(config, changes, self.now).map(Some).map_err(|error| fail(&error))
    }

    fn feed_statements(&mut self) {
        let attempt = (EPOCH, ATTEMPT);
        let id = SessionId::dkg(self.guild.to_bytes(), EPOCH, ATTEMPT);
        let state = self.fold.state();
        let echoes =
            state.echoes.get(&attempt).into_iter().flatten().map(|(member, round1)| {
                (*member, false, Statement::Echo { session: id, round1_hash: round1.0 })
            });
        let ready = state.key_ready.get(&attempt).into_iter().flatten().filter_map(|(member, ready)| {
            let group_key = threshold::GroupKey::from_bytes(ready.group_key.to_bytes()).ok()?;
            let statement =
                Statement::KeyReady { session: id, group_key, transcript_hash: ready.transcript.0 };
            Some((*member, true, statement))
        });
        let statements: Vec<_> = echoes.chain(ready).collect();
        for (member, kind, statement) in statements {
            let Some(party) = self.party_of(&member) else { continue };
            let Some(session) = &mut self.keygen.session else { return };
            if self.keygen.fed.insert((member, kind))
                && let Err(why) = session.handle(Input::Statement(party, statement), self.now)
            {
                tracing::warn!(target: "guild::keygen", member = %member.short(), %why, "statement refused");
            }
        }
    }

    pub(super) fn keygen_message(&mut self, bytes: &[u8]) {
        let Ok(message) = DkgMessage::from_wire(bytes) else { return };
        if self.keygen.session.is_some() {
            self.take_keygen_message(message);
        } else if self.signer.is_none() && self.keygen.early.len() < self.charter.co_signer_count() {
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
            self.keygen.failed = Some(format!("the stored key share is not what was to be stored: {why}"));
        }
    }

    fn carry_out_keygen(&mut self) {
        while let Some(effect) = self.keygen.session.as_mut().and_then(Session::next_effect) {
            match effect {
                DkgEffect::Persist(Change::Share(share)) => {
                    self.effects.push_back(Effect::StoreShare(EPOCH, share));
                }
                DkgEffect::Persist(change) => self.keep_change(&change),
                DkgEffect::Send(to, message) => {
                    if let Some(member) = self.seat_of(to) {
                        self.ask(member, Request::Dkg(message.to_wire()), Pending::Sent);
                    }
                }
                DkgEffect::Publish(statement) => self.publish(&statement),
                DkgEffect::WakeAt(_) => {} // ticks come anyway
                DkgEffect::Done(outcome) => self.keygen_done(outcome),
            }
        }
    }

    fn keep_change(&mut self, change: &Change) {
        self.keygen.changes.push(Zeroizing::new(change.to_bytes().to_vec()));
        let plain: Vec<&[u8]> = self.keygen.changes.iter().map(|bytes| bytes.as_slice()).collect();
        let bytes = postcard::to_stdvec(&plain).expect("changes always encode");
        self.effects.push_back(Effect::StoreSecret(Self::KEYGEN_SECRET.to_owned(), Zeroizing::new(bytes)));
    }

    fn publish(&mut self, statement: &Statement) {
        let (epoch, attempt) = (EPOCH, ATTEMPT);
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
                match Signer::new(share, *keys) {
                    Ok(signer) => self.signer = Some(signer),
                    Err(error) => return self.keygen.failed = Some(error.to_string()),
                }
                self.keep_transcript(transcript.to_wire());
                self.effects.push_back(Effect::DropSecret(Self::KEYGEN_SECRET.to_owned()));
                self.keygen.session = None;
                self.keygen.changes.clear();
                tracing::info!(target: "guild::keygen", "the group key is ready");
            }
            Outcome::Failed { culprits, why } => {
                let seats = culprits.iter().filter_map(|party| self.seat_of(*party));
                let names: Vec<String> = seats.map(|member| self.name(&member)).collect();
                let blame = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
                tracing::error!(target: "guild::keygen", %why, %blame, "key generation failed");
                self.keygen.failed = Some(format!("{why}{blame}"));
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
        if self.treasury.is_none()
            && self.state().usable_key().is_some()
            && let Err(error) = self.open_treasury(None)
        {
            tracing::error!(target: "guild::wallet", %error, "cannot open the treasury");
        }
    }

    /// The name of the key generation of this guild.
    #[must_use]
    pub fn key_session(guild: &crdt::GuildId) -> SessionId {
        SessionId::dkg(guild.to_bytes(), EPOCH, ATTEMPT)
    }

    /// The epoch of the key that founders make.
    pub const EPOCH: u32 = EPOCH;
    /// The name of the sealed state of a running key generation.
    pub const KEYGEN_SECRET: &str = "keygen-1.sealed";
    /// The name of the public record of a finished one.
    pub const TRANSCRIPT_BLOB: &str = "transcript-1";
}
