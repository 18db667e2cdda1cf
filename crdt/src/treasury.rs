//! Where the guild's bitcoin lives: one descriptor, derived by everybody from the charter and the
//! group key, so that no address is ever taken from a peer (§9).

use crate::charter::{Charter, Recovery};
use crate::hash::Digest;
use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
use bitcoin::secp256k1::{PublicKey, XOnlyPublicKey};
use bitcoin::{Network, NetworkKind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An epoch's group key P: the FROST verifying key, a compressed point of secp256k1.
///
/// Its parity matters: BIP32 derivation hashes all 33 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct GroupKey(PublicKey);

/// Bytes that are no compressed point of secp256k1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are no compressed secp256k1 public key")]
pub struct GroupKeyError(usize);

impl GroupKey {
    /// The 33 bytes of the compressed point.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 33] {
        self.0.serialize()
    }

    /// The key that certificates verify under (BIP340).
    #[must_use]
    pub fn x_only(self) -> XOnlyPublicKey {
        self.0.x_only_public_key().0
    }

    /// The extended public key that stands for P in descriptors, in the manner of BIP328: depth 0, no
    /// parent, and a chain code that anybody can recompute from P.
    #[must_use]
    pub fn xpub(self, network: Network) -> Xpub {
        Xpub {
            network: NetworkKind::from(network),
            depth: 0,
            parent_fingerprint: Fingerprint::default(),
            child_number: ChildNumber::Normal { index: 0 },
            public_key: self.0,
            chain_code: ChainCode::from(Digest::tagged("hashguild/chain-code/v1", &[&self.to_bytes()]).0),
        }
    }
}

impl TryFrom<Vec<u8>> for GroupKey {
    type Error = GroupKeyError;
    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        if bytes.len() != 33 {
            return Err(GroupKeyError(bytes.len()));
        }
        PublicKey::from_slice(&bytes).map(Self).map_err(|_| GroupKeyError(33))
    }
}

impl From<GroupKey> for Vec<u8> {
    fn from(key: GroupKey) -> Self {
        key.to_bytes().to_vec()
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupKey({})", self.0)
    }
}

/// The treasury's two-path descriptor under `key`, without checksum:
/// `tr(P/<0;1>/*, and_v(v:multi_a(k, recovery…), older(delay)))`.
///
/// Keychain 0 receives (index 0: mining; 1 and up: contributors), keychain 1 takes change.
#[must_use]
pub fn descriptor(charter: &Charter, key: GroupKey) -> String {
    of_keychain(charter, key, "<0;1>")
}

/// The descriptor of seals under `key`, whose first script alone is used: `tr(P/2/*, …/2/*…)`, with the same
/// leaf as every coin of the treasury.
#[must_use]
pub fn seal_descriptor(charter: &Charter, key: GroupKey) -> String {
    of_keychain(charter, key, "2")
}

fn of_keychain(charter: &Charter, key: GroupKey, chain: &str) -> String {
    let Recovery { keys, least, delay } = &charter.recovery;
    let keys: Vec<String> = keys.iter().map(|key| format!("{key}/{chain}/*")).collect();
    let xpub = key.xpub(charter.network);
    format!("tr({xpub}/{chain}/*,and_v(v:multi_a({least},{}),older({delay})))", keys.join(","))
}
