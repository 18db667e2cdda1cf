//! The processes of a guild, each with its own data folder under one root, each owned by a keeper: none
//! survives this program, however it ends.

use crate::build::Programs;
use crate::narrate::Narrator;
use anyhow::{Context as _, Result, anyhow, bail};
use bitcoin::{Address, Network};
use regtest::{Bitcoind, Keeper, Kept, Options};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr as _;
use std::time::Duration;

/// The members, in the order of their seats.
pub const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// Passphrase of every demo node: there is nothing to protect on regtest.
const PASSPHRASE: &str = "a passphrase for a demo on regtest\n";
/// How long a daemon may take until its API answers.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running guild.
#[derive(Debug)]
pub struct Guild {
    programs: Programs,
    keeper: Keeper,
    root: PathBuf,
    /// The chain.
    pub bitcoind: Bitcoind,
    nodes: BTreeMap<&'static str, Kept>,
    farm: Option<Kept>,
}

/// What a command of a node answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code.
    pub exit: i32,
    /// The JSON object on its stdout.
    pub json: Value,
    /// Its last line on stderr.
    pub message: String,
}

impl Guild {
    /// Start bitcoind below `root`.
    ///
    /// # Errors
    ///
    /// If it cannot be provided or does not start.
    pub fn new(root: &Path, programs: Programs, narrator: &Narrator) -> Result<Self> {
        let progress = |line: &str| narrator.detail(line);
        let binaries = regtest::provide(&regtest::Provide { install: true, progress: &progress })?;
        let keeper = Keeper::at(programs.path("keeper"));
        fs::create_dir_all(root.join("logs"))?;
        fs::write(root.join("passphrase"), PASSPHRASE)?;
        let port_file = root.join("bitcoind.port");
        let known = fs::read_to_string(&port_file).ok().and_then(|port| port.trim().parse().ok());
        let mut options = Options::new(root.join("bitcoind"));
        options.rpc_port = known; // the nodes' configurations name it
        let bitcoind = Bitcoind::start(&keeper, &binaries.bitcoind, &options)?;
        let port = bitcoind.rpc_url().rsplit(':').next().unwrap_or_default().trim_end_matches('/').to_owned();
        fs::write(port_file, port)?;
        Ok(Self { programs, keeper, root: root.to_owned(), bitcoind, nodes: BTreeMap::new(), farm: None })
    }

