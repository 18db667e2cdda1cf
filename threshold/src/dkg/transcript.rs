//! Everything that was said in a key generation: the proof that it took place, and the recovery data.

use super::message::{Body, DkgMessage, Round1};
use crate::hash::tagged;
use crate::keyset::PublicKeys;
use crate::message::Wire;
use crate::party::{PartyId, Threshold};
use crate::session::SessionId;
use frost_secp256k1_tr::Identifier;
use frost_secp256k1_tr::keys::dkg::round1::Package;
use frost_secp256k1_tr::keys::{PublicKeyPackage, Tweak};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All messages of a finished key generation. Not secret: shares in it are encrypted to their parties.
///
/// Self-authenticating: every message is signed, and [`hash`](Self::hash) is what all parties agreed on in
/// `KeyReady`. So any peer may keep it and give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    pub(super) session: SessionId,
    pub(super) threshold: Threshold,
    pub(super) parties: BTreeMap<PartyId, [u8; 32]>,
    pub(super) round1: BTreeMap<PartyId, DkgMessage>,
    pub(super) round2: BTreeMap<PartyId, DkgMessage>,
}

/// Why a transcript proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTranscript {
    /// Not one key and one message of each round for each party.
    #[error("a party or a message is missing")]
    Incomplete,
    /// A message is out of its place, malformed, or not signed by its party.
    #[error("a message of {0} is not valid")]
    Message(PartyId),
    /// The commitments add up to no key.
    #[error("the commitments make no key")]
    NoKey,
    /// This member has no seat in it.
    #[error("{0} is not a seat of this member")]
    NotOurs(PartyId),
    /// The share of this party does not decrypt, or is not the one of the key.
    #[error("the share from {0} cannot be rebuilt")]
    Share(PartyId),
}

impl Wire for Transcript {
    const KIND: u8 = 4;
    const LIMIT: usize = 2 * 1024 * 1024;
}

impl Transcript {
    /// The key generation it records.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The parties and their member keys (Ed25519).
    #[must_use]
    pub fn parties(&self) -> &BTreeMap<PartyId, [u8; 32]> {
        &self.parties
    }

    /// Check every message and compute the key they make. Whether *this* generation is the one that counts
    /// is the caller's to check: session, parties, and [`hash`](Self::hash) against the `KeyReady`
    /// statements of all parties, who verified the proofs of knowledge and their shares before.
    ///
    /// # Errors
    ///
    /// [`BadTranscript`] if something is missing or not valid.
    pub fn verify(&self) -> Result<PublicKeys, BadTranscript> {
        let complete = self.parties.keys().copied().eq(self.threshold.parties())
            && self.parties.keys().eq(self.round1.keys())
            && self.parties.keys().eq(self.round2.keys());
        if !complete {
            return Err(BadTranscript::Incomplete);
        }
        for (party, key) in &self.parties {
            for message in [self.round1.get(party), self.round2.get(party)].into_iter().flatten() {
                if message.session() != self.session || message.from() != *party || !message.signed_by(key) {
                    return Err(BadTranscript::Message(*party));
                }
            }
            self.ciphertext(*party, *party)?;
        }
        PublicKeys::from_frost(&self.untweaked()?.tweak::<&[u8]>(None), self.threshold)
            .map_err(|_| BadTranscript::NoKey)
    }

    /// What all parties agree on in `KeyReady`: session, parties, both rounds, and the key they make.
    /// Signatures are left out, since their author could make several over one message.
    #[must_use]
    pub fn hash(&self, keys: &PublicKeys) -> [u8; 32] {
        let round2 = hash_messages("hashguild/dkg-round2/v1", self.session, &self.round2);
        let (t, n) = (self.threshold.t().to_be_bytes(), self.threshold.n().to_be_bytes());
        let (session, group) = (self.session.to_bytes(), keys.group().to_bytes());
        let round1 = self.round1_hash();
        let members = self.parties.values().map(|key| &key[..]);
        let shares: Vec<[u8; 33]> = keys.shares().map(|(_, share)| share).collect();
        let mut parts: Vec<&[u8]> = vec![&session, &t, &n];
        parts.extend(members);
        parts.extend([&round1[..], &round2, &group]);
        parts.extend(shares.iter().map(|share| &share[..]));
        tagged("hashguild/dkg-transcript/v1", &parts)
    }

    pub(super) fn round1_hash(&self) -> [u8; 32] {
        round1_hash(self.session, &self.round1)
    }

    /// The key before the taproot tweak that the suite adds at the end.
    pub(super) fn untweaked(&self) -> Result<PublicKeyPackage, BadTranscript> {
        let packages = self.packages()?;
        let commitments = packages.iter().map(|(party, package)| (*party, package.commitment())).collect();
        PublicKeyPackage::from_dkg_commitments(&commitments).map_err(|_| BadTranscript::NoKey)
    }

    fn packages(&self) -> Result<BTreeMap<Identifier, Package>, BadTranscript> {
        let parse = |(party, message): (&PartyId, &DkgMessage)| {
            let package = first_round(message).and_then(|round1| round1.parse(self.threshold.t()).ok());
            Ok((party.identifier(), package.ok_or(BadTranscript::Message(*party))?))
        };
        self.round1.iter().map(parse).collect()
    }

    pub(super) fn ciphertext(
        &self,
        from: PartyId,
        to: PartyId,
    ) -> Result<&crate::FixedBytes<80>, BadTranscript> {
        let bad = BadTranscript::Message(from);
        match self.round2.get(&from).map(DkgMessage::body) {
            Some(Body::Round2(round2)) if round2.ciphertexts.len() == usize::from(self.threshold.n()) => {
                round2.ciphertexts.get(usize::from(to.number()) - 1).ok_or(bad)
            }
            _ => Err(bad),
        }
    }
}

pub(super) fn first_round(message: &DkgMessage) -> Option<&Round1> {
    match message.body() {
        Body::Round1(round1) => Some(round1),
        Body::Round2(_) => None,
    }
}

/// The hash that everybody echoes.
pub(super) fn round1_hash(session: SessionId, round1: &BTreeMap<PartyId, DkgMessage>) -> [u8; 32] {
    hash_messages("hashguild/dkg-round1/v1", session, round1)
}

fn hash_messages(tag: &str, session: SessionId, messages: &BTreeMap<PartyId, DkgMessage>) -> [u8; 32] {
    let hashes: Vec<[u8; 32]> = messages
        .iter()
        .map(|(party, message)| tagged("hashguild/dkg-body/v1", &[&party.bytes(), &message.body().bytes()]))
        .collect();
    let session = session.to_bytes();
    let parts: Vec<&[u8]> = std::iter::once(&session).chain(&hashes).map(|hash| &hash[..]).collect();
    tagged(tag, &parts)
}
