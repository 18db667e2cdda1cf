//! What an entry takes in memory, measured from outside: how a fresh process grows.

use super::dataset::{Entries, World, founded};
use super::subject::Subject;
use crate::report::{Row, note};
use anyhow::{Context as _, Result, ensure};
use std::io::{Read as _, Write};
use std::process::{Command, Stdio};

/// Bytes per entry of everything that a node keeps in memory: document, state and indexes.
pub(crate) fn row(world: &World) -> Result<Row> {
    note("folding them in a process of its own");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["document", "--child"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the child")?;
    let pipe = child.stdin.take().context("the child's stdin")?;
    send(pipe, world)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the child failed");
    let grown: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Row::plain("memory_per_entry", grown / world.entries.count() as f64, "B"))
}

fn send(mut pipe: impl Write, world: &World) -> Result<()> {
    let mut message = world.tip.to_be_bytes().to_vec();
    for entry in world.entries.iter() {
        message.extend_from_slice(&u32::try_from(entry.len())?.to_be_bytes());
        message.extend_from_slice(entry);
    }
    Ok(pipe.write_all(&message)?)
}

/// The child: fold what comes on stdin, drop what came, say how many bytes the process grew.
#[expect(clippy::print_stdout, reason = "the parent reads it there")]
pub(crate) fn child() -> Result<()> {
    let (_, charter) = founded();
    let before = resident()?;
    let (tip, entries) = receive()?;
    let subject = Subject::cold(&charter, tip, &entries)?;
    drop(entries);
    let after = resident()?;
    ensure!(subject.ballots() > 0, "nothing was folded");
    println!("{}", after.saturating_sub(before));
    Ok(())
}

fn receive() -> Result<(u32, Entries)> {
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let (tip, mut rest) = message.split_first_chunk::<4>().context("a height")?;
    let mut entries = Entries::default();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*len))?;
        let (entry, after) = after.split_at_checked(len).context("a whole entry")?;
        entries.push(entry);
        rest = after;
    }
    Ok((u32::from_be_bytes(*tip), entries))
}

/// Bytes of this process in memory.
pub(crate) fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is measured on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
