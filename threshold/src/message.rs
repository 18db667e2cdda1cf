//! What crosses a wire or lies on a disk: bounded, versioned, one byte for the scheme.
//!
//! A message is `version || scheme || kind || postcard`. Anything longer than its kind allows, of another
//! version or scheme, or with bytes left over, is refused before it means anything.

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Version of every format in this crate.
pub const VERSION: u8 = 1;
/// The signature scheme: FROST-secp256k1-SHA256-TR-v1. Another scheme (such as BIP445) gets another byte.
pub const SCHEME: u8 = 1;

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Longer than this kind of message can be.
    #[error("{length} bytes are more than the {limit} allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Another version, scheme or kind, or too short to have one.
    #[error("not a message of this version, scheme and kind")]
    Header,
    /// The body is malformed, or bytes follow it.
    #[error("malformed body")]
    Body,
}

/// A value with a wire format.
pub trait Wire: Serialize + DeserializeOwned {
    /// Tells kinds of message apart.
    const KIND: u8;
    /// Most bytes of one message, header included.
    const LIMIT: usize;

    /// The bytes of this value.
    #[must_use]
    fn to_wire(&self) -> Vec<u8> {
        let header = vec![VERSION, SCHEME, Self::KIND];
        postcard::to_extend(self, header).expect("a Vec grows, and these values always serialize")
    }

    /// The value in these bytes.
    ///
    /// # Errors
    ///
    /// [`WireError`] if they are not exactly one such value.
    fn from_wire(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > Self::LIMIT {
            return Err(WireError::TooLong { length: bytes.len(), limit: Self::LIMIT });
        }
        let body = bytes.strip_prefix(&[VERSION, SCHEME, Self::KIND]).ok_or(WireError::Header)?;
        match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            _ => Err(WireError::Body),
        }
    }
}

/// `N` bytes that serialize as themselves, without a length. Shown as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedBytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for FixedBytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

impl<'de, const N: usize> Deserialize<'de> for FixedBytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = FixedBytes<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut bytes = [0; N];
                for (have, byte) in bytes.iter_mut().enumerate() {
                    *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(have, &self))?;
                }
                Ok(FixedBytes(bytes))
            }
        }
        deserializer.deserialize_tuple(N, Bytes::<N>)
    }
}

impl<const N: usize> fmt::Debug for FixedBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample(FixedBytes<4>, u16);
    impl Wire for Sample {
        const KIND: u8 = 99;
        const LIMIT: usize = 10;
    }

    #[test]
    fn only_its_own_bytes() {
        let sample = Sample(FixedBytes([1, 2, 3, 4]), 5);
        let bytes = sample.to_wire();
        assert_eq!(bytes, [1, 1, 99, 1, 2, 3, 4, 5]);
        assert_eq!(Sample::from_wire(&bytes), Ok(sample));
        assert_eq!(Sample::from_wire(&bytes[..7]), Err(WireError::Body));
        assert_eq!(Sample::from_wire(&[&bytes[..], &[0]].concat()), Err(WireError::Body));
        assert_eq!(Sample::from_wire(&[1, 2, 99, 1, 2, 3, 4, 5]), Err(WireError::Header));
        assert_eq!(Sample::from_wire(&[0; 11]), Err(WireError::TooLong { length: 11, limit: 10 }));
        assert_eq!(Sample::from_wire(&[]), Err(WireError::Header));
    }
}
