//! `guild share …`: one encrypted file that the stock `age` tool opens.

mod check;

use super::say::Say;
use crate::config::Config;
use crate::core::Node;
use crate::daemon;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use crate::keystore::{self, Keystore};
use age::secrecy::SecretString;
use bitcoin::hex::{DisplayHex as _, FromHex as _};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a backup that are read at most.
const BACKUP_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Write this member's secrets to one encrypted file.
    Backup {
        /// The file to write; it must not exist.
        file: PathBuf,
        /// A file with the passphrase of the backup. Default: that of the keys.
        #[arg(long, value_name = "FILE")]
        backup_passphrase_file: Option<PathBuf>,
        /// A file with the passphrase of your keys.
        #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Prove that the share here is whole and of the guild's key. Signs nothing.
    Check {
        /// A file with the passphrase of your keys.
        #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Rebuild a lost share from your member key and the transcript of the key generation.
    Recover {
        /// The transcript, such as the file `blobs/transcript-1` of any member. Default: the one here, which
        /// a running node fetches from the others.
        #[arg(long, value_name = "FILE")]
        transcript: Option<PathBuf>,
        /// A file with the passphrase of your keys.
        #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Make a node from a backup, in an empty folder.
    Restore {
        /// The file.
        file: PathBuf,
        /// A file with the passphrase of the backup; it seals the keys too.
        #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// What a backup holds. Never a nonce, and never the journal: a restored node first asks the others what
/// it said.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    v: u32,
    epoch: u32,
    card: String,
    config: String,
    charter_hex: Option<String>,
    peers: String,
    transcript_hex: Option<String>,
    member_hex: String,
    recovery_hex: String,
    share_hex: Option<String>,
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.member_hex.zeroize();
        self.recovery_hex.zeroize();
        self.share_hex.zeroize();
    }
}

impl Share {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        match self {
            Self::Backup { file, backup_passphrase_file, passphrase_file } => {
                let config = Config::load(&home.config())?;
                let keys_file = passphrase_file.or(config.passphrase_file);
                let passphrase = keystore::passphrase(keys_file.as_deref())?;
                let keystore = Keystore::open(home, &passphrase)?;
                let outer = match &backup_passphrase_file {
                    Some(path) => keystore::passphrase(Some(path))?,
                    None => passphrase,
                };
                let backup = collect(home, &keystore)?;
                let json = Zeroizing::new(serde_json::to_vec(&backup).map_err(|error| fail(&error))?);
                home::write_new(&file, &encrypt(&json, &outer)?)?;
                let data = serde_json::json!({
                    "v": 1, "file": file.display().to_string(), "epoch": backup.epoch,
                    "share": backup.share_hex.is_some(),
                });
                let what = if backup.share_hex.is_some() {
                    "member key, recovery seed and key share"
                } else {
                    "member key and recovery seed (no key share yet: back up again after the key generation)"
                };
                say.data(&data, || format!("{what} written to {}", file.display()));
                say.hint(&format!("try it: age --decrypt {} | head -c 40", file.display()));
            }
            Self::Check { passphrase_file } => {
                let proof = check::check(home, &open_keys(home, passphrase_file)?)?;
                say.data(&proof.json(), || format!("the share is whole: {proof}"));
            }
            Self::Recover { transcript, passphrase_file } => {
                let keystore = open_keys(home, passphrase_file)?;
                let proof = check::recover(home, &keystore, transcript.as_deref())?;
                say.data(&proof.json(), || format!("the share is rebuilt: {proof}"));
                say.hint("guild start");
            }
            Self::Restore { file, passphrase_file } => {
                let passphrase = keystore::passphrase(passphrase_file.as_deref())?;
                let backup = open(&file, &passphrase)?;
                restore(home, &backup, &passphrase, passphrase_file.as_deref())?;
                let data =
                    serde_json::json!({ "v": 1, "epoch": backup.epoch, "share": backup.share_hex.is_some() });
                say.data(&data, || format!("restored into {}", home.root().display()));
                say.note("this node listens before it speaks again: it asks the others what it had said (guild status tells)");
                say.hint("guild start");
            }
        }
        Ok(())
    }
}

fn open_keys(home: &Home, passphrase_file: Option<PathBuf>) -> Outcome<Keystore> {
    let file = passphrase_file.or(Config::load(&home.config())?.passphrase_file);
    Keystore::open(home, &keystore::passphrase(file.as_deref())?)
}

fn fail(error: &dyn std::fmt::Display) -> Failure {
    Failure::because("the backup", error)
}

fn collect(home: &Home, keystore: &Keystore) -> Outcome<Backup> {
    let text = |path: &Path| home::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let hex = |path: &Path| path.exists().then(|| home::read(path)).transpose();
    let share = keystore.share(Node::EPOCH)?.map(|share| share.to_bytes().to_lower_hex_string());
    Ok(Backup {
        v: 1,
        epoch: Node::EPOCH,
        card: text(&home.card())?,
        config: text(&home.config())?,
        charter_hex: hex(&home.charter())?.map(|bytes| bytes.to_lower_hex_string()),
        peers: text(&home.peers()).unwrap_or_default(),
        transcript_hex: hex(&home.blob(Node::TRANSCRIPT_BLOB))?.map(|bytes| bytes.to_lower_hex_string()),
        member_hex: keystore.member().to_bytes().to_lower_hex_string(),
        recovery_hex: keystore.recovery_seed()?.to_lower_hex_string(),
        share_hex: share,
    })
}

fn encrypt(plain: &[u8], passphrase: &str) -> Outcome<Vec<u8>> {
    let encryptor = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.to_owned()));
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| fail(&error))?;
    writer.write_all(plain).map_err(|error| fail(&error))?;
    writer.finish().map_err(|error| fail(&error))?;
    Ok(sealed)
}