    /// The data folder of a member.
    #[must_use]
    pub fn home(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where a process writes its log.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// `guild ARGS --data-dir HOME`, as a person would type it.
    #[must_use]
    pub fn command_line(&self, name: &str, args: &str) -> String {
        let program = self.programs.path("guild");
        format!("{} {args} --data-dir {}", program.display(), self.home(name).display())
    }

    /// Run a command of a member's node and read its JSON.
    ///
    /// # Errors
    ///
    /// If it cannot be run or prints no JSON.
    pub fn run(&self, name: &str, args: &[&str]) -> Result<Answer> {
        let mut command = Command::new(self.programs.path("guild"));
        command.args(args).arg("--json").arg("--data-dir").arg(self.home(name));
        command.env("GUILD_PASSPHRASE_FILE", self.root.join("passphrase"));
        let output = command.output().context("guild")?;
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let text = String::from_utf8_lossy(&output.stdout);
        let json = text.lines().next().and_then(|line| serde_json::from_str(line).ok());
        let json = json.ok_or_else(|| anyhow!("guild {} printed no JSON: {message}", args.join(" ")))?;
        let exit = output.status.code().unwrap_or(-1);
        Ok(Answer { exit, json, message })
    }

    /// Run a command that must succeed.
    ///
    /// # Errors
    ///
    /// With the command's own words if it does not.
    pub fn ok(&self, name: &str, args: &[&str]) -> Result<Value> {
        let answer = self.run(name, args)?;
        if answer.exit != 0 {
            bail!("{name}: guild {} failed with {}: {}", args.join(" "), answer.exit, answer.message);
        }
        Ok(answer.json)
    }

    /// Make the keys of a member.
    ///
    /// # Errors
    ///
    /// If the command fails.
    pub fn init(&self, name: &str) -> Result<Value> {
        let (url, cookie) = (self.bitcoind.rpc_url(), self.bitcoind.cookie_file().display().to_string());
        self.ok(
            name,
            &["init", "--network", "regtest", "--name", name, "--bitcoind", &url, "--cookie", &cookie],
        )
    }

    /// Start a member's daemon and wait until it answers.
    ///
    /// # Errors
    ///
    /// If it ends instead; its log is named.
    pub fn start(&mut self, name: &'static str, narrator: &Narrator) -> Result<()> {
        let mut command = self.keeper.command(self.programs.path("guild"));
        command.arg("start").arg("--data-dir").arg(self.home(name));
        command.env("GUILD_PASSPHRASE_FILE", self.root.join("passphrase"));
        self.redirect(&mut command, name)?;
        drop(fs::remove_file(self.home(name).join("cookie"))); // a killed daemon leaves its own
        self.nodes.insert(name, Kept::spawn(command)?);
        narrator.wait(START_LIMIT, &format!("{name}'s daemon"), || {
            self.alive(name)?;
            Ok(match self.run(name, &["status"]) {
                Ok(answer) if answer.exit == 0 => Ok(()),
                Ok(answer) => Err(answer.message),
                Err(error) => Err(error.to_string()),
            })
        })
    }

    fn redirect(&self, command: &mut Command, name: &str) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log(name))?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(())
    }

    fn alive(&mut self, name: &'static str) -> Result<()> {
        let ended = match self.nodes.get_mut(name) {
            Some(node) => node.try_wait()?,
            None => bail!("{name} does not run"),
        };
        match ended {
            Some(status) => bail!("{name}'s daemon ended with {status}; see {}", self.log(name).display()),
            None => Ok(()),
        }
    }

    /// Stop a member's process without ending it (SIGSTOP).
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn pause(&mut self, name: &str) -> Result<()> {
        self.nodes.get_mut(name).context("not running")?.pause()
    }

    /// Ask a member's process to end (SIGTERM), and wait until it has.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not end.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        let mut node = self.nodes.remove(name).context("not running")?;
        node.terminate()?;
        node.wait_for(regtest::keeper::GRACE)?.with_context(|| format!("{name}'s daemon does not end"))?;
        Ok(())
    }

    /// Kill a member's process (SIGKILL).
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let mut node = self.nodes.remove(name).context("not running")?;
        node.kill()?;
        Ok(())
    }

    /// Start the farm of a member: a miner-link, paired with its node.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn start_farm(&mut self, member: &str, narrator: &Narrator) -> Result<String> {
        let folder = self.home("farm");
        let mut command = self.keeper.command(self.programs.path("miner-link"));
        command.arg("run").arg("--data-dir").arg(&folder);
        command.arg("--bitcoind").arg(self.bitcoind.rpc_url());
        command.arg("--cookie").arg(self.bitcoind.cookie_file()).args(["--listen", "127.0.0.1:0"]);
        if !folder.join("pairing").exists() {
            let pairing = text(&self.ok(member, &["mining", "pair"])?, "pairing")?;
            command.arg("--pairing").arg(pairing);
        }
        let addresses = folder.join("addresses.json");
        drop(fs::remove_file(&addresses));
        self.redirect(&mut command, "farm")?;
        let mut farm = Kept::spawn(command)?;
        let log = self.log("farm");
        let stratum = narrator.wait(START_LIMIT, "the farm's Stratum server", || {
            if let Some(status) = farm.try_wait()? {
                bail!("miner-link ended with {status}; see {}", log.display());
            }
            let read =
                fs::read(&addresses).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            Ok(read.and_then(|json| text(&json, "stratum").ok()).ok_or_else(|| "not listening".to_owned()))
        })?;
        self.farm = Some(farm);
        Ok(stratum)
    }

    /// What the farm says of itself.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub fn farm_status(&self) -> Result<Value> {
        let mut command = Command::new(self.programs.path("miner-link"));
        let output = command.args(["status", "--json", "--data-dir"]).arg(self.home("farm")).output()?;
        serde_json::from_slice(&output.stdout).context("miner-link status")
    }

    /// `miner-link ARGS --data-dir FARM`, as a person would type it.
    #[must_use]
    pub fn farm_command_line(&self, args: &str) -> String {
        let program = self.programs.path("miner-link");
        format!("{} {args} --data-dir {}", program.display(), self.home("farm").display())
    }

    /// Let the software miner find `blocks` blocks at `stratum`.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn mine(&self, stratum: &str, user: &str, blocks: u64) -> Result<()> {
        let mut command = self.keeper.command(self.programs.path("software-miner"));
        command.args(["--url", stratum, "--user", user, "--blocks", &blocks.to_string()]);
        self.redirect(&mut command, "software-miner")?;
        let mut miner = Kept::spawn(command)?;
        match miner.wait_for(Duration::from_secs(60))? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                bail!("the miner ended with {status}; see {}", self.log("software-miner").display())
            }
            None => bail!("the miner found no block in 60 s; see {}", self.log("software-miner").display()),
        }
    }

    /// Mine blocks that pay somebody outside the guild.
    ///
    /// # Errors
    ///
    /// If bitcoind refuses.
    pub fn bury(&self, blocks: u64) -> Result<()> {
        self.bitcoind.generate_to(&outsider(b"miner")?, blocks).map(drop)
    }
}

/// Everybody is asked to end, bitcoind last and with time to write down its blocks: who runs the story with
/// `--keep` wants to go on. What does not end is killed by its keeper.
impl Drop for Guild {
    fn drop(&mut self) {
        let farm = self.farm.take();
        for mut process in std::mem::take(&mut self.nodes).into_values().chain(farm) {
            drop(process.terminate());
            drop(process.wait_for(regtest::keeper::GRACE));
        }
        let bitcoind = self.bitcoind.process();
        drop(bitcoind.terminate());
        drop(bitcoind.wait_for(regtest::keeper::GRACE));
    }
}

/// An address outside the guild, different for each name.
///
/// # Errors
///
/// Never.
pub fn outsider(name: &[u8]) -> Result<Address> {
    let script = bitcoin::script::Builder::new().push_slice(<&bitcoin::script::PushBytes>::try_from(name)?);
    Ok(Address::p2wsh(&script.into_script(), Network::Regtest))
}

/// A string field of an answer.
///
/// # Errors
///
/// Names the field that is not there.
pub fn text(json: &Value, field: &str) -> Result<String> {
    let value = json.get(field).and_then(Value::as_str);
    value.map(str::to_owned).with_context(|| format!("no '{field}' in {json}"))
}

/// A number field of an answer.
///
/// # Errors
///
/// Names the field that is not there.
pub fn number(json: &Value, field: &str) -> Result<u64> {
    json.get(field).and_then(Value::as_u64).with_context(|| format!("no '{field}' in {json}"))
}

/// A regtest address from an answer.
///
/// # Errors
///
/// If it is none.
pub fn address(json: &Value, field: &str) -> Result<Address> {
    Ok(Address::from_str(&text(json, field)?)?.require_network(Network::Regtest)?)
}
