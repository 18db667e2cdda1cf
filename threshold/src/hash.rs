//! The tagged hash of BIP340: `SHA256(SHA256(tag) || SHA256(tag) || data)`.

use sha2::{Digest, Sha256};

/// Hash the concatenation of `parts` under `tag`. Callers give parts of fixed length, or lengths too.
pub(crate) fn tagged(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let tag = Sha256::digest(tag.as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(tag);
    hasher.update(tag);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A length as eight big-endian bytes, to put before a part of variable length.
pub(crate) fn length(bytes: &[u8]) -> [u8; 8] {
    // usize is at most 64 bits wide on every supported platform
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_tagged_hash_of_bip341() {
        use bitcoin::hashes::{Hash, HashEngine, sha256t_hash_newtype};
        sha256t_hash_newtype! {
            struct SampleTag = hash_str("hashguild/sample/v1");
            struct SampleHash(_);
        }
        let mut engine = SampleHash::engine();
        engine.input(b"ab");
        assert_eq!(
            tagged("hashguild/sample/v1", &[b"a", b"b"]),
            SampleHash::from_engine(engine).to_byte_array()
        );
    }
}
