//! The only door from bytes to a trusted entry.

use crate::entry::{ENTRY_VERSION, Entry};
use crate::hash::Digest;
use crate::id::{EntryId, GuildId, MemberId};
use crate::limits::ENTRY_MAX;
use ed25519_dalek::{Signature, Signer, SigningKey};
use std::sync::Arc;

const SIGNATURE_LEN: usize = 64;

/// An entry whose signature was verified, with the bytes it came in: signature ‖ canonical entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    entry: Arc<Entry>,
    id: EntryId,
    bytes: Arc<[u8]>,
}

/// Why bytes are no entry. A verdict on whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnEntry {
    /// Above [`ENTRY_MAX`].
    #[error("{0} bytes are more than an entry may have ({ENTRY_MAX})")]
    TooLong(usize),
    /// Not an entry of this version.
    #[error("these bytes do not decode to an entry")]
    Malformed,
    /// Decodes, but would be written differently.
    #[error("this entry is not in canonical form")]
    NotCanonical,
    /// Another guild's.
    #[error("this entry is of guild {0}")]
    Guild(GuildId),
    /// Not signed by its author.
    #[error("the signature is not one of {0}")]
    Signature(MemberId),
}

impl Signed {
    /// Read, check and verify (`verify_strict`, the one rule of validity: §4).
    ///
    /// # Errors
    ///
    /// [`NotAnEntry`] says why these bytes are none of `guild`'s entries.
    pub fn verify(bytes: &[u8], guild: GuildId) -> Result<Self, NotAnEntry> {
        if bytes.len() > ENTRY_MAX {
            return Err(NotAnEntry::TooLong(bytes.len()));
        }
        let (signature, body) = bytes.split_first_chunk::<SIGNATURE_LEN>().ok_or(NotAnEntry::Malformed)?;
        let entry: Entry = postcard::from_bytes(body).map_err(|_| NotAnEntry::Malformed)?;
        if entry.version != ENTRY_VERSION {
            return Err(NotAnEntry::Malformed);
        }
        if encode(&entry) != body {
            return Err(NotAnEntry::NotCanonical);
        }
        if entry.guild != guild {
            return Err(NotAnEntry::Guild(entry.guild));
        }
        let id = id_of(body);
        let signature = Signature::from_bytes(signature);
        let key = entry.author.verifying_key();
        key.verify_strict(&id.to_bytes(), &signature).map_err(|_| NotAnEntry::Signature(entry.author))?;
        Ok(Self { entry: Arc::new(entry), id, bytes: bytes.into() })
    }

    /// Sign an entry of one's own.
    ///
    /// # Panics
    ///
    /// If `key` is not the author's: a mistake of ours, never of a peer.
    #[must_use]
    pub fn sign(entry: Entry, key: &SigningKey) -> Self {
        assert_eq!(entry.author, MemberId::from(&key.verifying_key()), "we sign for ourselves only");
        let body = encode(&entry);
        let id = id_of(&body);
        let mut bytes = key.sign(&id.to_bytes()).to_bytes().to_vec();
        bytes.extend_from_slice(&body);
        Self { entry: Arc::new(entry), id, bytes: bytes.into() }
    }

    /// What was said.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// The bytes as they travel and rest: signature ‖ canonical entry.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    postcard::to_stdvec(entry).expect("an entry always encodes")
}

fn id_of(body: &[u8]) -> EntryId {
    EntryId(Digest::tagged("hashguild/entry/v1", &[body]))
}
