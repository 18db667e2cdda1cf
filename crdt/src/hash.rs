//! Tagged SHA-256, so that bytes hashed for one purpose never collide with those of another.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// 32 bytes of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hash `parts`, concatenated, under `tag`, in the manner of BIP340:
    /// SHA256(SHA256(tag) ‖ SHA256(tag) ‖ data). Callers make the concatenation unambiguous.
    #[must_use]
    pub fn tagged(tag: &str, parts: &[&[u8]]) -> Self {
        let tag = Sha256::digest(tag.as_bytes());
        let mut engine = Sha256::new();
        engine.update(tag);
        engine.update(tag);
        for part in parts {
            engine.update(part);
        }
        Self(engine.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
