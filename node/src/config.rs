//! The node's configuration: `config.toml` in its data folder. Every key but the network is optional; an
//! unknown key is an error that names its line.

use crate::error::{Code, Failure, Outcome};
use bitcoin::Network;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// As it stands in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// regtest, signet, testnet4 or bitcoin. Written once, by `guild init`.
    pub network: Network,
    /// Where other members reach this node: a multiaddress such as `/ip4/10.0.0.7/tcp/9444`.
    pub listen: String,
    /// What to tell others instead of `listen`, behind a NAT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announce: Option<String>,
    /// Where the HTTP API listens. Loopback only.
    pub api: SocketAddr,
    /// The bitcoind that this node believes.
    pub bitcoind: Bitcoind,
    /// A file with the passphrase of the keys; asked for on the terminal without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
}

/// How to reach bitcoind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bitcoind {
    /// Its RPC, such as `http://127.0.0.1:8332`.
    pub url: String,
    /// Its cookie file.
    pub cookie: PathBuf,
}

impl Config {
    /// Read and check `path`.
    ///
    /// # Errors
    ///
    /// [`Code::BadConfig`] names the file, the line and what is wrong.
    pub fn load(path: &Path) -> Outcome<Self> {
        let bad = |why: String| Failure::new(Code::BadConfig, format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let config: Self =
            toml::from_str(&text).map_err(|error| bad(error.to_string().trim().replace('\n', " ")))?;
        config.check().map_err(bad)?;
        Ok(config)
    }

    /// Check what the types do not.
    ///
    /// # Errors
    ///
    /// One line that names the key.
    pub fn check(&self) -> Result<(), String> {
        if !self.api.ip().is_loopback() {
            return Err(format!("api: {} is not a loopback address", self.api));
        }
        for (key, address) in [("listen", Some(&self.listen)), ("announce", self.announce.as_ref())] {
            let Some(address) = address else { continue };
            if let Err(error) = address.parse::<libp2p::Multiaddr>() {
                return Err(format!("{key}: '{address}' is not a multiaddress: {error}"));
            }
        }
        Ok(())
    }

    /// Write it to `path`.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn save(&self, path: &Path) -> Outcome<()> {
        let text =
            toml::to_string(self).map_err(|error| Failure::because("cannot write the config", error))?;
        std::fs::write(path, text)
            .map_err(|error| Failure::because(format_args!("cannot write {}", path.display()), error))
    }
}