fn open(file: &Path, passphrase: &str) -> Outcome<Backup> {
    let refuse = |why: &dyn std::fmt::Display| {
        Failure::new(Code::NotAuthorised, format!("cannot open {}: {why}", file.display()))
    };
    let sealed = home::read(file)?;
    let decryptor = age::Decryptor::new(sealed.as_slice()).map_err(|error| refuse(&error))?;
    let identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    let reader = decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .map_err(|error| refuse(&error))?;
    let mut plain = Zeroizing::new(Vec::new());
    reader.take(BACKUP_MAX).read_to_end(&mut plain).map_err(|error| refuse(&error))?;
    let backup: Backup = serde_json::from_slice(&plain).map_err(|_| refuse(&"it holds no guild backup"))?;
    if backup.v != 1 || backup.epoch != Node::EPOCH {
        let epoch = backup.epoch;
        let detail =
            format!("this backup is of epoch {epoch}; this version restores epoch {} only", Node::EPOCH);
        return Err(Failure::new(Code::Refused, detail));
    }
    Ok(backup)
}

fn restore(home: &Home, backup: &Backup, passphrase: &str, passphrase_file: Option<&Path>) -> Outcome<()> {
    let bytes = |hex: &str| Vec::from_hex(hex).map(Zeroizing::new).map_err(|error| fail(&error));
    let mut config: Config = toml::from_str(&backup.config).map_err(|error| fail(&error))?;
    config.passphrase_file =
        passphrase_file.map(std::path::absolute).transpose().map_err(|error| fail(&error))?;
    // all of the file is read before any of it is written
    let (member, recovery) = (bytes(&backup.member_hex)?, bytes(&backup.recovery_hex)?);
    let charter = backup.charter_hex.as_deref().map(bytes).transpose()?;
    let transcript = backup.transcript_hex.as_deref().map(bytes).transpose()?;
    let share = backup.share_hex.as_deref().map(bytes).transpose()?;
    let share = share.map(|share| threshold::KeyShare::from_bytes(&share)).transpose();
    let share = share.map_err(|error| fail(&error))?;
    if keystore::exists(home) && !home.config().exists() {
        let root = home.root().display();
        let detail = format!(
            "{root} holds keys but no node, perhaps of a restore that was cut off; take an empty folder"
        );
        return Err(Failure::conflict(detail));
    }
    home.create()?;
    let keystore = keystore::restore(home, passphrase, &member, &recovery)?;
    home::write_new(&home.card(), backup.card.as_bytes())?;
    if let Some(charter) = &charter {
        home::write_private(&home.charter(), charter)?;
    }
    home::write_private(&home.peers(), backup.peers.as_bytes())?;
    // without its transcript a share rests until a peer gave it
    if let Some(share) = &share {
        keystore.store_share(backup.epoch, share)?;
    }
    if let Some(transcript) = &transcript {
        home::write_private(&home.blob(Node::TRANSCRIPT_BLOB), transcript)?;
    }
    drop(daemon::new_journal(home)?); // without a mark: it is not the one these keys began with
    config.save(&home.config())
}
