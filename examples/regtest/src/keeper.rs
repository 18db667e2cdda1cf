//! The keeper: a program that runs another one and sees to it that it ends with its owner.
//!
//! The owner holds the other end of the keeper's standard input and never writes to it. When that end
//! closes, and the system closes it even if the owner was killed, the keeper ends the process group of
//! the program: `SIGTERM`, then `SIGKILL` after [`GRACE`]. If the keeper itself is killed, the system
//! kills the program, which asked for that before it became what it is. [`Keeper`](crate::Keeper) is
//! the owner's side.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a program may take to end in order before it is killed.
pub const GRACE: Duration = Duration::from_secs(5);

/// Begins the words of the program to keep.
pub(crate) const PROGRAM: &str = "--";
/// Begins the words of the second stage: the id of the keeper, then the program.
const UNDER: &str = "--under";
/// What a shell answers, too, for a program that it cannot run.
const CANNOT_RUN: u8 = 127;
/// What a shell adds, too, to the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// The whole program `keeper -- PROGRAM ARGUMENT…`. Its exit code is that of the kept program.
pub fn main() -> ExitCode {
    run(&env::args_os().skip(1).collect::<Vec<_>>()).unwrap_or_else(|error| {
        crate::to_stderr(&format!("keeper: {error:#}"));
        ExitCode::from(CANNOT_RUN)
    })
}

fn run(words: &[OsString]) -> Result<ExitCode> {
    match words {
        [dashes, program @ ..] if dashes == PROGRAM && !program.is_empty() => keep(program),
        [under, keeper, name, arguments @ ..] if under == UNDER => run_under(keeper, name, arguments),
        _ => bail!("usage: keeper -- PROGRAM [ARGUMENT]…"),
    }
}

/// The first stage: starts the program, waits for its end or the owner's, and leaves nothing behind.
fn keep(program: &[OsString]) -> Result<ExitCode> {
    let mut child = Command::new(env::current_exe()?)
        .args([UNDER, &std::process::id().to_string()])
        .args(program)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the second stage")?;
    let group = Pid::from_child(&child);
    tell_owner(group);
    thread::spawn(move || {
        wait_for_owner();
        end(group);
    });
    Ok(exit_code(reap(&mut child, group)?))
}

/// Sends the id of the program up the line: the owner's end is a socket. Where it is a mere pipe
/// nobody listens, and the program is kept all the same.
fn tell_owner(program: Pid) {
    if let Ok(line) = io::stdin().as_fd().try_clone_to_owned() {
        let _ = writeln!(File::from(line), "{}", program.as_raw_nonzero());
    }
}

/// Returns when the owner's end of the line closes, whatever way.
fn wait_for_owner() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}

/// Ends the group in order, or else by force. A stopped process is woken to see its `SIGTERM`.
fn end(group: Pid) {
    signal(group, Signal::TERM);
    signal(group, Signal::CONT);
    thread::sleep(GRACE);
    signal(group, Signal::KILL);
}

/// Fails only if nobody is left, which is as good.
fn signal(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

/// Waits until the program has ended, then takes the rest of its group along. The program is reaped
/// last, so that its id cannot have become somebody else's.
fn reap(child: &mut Child, group: Pid) -> Result<ExitStatus> {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    rustix::io::retry_on_intr(|| waitid(WaitId::Pid(group), peek)).context("cannot wait")?;
    signal(group, Signal::KILL);
    Ok(child.wait()?)
}

/// The status as a shell would give it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| ENDED_BY_SIGNAL + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// The second stage: ties its life to the keeper's and becomes the program, with the same id.
fn run_under(keeper: &OsString, program: &OsString, arguments: &[OsString]) -> Result<ExitCode> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The keeper may have died before that.
    let parent = Pid::as_raw(rustix::process::getppid()).to_string();
    ensure!(*keeper == *parent, "the keeper is gone");
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}
