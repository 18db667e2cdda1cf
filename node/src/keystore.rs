//! The secrets of a member, sealed under one passphrase: the member key, the recovery seed, key shares
//! and the state of a key generation. Never in sled, never logged.

mod log;

use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use bitcoin::Network;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Address, CompressedPublicKey};
use ed25519_dalek::SigningKey;
use rand::rngs::OsRng;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use threshold::KeyShare;
use threshold::sealed::{Params, SealingKey};
use zeroize::Zeroizing;

const MEMBER: &str = "member.sealed";
const RECOVERY: &str = "recovery.sealed";
/// The purpose of the recovery key's account (BIP87: keys for multi-signature).
const RECOVERY_PURPOSE: u32 = 87;
/// The longest passphrase file that is read.
const PASSPHRASE_MAX: u64 = 4_096;

/// The opened secrets of a member.
#[derive(Debug)]
pub struct Keystore {
    home: Home,
    sealing: SealingKey,
    member: SigningKey,
}

/// Read the passphrase from `file`, or ask for it.
///
/// # Errors
///
/// If there is neither a file nor a terminal, or the passphrase is empty.
pub fn passphrase(file: Option<&Path>) -> Outcome<Zeroizing<String>> {
    let text = match file {
        Some(path) => {
            let fail = |error| Failure::because(format_args!("cannot read {}", path.display()), error);
            let mut text = Zeroizing::new(String::new());
            let opened = std::fs::File::open(path).map_err(fail)?;
            opened.take(PASSPHRASE_MAX).read_to_string(&mut text).map_err(fail)?;
            text
        }
        None if std::io::stdin().is_terminal() => {
            let asked = rpassword::prompt_password("Passphrase of this node's keys: ");
            Zeroizing::new(asked.map_err(|error| Failure::because("cannot ask for the passphrase", error))?)
        }
        None => {
            let why = "no passphrase: give --passphrase-file, there is no terminal to ask on";
            return Err(Failure::new(Code::Usage, why));
        }
    };
    let trimmed = text.trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return Err(Failure::new(Code::Usage, "the passphrase is empty"));
    }
    Ok(Zeroizing::new(trimmed.to_owned()))
}

/// What a new member's card says of its keys.
#[derive(Debug)]
pub struct PublicHalf {
    /// The member key.
    pub key: crdt::MemberId,
    /// The key in the recovery leaf.
    pub recovery: Xpub,
    /// An address of the recovery seed (BIP84), for distributions.
    pub payout: Address,
}

/// Make the secrets of a new member.
///
/// # Errors
///
/// If the disk refuses or the system has no randomness.
pub fn create(home: &Home, network: Network, passphrase: &str) -> Outcome<PublicHalf> {
    let fail = |error: &dyn std::fmt::Display| Failure::because("cannot make keys", error);
    let mut member = Zeroizing::new([0; 32]);
    let mut seed = Zeroizing::new([0; 32]);
    for secret in [&mut member, &mut seed] {
        getrandom::fill(secret.as_mut()).map_err(|error| fail(&error))?;
    }
    let sealing =
        SealingKey::new(passphrase.as_bytes(), Params::default(), &mut OsRng).map_err(|e| fail(&e))?;
    home::write_new(&home.secret(MEMBER), &sealing.seal("member", member.as_ref(), &mut OsRng))?;
    home::write_new(&home.secret(RECOVERY), &sealing.seal("recovery", seed.as_ref(), &mut OsRng))?;
    let (recovery, payout) = recovery(network, seed.as_ref()).map_err(|error| fail(&error))?;
    let key = crdt::MemberId::from(&SigningKey::from_bytes(&member).verifying_key());
    Ok(PublicHalf { key, recovery, payout })
}

/// The account key m/purpose'/coin'/0' of a seed.
fn account(network: Network, seed: &[u8], purpose: u32) -> Result<Xpriv, bitcoin::bip32::Error> {
    let coin = u32::from(network != Network::Bitcoin);
    let path = [purpose, coin, 0].into_iter().map(ChildNumber::from_hardened_idx);
    let path: DerivationPath = path.collect::<Result<_, _>>()?;
    Xpriv::new_master(network, seed)?.derive_priv(&Secp256k1::new(), &path)
}

/// The recovery key at m/87'/coin'/0' (BIP87) and the first address of m/84'/coin'/0' (BIP84).
fn recovery(network: Network, seed: &[u8]) -> Result<(Xpub, Address), bitcoin::bip32::Error> {
    let secp = Secp256k1::new();
    let recovery = Xpub::from_priv(&secp, &account(network, seed, RECOVERY_PURPOSE)?);
    let account = Xpub::from_priv(&secp, &account(network, seed, 84)?);
    let first = [ChildNumber::from_normal_idx(0)?, ChildNumber::from_normal_idx(0)?];
    let key = CompressedPublicKey(account.derive_pub(&secp, &first)?.public_key);
    Ok((recovery, Address::p2wpkh(&key, network)))
}

