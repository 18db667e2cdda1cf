//! What stops the program, and the exit code it stops with.

use crate::contract::PairingError;
use crdt::GuildId;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What stops the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder that cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of our own with something else in it.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A configuration file that does not say what is understood here.
    #[error("{}: {source}", path.display())]
    ConfigFile {
        /// Which.
        path: PathBuf,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// A setting that is missing.
    #[error("{0}")]
    Missing(&'static str),
    /// A setting that cannot be.
    #[error("{name} = '{value}': {why}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// Why not.
        why: &'static str,
    },
    /// No pairing code.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// A code of another guild than the one this folder serves.
    #[error("this folder serves guild {held}, and the pairing code is of {given}: use another --data-dir")]
    OtherGuild {
        /// Whose folder it is.
        held: GuildId,
        /// Whose code it is.
        given: GuildId,
    },
    /// A code with another key for the same epoch.
    #[error("the pairing code pins another key for epoch {0} than the one this folder was paired with")]
    OtherKey(u32),
    /// A second start.
    #[error("another miner-link runs on this folder (pid {0})")]
    Running(String),
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody to ask.
    #[error("no miner-link runs on {}", .0.display())]
    NotRunning(PathBuf),
    /// Somebody did not answer, or not in a usable way.
    #[error("{what} is not reachable: {why}")]
    Unreachable {
        /// Who.
        what: String,
        /// Why not.
        why: String,
    },
    /// The system refused randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

impl Error {
    /// The program's exit code, as `miner-link help` lists them.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::ConfigFile { .. } | Self::Missing(_) | Self::Setting { .. } | Self::Pairing(_) => 78,
            Self::OtherGuild { .. } | Self::OtherKey(_) | Self::Running(_) => 6,
            Self::NotRunning(_) | Self::Unreachable { .. } => 69,
            Self::File { .. } | Self::Damaged { .. } | Self::Listen { .. } | Self::Random(_) => 1,
        }
    }

    /// For `map_err` after an operation on `path`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
