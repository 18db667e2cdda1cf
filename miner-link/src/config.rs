//! Settings: flags before environment before file before default.

mod pool;

pub use pool::PoolAt;

use crate::contract::{Pairing, PairingError};
use crate::error::Error;
use crate::job::{EXTRANONCE2, EXTRANONCE2_LEAST};
use crate::share::target::Level;
use crate::stratum::limits::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS};
use crate::upstream::limits::POOLS_MAX;
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
    /// URL of the own bitcoind, such as http://127.0.0.1:8332. May be given several times, best first.
    #[arg(long, env = "MINER_LINK_BITCOIND", value_name = "URL", value_delimiter = ',')]
    pub bitcoind: Vec<String>,
    /// Cookie file of that bitcoind; as often as --bitcoind, and in the same order.
    #[arg(long, env = "MINER_LINK_COOKIE", value_name = "FILE", value_delimiter = ',')]
    pub cookie: Vec<PathBuf>,
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
    bitcoind: Option<OneOrMore<String>>,
    cookie: Option<OneOrMore<PathBuf>>,
    listen: Option<SocketAddr>,
    api: Option<SocketAddr>,
    tls: Option<TlsSettings>,
    #[serde(default)]
    pool: Vec<pool::Settings>,
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    difficulty: Option<f64>,
    extranonce2: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn all(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::More(all) => all,
        }
    }
}

/// A second address for miners, with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The address.
    pub listen: SocketAddr,
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
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
    /// The own bitcoinds, best first; at least one.
    pub bitcoinds: Vec<BitcoindAt>,
    /// For miners.
    pub listen: SocketAddr,
    /// For miners that speak TLS.
    pub tls: Option<TlsSettings>,
    /// For status.
    pub api: SocketAddr,
    /// In the order in which they are used, if the guild's policy lets pools be used at all.
    pub pools: Vec<PoolAt>,
    /// Miners at once.
    pub connections: usize,
    /// Miners at once from one address.
    pub connections_per_address: usize,
    /// The difficulty of every miner, instead of one that follows it.
    pub difficulty: Option<Level>,
    /// Bytes that a miner counts through.
    pub extranonce2: usize,
}

impl Config {
    /// Join the options with the configuration file.
    ///
    /// # Errors
    ///
    /// [`Error`] names what is missing or cannot be; its exit code is 78.
    pub fn load(options: &Options) -> Result<Self, Error> {
        let file = read_file(options)?;
        let given = |given: &[String], kept: Option<OneOrMore<String>>| match given {
            [] => kept.map(OneOrMore::all).unwrap_or_default(),
            given => given.to_vec(),
        };
        let urls = given(&options.bitcoind, file.bitcoind);
        let cookies = if options.cookie.is_empty() {
            file.cookie.map(OneOrMore::all).unwrap_or_default()
        } else {
            options.cookie.clone()
        };
        let pairing = options.pairing.clone().or(file.pairing);
        // A connection keeps its extranonces for life, so what a pool may leave counts before it is met.
        let extranonce2 = if file.pool.is_empty() { EXTRANONCE2 } else { EXTRANONCE2_LEAST };
        let config = Self {
            data_dir: options.data_dir.clone(),
            pairing: pairing.map(|code| read_pairing(&code)).transpose()?,
            bitcoinds: bitcoinds(urls, cookies)?,
            listen: options.listen.or(file.listen).unwrap_or(LISTEN),
            tls: file.tls,
            api: options.api.or(file.api).unwrap_or(API),
            pools: file.pool.into_iter().map(PoolAt::read).collect::<Result<_, _>>()?,
            connections: file.connections.unwrap_or(CONNECTIONS_MAX),
            connections_per_address: file.connections_per_address.unwrap_or(CONNECTIONS_PER_ADDRESS),
            difficulty: file.difficulty.map(level).transpose()?,
            extranonce2: file.extranonce2.unwrap_or(extranonce2),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |name, value: String, why| Err(Error::Setting { name, value, why });
        if self.bitcoinds.iter().any(|at| !at.url.starts_with("http://") || at.url.contains('@')) {
            let why = "expected http://HOST:PORT; the password comes from the cookie file";
            return bad("bitcoind", "…".to_owned(), why);
        }
        if !self.api.ip().is_loopback() {
            let why = "the status API has no password: it listens on a loopback address only";
            return bad("api", self.api.to_string(), why);
        }
        if self.pools.len() > POOLS_MAX {
            return bad("pool", self.pools.len().to_string(), "at most 8 pools");
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return bad("connections", self.connections.to_string(), "between 1 and 16384");
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections_per_address) {
            let value = self.connections_per_address.to_string();
            return bad("connections_per_address", value, "between 1 and 16384");
        }
        if ![EXTRANONCE2_LEAST, EXTRANONCE2].contains(&self.extranonce2) {
            return bad("extranonce2", self.extranonce2.to_string(), "2 or 4");
        }
        Ok(())
    }
}

fn bitcoinds(urls: Vec<String>, cookies: Vec<PathBuf>) -> Result<Vec<BitcoindAt>, Error> {
    if urls.is_empty() {
        return Err(Error::Missing("no bitcoind: give --bitcoind URL and --cookie FILE"));
    }
    if cookies.is_empty() {
        return Err(Error::Missing("no cookie of bitcoind: give --cookie FILE"));
    }
    if urls.len() != cookies.len() {
        return Err(Error::Missing("give as many --cookie FILE as --bitcoind URL, in the same order"));
    }
    Ok(urls.into_iter().zip(cookies).map(|(url, cookie)| BitcoindAt { url, cookie }).collect())
}

fn level(difficulty: f64) -> Result<Level, Error> {
    let bad = || Error::Setting {
        name: "difficulty",
        value: difficulty.to_string(),
        why: "expected a positive number; it is rounded down to a power of two",
    };
    Level::at_most(difficulty).ok_or_else(bad)
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
