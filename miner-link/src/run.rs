//! The shell: starts everything, and stops it.

use crate::clock::Clock;
use crate::config::{Config, PoolAt};
use crate::contract::{Addresses, LinkStatus, Pairing, PolicyStatus, PoolStatus};
use crate::door::Limits;
use crate::engine::{Engine, Mark};
use crate::error::Error;
use crate::home::{self, Home};
use crate::job::EXTRANONCE1;
use crate::listen::{self, Hub};
use crate::policy::{Obeyed, Why, judge};
use crate::receipts::{self, Maker};
use crate::shared::Shared;
use crate::stratum::Rules;
use crate::stratum::limits::BACKLOG;
use crate::template::gbt::Bitcoind;
use crate::template::source;
use crate::upstream::limits::TICK;
use crate::upstream::pools::Pools;
use crate::{api, blocks, node, tls};
use bitcoin::Target;
use ed25519_dalek::SigningKey;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// The difficulty of the shares that a link keeps as receipts, which every coinbase commits to.
const RECEIPT_DIFFICULTY: u64 = 1 << 18;
/// Threads that serve miners.
const THREADS_MAX: usize = 4;
/// Open files beside those of miners: bitcoinds, the node, pools, people, the disk.
const FILES_BESIDE: usize = 128;
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
    // Several thousand miners are work for one core; more threads than cores only take turns.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(THREADS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
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
    let limits = limits(config);
    let (miners, stratum) = bind(config.listen)?;
    let secured = secured(config)?;
    let (people, api) = bind(config.api)?;
    let clock = Clock::start();
    let known = |pool: &PoolAt| PoolStatus::new(&pool.name, &pool.user, pool.tls);
    let pools = config.pools.iter().map(known).collect();
    let shared = Arc::new(Shared::new(blank(&pairing, key, stratum), pools));
    let bitcoinds: Vec<_> = config.bitcoinds.iter().cloned().map(Bitcoind::new).collect();
    let (blocks, receipts) = (home.dir_of("blocks")?, home.dir_of("receipts")?);
    home.announce(&Addresses { pid: std::process::id(), stratum, api })?;
    greet(&pairing, stratum, secured.as_ref().map(|(_, _, address)| *address), api, &say);
    let mark = mark(&pairing, key)?;
    let pools = Pools::new(&config.pools, EXTRANONCE1 + config.extranonce2, shared.clone(), clock)?;
    let routes = pools.routes();
    let mut engine = Engine::new(home, pairing, shared.clone(), bitcoinds.clone(), pools, mark)?;
    let found = blocks::deliver(blocks, bitcoinds.clone(), shared.clone())?;
    let maker = Maker { link: key.verifying_key().to_bytes(), difficulty: RECEIPT_DIFFICULTY };
    let proofs = receipts::deliver(receipts, maker, node::Node::new(&engine.pairing), shared.clone())?;
    let kept = crdt::receipt::target(RECEIPT_DIFFICULTY).unwrap_or(Target::ZERO);
    let rules = Rules { fixed: config.difficulty, extranonce2: config.extranonce2, kept };
    let hub =
        Hub::new(engine.jobs.subscribe(), (found, proofs), routes, shared.clone(), clock, (rules, limits));
    let mut tasks = JoinSet::new();
    let mut ways = vec![(miners.into_std().map_err(Error::file(&config.data_dir))?, None)];
    if let Some((listener, acceptor, _)) = secured {
        ways.push((listener.into_std().map_err(Error::file(&config.data_dir))?, Some(acceptor)));
    }
    let (_lobby, guests) = listen::open(ways, hub).map_err(Error::file(&config.data_dir))?;
    tasks.spawn(listen::serve(guests));
    tasks.spawn(async move {
        let _ended = axum::serve(people, api::router(shared, clock)).await;
    });
    let mut templates = source::watch(&bitcoinds, clock);
    let mut answers = node::follow(&engine.pairing);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            signal = &mut stop => {
                info!(signal, "stopping");
                return Ok(());
            }
            Some((place, report)) = templates.recv() => engine.template(place, report).await,
            Some(report) = answers.recv() => engine.node(report).await?,
            heard = engine.pools.heard() => engine.pool(heard).await,
            _ = tick.tick() => engine.tick().await,
        }
    }
}

/// The listener for miners with TLS, if one is wanted.
fn secured(config: &Config) -> Result<Option<(TcpListener, TlsAcceptor, SocketAddr)>, Error> {
    let Some(settings) = &config.tls else { return Ok(None) };
    let acceptor = tls::acceptor(&settings.certificate, &settings.key)?;
    let (listener, address) = bind(settings.listen)?;
    Ok(Some((listener, acceptor, address)))
}

/// As many miners as are allowed and as the system has files for.
fn limits(config: &Config) -> Limits {
    let files = files();
    let connections = config.connections.min(files.saturating_sub(FILES_BESIDE));
    if connections < config.connections {
        warn!(files, connections, "few open files are allowed (ulimit -n): fewer miners are let in");
    }
    Limits { connections, per_address: config.connections_per_address }
}

/// How many files this process may open: as many as it may ask for.
fn files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // What cannot be raised stays, and is told below.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// A listener whose queue holds a farm that comes back all at once.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    listen().map_err(|source| Error::Listen { address, source })
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
        receipts_pending: 0,
        best_difficulty: None,
        sources: Vec::new(),
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

fn greet(
    pairing: &Pairing,
    stratum: SocketAddr,
    secured: Option<SocketAddr>,
    api: SocketAddr,
    say: &impl Fn(&str),
) {
    say(&format!("mining for guild {} as member {}", pairing.guild.short(), pairing.member.short()));
    say("type into your miner:");
    say(&format!("  URL       stratum+tcp://{stratum}"));
    if let Some(secured) = secured {
        say(&format!("  or, where TLS is spoken: stratum+ssl://{secured}"));
    }
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
    let mut on = None;
    for settings in &config.bitcoinds {
        let bitcoind = Bitcoind::new(settings.clone());
        let at = format!("bitcoind at {}", settings.url);
        let network = bitcoind.network().map_err(|error| away(at.clone())(error.to_string()))?;
        let template = bitcoind.template(network, None).map_err(|error| away(at)(error.to_string()))?;
        lines.push(format!("bitcoind is on {network} and proposes block {}", template.height));
        on = on.or(Some(network));
    }
    let answer =
        node::Node::new(&pairing).ask().map_err(away(format!("the node at {}", pairing.node_url)))?;
    lines.push(match judge(&pairing, &answer, None) {
        Ok((solo, _)) if Some(solo.network) == on && solo.allows_pools() && !config.pools.is_empty() => {
            let pools: Vec<_> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
            format!("would mine for {}, else to the treasury {}", pools.join(", then "), solo.address)
        }
        Ok((solo, _)) if Some(solo.network) == on && solo.payees() > 1 => {
            format!("would mine for the {} payees of the guild's split", solo.payees())
        }
        Ok((solo, _)) if Some(solo.network) == on => format!("would mine to the treasury {}", solo.address),
        Ok((solo, _)) => format!("would not mine: the guild lives on {}", solo.network),
        Err(why) => format!("would not mine: {why}"),
    });
    Ok(lines)
}
