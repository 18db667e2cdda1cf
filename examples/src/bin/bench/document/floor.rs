//! The least that verification can cost: `verify_strict` alone, everything parsed before.

use super::dataset::Entries;
use crate::measure::in_parallel;
use anyhow::{Context as _, Result, ensure};
use crdt::{Digest, Entry};
use ed25519_dalek::{Signature, VerifyingKey};

/// What one verification needs.
pub(crate) struct Triple {
    key: VerifyingKey,
    id: [u8; 32],
    signature: Signature,
}

impl Triple {
    /// Of the bytes of an entry.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self> {
        let (signature, body) = bytes.split_first_chunk::<64>().context("a signature and an entry")?;
        let entry: Entry = postcard::from_bytes(body)?;
        let key = VerifyingKey::from_bytes(&entry.author.to_bytes())?;
        let id = Digest::tagged("hashguild/entry/v1", &[body]).0;
        Ok(Self { key, id, signature: Signature::from_bytes(signature) })
    }

    /// One `verify_strict`.
    pub(crate) fn verify(&self) -> bool {
        self.key.verify_strict(&self.id, &self.signature).is_ok()
    }
}

/// What verifying all of `entries` needs.
pub(crate) fn triples(entries: &Entries) -> Result<Vec<Triple>> {
    let entries: Vec<&[u8]> = entries.iter().collect();
    in_parallel(&entries, |bytes| Triple::of(bytes)).into_iter().collect()
}

/// Verify everything by all threads.
pub(crate) fn verify_all(triples: &[Triple]) -> Result<()> {
    let sound = in_parallel(triples, Triple::verify);
    ensure!(sound.into_iter().all(|sound| sound), "an entry made here does not verify");
    Ok(())
}
