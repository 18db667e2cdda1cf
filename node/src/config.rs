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
    /// A file with the passphrase of the keys; asked for on the terminal without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The bitcoind that this node believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitcoind: Option<Bitcoind>,
    /// Bitcoin's own network, by compact block filters: the source where no other is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Filters>,
    /// An Electrum server. It never decides alone that something is paid: name a second source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub electrum: Option<Server>,
    /// An Esplora server. It never decides alone that something is paid: name a second source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub esplora: Option<Server>,
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

/// Where Bitcoin's own network is met.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    /// Nodes to ask, and no others, as `host:port`. Empty: the network's own are looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// How many peers must agree on each filter, 1 to 15. Default: 2, or 1 if peers are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agree: Option<u8>,
}

/// A server of somebody's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Electrum: `ssl://host:50002` or `tcp://host:50001`. Esplora: `https://host/api`.
    pub url: String,
}

/// Two sources check each other; more would only make it unclear who is believed.
const SOURCES_MAX: usize = 2;
/// Peers that may be asked to agree: what the network part takes.
const AGREE: std::ops::RangeInclusive<u8> = 1..=15;

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
        self.check_sources()
    }

    fn check_sources(&self) -> Result<(), String> {
        let named = [
            ("bitcoind", self.bitcoind.is_some()),
            ("filters", self.filters.is_some()),
            ("electrum", self.electrum.is_some()),
            ("esplora", self.esplora.is_some()),
        ];
        let named: Vec<&str> = named.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
        if named.len() > SOURCES_MAX {
            return Err(format!("{} are too many chain sources: two check each other", named.join(", ")));
        }
        let schemes = [
            ("electrum", self.electrum.as_ref().map(|server| &server.url), &["ssl://", "tcp://"][..]),
            ("esplora", self.esplora.as_ref().map(|server| &server.url), &["https://", "http://"][..]),
        ];
        for (name, url, allowed) in schemes {
            let Some(url) = url else { continue };
            if !allowed.iter().any(|scheme| url.starts_with(scheme)) {
                return Err(format!("{name}: url: '{url}' does not begin with {}", allowed.join(" or ")));
            }
        }
        let Some(filters) = &self.filters else { return Ok(()) };
        if let Some(agree) = filters.agree.filter(|agree| !AGREE.contains(agree)) {
            return Err(format!("filters: agree: {agree} is not 1 to 15"));
        }
        let port = |peer: &str| peer.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        match filters.peers.iter().find(|peer| port(peer).is_none()) {
            Some(peer) => Err(format!("filters: peers: '{peer}' is not host:port")),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "network = \"signet\"\nlisten = \"/ip4/127.0.0.1/tcp/1\"\napi = \"127.0.0.1:2\"\n";

    fn read(sources: &str) -> Result<Config, String> {
        let config: Config =
            toml::from_str(&format!("{HEAD}{sources}")).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn a_wrong_source_is_one_line_that_names_the_key() {
        for (sources, words) in [
            ("", None),
            ("[filters]", None),
            ("[filters]\npeers = [\"127.0.0.1:38333\"]", None),
            ("[electrum]\nurl = \"ssl://e:50002\"\n[esplora]\nurl = \"https://s/api\"", None),
            ("[bitcoind]\nurl = \"http://127.0.0.1:1\"\ncookie = \"c\"\n[filters]", None),
            ("[electrum]\nurl = \"e:50002\"", Some("electrum: url: 'e:50002' does not begin with ssl://")),
            ("[esplora]\nurl = \"ftp://e\"", Some("esplora: url")),
            ("[filters]\npeers = [\"here\"]", Some("'here' is not host:port")),
            ("[filters]\nagree = 0", Some("agree: 0")),
            ("[filters]\nagre = 1", Some("unknown field")),
            (
                "[filters]\n[electrum]\nurl = \"ssl://e:1\"\n[esplora]\nurl = \"https://e\"",
                Some("filters, electrum, esplora are too many"),
            ),
        ] {
            match (read(sources), words) {
                (Ok(_), None) => {}
                (Err(why), Some(words)) => assert!(why.contains(words), "{sources}: {why}"),
                (found, _) => panic!("{sources}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let config = read("passphrase_file = \"p\"\n[filters]\nagree = 3\n[electrum]\nurl = \"tcp://e:1\"");
        let text = toml::to_string(&config.unwrap()).unwrap();
        let again: Config = toml::from_str(&text).unwrap();
        assert_eq!(again.filters.unwrap().agree, Some(3));
        assert_eq!(again.electrum.unwrap().url, "tcp://e:1");
    }
}
