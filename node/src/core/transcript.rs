//! The record of the key generation: given to members who ask, fetched by a co-signer who lacks it, because
//! it is what rebuilds a lost share (§9).

use super::peers::Pending;
use super::{Effect, Node};
use crate::error::{Failure, Outcome};
use crate::net::protocol::{Request, Response};
use crdt::MemberId;
use std::time::Duration;
use threshold::dkg::Transcript;
use threshold::sign::{Refusal, Signer};
use threshold::{KeyShare, Timestamp, Wire as _};

/// How long a peer has to give the transcript before the next is asked.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What is known here of how the key was made.
pub(super) struct KeyRecord {
    transcript: Option<Vec<u8>>,
    /// A share whose transcript is missing.
    unproven: Option<KeyShare>,
    locked: bool,
    asked: Option<Timestamp>,
    tries: usize,
}

impl KeyRecord {
    pub(super) const fn new(locked: bool) -> Self {
        Self { transcript: None, unproven: None, locked, asked: None, tries: 0 }
    }
}

impl Node {
    /// Put to work what was kept.
    pub(super) fn use_key_record(
        &mut self,
        share: Option<KeyShare>,
        transcript: Option<Vec<u8>>,
    ) -> Outcome<()> {
        match (share, &transcript) {
            (Some(share), Some(transcript)) => self.take_share(share, transcript)?,
            (share, _) => self.record.unproven = share,
        }
        self.record.transcript = transcript;
        Ok(())
    }

    /// Put to work what was kept of keys of later epochs.
    pub(super) fn use_later_keys(&mut self, kept: Vec<(KeyShare, Vec<u8>)>) -> Outcome<()> {
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot use a key share", error);
        for (share, transcript) in kept {
            let transcript = Transcript::from_wire(&transcript).map_err(|error| fail(&error))?;
            let keys = transcript.verify().map_err(|error| fail(&error))?;
            let group = super::succession::key_of(keys.group());
            let signer = Signer::new(share, keys).map_err(|error| fail(&error))?;
            self.keyring.extend(group.map(|group| (group, signer)));
        }
        Ok(())
    }

    /// A key of the next epoch is made, and our share of it stored.
    pub(super) fn keep_next_key(&mut self, signer: Signer, transcript: Vec<u8>) {
        let at = (self.keygen.epoch, self.keygen.attempt);
        self.effects.push_back(Effect::StoreBlob(Self::later_transcript(at), transcript));
        if let Some(group) = super::succession::key_of(signer.keys().group()) {
            self.keyring.insert(group, signer);
        }
    }

    /// What the record of a later key is called.
    #[must_use]
    pub fn later_transcript((epoch, attempt): (u32, u32)) -> String {
        format!("transcript-{epoch}-{attempt}")
    }

    pub(super) const fn has_transcript(&self) -> bool {
        self.record.transcript.is_some()
    }

    pub(super) fn keep_transcript(&mut self, bytes: Vec<u8>) {
        self.effects.push_back(Effect::StoreBlob(Self::TRANSCRIPT_BLOB.to_owned(), bytes.clone()));
        self.record.transcript = Some(bytes);
    }

    /// Answer a member that asks for it.
    pub(super) fn answer_transcript(&self) -> Response {
        let none = || Response::Refused(Refusal::new("transcript", "a key made here", "none"));
        self.record.transcript.clone().map_or_else(none, Response::Transcript)
    }

    /// Ask one peer after the other, as long as the key is made and its transcript is not here.
    pub(super) fn fetch_transcript(&mut self) {
        let first = self.state().key.as_ref().is_some_and(|key| key.ready.epoch == super::keygen::EPOCH);
        let lacks = first && !self.has_transcript() && self.keygen.is_idle() && self.state().key.is_some();
        let due = self.record.asked.is_none_or(|then| self.now >= then.after(ASK_AGAIN));
        if !(lacks && due && self.party_of(&self.me).is_some()) {
            return;
        }
        let connected = self.peers.connected.keys();
        let members = connected.filter(|peer| self.state().members.contains_key(*peer));
        let members: Vec<MemberId> = members.copied().collect();
        let next = self.record.tries.checked_rem(members.len()).and_then(|at| members.get(at).copied());
        if let Some(member) = next {
            self.record.tries = self.record.tries.wrapping_add(1);
            self.record.asked = Some(self.now);
            self.ask(member, Request::Transcript, Pending::Transcript);
        }
    }

    /// Keep what a peer gave, if it is what all co-signers agreed on in `KeyReady`.
    pub(super) fn take_transcript(&mut self, from: MemberId, bytes: Vec<u8>) {
        if self.has_transcript() {
            return;
        }
        if !self.is_agreed(&bytes) {
            return tracing::warn!(target: "guild::keygen", member = %from.short(), "not the transcript of the key");
        }
        if let Some(share) = self.record.unproven.take()
            && let Err(error) = self.take_share(share, &bytes)
        {
            tracing::error!(target: "guild::keygen", %error, "the key share is not of the guild's key");
        }
        self.keep_transcript(bytes);
        tracing::info!(target: "guild::keygen", "the transcript of the key is here");
    }

    fn is_agreed(&self, bytes: &[u8]) -> bool {
        let Ok(transcript) = Transcript::from_wire(bytes) else { return false };
        let Ok(keys) = transcript.verify() else { return false };
        let key = self.state().key.as_ref();
        key.is_some_and(|key| transcript.hash(&keys) == key.ready.transcript.0)
    }

    /// Why this co-signer's node signs nothing, and what a person can do, if it has no share of a key that
    /// exists.
    pub(super) fn without_share(&self) -> Option<(&'static str, &'static str)> {
        let made = self.state().key.is_some() || (self.record.locked && self.has_transcript());
        if self.signer.is_some() || !made || self.party_of(&self.me).is_none() {
            return None;
        }
        match (self.record.locked, self.has_transcript()) {
            _ if !self.keygen.is_idle() => None,
            (true, _) => Some(("its key share: locked, it signs nothing", "start it without --locked")),
            (false, true) => {
                Some(("its key share: lost, it signs nothing", "stop it, then: guild share recover"))
            }
            (false, false) => {
                Some(("the record of the key, to prove or rebuild its share", "wait: peers are asked"))
            }
        }
    }

    /// The answer to whoever wants a signature of a node that has no share at work.
    pub(super) fn no_share(&self) -> Refusal {
        let found = self.without_share().map_or("none", |(what, _)| what);
        Refusal::new("key share", "a share of the group key at work", found)
    }
}
