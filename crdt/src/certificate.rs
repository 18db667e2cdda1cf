//! Certificates: decided = certified (§8).

use crate::hash::Digest;
use crate::id::{GuildId, ProposalId};
use crate::treasury::GroupKey;
use crate::{Charter, Height};
use bitcoin::secp256k1::{Message, Secp256k1, schnorr};
use serde::{Deserialize, Serialize};

/// The tag of the signed hash.
pub const CERTIFICATE_TAG: &str = "hashguild/certificate/v1";

/// The bytes a certificate signs: a pure function of what was decided, so that honest signers sign
/// equal bytes and repeats are harmless.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Body {
    /// The guild that decided.
    pub guild: GuildId,
    /// The epoch whose key signs.
    pub epoch: u32,
    /// What was decided on; the guild's own id for its founding policy.
    pub proposal: ProposalId,
    /// Which of its options; 0 where there is one.
    pub option: u16,
    /// The hash of what takes effect.
    pub effect: Digest,
    /// The height at which voting closed.
    pub close: Height,
}

impl Body {
    /// The certificate every guild begins with: its charter's mining policy (§11).
    #[must_use]
    pub fn founding(charter: &Charter) -> Self {
        let guild = charter.id();
        Self {
            guild,
            epoch: 1,
            proposal: ProposalId(guild.0),
            option: 0,
            effect: charter.mining.hash(),
            close: charter.birth.height,
        }
    }

    /// The digest under the signature. Fixed layout, integers big-endian:
    /// guild ‖ epoch ‖ proposal ‖ option ‖ effect ‖ close.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let parts: [&[u8]; 6] = [
            &self.guild.to_bytes(),
            &self.epoch.to_be_bytes(),
            &self.proposal.to_bytes(),
            &self.option.to_be_bytes(),
            &self.effect.0,
            &self.close.to_be_bytes(),
        ];
        Digest::tagged(CERTIFICATE_TAG, &parts)
    }
}

/// A body and the group's BIP340 signature over it. Not yet verified: see [`Certified::verify`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Certificate {
    /// What is signed.
    pub body: Body,
    /// 64 bytes of BIP340 signature.
    pub signature: Signature,
}

/// A BIP340 signature as it stands in entries.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Signature([u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A signature that is not 64 bytes long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signature has 64 bytes, not {0}")]
pub struct SignatureLength(usize);

impl TryFrom<Vec<u8>> for Signature {
    type Error = SignatureLength;
    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        <[u8; 64]>::try_from(bytes).map(Self).map_err(|bytes| SignatureLength(bytes.len()))
    }
}

impl From<Signature> for Vec<u8> {
    fn from(signature: Signature) -> Self {
        signature.0.to_vec()
    }
}

impl From<[u8; 64]> for Signature {
    fn from(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl Signature {
    /// Whether this is `key`'s BIP340 signature over `digest`.
    #[must_use]
    pub fn verifies(&self, digest: Digest, key: GroupKey) -> bool {
        schnorr::Signature::from_slice(&self.0).is_ok_and(|signature| {
            let message = Message::from_digest(digest.0);
            Secp256k1::verification_only().verify_schnorr(&signature, &message, &key.x_only()).is_ok()
        })
    }
}

/// The digest of a key test: the signature that shows, before any coin arrives, that a quorum can
/// sign under the new key (§9). It decides nothing.
#[must_use]
pub fn key_test_digest(guild: GuildId, epoch: u32, transcript: Digest) -> Digest {
    let parts: [&[u8]; 3] = [&guild.to_bytes(), &epoch.to_be_bytes(), &transcript.0];
    Digest::tagged("hashguild/key-test/v1", &parts)
}

/// What a guild decided: an effect with a verified certificate. Nothing else makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified<E> {
    effect: E,
    certificate: Certificate,
}

/// Why a certificate does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Signed for another effect.
    #[error("the certificate is for effect {certified}, not {given}")]
    Effect {
        /// The hash it signs.
        certified: Digest,
        /// The hash of the effect at hand.
        given: Digest,
    },
    /// Signed in another guild.
    #[error("the certificate is of another guild, {0}")]
    Guild(GuildId),
    /// Not signed by the group.
    #[error("the signature is not one of the group key {0}")]
    Signature(GroupKey),
}

/// Something a guild can decide to do.
pub trait Decidable {
    /// The hash that its certificate signs: covers everything that takes effect.
    fn effect_hash(&self) -> Digest;
}

impl Decidable for crate::mining::MiningPolicy {
    fn effect_hash(&self) -> Digest {
        self.hash()
    }
}

impl<E: Decidable> Certified<E> {
    /// Check that `certificate` is `guild`'s, by `key`, for this very `effect`.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says what does not fit.
    pub fn verify(
        effect: E,
        certificate: Certificate,
        guild: GuildId,
        key: GroupKey,
    ) -> Result<Self, CertificateError> {
        let given = effect.effect_hash();
        if certificate.body.effect != given {
            return Err(CertificateError::Effect { certified: certificate.body.effect, given });
        }
        if certificate.body.guild != guild {
            return Err(CertificateError::Guild(certificate.body.guild));
        }
        if !certificate.signature.verifies(certificate.body.digest(), key) {
            return Err(CertificateError::Signature(key));
        }
        Ok(Self { effect, certificate })
    }
}

impl<E> Certified<E> {
    /// What was decided.
    #[must_use]
    pub const fn effect(&self) -> &E {
        &self.effect
    }

    /// The proof.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The decision's id.
    #[must_use]
    pub const fn decision(&self) -> ProposalId {
        self.certificate.body.proposal
    }
}
