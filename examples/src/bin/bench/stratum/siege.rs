//! Strangers: a thousand that say a byte now and then and never a line, and a hundred megabytes a second of
//! garbage, from ever other addresses. They give way to the honest load beside them, since strangers have
//! machines of their own.

use crate::stratum::load::now;
use anyhow::{Context as _, Result};
use rustix::process::setpriority_process;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// Connections that say a byte now and then.
const SLOW: u32 = 1_000;
/// Who shouts, at once.
const LOUD: u32 = 8;
/// Bytes that one of them has taken at a time…
const PIECE: usize = 64 * 1024;
/// …and when: together well above a hundred megabytes a second.
const EVERY: Duration = Duration::from_micros(3_000);
/// How long a stranger waits for anything.
const PATIENCE: Duration = Duration::from_millis(500);

/// Besiege the address for so many seconds; then a line with what was sent.
#[expect(clippy::print_stdout, reason = "the parent reads the result there")]
pub(crate) fn act(argument: &str) -> Result<()> {
    let (address, seconds) = argument.split_once(' ').context("an address and a time")?;
    let (address, seconds): (SocketAddr, u64) = (address.parse()?, seconds.parse()?);
    // Where it is refused, the honest load has less of its core.
    let _refused = setpriority_process(None, 19);
    let end = now() + seconds * 1_000_000_000;
    let (sent, holding) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u32)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        for who in 0..SLOW {
            tokio::task::spawn_local(murmur(address, who, end, holding.clone()));
        }
        let shouts = (0..LOUD).map(|who| tokio::task::spawn_local(shout(address, who, end, sent.clone())));
        for shout in shouts.collect::<Vec<_>>() {
            let _ended = shout.await;
        }
    });
    println!("{} {}", sent.get() / 1_000_000 / seconds.max(1), holding.get());
    Ok(())
}

/// A connection from the `who`-th address of this machine; 127.0.0.1 is for honest miners.
async fn connect(address: SocketAddr, who: u32) -> Option<TcpStream> {
    let from = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits().saturating_add(who));
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((from, 0).into()).ok()?;
    timeout(PATIENCE, socket.connect(address)).await.ok()?.ok()
}

async fn murmur(address: SocketAddr, who: u32, end: u64, holding: Rc<Cell<u32>>) {
    while now() < end {
        let Some(mut stream) = connect(address, who).await else { continue };
        holding.set(holding.get() + 1);
        while now() < end && stream.write_all(b"{").await.is_ok() {
            sleep(PATIENCE).await;
        }
        holding.set(holding.get() - u32::from(now() < end));
    }
}

async fn shout(address: SocketAddr, who: u32, end: u64, sent: Rc<Cell<u64>>) {
    let long = vec![b'x'; PIECE];
    let short = b"{\"id\":1,\"method\":\n".repeat(PIECE / 17);
    for round in 0.. {
        if now() >= end {
            return;
        }
        let from = 65_536 * (who + 1) + round % 60_000;
        let Some(mut stream) = connect(address, from).await else { continue };
        let garbage = if round % 2 == 0 { &long } else { &short };
        while now() < end && matches!(timeout(PATIENCE, stream.write_all(garbage)).await, Ok(Ok(()))) {
            sent.set(sent.get() + u64::try_from(garbage.len()).unwrap_or(0));
            sleep(EVERY).await;
        }
    }
}
