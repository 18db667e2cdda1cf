//! Names of things: guilds, members, entries, proposals.

use crate::hash::Digest;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id: 64 hexadecimal digits expected")]
pub struct ParseIdError(String);

/// A key that cannot name a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberKeyError {
    /// Not 64 hexadecimal digits.
    #[error(transparent)]
    Text(#[from] ParseIdError),
    /// No Ed25519 key, or one of small order, which would sign for anybody.
    #[error("{0} is not a usable Ed25519 public key")]
    Weak(Digest),
}

fn parse_digest(text: &str) -> Result<Digest, ParseIdError> {
    let refuse = || ParseIdError(text.chars().take(80).collect());
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
    }
    Ok(Digest(bytes))
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Digest);

        impl $name {
            /// The first eight hexadecimal digits: enough for people to tell things apart.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string().chars().take(8).collect()
            }

            /// The raw bytes.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 32] {
                self.0.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_digest(text).map(Self)
            }
        }
    };
}

digest_id! {
    /// A guild: the hash of its charter's bytes.
    GuildId
}
digest_id! {
    /// An entry: the tagged hash of its canonical bytes.
    EntryId
}
digest_id! {
    /// A proposal, and the decision it may become: the id of the entry that proposed it.
    ProposalId
}

impl From<EntryId> for ProposalId {
    fn from(id: EntryId) -> Self {
        Self(id.0)
    }
}

/// A member: the bytes of an Ed25519 public key.
///
/// Read from people it is checked to be a point of full order. Read from the wire it is not: that would
/// cost more than all else about a small message. It is checked where it begins to matter, in a
/// [charter](crate::charter) and in an invitation; a key that is none signs nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId([u8; 32]);

impl MemberId {
    /// What no other key is smaller than: the beginning of ranges. It signs nothing.
    pub(crate) const FIRST: Self = Self([0; 32]);

    /// The raw public key.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The first eight hexadecimal digits.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// The key itself: what signatures are verified with.
    ///
    /// # Errors
    ///
    /// [`MemberKeyError::Weak`] if these bytes are no point, or one of small order.
    pub fn verifying_key(&self) -> Result<VerifyingKey, MemberKeyError> {
        match VerifyingKey::from_bytes(&self.0) {
            Ok(key) if !key.is_weak() => Ok(key),
            _ => Err(MemberKeyError::Weak(Digest(self.0))),
        }
    }
}

impl TryFrom<[u8; 32]> for MemberId {
    type Error = MemberKeyError;

    fn try_from(bytes: [u8; 32]) -> Result<Self, Self::Error> {
        let id = Self(bytes);
        id.verifying_key().map(|_| id)
    }
}

impl From<MemberId> for [u8; 32] {
    fn from(id: MemberId) -> Self {
        id.0
    }
}

impl From<&VerifyingKey> for MemberId {
    fn from(key: &VerifyingKey) -> Self {
        Self(key.to_bytes())
    }
}

impl FromStr for MemberId {
    type Err = MemberKeyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(parse_digest(text)?.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberId({})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text_and_refuse_anything_else() {
        let id = GuildId(Digest([0xab; 32]));
        assert_eq!(id.to_string().parse::<GuildId>().unwrap(), id);
        for bad in ["", "ab", &"g".repeat(64), &"é".repeat(32), &"+f".repeat(32)] {
            assert!(bad.parse::<GuildId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_of_small_order_names_nobody() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(matches!(MemberId::try_from(identity), Err(MemberKeyError::Weak(_))));
    }
}
