//! Secrets at rest: Argon2id makes a key from a passphrase, XChaCha20-Poly1305 seals under it.
//!
//! A sealed file is `magic || version || memory || passes || lanes || salt || nonce || ciphertext`. The
//! whole header and the purpose are authenticated, so a file neither passes for another nor opens with
//! weaker parameters than it was made with.

use crate::keyset::{KeyError, KeyShare};
use argon2::{Algorithm, Argon2};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand::{CryptoRng, RngCore};
use std::fmt;
use zeroize::Zeroizing;

const MAGIC: &[u8; 6] = b"hgseal";
const VERSION: u8 = 1;
const SALT: usize = 16;
const NONCE: usize = 24;
/// magic, version, three numbers, salt
const KEY_HEADER: usize = 6 + 1 + 12 + SALT;
const HEADER: usize = KEY_HEADER + NONCE;
/// What a key share is sealed for.
const SHARE_PURPOSE: &str = "hashguild/key-share/v1";

/// Memory of Argon2id in KiB: RFC 9106, second recommended option.
pub const MEMORY_KIB: u32 = 64 * 1024;
/// Passes of Argon2id: RFC 9106, second recommended option.
pub const PASSES: u32 = 3;
/// Lanes of Argon2id: RFC 9106, second recommended option.
pub const LANES: u32 = 4;
/// Most memory that a file may ask for, so that an altered file cannot exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Most passes and lanes that a file may ask for.
const MAX_PASSES_OR_LANES: u32 = 16;

/// Why something does not seal or open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not a sealed file of a known version, or cut short.
    #[error("not a sealed file")]
    Format,
    /// The cost parameters are outside what is allowed.
    #[error("argon2 parameters out of range")]
    Params,
    /// Sealed under another key: derive that one with [`SealingKey::for_file`].
    #[error("sealed under another key")]
    OtherKey,
    /// The passphrase is wrong, or the file was altered: an authenticated cipher cannot tell which.
    #[error("wrong passphrase, or the file was altered")]
    WrongPassphraseOrAltered,
    /// It opened, but holds no key share.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What deriving a key from a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES }
    }
}

impl Params {
    /// Costs nothing and protects nothing.
    #[cfg(any(test, feature = "testkit"))]
    #[must_use]
    pub fn fast_for_tests() -> Self {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    }

    fn derive(self, passphrase: &[u8], salt: &[u8; SALT]) -> Result<Zeroizing<[u8; 32]>, SealError> {
        if self.memory_kib > MAX_MEMORY_KIB || self.passes.max(self.lanes) > MAX_PASSES_OR_LANES {
            return Err(SealError::Params);
        }
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| SealError::Params)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase, salt, key.as_mut_slice())
            .map_err(|_| SealError::Params)?;
        Ok(key)
    }
}

