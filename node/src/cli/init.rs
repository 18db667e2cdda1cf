//! `guild init`.

use super::say::Say;
use crate::card::MemberCard;
use crate::config::{Bitcoind, Config, Filters, Server};
use crate::daemon;
use crate::error::{Failure, Outcome};
use crate::home::{self, Home};
use crate::keystore;
use bitcoin::{Address, Network};
use clap::Args;
use crdt::text::Line;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::str::FromStr as _;

/// Make keys and print the member card that founders ask for.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// regtest, signet, testnet4 or mainnet. There is no default.
    #[arg(long, value_parser = parse_network)]
    network: Network,
    /// What the others will call you.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    chain: Chain,
    /// Where other members reach this node. Port 0 picks a free port, once.
    #[arg(long, default_value = "/ip4/127.0.0.1/tcp/0", value_name = "MULTIADDR")]
    listen: String,
    /// What to tell others instead, behind a NAT.
    #[arg(long, value_name = "MULTIADDR")]
    announce: Option<String>,
    /// Where the HTTP API listens, on loopback. Port 0 picks a free port, once.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    api: SocketAddr,
    /// Your address for distributions. Default: the first of your recovery seed (BIP84).
    #[arg(long, value_name = "ADDRESS")]
    payout: Option<String>,
    /// A file with the passphrase that seals your keys. Asked for without.
    #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Needed for mainnet: this software is young.
    #[arg(long)]
    accept_experimental: bool,
}

/// Where the chain comes from. One or two of these; without any, Bitcoin's own network by block filters.
#[derive(Debug, Args)]
struct Chain {
    /// The RPC of your bitcoind.
    #[arg(long, value_name = "URL", requires = "cookie")]
    bitcoind: Option<String>,
    /// Its cookie file.
    #[arg(long, value_name = "FILE", requires = "bitcoind")]
    cookie: Option<PathBuf>,
    /// Bitcoin's own network, by compact block filters.
    #[arg(long)]
    filters: bool,
    /// A node to ask for block filters, and no others; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    peer: Vec<String>,
    /// An Electrum server. Needs a second source before money moves.
    #[arg(long, value_name = "ssl://HOST:PORT")]
    electrum: Option<String>,
    /// An Esplora server. Needs a second source before money moves.
    #[arg(long, value_name = "https://HOST/api")]
    esplora: Option<String>,
}

impl Chain {
    fn bitcoind(&self) -> Outcome<Option<Bitcoind>> {
        let (Some(url), Some(cookie)) = (&self.bitcoind, &self.cookie) else { return Ok(None) };
        let cookie = std::path::absolute(cookie).map_err(|error| Failure::because("--cookie", error))?;
        Ok(Some(Bitcoind { url: url.clone(), cookie }))
    }

    fn filters(&self) -> Option<Filters> {
        let named = self.filters || !self.peer.is_empty();
        named.then(|| Filters { peers: self.peer.clone(), agree: None })
    }
}

/// The names people use, and those of bitcoin's own.
fn parse_network(text: &str) -> Result<Network, String> {
    match text {
        "mainnet" | "main" | "bitcoin" => Ok(Network::Bitcoin),
        "testnet4" => Ok(Network::Testnet4),
        "signet" => Ok(Network::Signet),
        "regtest" => Ok(Network::Regtest),
        _ => Err("one of regtest, signet, testnet4, mainnet is needed".to_owned()),
    }
}

impl Init {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        if self.network == Network::Bitcoin && !self.accept_experimental {
            let why = "this software is experimental: on mainnet, say --accept-experimental as well";
            return Err(Failure::new(crate::error::Code::Refused, why));
        }
        let name =
            Line::try_from(self.name.clone()).map_err(|error| Failure::usage(format!("--name: {error}")))?;
        let payout = self.payout.as_deref().map(|text| self.parse_payout(text)).transpose()?;
        let config = self.config()?;
        let passphrase = keystore::passphrase(self.passphrase_file.as_deref())?;
        home.create()?;
        let public = keystore::create(home, self.network, &passphrase)?;
        drop(daemon::new_journal(home)?);
        daemon::mark_journal(home)?;
        let card = MemberCard {
            network: self.network,
            key: public.key,
            name,
            payout: payout.unwrap_or(public.payout).script_pubkey(),
            recovery: public.recovery,
        };
        home::write_new(&home.card(), card.to_string().as_bytes())?;
        config.save(&home.config())?; // last: a folder with a config is complete
        let data = serde_json::json!({
            "v": 1, "card": card.to_string(), "member_key": card.key.to_string(),
            "network": self.network.to_string(), "api": config.api.to_string(), "listen": config.listen,
        });
        say.data(&data, || card.to_string());
        say.hint("give that card to the one who founds the guild, or found it: guild found CARD…");
        Ok(())
    }

    fn parse_payout(&self, text: &str) -> Outcome<Address> {
        let refuse = |why: &dyn std::fmt::Display| Failure::usage(format!("--payout '{text}': {why}"));
        let address = Address::from_str(text).map_err(|error| refuse(&error))?;
        let network = self.network;
        address.require_network(network).map_err(|_| refuse(&format_args!("not an address of {network}")))
    }

    fn config(&self) -> Outcome<Config> {
        let passphrase_file = self.passphrase_file.as_ref().map(std::path::absolute).transpose();
        let config = Config {
            network: self.network,
            listen: fixed_port(&self.listen)?,
            announce: self.announce.clone(),
            api: SocketAddr::new(self.api.ip(), free_port(self.api)?),
            bitcoind: self.chain.bitcoind()?,
            filters: self.chain.filters(),
            electrum: self.chain.electrum.clone().map(|url| Server { url }),
            esplora: self.chain.esplora.clone().map(|url| Server { url }),
            passphrase_file: passphrase_file.map_err(|error| Failure::because("--passphrase-file", error))?,
        };
        config.check().map_err(Failure::usage)?;
        Ok(config)
    }
}

fn free_port(address: SocketAddr) -> Outcome<u16> {
    if address.port() != 0 {
        return Ok(address.port());
    }
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| Failure::because(format_args!("{address}"), error))
}

/// The multiaddress with a port that stays: others are told it.
fn fixed_port(text: &str) -> Outcome<String> {
    let refuse = |why: &str| Failure::usage(format!("--listen '{text}': {why}"));
    let address: Multiaddr =
        text.parse().map_err(|_| refuse("not a multiaddress such as /ip4/10.0.0.7/tcp/9444"))?;
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    match parts.as_slice() {
        [Protocol::Ip4(ip), Protocol::Tcp(port)] => {
            Ok(format!("/ip4/{ip}/tcp/{}", free_port(SocketAddr::new((*ip).into(), *port))?))
        }
        [Protocol::Ip6(ip), Protocol::Tcp(port)] => {
            Ok(format!("/ip6/{ip}/tcp/{}", free_port(SocketAddr::new((*ip).into(), *port))?))
        }
        _ => Err(refuse("an IP address and a TCP port are needed")),
    }
}
