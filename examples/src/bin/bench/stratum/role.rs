//! The parts that this program plays in processes of their own.

use crate::stratum::{bare, load, server, siege};
use anyhow::{Context as _, Result, bail};
use regtest::{Keeper, Kept};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::ChildStdout;

/// Says which part a process plays.
const ROLE: &str = "HASHGUILD_BENCH_ROLE";
/// Says on what it acts.
const ARGUMENT: &str = "HASHGUILD_BENCH_ARGUMENT";

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A link, on a folder.
    Server,
    /// The loop that only reads, hashes and answers.
    Bare,
    /// The miners of an address.
    Load,
    /// Strangers at an address.
    Siege,
}

const ROLES: [(Role, &str); 4] =
    [(Role::Server, "server"), (Role::Bare, "bare"), (Role::Load, "load"), (Role::Siege, "siege")];

/// The part of this process, if it was started for one.
pub(crate) fn mine() -> Option<Role> {
    let name = env::var(ROLE).ok()?;
    ROLES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
}

impl Role {
    /// Play it until the end.
    pub(crate) fn act(self) -> Result<()> {
        let argument = env::var(ARGUMENT).context("no argument")?;
        // What is measured has one core, and what measures has the other.
        let core = usize::from(matches!(self, Self::Load | Self::Siege));
        let mut cores = CpuSet::new();
        cores.set(core);
        // On a machine with one core there is nothing to choose.
        let _one_core = sched_setaffinity(None, &cores);
        match self {
            Self::Server => server::act(&argument),
            Self::Bare => bare::act(),
            Self::Load => load::act(&argument),
            Self::Siege => siege::act(&argument),
        }
    }

    /// Start a process that plays it.
    pub(crate) fn start(self, keeper: &Keeper, argument: &str) -> Result<Child> {
        let (_, name) = ROLES.iter().find(|(role, _)| *role == self).context("every role has a name")?;
        let mut command = keeper.command(env::current_exe()?);
        command.arg("stratum").env(ROLE, name).env(ARGUMENT, argument).env("MINER_LINK_LOG", "error");
        command.stdout(std::process::Stdio::piped());
        let mut kept = Kept::spawn(command)?;
        let stdout = kept.take_stdout().context("its output is a pipe")?;
        Ok(Child { _kept: kept, lines: BufReader::new(stdout) })
    }
}

/// A process that plays a part. Dropping it ends it.
pub(crate) struct Child {
    _kept: Kept,
    lines: BufReader<ChildStdout>,
}

impl Child {
    /// The next line that it says.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("a child process ended before it was told to");
        }
        Ok(line.trim().to_owned())
    }
}