/// A key derived from a passphrase, held while a node is unlocked. Seals any number of secrets.
pub struct SealingKey {
    header: [u8; KEY_HEADER],
    key: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// A new key from a passphrase, with a fresh salt. Slow on purpose.
    ///
    /// # Errors
    ///
    /// [`SealError::Params`] if the parameters are out of range.
    pub fn new(
        passphrase: &[u8],
        params: Params,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Self, SealError> {
        let mut salt = [0; SALT];
        rng.fill_bytes(&mut salt);
        let key = params.derive(passphrase, &salt)?;
        Ok(Self { header: key_header(params, &salt), key })
    }

    /// The key that sealed this file, if the passphrase is right. Slow on purpose.
    ///
    /// # Errors
    ///
    /// [`SealError::Format`] or [`SealError::Params`] if the file names no key. A wrong passphrase shows
    /// on [`open`](Self::open).
    pub fn for_file(passphrase: &[u8], sealed: &[u8]) -> Result<Self, SealError> {
        let header: [u8; KEY_HEADER] = *sealed.first_chunk().ok_or(SealError::Format)?;
        let (params, salt) = parse_header(&header)?;
        Ok(Self { header, key: params.derive(passphrase, &salt)? })
    }

    /// Seal a secret. The purpose says what it is; it must be the same on opening.
    #[must_use]
    pub fn seal(&self, purpose: &str, secret: &[u8], rng: &mut (impl RngCore + CryptoRng)) -> Vec<u8> {
        // 24 random bytes never repeat, so one key may seal any number of secrets
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut sealed = [&self.header[..], &nonce].concat();
        let aad = [&sealed, purpose.as_bytes()].concat();
        let body = self
            .cipher()
            .encrypt(&nonce.into(), Payload { msg: secret, aad: &aad })
            .expect("a secret is shorter than the cipher's 256 GiB");
        sealed.extend(body);
        sealed
    }

    /// Open what this key sealed for this purpose.
    ///
    /// # Errors
    ///
    /// [`SealError::OtherKey`], [`SealError::Format`] or [`SealError::WrongPassphraseOrAltered`].
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, body) = sealed.split_at_checked(HEADER).ok_or(SealError::Format)?;
        let nonce = match header.strip_prefix(&self.header) {
            Some(nonce) => <[u8; NONCE]>::try_from(nonce).map_err(|_| SealError::Format)?,
            None if header.starts_with(MAGIC) => return Err(SealError::OtherKey),
            None => return Err(SealError::Format),
        };
        let aad = [header, purpose.as_bytes()].concat();
        self.cipher()
            .decrypt(&nonce.into(), Payload { msg: body, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::WrongPassphraseOrAltered)
    }

    /// Seal a key share.
    #[must_use]
    pub fn seal_share(&self, share: &KeyShare, rng: &mut (impl RngCore + CryptoRng)) -> Vec<u8> {
        self.seal(SHARE_PURPOSE, &share.to_bytes(), rng)
    }

    /// Open a sealed key share.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`SealError::Key`] if it holds no share.
    pub fn open_share(&self, sealed: &[u8]) -> Result<KeyShare, SealError> {
        Ok(KeyShare::from_bytes(&self.open(SHARE_PURPOSE, sealed)?)?)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.key).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

/// Seal a secret under a passphrase, with a fresh salt. Slow on purpose.
///
/// # Errors
///
/// [`SealError::Params`] if the parameters are out of range.
pub fn seal(
    passphrase: &[u8],
    purpose: &str,
    secret: &[u8],
    params: Params,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Vec<u8>, SealError> {
    Ok(SealingKey::new(passphrase, params, rng)?.seal(purpose, secret, rng))
}

/// Open what [`seal`] or a [`SealingKey`] sealed. Slow on purpose.
///
/// # Errors
///
/// [`SealError`] if the file is none, was altered, or the passphrase is wrong.
pub fn open(passphrase: &[u8], purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    SealingKey::for_file(passphrase, sealed)?.open(purpose, sealed)
}

fn key_header(params: Params, salt: &[u8; SALT]) -> [u8; KEY_HEADER] {
    let [memory, passes, lanes] = [params.memory_kib, params.passes, params.lanes].map(u32::to_le_bytes);
    let parts: [&[u8]; 6] = [MAGIC, &[VERSION], &memory, &passes, &lanes, salt];
    parts.concat().try_into().expect("the parts have the header's length")
}

fn parse_header(header: &[u8; KEY_HEADER]) -> Result<(Params, [u8; SALT]), SealError> {
    let rest = header.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[VERSION]));
    let (numbers, salt) = rest.and_then(|rest| rest.split_at_checked(12)).ok_or(SealError::Format)?;
    let mut numbers = numbers.chunks_exact(4).map(|chunk| {
        let bytes = <[u8; 4]>::try_from(chunk).expect("chunks have four bytes");
        u32::from_le_bytes(bytes)
    });
    let mut number = || numbers.next().ok_or(SealError::Format);
    let params = Params { memory_kib: number()?, passes: number()?, lanes: number()? };
    Ok((params, salt.try_into().map_err(|_| SealError::Format)?))
}

#[cfg(test)]
mod tests;