impl Keystore {
    /// Open the secrets in `home`.
    ///
    /// # Errors
    ///
    /// [`Code::NotAuthorised`] for a wrong passphrase.
    pub fn open(home: &Home, passphrase: &str) -> Outcome<Self> {
        let sealed = home::read(&home.secret(MEMBER))?;
        let wrong = |error| {
            Failure::new(
                Code::NotAuthorised,
                format!("cannot open the keys in {}: {error}", home.root().display()),
            )
        };
        let sealing = SealingKey::for_file(passphrase.as_bytes(), &sealed).map_err(wrong)?;
        let secret = sealing.open("member", &sealed).map_err(wrong)?;
        let bytes = Zeroizing::new(
            <[u8; 32]>::try_from(secret.as_slice())
                .map_err(|_| Failure::because("cannot open the keys", "the member key has not 32 bytes"))?,
        );
        Ok(Self { home: home.clone(), sealing, member: SigningKey::from_bytes(&bytes) })
    }

    /// The member key.
    #[must_use]
    pub const fn member(&self) -> &SigningKey {
        &self.member
    }

    /// The recovery seed.
    ///
    /// # Errors
    ///
    /// If it is missing or was altered.
    pub fn recovery_seed(&self) -> Outcome<Zeroizing<Vec<u8>>> {
        let sealed = home::read(&self.home.secret(RECOVERY))?;
        let opened = self.sealing.open("recovery", &sealed);
        opened.map_err(|error| Failure::because("cannot open the recovery seed", error))
    }

    /// The recovery key: the secret half of what the charter's recovery leaf names. Erase it after use.
    ///
    /// # Errors
    ///
    /// If the seed is missing or was altered.
    pub fn recovery_key(&self, network: Network) -> Outcome<Xpriv> {
        let key = account(network, &self.recovery_seed()?, RECOVERY_PURPOSE);
        key.map_err(|error| Failure::because("cannot derive the recovery key", error))
    }

    /// The secret of this name.
    ///
    /// # Errors
    ///
    /// If it was altered.
    pub fn load(&self, name: &str) -> Outcome<Option<Zeroizing<Vec<u8>>>> {
        let path = self.home.secret(name);
        if !path.exists() {
            return Ok(None);
        }
        let sealed = home::read(&path)?;
        let opened = self.sealing.open(name, &sealed);
        opened
            .map(Some)
            .map_err(|error| Failure::because(format_args!("cannot open {}", path.display()), error))
    }

    /// Store a secret under this name; durable on return.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn store(&self, name: &str, secret: &[u8]) -> Outcome<()> {
        home::write_private(&self.home.secret(name), &self.sealing.seal(name, secret, &mut OsRng))
    }

    /// The share of an epoch's key.
    ///
    /// # Errors
    ///
    /// If it was altered.
    pub fn share(&self, epoch: u32) -> Outcome<Option<KeyShare>> {
        let Some(bytes) = self.load(&share_name(epoch))? else { return Ok(None) };
        let share = KeyShare::from_bytes(&bytes);
        share.map(Some).map_err(|error| Failure::because("cannot read the key share", error))
    }

    /// The share of the key that was made for this epoch in this attempt.
    ///
    /// # Errors
    ///
    /// If it was altered.
    pub fn share_of(&self, at: (u32, u32)) -> Outcome<Option<KeyShare>> {
        let Some(bytes) = self.load(&share_name_of(at))? else { return Ok(None) };
        let share = KeyShare::from_bytes(&bytes);
        share.map(Some).map_err(|error| Failure::because("cannot read the key share", error))
    }

    /// Store it and read it back.
    ///
    /// # Errors
    ///
    /// If the disk refuses or gives back something else.
    pub fn store_share_of(&self, at: (u32, u32), share: &KeyShare) -> Outcome<KeyShare> {
        self.store(&share_name_of(at), &share.to_bytes())?;
        self.share_of(at)?.ok_or_else(|| Failure::because("cannot store the key share", "it is not there"))
    }

    /// Store a share and read it back.
    ///
    /// # Errors
    ///
    /// If the disk refuses or gives back something else.
    pub fn store_share(&self, epoch: u32, share: &KeyShare) -> Outcome<KeyShare> {
        self.store(&share_name(epoch), &share.to_bytes())?;
        self.share(epoch)?.ok_or_else(|| Failure::because("cannot store the key share", "it is not there"))
    }
}

/// The name of an epoch's share.
#[must_use]
pub fn share_name(epoch: u32) -> String {
    format!("share-{epoch}.sealed")
}

/// The name of the share of the key that was made for this epoch in this attempt: of the first key there is
/// one, of a later one each attempt has its own, since any of them may be sealed.
#[must_use]
pub fn share_name_of((epoch, attempt): (u32, u32)) -> String {
    if epoch == 1 { share_name(epoch) } else { format!("share-{epoch}-{attempt}.sealed") }
}

/// Whether `home` holds a member key.
#[must_use]
pub fn exists(home: &Home) -> bool {
    home.secret(MEMBER).exists()
}

/// Put restored secrets into `home`.
///
/// # Errors
///
/// If they are malformed, or the disk refuses.
pub fn restore(home: &Home, passphrase: &str, member: &[u8], recovery: &[u8]) -> Outcome<Keystore> {
    let fail = |error: &dyn std::fmt::Display| Failure::because("cannot restore keys", error);
    let sealing =
        SealingKey::new(passphrase.as_bytes(), Params::default(), &mut OsRng).map_err(|e| fail(&e))?;
    home::write_new(&home.secret(MEMBER), &sealing.seal("member", member, &mut OsRng))?;
    home::write_new(&home.secret(RECOVERY), &sealing.seal("recovery", recovery, &mut OsRng))?;
    Keystore::open(home, passphrase)
}
