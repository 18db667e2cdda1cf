//! Settings: flags before environment before file before default.

use crate::contract::{Pairing, PairingError};
use crate::error::Error;
use serde::Deserialize;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The configuration file that is read when none is named.
const FILE_NAME: &str = "miner-link.toml";
/// Where miners connect unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3333);
/// Where the status API listens unless told otherwise: any free port, written to `addresses.json`.
const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The settings of `miner-link run` and `miner-link check`. Flags come before the environment, the
/// environment before the configuration file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Folder for everything this link keeps: key, pairing, policy, found blocks.
    #[arg(long, env = "MINER_LINK_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Configuration file [default: miner-link.toml in the data folder, if there is one].
    #[arg(long, env = "MINER_LINK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Pairing code that `guild mining pair` printed, or @FILE that holds it. Needed once.
    #[arg(long, env = "MINER_LINK_PAIRING", value_name = "CODE", hide_env_values = true)]
    pub pairing: Option<String>,
    /// URL of the own bitcoind, such as http://127.0.0.1:8332.
    #[arg(long, env = "MINER_LINK_BITCOIND", value_name = "URL")]
    pub bitcoind: Option<String>,
    /// Cookie file of that bitcoind.
    #[arg(long, env = "MINER_LINK_COOKIE", value_name = "FILE")]
    pub cookie: Option<PathBuf>,
    /// Address for miners [default: 127.0.0.1:3333].
    #[arg(long, env = "MINER_LINK_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Loopback address of the status API [default: 127.0.0.1:0].
    #[arg(long, env = "MINER_LINK_API", value_name = "ADDRESS")]
    pub api: Option<SocketAddr>,
}

/// What the configuration file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    pairing: Option<String>,
    bitcoind: Option<String>,
    cookie: Option<PathBuf>,
    listen: Option<SocketAddr>,
    api: Option<SocketAddr>,
}

/// Where bitcoind answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitcoindAt {
    /// Its URL.
    pub url: String,
    /// Where its password for this run lies.
    pub cookie: PathBuf,
}

/// Valid settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Everything this link keeps.
    pub data_dir: PathBuf,
    /// The pairing that was given now, if one was.
    pub pairing: Option<Pairing>,
    /// The own bitcoind.
    pub bitcoind: BitcoindAt,
    /// For miners.
    pub listen: SocketAddr,
    /// For status.
    pub api: SocketAddr,
}

impl Config {
    /// Join the options with the configuration file.
    ///
    /// # Errors
    ///
    /// [`Error`] names what is missing or cannot be; its exit code is 78.
    pub fn load(options: &Options) -> Result<Self, Error> {
        let file = read_file(options)?;
        let url = options.bitcoind.clone().or(file.bitcoind);
        let url = url.ok_or(Error::Missing("no bitcoind: give --bitcoind URL and --cookie FILE"))?;
        let cookie = options.cookie.clone().or(file.cookie);
        let cookie = cookie.ok_or(Error::Missing("no cookie of bitcoind: give --cookie FILE"))?;
        let pairing = options.pairing.clone().or(file.pairing);
        let config = Self {
            data_dir: options.data_dir.clone(),
            pairing: pairing.map(|code| read_pairing(&code)).transpose()?,
            bitcoind: BitcoindAt { url, cookie },
            listen: options.listen.or(file.listen).unwrap_or(LISTEN),
            api: options.api.or(file.api).unwrap_or(API),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |name, value: String, why| Err(Error::Setting { name, value, why });
        if !self.bitcoind.url.starts_with("http://") || self.bitcoind.url.contains('@') {
            let why = "expected http://HOST:PORT; the password comes from the cookie file";
            return bad("bitcoind", "…".to_owned(), why);
        }
        if !self.api.ip().is_loopback() {
            let why = "the status API has no password: it listens on a loopback address only";
            return bad("api", self.api.to_string(), why);
        }
        Ok(())
    }
}

fn read_file(options: &Options) -> Result<FileSettings, Error> {
    let path = options.config.clone().unwrap_or_else(|| options.data_dir.join(FILE_NAME));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.config.is_none() => String::new(),
        Err(_) if options.config.is_some() => {
            let value = path.display().to_string();
            return Err(Error::Setting { name: "config", value, why: "this file cannot be read" });
        }
        Err(source) => return Err(Error::File { path, source }),
    };
    toml::from_str(&text).map_err(|source| Error::ConfigFile { path, source: Box::new(source) })
}

/// A code, or `@FILE` with one.
fn read_pairing(code: &str) -> Result<Pairing, PairingError> {
    match code.strip_prefix('@') {
        None => code.parse(),
        Some(path) => fs::read_to_string(Path::new(path)).map_err(|_| PairingError::Text)?.parse(),
    }
}
