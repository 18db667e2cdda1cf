//! The owner's side of the [`keeper`]: starting, stopping and pausing kept programs.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{clock, keeper, tools};

/// How long a keeper may take to say that it has started the program, on a busy machine.
const SPAWN_LIMIT: Duration = Duration::from_secs(20);
/// What the keeper may need beyond the grace that it gives its program.
const SLACK: Duration = Duration::from_secs(5);
/// How often a wait looks again.
const TICK: Duration = Duration::from_millis(10);

/// Where the program `keeper` lies.
#[derive(Clone, Debug)]
pub struct Keeper {
    program: PathBuf,
}

impl Keeper {
    /// A keeper at a known place.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// The keeper that was built along with this program. Tests lie one folder deeper than programs.
    pub fn find() -> Result<Self> {
        let me = env::current_exe().context("cannot tell where this program lies")?;
        let found = me.ancestors().skip(1).take(2).map(|folder| folder.join("keeper"));
        match found.into_iter().find(|path| tools::is_program(path)) {
            Some(program) => Ok(Self { program }),
            None => bail!(
                "there is no keeper beside {}; to build it: cargo build --workspace --bins",
                me.display()
            ),
        }
    }

    /// A command that runs `program` under the keeper. Arguments, environment, folder, standard output
    /// and error are set on it as on any command; its standard input is the keeper's own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(keeper::PROGRAM).arg(program);
        command
    }
}

/// A running program that ends with this value, or with this process.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
    /// Closing it tells the keeper to end the program.
    line: Option<UnixStream>,
    program: Pid,
}

impl Kept {
    /// Starts what [`Keeper::command`] began. A program that cannot be run ends at once with code 127.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let (line, theirs) = UnixStream::pair()?;
        line.set_read_timeout(Some(SPAWN_LIMIT))?;
        // In a group of its own the keeper outlives a Ctrl-C that ends the owner.
        let mut keeper = command
            .stdin(OwnedFd::from(theirs))
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        // `command` still holds the keeper's end, and a line with two holders never ends.
        command.stdin(Stdio::null());
        match read_pid(&line) {
            Ok(program) => Ok(Self { keeper, line: Some(line), program }),
            Err(error) => {
                abandon(&mut keeper);
                Err(error)
            }
        }
    }

    /// The id of the program itself, not of its keeper.
    pub fn pid(&self) -> u32 {
        self.program.as_raw_nonzero().get().unsigned_abs()
    }

    /// The program's standard output, if the command piped it and nobody took it before.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.keeper.stdout.take()
    }

    /// The program's standard error, if the command piped it and nobody took it before.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.keeper.stderr.take()
    }

    /// Freezes the program and its children with `SIGSTOP`.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen program go on with `SIGCONT`.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks the program and its children to end with `SIGTERM`.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills the program and its children with `SIGKILL`, frozen or not, and waits for their end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // Fails only if it has ended, and then the wait returns at once.
        let _ = self.signal(Signal::KILL);
        self.wait_for(SLACK)?.context("the program is still there after SIGKILL")
    }

    /// The exit status, once the program has ended: its own code, or 128 and the signal that ended it.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.keeper.try_wait()?)
    }

    /// Waits for the program to end by itself, but no longer than `limit`.
    pub fn wait_for(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let started = clock::now();
        loop {
            let status = self.try_wait()?;
            if status.is_some() || started.elapsed() > limit {
                return Ok(status);
            }
            thread::sleep(TICK);
        }
    }

    /// Ends the program in order: `SIGTERM`, and `SIGKILL` after [`keeper::GRACE`].
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.line = None;
        self.wait_for(keeper::GRACE + SLACK)?.context("the program is still there after SIGKILL")
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // Afterwards the id may be somebody else's.
        ensure!(self.try_wait()?.is_none(), "the program has ended already");
        kill_process_group(self.program, signal).context("cannot signal the program")
    }
}

impl Drop for Kept {
    /// Kills the program at once; [`Kept::stop`] is the orderly way.
    fn drop(&mut self) {
        if self.kill().is_err() {
            // Without its keeper the program is killed by the system.
            abandon(&mut self.keeper);
        }
    }
}

/// Reads the id of the program, which is all that a keeper ever says.
fn read_pid(line: &UnixStream) -> Result<Pid> {
    let mut said = String::new();
    BufReader::new(line).read_line(&mut said).context("the keeper does not answer")?;
    said.trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .context("the keeper ended before it could start the program")
}

/// Ends a keeper that does not answer. Both calls fail only if it has ended and was waited for.
fn abandon(keeper: &mut Child) {
    let _ = keeper.kill();
    let _ = keeper.wait();
}
