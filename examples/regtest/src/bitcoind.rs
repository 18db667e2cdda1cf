//! A bitcoind on regtest that ends with its owner.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bitcoin::{Address, Amount, BlockHash, Script};
use serde_json::{Value, json};

use crate::{Keeper, Kept, Rpc, clock};

/// How long a node may take to answer its first call, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How often a starting node is asked.
const READY_TICK: Duration = Duration::from_millis(50);
/// How long a node may take to write its state to disk and end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Between choosing a free port and using it somebody else may take it.
const START_ATTEMPTS: u32 = 3;
/// Blocks made in one call, so that none takes long.
const BLOCKS_PER_CALL: u64 = 200;

/// How to run a [`Bitcoind`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the chain lies. A node that is started on the folder of an earlier one goes on with its chain.
    pub data_dir: PathBuf,
    /// The port for calls; a free one if none is given.
    pub rpc_port: Option<u16>,
    /// The port for peers; a free one if none is given.
    pub p2p_port: Option<u16>,
    /// More arguments, such as `-blockfilterindex=1` and `-peerblockfilters=1`.
    pub extra_args: Vec<String>,
}

impl Options {
    /// Free ports, no more arguments.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), rpc_port: None, p2p_port: None, extra_args: Vec::new() }
    }
}

/// A running node. Dropping it kills it; [`Bitcoind::stop`] is the orderly way.
#[derive(Debug)]
pub struct Bitcoind {
    kept: Kept,
    rpc: Rpc,
    p2p_port: u16,
    errors: PathBuf,
}

impl Bitcoind {
    /// Starts a node and waits until it answers.
    pub fn start(keeper: &Keeper, bitcoind: &Path, options: &Options) -> Result<Self> {
        fs::create_dir_all(&options.data_dir)
            .with_context(|| format!("cannot create {}", options.data_dir.display()))?;
        let mut attempt = 1;
        loop {
            let mut node = Self::spawn(keeper, bitcoind, options)?;
            match node.wait_ready() {
                Ok(()) => return Ok(node),
                Err(_) if attempt < START_ATTEMPTS && node.lost_its_port() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(keeper: &Keeper, bitcoind: &Path, options: &Options) -> Result<Self> {
        let [free, other] = free_ports()?;
        let rpc_port = options.rpc_port.unwrap_or(free);
        let p2p_port = options.p2p_port.unwrap_or(other);
        let cookie_file = options.data_dir.join("regtest").join(".cookie");
        // A node that was killed leaves its cookie, which would be taken for the new one's.
        if cookie_file.exists() {
            fs::remove_file(&cookie_file)?;
        }
        let errors = options.data_dir.join("bitcoind.stderr");
        let mut command = keeper.command(bitcoind);
        add_arguments(&mut command, options, rpc_port, p2p_port);
        command.stdout(Stdio::null()).stderr(File::create(&errors)?);
        let kept = Kept::spawn(command)?;
        Ok(Self { kept, rpc: Rpc::new(rpc_port, cookie_file), p2p_port, errors })
    }

    /// Waits until the node answers calls, as long as it lives.
    pub fn wait_ready(&mut self) -> Result<()> {
        let started = clock::now();
        loop {
            if let Some(status) = self.kept.try_wait()? {
                bail!("bitcoind ended while starting ({status}): {}", self.said_on_stderr());
            }
            match self.rpc("getblockchaininfo", &[]) {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > READY_LIMIT => {
                    return Err(error.context(format!("bitcoind is not ready after {READY_LIMIT:?}")));
                }
                Err(_) => thread::sleep(READY_TICK),
            }
        }
    }

    /// The address for calls, without the cookie.
    pub fn rpc_url(&self) -> String {
        self.rpc.url()
    }

    /// Where the password for calls lies.
    pub fn cookie_file(&self) -> &Path {
        self.rpc.cookie_file()
    }

    /// The port for peers on 127.0.0.1.
    pub fn p2p_port(&self) -> u16 {
        self.p2p_port
    }

    /// The running program, to freeze it for example.
    pub fn process(&mut self) -> &mut Kept {
        &mut self.kept
    }

    /// A client for this node that can be handed on.
    pub fn client(&self) -> Rpc {
        self.rpc.clone()
    }

    /// Calls `method` and returns its result.
    pub fn rpc(&self, method: &str, params: &[Value]) -> Result<Value> {
        self.rpc.call(method, params)
    }

    /// Mines `count` blocks that pay to `address`, and returns their hashes.
    pub fn generate_to(&self, address: &Address, count: u64) -> Result<Vec<BlockHash>> {
        let mut hashes = Vec::new();
        let mut left = count;
        while left > 0 {
            let now = left.min(BLOCKS_PER_CALL);
            let mined = self.rpc("generatetoaddress", &[json!(now), json!(address.to_string())])?;
            hashes.extend(serde_json::from_value::<Vec<BlockHash>>(mined)?);
            left -= now;
        }
        Ok(hashes)
    }

    /// The number of blocks after the first one.
    pub fn height(&self) -> Result<u64> {
        self.rpc("getblockcount", &[])?.as_u64().context("getblockcount does not answer a number")
    }

    /// What all unspent outputs together hold that match one of `descriptors`, such as `addr(…)`,
    /// mature or not.
    pub fn scan_balance(&self, descriptors: &[String]) -> Result<Amount> {
        let found = self.rpc("scantxoutset", &[json!("start"), json!(descriptors)])?;
        let bitcoins = found.get("total_amount").and_then(Value::as_f64);
        let bitcoins = bitcoins.context("scantxoutset does not answer an amount")?;
        Amount::from_btc(bitcoins).context("scantxoutset answers no possible amount")
    }

    /// What all unspent outputs that pay to `script` hold.
    pub fn scan_script(&self, script: &Script) -> Result<Amount> {
        self.scan_balance(&[format!("raw({})", script.to_hex_string())])
    }

    /// Asks the node to end, which it does once its state is on disk.
    pub fn stop(mut self) -> Result<()> {
        self.rpc("stop", &[])?;
        let status = self.kept.wait_for(STOP_LIMIT)?;
        let status = status.with_context(|| format!("bitcoind did not stop within {STOP_LIMIT:?}"))?;
        ensure!(status.success(), "bitcoind stopped with {status}: {}", self.said_on_stderr());
        Ok(())
    }

    fn lost_its_port(&mut self) -> bool {
        matches!(self.kept.try_wait(), Ok(Some(_))) && self.said_on_stderr().contains("Unable to bind")
    }

    fn said_on_stderr(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default().trim().to_owned()
    }
}

/// Everything on loopback; no peer is looked for, and only the cookie opens the door.
fn add_arguments(command: &mut Command, options: &Options, rpc_port: u16, p2p_port: u16) {
    command
        .args(["-regtest", "-server=1", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1"])
        .args(["-listen=1", "-listenonion=0", "-i2pacceptincoming=0", "-discover=0"])
        .args(["-dnsseed=0", "-fixedseeds=0", "-printtoconsole=0"])
        .arg(format!("-datadir={}", options.data_dir.display()))
        .arg(format!("-rpcport={rpc_port}"))
        .arg(format!("-bind=127.0.0.1:{p2p_port}"))
        .args(&options.extra_args);
}

/// Two ports that nobody listens on. Both are held until both are known, so that they differ.
fn free_ports() -> Result<[u16; 2]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free");
    let (first, second) = (listen()?, listen()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}
