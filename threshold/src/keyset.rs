//! What a finished key consists of: the public keys everybody holds, and one party's secret share.

use crate::message::{FixedBytes, SCHEME, VERSION};
use crate::party::{PartyId, Threshold};
use bitcoin::secp256k1::PublicKey;
use frost::VerifyingKey;
use frost::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use frost_secp256k1_tr as frost;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a compressed point of secp256k1.
    #[error("not a public key")]
    Point,
    /// Not exactly one verifying share for each party.
    #[error("not one verifying share for each party")]
    Shares,
    /// The bytes of a share are of another version, cut, or their secret is no scalar.
    #[error("not a key share")]
    Share,
    /// The share does not belong to this key or party.
    #[error("the share of {0} does not belong to this key")]
    Mismatch(PartyId),
}

/// The group key P: a compressed point, with parity, because BIP32 derivation hashes it so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "FixedBytes<33>", into = "FixedBytes<33>")]
pub struct GroupKey(PublicKey);

impl GroupKey {
    /// A key from its 33 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Point`] if they are no compressed point.
    pub fn from_bytes(bytes: [u8; 33]) -> Result<Self, KeyError> {
        PublicKey::from_slice(&bytes).map(Self).map_err(|_| KeyError::Point)
    }

    /// Its 33 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 33] {
        self.0.serialize()
    }

    /// Its x coordinate: the BIP340 key under which certificates verify.
    #[must_use]
    pub fn x_only(self) -> [u8; 32] {
        self.0.x_only_public_key().0.serialize()
    }

    pub(crate) fn point(&self) -> &PublicKey {
        &self.0
    }
}

impl TryFrom<FixedBytes<33>> for GroupKey {
    type Error = KeyError;
    fn try_from(bytes: FixedBytes<33>) -> Result<Self, KeyError> {
        Self::from_bytes(bytes.0)
    }
}

impl From<GroupKey> for FixedBytes<33> {
    fn from(key: GroupKey) -> Self {
        Self(key.to_bytes())
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupKey({self})")
    }
}

/// The public half of a key: P, and one verifying share for each party.
///
/// Bytes from a peer are not thereby keys of the guild: a [`Transcript`](crate::dkg::Transcript) proves where
/// they come from, and [`KeyShare::check`] that a share is one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawKeys", into = "RawKeys")]
pub struct PublicKeys {
    threshold: Threshold,
    group: GroupKey,
    shares: BTreeMap<PartyId, GroupKey>,
}

#[derive(Serialize, Deserialize)]
struct RawKeys(Threshold, GroupKey, Vec<GroupKey>);

impl PublicKeys {
    /// `t` of `n`.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// P.
    #[must_use]
    pub fn group(&self) -> GroupKey {
        self.group
    }

    /// The verifying share of each party, in order: the public key of its secret share.
    pub fn shares(&self) -> impl Iterator<Item = (PartyId, [u8; 33])> + '_ {
        self.shares.iter().map(|(party, share)| (*party, share.to_bytes()))
    }

    pub(crate) fn from_frost(package: &PublicKeyPackage, threshold: Threshold) -> Result<Self, KeyError> {
        let group = group_of(package.verifying_key())?;
        let mut shares = BTreeMap::new();
        for party in threshold.parties() {
            let share = package.verifying_shares().get(&party.identifier()).ok_or(KeyError::Shares)?;
            let bytes = share.serialize().map_err(|_| KeyError::Point)?;
            shares.insert(party, GroupKey(PublicKey::from_slice(&bytes).map_err(|_| KeyError::Point)?));
        }
        Ok(Self { threshold, group, shares })
    }

    /// The package of these parties for `aggregate`, every key moved by the public point `tweak`.
    pub(crate) fn package<'a>(
        &self,
        parties: impl Iterator<Item = &'a PartyId>,
        tweak: Option<&PublicKey>,
    ) -> Result<PublicKeyPackage, KeyError> {
        let moved = |key: &PublicKey| match tweak {
            None => Ok(*key),
            Some(tweak) => key.combine(tweak).map_err(|_| KeyError::Point),
        };
        let mut shares = BTreeMap::new();
        for party in parties {
            let share = self.shares.get(party).ok_or(KeyError::Shares)?;
            let bytes = moved(share.point())?.serialize();
            let share = VerifyingShare::deserialize(&bytes).map_err(|_| KeyError::Point)?;
            shares.insert(party.identifier(), share);
        }
        let group = verifying_key(&moved(self.group.point())?)?;
        Ok(PublicKeyPackage::new(shares, group, Some(self.threshold.t())))
    }
}

