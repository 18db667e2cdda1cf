//! What survives a restart, and its bytes.

use super::message::DkgMessage;
use crate::keyset::KeyShare;
use crate::message::{Wire, WireError};
use std::fmt;
use zeroize::Zeroizing;

/// A fact that must survive a restart.
#[derive(Clone)]
pub enum Change {
    /// We drew our polynomial and signed our first message.
    RoundOne {
        /// The polynomial, and the seed of the encryption to others. Secret.
        secret: Zeroizing<Vec<u8>>,
        /// Our first message.
        message: DkgMessage,
    },
    /// We accepted a message of another party. Public.
    Received(DkgMessage),
    /// Our share. Secret. Store it, read it back, answer with [`Input::Stored`](super::Input::Stored).
    Share(KeyShare),
}

impl Change {
    /// Whether it is stored sealed ([`crate::sealed`]), apart from everything else. Delete the sealed
    /// [`Change::RoundOne`] when the session is done.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !matches!(self, Self::Received(_))
    }

    /// Its bytes, to be sealed at once if it is secret: a kind, then the content.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::RoundOne { secret, message } => {
                let length = u32::try_from(secret.len()).expect("a polynomial has at most 100 coefficients");
                [&[1], &length.to_be_bytes()[..], secret, &message.to_wire()].concat()
            }
            Self::Received(message) => [&[2], &message.to_wire()[..]].concat(),
            Self::Share(share) => [&[3], &share.to_bytes()[..]].concat(),
        })
    }

    /// The change in these bytes.
    ///
    /// # Errors
    ///
    /// [`WireError`] if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        match bytes {
            [1, l0, l1, l2, l3, rest @ ..] => {
                let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
                let length = usize::try_from(length).map_err(|_| WireError::Body)?;
                let (secret, message) = rest.split_at_checked(length).ok_or(WireError::Body)?;
                let message = DkgMessage::from_wire(message)?;
                Ok(Self::RoundOne { secret: Zeroizing::new(secret.to_vec()), message })
            }
            [2, message @ ..] => DkgMessage::from_wire(message).map(Self::Received),
            [3, share @ ..] => KeyShare::from_bytes(share).map(Self::Share).map_err(|_| WireError::Body),
            _ => Err(WireError::Header),
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundOne { message, .. } => {
                f.debug_struct("RoundOne").field("message", message).finish_non_exhaustive()
            }
            Self::Received(message) => f.debug_tuple("Received").field(message).finish(),
            Self::Share(share) => f.debug_tuple("Share").field(share).finish(),
        }
    }
}
