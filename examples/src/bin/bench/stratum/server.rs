//! A link as a farm runs it, on a folder that was prepared for it.

use anyhow::Result;
use bitcoin::Network;
use miner_link::config::{Config, Options};
use miner_link::contract::Pairing;
use miner_link::policy::judge;
use miner_link::testkit::Guild;
use std::fs;
use std::path::{Path, PathBuf};

/// Run the link of `folder` until killed.
pub(crate) fn act(folder: &str) -> Result<()> {
    let options = Options { data_dir: PathBuf::from(folder), ..Options::default() };
    miner_link::run::run(Config::load(&options)?, |_| {})?;
    Ok(())
}

/// What a link's folder says.
pub(crate) struct Settings<'a> {
    pub(crate) network: Network,
    pub(crate) rpc_port: u16,
    pub(crate) cookie: &'a Path,
    pub(crate) listen: u16,
    /// One difficulty for all, so that no miner outgrows its share of the load.
    pub(crate) difficulty: &'a str,
    /// Ports of pools on this machine, best first. With any, the policy is one of pools.
    pub(crate) pools: &'a [u16],
}

/// Write a link's folder: settings, pairing, and a policy that was obeyed before. No node is needed.
pub(crate) fn prepare(folder: &Path, settings: &Settings<'_>) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut guild = Guild::new(7);
    guild.charter.network = settings.network;
    let guild = if settings.pools.is_empty() { guild } else { guild.with_pools() };
    let pairing = Pairing { node_url: "http://127.0.0.1:1".to_owned(), ..guild.pairing() };
    let (_, held) = judge(&pairing, &guild.founding(), None)?;
    fs::write(folder.join("policy.json"), serde_json::to_vec(&held)?)?;
    let Settings { rpc_port, cookie, listen, difficulty, .. } = settings;
    let mut text = format!(
        "pairing = \"{pairing}\"\nbitcoind = \"http://127.0.0.1:{rpc_port}\"\ncookie = {cookie:?}\n\
         listen = \"127.0.0.1:{listen}\"\nconnections_per_address = 16384\ndifficulty = {difficulty}\n"
    );
    for port in settings.pools {
        text += &format!("[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"farm.link\"\n");
    }
    fs::write(folder.join("miner-link.toml"), text)?;
    Ok(())
}
