//! A bitcoind on the chain that is wanted, and nobody beside it.

use crate::stratum::load::now;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bitcoin::Network;
use regtest::{Keeper, Kept, Rpc};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const TRIES: u32 = 600;
const TICK: Duration = Duration::from_millis(100);
/// Milliseconds in which a block that was handed in is the tip.
const WAIT: u32 = 10_000;

/// A running node. Dropping it ends it.
pub(crate) struct Chain {
    pub(crate) network: Network,
    pub(crate) rpc_port: u16,
    pub(crate) cookie: PathBuf,
    _kept: Kept,
    rpc: Rpc,
}

impl Chain {
    pub(crate) fn start(keeper: &Keeper, bitcoind: &Path, folder: &Path, network: Network) -> Result<Self> {
        let chain = if network == Network::Testnet4 { "testnet4" } else { "regtest" };
        std::fs::create_dir_all(folder)?;
        let rpc_port = free_port()?;
        let cookie = folder.join(chain).join(".cookie");
        let mut command = keeper.command(bitcoind);
        command
            .args([&format!("-{chain}"), "-server=1", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1"])
            .args(["-listen=0", "-connect=0", "-dnsseed=0", "-fixedseeds=0", "-printtoconsole=0"])
            .arg(format!("-datadir={}", folder.display()))
            .arg(format!("-rpcport={rpc_port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let kept = Kept::spawn(command)?;
        let rpc = Rpc::new(rpc_port, cookie.clone());
        let node = Self { network, rpc_port, cookie, _kept: kept, rpc };
        for _ in 0..TRIES {
            if node.rpc.call("getblockchaininfo", &[]).is_ok() {
                return Ok(node);
            }
            thread::sleep(TICK);
        }
        bail!("bitcoind does not answer");
    }

    /// A block that nobody was shown yet.
    pub(crate) fn block(&self) -> Result<Value> {
        let address = "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6";
        let made = self.rpc.call("generateblock", &[json!(address), json!([]), json!(false)])?;
        made.get("hex").cloned().context("a block")
    }

    /// Hand in a block. When bitcoind told those who wait for one, in nanoseconds since 1970.
    pub(crate) fn submit(&self, block: Value) -> Result<u64> {
        thread::scope(|scope| {
            let told = scope.spawn(|| self.rpc.call("waitfornewblock", &[json!(WAIT)]).map(|_tip| now()));
            thread::sleep(TICK); // until it waits
            let answer = self.rpc.call("submitblock", &[block])?;
            ensure!(answer.is_null(), "the block is refused: {answer}");
            told.join().map_err(|_| anyhow!("the waiting thread died"))?
        })
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
