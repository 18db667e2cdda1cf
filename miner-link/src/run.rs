//! The shell: starts everything, and stops it.

use crate::clock::Clock;
use crate::config::Config;
use crate::contract::{Addresses, LinkStatus, Pairing, PolicyStatus};
use crate::engine::{Engine, Mark};
use crate::error::Error;
use crate::home::{self, Home};
use crate::listen::{Hub, listen};
use crate::policy::{Obeyed, Why, judge};
use crate::shared::Shared;
use crate::template::gbt::Bitcoind;
use crate::template::source;
use crate::{api, blocks, node};
use ed25519_dalek::SigningKey;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::info;

/// The difficulty of the shares that a link keeps as receipts, which every coinbase commits to.
const RECEIPT_DIFFICULTY: u64 = 1 << 18;
/// How long blocked threads are waited for at the end. What they do is on disk already.
const STOP: Duration = Duration::from_secs(1);

/// Serve jobs to miners until the process is told to stop. `say` gets the lines for people.
///
/// # Errors
///
/// [`Error`], with the exit code of the program.
pub fn run(config: Config, say: impl Fn(&str)) -> Result<(), Error> {
    let home = Home::open(&config.data_dir)?;
    let pairing = home.pairing(config.pairing.clone())?;
    let key = home.link_key()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Error::file(&config.data_dir))?;
    let outcome = runtime.block_on(serve(&config, home, pairing, &key, say));
    runtime.shutdown_timeout(STOP);
    outcome
}

async fn serve(
    config: &Config,
    home: Home,
    pairing: Pairing,
    key: &SigningKey,
    say: impl Fn(&str),
) -> Result<(), Error> {
    let (miners, stratum) = bind(config.listen).await?;
    let (people, api) = bind(config.api).await?;
    let shared = Arc::new(Shared::new(blank(&pairing, key, stratum)));
    let bitcoind = Bitcoind::new(config.bitcoind.clone());
    let blocks = home.blocks_dir()?;
    home.announce(&Addresses { pid: std::process::id(), stratum, api })?;
    greet(&pairing, stratum, api, &say);
    let mark = mark(&pairing, key)?;
    let mut engine = Engine::new(home, pairing, shared.clone(), bitcoind.clone(), mark)?;
    let found = blocks::deliver(blocks, bitcoind.clone(), shared.clone())?;
    let hub = Hub { jobs: engine.jobs.subscribe(), found, shared: shared.clone(), clock: Clock::start() };
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(miners, hub));
    tasks.spawn(async move {
        let _ended = axum::serve(people, api::router(shared)).await;
    });
    let mut templates = source::watch(bitcoind);
    let mut answers = node::follow(&engine.pairing);
    let stop = stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            signal = &mut stop => {
                info!(signal, "stopping");
                return Ok(());
            }
            Some(report) = templates.recv() => engine.template(report).await,
            Some(report) = answers.recv() => engine.node(report).await?,
        }
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let fail = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}

async fn stop_signal() -> &'static str {
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "interrupt",
        _ = terminate.recv() => "terminate",
    }
}

fn blank(pairing: &Pairing, key: &SigningKey, stratum: SocketAddr) -> LinkStatus {
    LinkStatus {
        v: 1,
        guild: pairing.guild.to_string(),
        member: pairing.member.to_string(),
        link: hex::DisplayHex::to_lower_hex_string(key.verifying_key().as_bytes().as_slice()),
        policy: PolicyStatus::from(&Obeyed::Nothing(Why::NotAsked)),
        policy_refused: None,
        height: None,
        jobs: 0,
        job_trouble: None,
        workers: 0,
        shares_accepted: 0,
        shares_rejected: 0,
        blocks_found: 0,
        blocks_accepted: 0,
        last_block: None,
        blocks_pending: 0,
        node_reachable: false,
        bitcoind_reachable: false,
        stratum,
    }
}

fn mark(pairing: &Pairing, key: &SigningKey) -> Result<Mark, Error> {
    let link = key.verifying_key().to_bytes();
    let tag = crdt::mining::coinbase_tag(pairing.guild, pairing.member, link, RECEIPT_DIFFICULTY);
    Ok(Mark { tag, process: getrandom::u32()? })
}

fn greet(pairing: &Pairing, stratum: SocketAddr, api: SocketAddr, say: &impl Fn(&str)) {
    say(&format!("mining for guild {} as member {}", pairing.guild.short(), pairing.member.short()));
    say("type into your miner:");
    say(&format!("  URL       stratum+tcp://{stratum}"));
    say("  user      NAME.WORKER, such as alice.rig1");
    say("  password  anything");
    if stratum.ip().is_loopback() {
        say("only miners on this machine can connect; for others: --listen 0.0.0.0:3333");
    }
    say(&format!("status: http://{api}/status, or 'miner-link status' with the same --data-dir"));
}

/// Ask everybody whom [`run`] would ask, and say what it would do.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check(config: &Config) -> Result<Vec<String>, Error> {
    let pairing = match &config.pairing {
        Some(pairing) => pairing.clone(),
        None => home::paired(&config.data_dir)?,
    };
    let mut lines = vec![format!("paired with guild {}, epoch {}", pairing.guild, pairing.epoch)];
    let away = |what: String| move |why: String| Error::Unreachable { what, why };
    let bitcoind = Bitcoind::new(config.bitcoind.clone());
    let at = format!("bitcoind at {}", config.bitcoind.url);
    let network = bitcoind.network().map_err(|error| away(at.clone())(error.to_string()))?;
    let template = bitcoind.template(network, None).map_err(|error| away(at)(error.to_string()))?;
    lines.push(format!("bitcoind is on {network} and proposes block {}", template.height));
    let answer =
        node::Node::new(&pairing).ask().map_err(away(format!("the node at {}", pairing.node_url)))?;
    lines.push(match judge(&pairing, &answer, None) {
        Ok((solo, _)) if solo.network == network => format!("would mine to the treasury {}", solo.address),
        Ok((solo, _)) => format!("would not mine: the guild lives on {}", solo.network),
        Err(why) => format!("would not mine: {why}"),
    });
    Ok(lines)
}
