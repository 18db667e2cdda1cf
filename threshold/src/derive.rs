//! From the group key to addresses: public derivation that every member repeats for itself.
//!
//! P becomes a synthetic extended key in the manner of BIP328, children are BIP32's (never hardened),
//! outputs are BIP341's. BIP32 hashes the compressed key **with** its parity, so P is not made even first.

use crate::hash::tagged;
use crate::keyset::GroupKey;
use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Scalar, Secp256k1, SecretKey, Signing, Verification, XOnlyPublicKey};
use bitcoin::taproot::{TapNodeHash, TapTweakHash};
use bitcoin::{NetworkKind, ScriptBuf};

/// Where a key lies below P: keychain, then index. Both below 2^31.
pub type Path = [u32; 2];

/// A path that leads to no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key at {}/{}", .0[0], .0[1])]
pub struct BadPath(pub Path);

/// A key below P.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The key itself: `P + tweak * G`, with parity.
    pub key: PublicKey,
    /// What is added to the secret of P, and so to every share. Public.
    pub tweak: Scalar,
}

/// P as an extended key: depth 0, no parent, chain code = tagged hash of the 33 bytes of P.
#[must_use]
pub fn synthetic_xpub(group: &GroupKey, network: NetworkKind) -> Xpub {
    Xpub {
        network,
        depth: 0,
        parent_fingerprint: Fingerprint::default(),
        child_number: ChildNumber::Normal { index: 0 },
        public_key: *group.point(),
        chain_code: ChainCode::from(tagged("hashguild/chain-code/v1", &[&group.to_bytes()])),
    }
}

/// The key at `path` below P.
///
/// # Errors
///
/// [`BadPath`] if a step is hardened, or (never seen in practice) leads to no valid key.
pub fn child(group: &GroupKey, path: Path) -> Result<Child, BadPath> {
    child_with(&Secp256k1::verification_only(), group, path)
}

/// The taproot output script at `path` with this script tree, `None` for none.
///
/// # Errors
///
/// [`BadPath`] as [`child`].
pub fn script(group: &GroupKey, path: Path, merkle_root: Option<[u8; 32]>) -> Result<ScriptBuf, BadPath> {
    let secp = Secp256k1::verification_only();
    let internal = child_with(&secp, group, path)?.key.x_only_public_key().0;
    let root = merkle_root.map(TapNodeHash::from_byte_array);
    Ok(ScriptBuf::new_p2tr(&secp, internal, root))
}

pub(crate) fn child_with<C: Verification>(
    secp: &Secp256k1<C>,
    group: &GroupKey,
    path: Path,
) -> Result<Child, BadPath> {
    // the network shows only in the text form
    let mut key = synthetic_xpub(group, NetworkKind::Main);
    let mut sum: Option<SecretKey> = None;
    for index in path {
        let step = ChildNumber::from_normal_idx(index).map_err(|_| BadPath(path))?;
        let (tweak, _) = key.ckd_pub_tweak(step).map_err(|_| BadPath(path))?;
        sum = Some(match sum {
            None => tweak,
            Some(sum) => sum.add_tweak(&Scalar::from(tweak)).map_err(|_| BadPath(path))?,
        });
        key = key.ckd_pub(secp, step).map_err(|_| BadPath(path))?;
    }
    let tweak = Scalar::from(sum.ok_or(BadPath(path))?);
    Ok(Child { key: key.public_key, tweak })
}

/// The key that a key-path spend of this child must sign for.
pub(crate) fn output_key<C: Verification>(
    secp: &Secp256k1<C>,
    child: &Child,
    merkle_root: Option<[u8; 32]>,
) -> Option<XOnlyPublicKey> {
    let (internal, _) = child.key.x_only_public_key();
    let root = merkle_root.map(TapNodeHash::from_byte_array);
    let tweak = TapTweakHash::from_key_and_tweak(internal, root).to_scalar();
    internal.add_tweak(secp, &tweak).ok().map(|(key, _)| key)
}

/// `tweak * G`.
pub(crate) fn point<C: Signing>(secp: &Secp256k1<C>, tweak: &Scalar) -> Option<PublicKey> {
    let secret = SecretKey::from_slice(&tweak.to_be_bytes()).ok()?;
    Some(PublicKey::from_secret_key(secp, &secret))
}
