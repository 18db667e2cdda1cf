//! The only door from bytes to a trusted entry.

use crate::charter::Charter;
use crate::entry::{ENTRY_VERSION, Entry};
use crate::hash::Digest;
use crate::id::{EntryId, GuildId, MemberId};
use crate::limits::ENTRY_MAX;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::collections::HashMap;
use std::sync::Arc;

const SIGNATURE_LEN: usize = 64;

/// An entry whose signature was verified. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    entry: Entry,
    id: EntryId,
    signature: [u8; SIGNATURE_LEN],
    len: u32,
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
    /// Of somebody who has no say here.
    #[error("its author {0} is not on the roll")]
    Stranger(MemberId),
    /// Not signed by its author.
    #[error("the signature is not one of {0}")]
    Signature(MemberId),
}

/// Reads entries of one guild: knows who may speak, and keeps their keys ready, since to parse a key costs
/// a tenth of a verification. Cheap to clone and to give to other threads.
#[derive(Debug, Clone)]
pub struct Verifier {
    guild: GuildId,
    keys: Arc<HashMap<MemberId, VerifyingKey>>,
    anybody: bool,
}

impl Verifier {
    /// A reader of the entries of `charter`'s guild.
    #[must_use]
    pub fn new(charter: &Charter) -> Self {
        Self::of(charter.id(), charter.founders.iter().map(|founder| founder.key))
    }

    /// A reader of the entries of anybody: for what was verified before and comes back from one's own disk.
    /// Whether its author may speak is for the document to say.
    #[must_use]
    pub fn of_anybody(guild: GuildId) -> Self {
        Self { guild, keys: Arc::default(), anybody: true }
    }

    pub(crate) fn of(guild: GuildId, authors: impl Iterator<Item = MemberId>) -> Self {
        let keys = authors.filter_map(|member| Some((member, member.verifying_key().ok()?)));
        Self { guild, keys: Arc::new(keys.collect()), anybody: false }
    }

    /// Read, check and verify an entry (`verify_strict`, the one rule of validity: §4). What is cheap to
    /// refuse is refused before the signature is looked at.
    ///
    /// # Errors
    ///
    /// [`NotAnEntry`] says why these bytes are none of this guild's entries.
    pub fn verify(&self, bytes: &[u8]) -> Result<Signed, NotAnEntry> {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if bytes.len() > ENTRY_MAX {
            return Err(NotAnEntry::TooLong(bytes.len()));
        }
        let (signature, body) = bytes.split_first_chunk::<SIGNATURE_LEN>().ok_or(NotAnEntry::Malformed)?;
        let entry: Entry = postcard::from_bytes(body).map_err(|_| NotAnEntry::Malformed)?;
        if entry.version != ENTRY_VERSION {
            return Err(NotAnEntry::Malformed);
        }
        if entry.guild != self.guild {
            return Err(NotAnEntry::Guild(entry.guild));
        }
        let key = self.key_of(&entry.author).ok_or(NotAnEntry::Stranger(entry.author))?;
        if encode(&entry) != body {
            return Err(NotAnEntry::NotCanonical);
        }
        let id = id_of(body);
        key.verify_strict(&id.to_bytes(), &Signature::from_bytes(signature))
            .map_err(|_| NotAnEntry::Signature(entry.author))?;
        Ok(Signed(Arc::new(Inner { entry, id, signature: *signature, len })))
    }
}

impl Verifier {
    fn key_of(&self, author: &MemberId) -> Option<VerifyingKey> {
        let known = self.keys.get(author).copied();
        known.or_else(|| author.verifying_key().ok().filter(|_| self.anybody))
    }
}

/// The id that `bytes` would have if they were an entry: enough to see that one is known already.
#[must_use]
pub fn claimed_id(bytes: &[u8]) -> Option<EntryId> {
    bytes.get(SIGNATURE_LEN..).map(id_of)
}

impl Signed {
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
        let signature = key.sign(&id.to_bytes()).to_bytes();
        let len = u32::try_from(body.len() + SIGNATURE_LEN).expect("an entry is no gigabyte");
        Self(Arc::new(Inner { entry, id, signature, len }))
    }

    /// What was said.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.0.id
    }

    /// The bytes as they travel and rest: signature ‖ canonical entry. Written anew each time: an entry has
    /// one encoding, and to keep it as well would double what a document takes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(&self.0.signature);
        postcard::to_extend(&self.0.entry, bytes).expect("an entry always encodes")
    }

    /// How many bytes that is.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an entry is never empty")]
    pub fn len(&self) -> usize {
        usize::try_from(self.0.len).expect("usize has 32 bits or more")
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    postcard::to_stdvec(entry).expect("an entry always encodes")
}

fn id_of(body: &[u8]) -> EntryId {
    EntryId(Digest::tagged("hashguild/entry/v1", &[body]))
}
