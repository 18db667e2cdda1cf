//! A guild of daemons in this process, and a bitcoind on regtest that all of them ask.

use super::Size;
use super::watch::Watch;
use crate::report::note;
use anyhow::{Context as _, Result, bail, ensure};
use bitcoin::{Address, BlockHash, Network, ScriptBuf};
use crdt::Charter;
use crdt::charter::{Birth, ThresholdRule};
use crdt::testkit::{self, Person};
use examples::build::Programs;
use node::api::dto::treasury::Address as AddressDto;
use node::api::dto::{Balance, ChoiceDto, NewBallot, NewSpend, OutputDto, ProposalDto, Status};
use node::client::Client;
use node::config::{Bitcoind as Settings, Config};
use node::error::Outcome;
use node::home::{self, Home};
use node::keystore;
use regtest::{Bitcoind, Options};
use std::net::{Ipv4Addr, TcpListener};
use std::str::FromStr as _;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PASSPHRASE: &str = "a bench protects nothing";
const TICK: Duration = Duration::from_millis(50);
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(240);
/// Blocks after which a block reward can be spent.
const MATURE: u64 = 100;
/// Left in the treasury beside what a payment of all coins costs, in satoshis: the heir and the fee.
const LEFT: u64 = 200_000;

/// A running guild that has its key.
pub(crate) struct Guild {
    pub(crate) size: Size,
    /// From the moment all had agreed to the charter until every node knew both test signatures.
    pub(crate) made_key_in: Duration,
    clients: Vec<Client>,
    bitcoind: Bitcoind,
    // dropped last: the daemons' folders
    _runtime: Runtime,
    _folder: TempDir,
}

impl Guild {
    /// Found a guild; its nodes make a key. All are connected before the last founder signs.
    pub(crate) fn found(size: Size, watch: &Watch) -> Result<Self> {
        note(&format!("founding a guild: {} of {}", size.t, size.n));
        let folder = tempfile::tempdir()?;
        let quiet = |_: &str| {};
        let binaries = regtest::provide(&regtest::Provide { install: true, progress: &quiet })?;
        let keeper = Programs::here()?.keeper()?;
        let options = Options::new(folder.path().join("bitcoind"));
        let bitcoind = Bitcoind::start(&keeper, &binaries.bitcoind, &options)?;
        let birth = bitcoind.generate_to(&stranger()?, 1)?;
        let people = testkit::people(usize::from(size.n));
        let charter = charter(&people, size, birth.first().copied().context("a block")?)?;
        let late_cookie = folder.path().join("late.cookie");
        let homes = homes(&folder, &people, &charter, &bitcoind, &late_cookie)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2 * people.len()) // the system shares the cores among nodes, as among processes
            .enable_all()
            .build()?;
        for (home, config) in &homes {
            let keys = keystore::Keystore::open(home, PASSPHRASE)?;
            let daemon = node::daemon::run(home.clone(), config.clone(), keys, false, |_, _| {});
            runtime.spawn(async move {
                if let Err(error) = daemon.await {
                    note(&format!("a node ended: {error}"));
                }
            });
        }
        let clients = wait("the nodes' APIs", || {
            homes.iter().map(|(home, _)| Client::of(home)).collect::<Outcome<Vec<_>>>().ok()
        })?;
        let others = people.len() - 1;
        wait("every node to reach every other", || {
            let connected = |client: &Client| {
                let status: Status = client.get("status").ok()?;
                let peers = status.peers.iter().filter(|peer| peer.connected).count();
                (peers == others).then_some(())
            };
            clients.iter().try_for_each(|client| connected(client).ok_or(())).ok()
        })?;
        watch.forget();
        std::fs::copy(bitcoind.cookie_file(), &late_cookie)?;
        let opened = watch.next(&["making a key"], PATIENCE)?;
        let mut made = opened.clone();
        for _ in &people {
            made = watch.next(&["two quorums have signed"], PATIENCE)?;
        }
        let made_key_in = made.at - opened.at;
        for _ in &people {
            watch.next(&["the treasury is open"], PATIENCE)?;
        }
        Ok(Self { size, made_key_in, clients, bitcoind, _runtime: runtime, _folder: folder })
    }

    /// Pay with exactly `inputs` coins. How long the signing took.
    pub(crate) fn pay(&self, inputs: usize, watch: &Watch) -> Result<Duration> {
        let treasury: AddressDto = self.first()?.get("treasury/address")?;
        let treasury = Address::from_str(&treasury.address)?.require_network(Network::Regtest)?;
        let have = usize::try_from(self.coins(&treasury)?)?;
        ensure!(have <= inputs, "{have} coins are more than {inputs}");
        self.bitcoind.generate_to(&treasury, u64::try_from(inputs - have)?)?;
        self.bitcoind.generate_to(&stranger()?, MATURE)?;
        let height = self.bitcoind.height()?;
        self.all_at(height)?;
        let balance: Balance = self.first()?.get("treasury/balance")?;
        // One coin pays whatever it is; of several, all are needed only for nearly everything.
        let nearly_all = balance.confirmed_sat.checked_sub(LEFT);
        let pay = if inputs == 1 { Some(balance.confirmed_sat / 2) } else { nearly_all };
        let pay = pay.context("a poor treasury")?;
        let output = OutputDto { address: stranger()?.to_string(), amount_sat: pay };
        let spend = NewSpend {
            title: "Everything".to_owned(),
            text: String::new(),
            outputs: vec![output],
            distribute_sat: None,
            effect: None,
        };
        let proposal: ProposalDto = self.first()?.post("proposals", &spend)?;
        watch.forget();
        let path = format!("proposals/{}/ballots", proposal.id);
        for client in self.clients.iter().take(usize::from(self.size.n / 2 + 1)) {
            wait("the proposal to arrive", || {
                let ballot =
                    NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
                client.post::<ProposalDto>(&path, &ballot).ok()
            })?;
        }
        let opened = watch.next(&["asking for signatures", "the payment"], PATIENCE)?;
        let ended = watch.next(&["ceremony ended", "the payment"], PATIENCE)?;
        ensure!(!ended.text.contains("signed=0"), "nobody signed: {}", ended.text);
        self.check_inputs(&proposal.id, inputs)?;
        self.bitcoind.generate_to(&stranger()?, 6)?;
        self.all_at(self.bitcoind.height()?)?;
        Ok(ended.at - opened.at)
    }

    fn first(&self) -> Result<&Client> {
        self.clients.first().context("a node")
    }

    /// Coins of the treasury, as the chain has them.
    fn coins(&self, treasury: &Address) -> Result<u64> {
        let balance: Balance = self.first()?.get("treasury/balance")?;
        let immature = balance.immature_sat;
        ensure!(immature == 0, "{immature} sat at {treasury} are not mature");
        Ok(u64::from(balance.confirmed_sat > 0)) // each payment leaves one: its heir
    }

    fn all_at(&self, height: u64) -> Result<()> {
        wait("the nodes to follow the chain", || {
            let there = |client: &Client| {
                client.get::<Status>("status").is_ok_and(|status| u64::from(status.height) == height)
            };
            self.clients.iter().all(there).then_some(())
        })
    }

    fn check_inputs(&self, proposal: &str, inputs: usize) -> Result<()> {
        let txid = wait("a node to see the payment", || {
            let shown: ProposalDto = self.first().ok()?.get(&format!("proposals/{proposal}")).ok()?;
            Some(shown.payment?.txid)
        })?;
        let found = wait("the payment in the mempool", || {
            let shown = self.bitcoind.rpc("getrawtransaction", &[txid.clone().into(), true.into()]).ok()?;
            Some(shown.get("vin")?.as_array()?.len())
        })?;
        ensure!(found == inputs, "the payment has {found} inputs instead of {inputs}");
        Ok(())
    }
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    for _ in 0..PATIENCE.as_millis() / TICK.as_millis() {
        if let Some(found) = look() {
            return Ok(found);
        }
        thread::sleep(TICK);
    }
    bail!("waited {PATIENCE:?} for {what}")
}

