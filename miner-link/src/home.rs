//! The folder of a link: its lock, its key, its pairing, the policy it obeys.
//!
//! Every file is replaced as a whole and synced before anything that depends on it happens.

use crate::contract::{Addresses, Pairing};
use crate::error::Error;
use crate::policy::Held;
use bitcoin::Target;
use ed25519_dalek::SigningKey;
use hex::{DisplayHex as _, FromHex as _};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is written down for the node's and the guild's sake, and nobody else's.
const PRIVATE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// A link's folder. While it lives, no other process uses the folder.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Take the folder, making it if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Running`] when another process has it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(dir).map_err(Error::file(dir))?;
        let lock = take_lock(&dir.join("lock"))?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// This link's own key. The first call makes it.
    ///
    /// # Errors
    ///
    /// When it cannot be read or made.
    pub fn link_key(&self) -> Result<SigningKey, Error> {
        let path = self.dir.join("link.key");
        if let Some(text) = read(&path)? {
            let damaged = |_| Error::Damaged { path: path.clone(), what: "not a key".to_owned() };
            return <[u8; 32]>::from_hex(text.trim())
                .map(|seed| SigningKey::from_bytes(&seed))
                .map_err(damaged);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        replace(&path, seed.to_lower_hex_string().as_bytes())?;
        Ok(SigningKey::from_bytes(&seed))
    }

    /// The pairing to use: the `given` one, which is kept from now on, or the kept one.
    ///
    /// # Errors
    ///
    /// When there is none, or when the given one is of another guild or has another key for the epoch
    /// of the kept one.
    pub fn pairing(&self, given: Option<Pairing>) -> Result<Pairing, Error> {
        let path = self.dir.join("pairing");
        let kept: Option<Pairing> = read(&path)?.map(|code| code.parse()).transpose()?;
        let (given, kept) = match (given, kept) {
            (None, None) => return Err(Error::Missing("not paired yet: give --pairing CODE")),
            (None, Some(kept)) => return Ok(kept),
            (Some(given), None) => return replace(&path, given.to_string().as_bytes()).map(|()| given),
            (Some(given), Some(kept)) => (given, kept),
        };
        if given.guild != kept.guild {
            return Err(Error::OtherGuild { held: kept.guild, given: given.guild });
        }
        if given.epoch == kept.epoch && given.group_key != kept.group_key {
            return Err(Error::OtherKey(given.epoch));
        }
        replace(&path, given.to_string().as_bytes())?;
        Ok(given)
    }

    /// The policy last obeyed. Not yet verified: see [`crate::policy::recall`].
    ///
    /// # Errors
    ///
    /// When the file is there but cannot be read: a link never goes back to an older policy, so it does
    /// not start without knowing which one it held.
    pub fn held(&self) -> Result<Option<Held>, Error> {
        let path = self.dir.join("policy.json");
        let Some(text) = read(&path)? else { return Ok(None) };
        let damaged =
            |error: serde_json::Error| Error::Damaged { path: path.clone(), what: error.to_string() };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Keep the policy that is obeyed from now on. Durable when this returns.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn hold(&self, held: &Held) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(held).expect("plain data always encodes");
        replace(&self.dir.join("policy.json"), &bytes)
    }

    /// The best hash that a miner of this link ever submitted. It is worth pride and no money: what cannot
    /// be read is begun anew.
    #[must_use]
    pub fn best(&self) -> Option<Target> {
        let text = fs::read_to_string(self.dir.join("best-share")).ok()?;
        <[u8; 32]>::from_hex(text.trim()).ok().map(Target::from_be_bytes)
    }

    /// Keep the best hash.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn keep_best(&self, best: Target) -> Result<(), Error> {
        replace(&self.dir.join("best-share"), best.to_be_bytes().to_lower_hex_string().as_bytes())
    }

    /// Tell tools where this process listens.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn announce(&self, addresses: &Addresses) -> Result<(), Error> {
        let bytes = serde_json::to_vec(addresses).expect("plain data always encodes");
        replace(&self.dir.join("addresses.json"), &bytes)
    }

    /// Where found blocks, or receipts, wait until somebody took them.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn dir_of(&self, what: &str) -> Result<PathBuf, Error> {
        let dir = self.dir.join(what);
        DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(&dir).map_err(Error::file(&dir))?;
        Ok(dir)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Whoever asks after a stopped link is told so, instead of knocking at a stranger's port.
        let _gone = fs::remove_file(self.dir.join("addresses.json"));
    }
}

/// Where the link that runs on `dir` listens.
///
/// # Errors
///
/// [`Error::NotRunning`] when none runs there.
pub fn addresses(dir: &Path) -> Result<Addresses, Error> {
    let text = read(&dir.join("addresses.json"))?.ok_or_else(|| Error::NotRunning(dir.to_owned()))?;
    serde_json::from_str(&text).map_err(|_| Error::NotRunning(dir.to_owned()))
}

/// The pairing that `dir` was given earlier.
///
/// # Errors
///
/// [`Error::Missing`] when it was given none.
pub fn paired(dir: &Path) -> Result<Pairing, Error> {
    let code = read(&dir.join("pairing"))?.ok_or(Error::Missing("not paired yet: give --pairing CODE"))?;
    Ok(code.parse()?)
}

fn take_lock(path: &Path) -> Result<File, Error> {
    let open =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(path);
    let mut file = open.map_err(Error::file(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unknown = file.read_to_string(&mut holder);
            return Err(Error::Running(holder.trim().to_owned()));
        }
        Err(TryLockError::Error(source)) => return Err(Error::file(path)(source)),
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(Error::file(path))?;
    Ok(file)
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path)(error)),
    }
}

/// Replace the file at `path` by `bytes`, so that after a crash it has either the old or the new.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let write = || {
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create(true).truncate(true).mode(PRIVATE).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(Error::file(path))
}
