//! A newcomer over real libp2p on the loopback: from nothing to the same state.

use super::dataset::{World, guest};
use super::disk::verified;
use super::peer::{Peer, node};
use crate::measure::Stopwatch;
use crate::report::{Row, note};
use anyhow::{Result, bail, ensure};
use ed25519_dalek::SigningKey;
use node::core::Node;
use node::home::Home;
use node::net::Command;
use node::store::Store;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Turns of the measurement, each with a new node.
const TURNS: usize = 3;
/// How long a newcomer may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// From the first dial to the same state hash, beside the cold fold of the same entries.
pub(crate) fn row(world: &World, cold_fold: f64) -> Result<Row> {
    note("joining over the network");
    let folder = tempfile::Builder::new().prefix("guild-bench-").tempdir()?;
    let runtime = Runtime::new()?;
    let best = runtime.block_on(async {
        let server = &world.member(0).key;
        let full = node(world, server, &verified(world)?)?;
        let home = folder.path().join("server");
        let (mut server, address) = Box::pin(peer(world, full, server, &home)).await?;
        let expected = server.status()?.state_hash;
        let mut tasks: JoinSet<Result<()>> = JoinSet::new();
        tasks.spawn(async move {
            loop {
                server.turn().await?;
            }
        });
        let mut best = Duration::MAX;
        for turn in 0..TURNS {
            let empty = node(world, &guest(), &[])?;
            let home = folder.path().join(format!("newcomer-{turn}"));
            let (mut newcomer, _) = Box::pin(peer(world, empty, &guest(), &home)).await?;
            let joined = join(&mut newcomer, dial(&address)?, world.entries.count(), &expected);
            best = best.min(Box::pin(joined).await?);
            Box::pin(newcomer.stop()).await;
        }
        tasks.shutdown().await;
        anyhow::Ok(best)
    })?;
    Ok(Row::above("join_100k", best.as_secs_f64(), "s", cold_fold))
}

async fn peer(world: &World, node: Node, key: &SigningKey, folder: &Path) -> Result<(Peer, Command)> {
    let home = Home::at(folder.to_owned());
    home.create()?;
    Box::pin(Peer::start(node, key, &world.charter, Store::open(&home)?)).await
}

fn dial(address: &Command) -> Result<Command> {
    let Command::Dial(address) = address else { bail!("no address") };
    Ok(Command::Dial(address.clone()))
}

/// How long `newcomer` takes to have `count` entries and the state `expected`.
async fn join(newcomer: &mut Peer, dial: Command, count: usize, expected: &str) -> Result<Duration> {
    let start = Stopwatch::start();
    newcomer.tell(dial)?;
    let whole = async {
        while newcomer.kept < count {
            newcomer.turn().await?;
        }
        anyhow::Ok(newcomer.status()?.state_hash)
    };
    let reached = timeout(PATIENCE, whole).await??;
    let took = start.elapsed();
    ensure!(reached == expected, "the newcomer's state is another");
    Ok(took)
}