impl TryFrom<RawKeys> for PublicKeys {
    type Error = KeyError;
    fn try_from(RawKeys(threshold, group, shares): RawKeys) -> Result<Self, KeyError> {
        if shares.len() != usize::from(threshold.n()) {
            return Err(KeyError::Shares);
        }
        Ok(Self { threshold, group, shares: threshold.parties().zip(shares).collect() })
    }
}

impl From<PublicKeys> for RawKeys {
    fn from(keys: PublicKeys) -> Self {
        Self(keys.threshold, keys.group, keys.shares.into_values().collect())
    }
}

impl crate::Wire for PublicKeys {
    const KIND: u8 = 1;
    const LIMIT: usize = 3_400;
}

/// One party's secret share of a key.
///
/// # Security
///
/// `t` of these are the treasury. It is erased from memory when dropped, never shown by `Debug`, and
/// belongs on disk only through [`crate::sealed`].
#[derive(Clone)]
pub struct KeyShare {
    party: PartyId,
    threshold: Threshold,
    /// On the heap, so that moving a share about leaves no copies of the secret behind.
    package: Box<KeyPackage>,
}

/// Bytes of a share: version, scheme, party, t, n, P, secret.
const SHARE_BYTES: usize = 2 + 2 + 2 + 2 + 33 + 32;

impl KeyShare {
    pub(crate) fn new(party: PartyId, threshold: Threshold, package: KeyPackage) -> Self {
        Self { party, threshold, package: Box::new(package) }
    }

    /// Whose share it is.
    #[must_use]
    pub fn party(&self) -> PartyId {
        self.party
    }

    /// `t` of `n`.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The key it is a share of.
    #[must_use]
    pub fn group(&self) -> GroupKey {
        group_of(self.package.verifying_key()).expect("a verifying key is a point")
    }

    /// Whether this is the share that `keys` name for its party: its public key is the verifying share.
    ///
    /// # Errors
    ///
    /// [`KeyError::Mismatch`] if it is not.
    pub fn check(&self, keys: &PublicKeys) -> Result<(), KeyError> {
        // computed from the secret, not read from the package
        let ours = VerifyingShare::from(*self.package.signing_share()).serialize().ok();
        let named = keys.shares.get(&self.party).map(|share| share.to_bytes().to_vec());
        let same = ours == named && self.group() == keys.group && self.threshold == keys.threshold;
        if same { Ok(()) } else { Err(KeyError::Mismatch(self.party)) }
    }

    /// Its bytes, to be sealed at once.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_BYTES));
        bytes.extend([VERSION, SCHEME]);
        for number in [self.party.number(), self.threshold.t(), self.threshold.n()] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.group().to_bytes());
        bytes.extend_from_slice(&Zeroizing::new(self.package.signing_share().serialize()));
        bytes
    }

    /// The share in these bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Share`] or [`KeyError::Point`] if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (header, secret) = bytes.split_at_checked(SHARE_BYTES - 32).ok_or(KeyError::Share)?;
        let header: &[u8; SHARE_BYTES - 32] = header.try_into().map_err(|_| KeyError::Share)?;
        let [version, scheme, p0, p1, t0, t1, n0, n1, group @ ..] = header;
        if (*version, *scheme, secret.len()) != (VERSION, SCHEME, 32) {
            return Err(KeyError::Share);
        }
        let number = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
        let party = PartyId::new(number(p0, p1)).map_err(|_| KeyError::Share)?;
        let threshold = Threshold::new(number(t0, t1), number(n0, n1)).map_err(|_| KeyError::Share)?;
        let group = verifying_key(GroupKey::from_bytes(*group)?.point())?;
        let share = SigningShare::deserialize(secret).map_err(|_| KeyError::Share)?;
        let package =
            KeyPackage::new(party.identifier(), share, VerifyingShare::from(share), group, threshold.t());
        Ok(Self::new(party, threshold, package))
    }

    pub(crate) fn package(&self) -> &KeyPackage {
        &self.package
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyShare")
            .field("party", &self.party)
            .field("group", &self.group())
            .finish_non_exhaustive()
    }
}

pub(crate) fn verifying_key(point: &PublicKey) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::deserialize(&point.serialize()).map_err(|_| KeyError::Point)
}

fn group_of(key: &VerifyingKey) -> Result<GroupKey, KeyError> {
    let bytes = key.serialize().map_err(|_| KeyError::Point)?;
    PublicKey::from_slice(&bytes).map(GroupKey).map_err(|_| KeyError::Point)
}
