//! Who takes part, and how many must.

use frost_secp256k1_tr::Identifier;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most parties of one key. Adaptive attacks on Schnorr threshold schemes are studied for large groups;
/// a guild stays far below.
pub const MAX_PARTIES: u16 = 100;

/// A party of one key: its number from 1 to `n`, equal to its FROST identifier (RFC 9591).
///
/// Numbers belong to a key. The same member may have another number in the next epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PartyId(u16);

/// A number that no party can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("party number {0} is not between 1 and {MAX_PARTIES}")]
pub struct BadParty(u16);

impl PartyId {
    /// The party with this number.
    ///
    /// # Errors
    ///
    /// [`BadParty`] unless `1 <= number <= MAX_PARTIES`.
    pub const fn new(number: u16) -> Result<Self, BadParty> {
        if number == 0 || number > MAX_PARTIES {
            return Err(BadParty(number));
        }
        Ok(Self(number))
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Two big-endian bytes, as they go into hashes.
    pub(crate) const fn bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    pub(crate) fn identifier(self) -> Identifier {
        Identifier::try_from(self.0).expect("a party number is not zero")
    }

    /// The party behind a FROST identifier, among the first `n`.
    pub(crate) fn find(identifier: &Identifier, n: u16) -> Option<Self> {
        (1..=n).filter_map(|number| Self::new(number).ok()).find(|party| party.identifier() == *identifier)
    }
}

impl TryFrom<u16> for PartyId {
    type Error = BadParty;
    fn try_from(number: u16) -> Result<Self, BadParty> {
        Self::new(number)
    }
}

impl From<PartyId> for u16 {
    fn from(party: PartyId) -> Self {
        party.0
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

/// `t` of `n`: how many parties sign together, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct Threshold {
    t: u16,
    n: u16,
}

/// A threshold that no key may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{t} of {n} is no threshold: needs 2 <= t <= n <= {MAX_PARTIES} and t > n/2")]
pub struct BadThreshold {
    t: u16,
    n: u16,
}

impl Threshold {
    /// `t` of `n`.
    ///
    /// # Errors
    ///
    /// [`BadThreshold`] unless `2 <= t <= n <= MAX_PARTIES` and `t > n/2`, so that two quorums always
    /// share a party.
    pub const fn new(t: u16, n: u16) -> Result<Self, BadThreshold> {
        if t < 2 || t > n || n > MAX_PARTIES || t <= n / 2 {
            return Err(BadThreshold { t, n });
        }
        Ok(Self { t, n })
    }

    /// How many parties sign together.
    #[must_use]
    pub const fn t(self) -> u16 {
        self.t
    }

    /// How many parties there are.
    #[must_use]
    pub const fn n(self) -> u16 {
        self.n
    }

    /// Every party, in order.
    pub fn parties(self) -> impl Iterator<Item = PartyId> {
        (1..=self.n).map(PartyId)
    }

    /// Whether the party is one of the `n`.
    #[must_use]
    pub const fn has(self, party: PartyId) -> bool {
        party.0 <= self.n
    }
}

impl TryFrom<(u16, u16)> for Threshold {
    type Error = BadThreshold;
    fn try_from((t, n): (u16, u16)) -> Result<Self, BadThreshold> {
        Self::new(t, n)
    }
}

impl From<Threshold> for (u16, u16) {
    fn from(threshold: Threshold) -> Self {
        (threshold.t, threshold.n)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.t, self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        let cases = [(1, 1, false), (2, 2, true), (2, 3, true), (2, 4, false), (3, 4, true), (3, 5, true)];
        for (t, n, ok) in cases {
            assert_eq!(Threshold::new(t, n).is_ok(), ok, "{t} of {n}");
        }
        assert!(Threshold::new(51, 100).is_ok() && Threshold::new(51, 101).is_err());
        assert!(Threshold::new(4, 3).is_err());
    }

    #[test]
    fn numbers_are_identifiers() {
        let party = PartyId::new(7).unwrap();
        assert_eq!(PartyId::find(&party.identifier(), 9), Some(party));
        assert_eq!(PartyId::find(&party.identifier(), 6), None);
        assert!(PartyId::new(0).is_err() && PartyId::new(101).is_err());
    }
}