fn stranger() -> Result<Address> {
    Ok(Address::from_script(&script(), Network::Regtest)?)
}

fn script() -> ScriptBuf {
    testkit::payee(200)
}

fn charter(people: &[Person], size: Size, birth: BlockHash) -> Result<Charter> {
    let charter = Charter {
        threshold: ThresholdRule::MajorityOr(size.t),
        birth: Birth { height: 1, hash: birth },
        ..testkit::charter(people)
    };
    charter.check()?;
    ensure!(charter.signers_needed() == usize::from(size.t), "the charter wants another number of signers");
    Ok(charter)
}

/// A folder for each node. The last finds its bitcoind only when `late_cookie` is there.
fn homes(
    folder: &TempDir,
    people: &[Person],
    charter: &Charter,
    bitcoind: &Bitcoind,
    late_cookie: &std::path::Path,
) -> Result<Vec<(Home, Config)>> {
    let ports = free_ports(2 * people.len())?;
    let listen =
        |index: usize| format!("/ip4/127.0.0.1/tcp/{}", ports.get(index).copied().unwrap_or_default());
    let reach = |(index, person): (usize, &Person)| {
        format!("{}/p2p/{}", listen(index), node::net::peer_of(&person.id()))
    };
    let peers: Vec<String> = people.iter().enumerate().map(reach).collect();
    let mut homes = Vec::new();
    for (index, person) in people.iter().enumerate() {
        let home = Home::at(folder.path().join(format!("node-{index}")));
        home.create()?;
        keystore::restore(&home, PASSPHRASE, &person.key.to_bytes(), &[9; 32])?;
        home::write_private(&home.charter(), &charter.to_bytes())?;
        home::write_private(&home.peers(), peers.join("\n").as_bytes())?;
        drop(node::daemon::new_journal(&home)?);
        node::daemon::mark_journal(&home)?;
        let last = index + 1 == people.len();
        let cookie = if last { late_cookie.to_owned() } else { bitcoind.cookie_file().to_owned() };
        let api = ports.get(people.len() + index).copied().unwrap_or_default();
        let config = Config {
            network: Network::Regtest,
            listen: listen(index),
            announce: peers.get(index).cloned(),
            api: (Ipv4Addr::LOCALHOST, api).into(),
            passphrase_file: None,
            bitcoind: Some(Settings { url: bitcoind.rpc_url(), cookie }),
            filters: None,
            electrum: None,
            esplora: None,
        };
        config.save(&home.config())?;
        homes.push((home, config));
    }
    Ok(homes)
}

/// Ports that nobody listens on, all held until all are known.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
