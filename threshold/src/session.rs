//! Names of conversations, and the time as the shell tells it.

use crate::hash::tagged;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The name of one conversation: of a key generation, or of one signing session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The key generation of a guild's epoch, at this attempt. Any two members compute the same.
    #[must_use]
    pub fn dkg(guild: [u8; 32], epoch: u32, attempt: u32) -> Self {
        let parts: [&[u8]; 3] = [&guild, &epoch.to_be_bytes(), &attempt.to_be_bytes()];
        Self(tagged("hashguild/dkg-session/v1", &parts))
    }

    /// The key generation of a guild's epoch, at this attempt, among these member keys in seat order: another
    /// set is another conversation.
    #[must_use]
    pub fn dkg_among(guild: [u8; 32], epoch: u32, attempt: u32, members: &[[u8; 32]]) -> Self {
        let (epoch, attempt) = (epoch.to_be_bytes(), attempt.to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![&guild, &epoch, &attempt];
        parts.extend(members.iter().map(|member| &member[..]));
        Self(tagged("hashguild/dkg-attempt/v1", &parts))
    }

    /// The `round`-th signing session of a coordinator that drew `seed` for this request.
    pub(crate) fn signing(seed: &[u8; 32], request: &[u8; 32], round: u16) -> Self {
        Self(tagged("hashguild/sign-session/v1", &[seed, request, &round.to_be_bytes()]))
    }

    /// A session name from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// Milliseconds since the Unix epoch, as told by the shell. It decides retries, never validity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A time from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time this much later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }
}
