//! The two messages of a key generation, each signed by its author's member key.

use super::{Config, Why};
use crate::hash::{length, tagged};
use crate::message::{FixedBytes, Wire};
use crate::party::{MAX_PARTIES, PartyId};
use crate::session::SessionId;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use frost_secp256k1_tr::keys::dkg::round1::Package;
use serde::{Deserialize, Serialize};

/// A message of one party to all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DkgMessage {
    session: SessionId,
    from: PartyId,
    body: Body,
    signature: FixedBytes<64>,
}

/// What a party says in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The commitment.
    Round1(Round1),
    /// The encrypted shares.
    Round2(Round2),
}

/// A commitment to a secret polynomial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round1 {
    /// The FROST package: commitments to the coefficients and a proof of knowing the constant one.
    pub package: Vec<u8>,
    /// X25519 key to encrypt shares for this party to. It follows from the member secret and the session.
    pub sealing_key: [u8; 32],
}

/// The polynomial's value at every party, encrypted to that party: 32 bytes encapsulated key, 48 sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round2 {
    /// One for each party, in the order of their numbers.
    pub ciphertexts: Vec<FixedBytes<80>>,
}

impl Wire for DkgMessage {
    const KIND: u8 = 3;
    // session, party and signature, and the larger body: a ciphertext for each party
    const LIMIT: usize = 128 + 80 * MAX_PARTIES as usize;
}

impl DkgMessage {
    /// Sign a message.
    #[must_use]
    pub fn sign(session: SessionId, from: PartyId, body: Body, member: &SigningKey) -> Self {
        let signature = member.sign(&digest(session, from, &body)).to_bytes();
        Self { session, from, body, signature: FixedBytes(signature) }
    }

    /// The key generation it belongs to.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Who signed it, if the signature is valid.
    #[must_use]
    pub fn from(&self) -> PartyId {
        self.from
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Whether `member_key` (Ed25519) signed it. Strict verification: no second answer on another node.
    #[must_use]
    pub fn signed_by(&self, member_key: &[u8; 32]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(member_key) else { return false };
        let signature = Signature::from_bytes(&self.signature.0);
        key.verify_strict(&digest(self.session, self.from, &self.body), &signature).is_ok()
    }

    /// Whether both claim the same round of the same party and session.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        (self.session, self.from) == (other.session, other.from)
            && std::mem::discriminant(&self.body) == std::mem::discriminant(&other.body)
    }

    /// Whether both say the same. Signatures may differ: their author can make many over one content.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.same_place(other) && self.body == other.body
    }
}

impl Body {
    /// Round number, then the content: what is signed and hashed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Round1(round1) => [&[1u8][..], &round1.sealing_key, &round1.package].concat(),
            Self::Round2(round2) => {
                let ciphertexts = round2.ciphertexts.iter().flat_map(|sealed| sealed.0);
                std::iter::once(2).chain(ciphertexts).collect()
            }
        }
    }

    /// Check what can be checked of a body alone, and read the FROST package if it is one.
    pub(super) fn check(&self, config: &Config) -> Result<Option<Package>, Why> {
        match self {
            Self::Round1(round1) => round1.parse(config.threshold.t()).map(Some),
            Self::Round2(round2) if round2.ciphertexts.len() == usize::from(config.threshold.n()) => Ok(None),
            Self::Round2(_) => Err(Why::Ciphertexts),
        }
    }
}

impl Round1 {
    /// The FROST package, with a polynomial of the agreed degree. The crate checks the degree too, but
    /// names nobody.
    pub(super) fn parse(&self, t: u16) -> Result<Package, Why> {
        let package = Package::deserialize(&self.package).map_err(|_| Why::Package)?;
        // one encoding only, so that a hash of the bytes is a hash of the package
        if package.serialize().ok().as_ref() != Some(&self.package) {
            return Err(Why::Package);
        }
        let found = package.commitment().serialize().map_err(|_| Why::Package)?.len();
        if found != usize::from(t) {
            return Err(Why::Coefficients { expected: t, found });
        }
        Ok(package)
    }
}

fn digest(session: SessionId, from: PartyId, body: &Body) -> [u8; 32] {
    let body = body.bytes();
    tagged("hashguild/dkg-message/v1", &[&session.to_bytes(), &from.bytes(), &length(&body), &body])
}
