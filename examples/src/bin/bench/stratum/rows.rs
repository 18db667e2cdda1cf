//! What is measured, in order.

use crate::Parts;
use crate::report::{Row, note};
use crate::stratum::chain::{Chain, free_port};
use crate::stratum::load::now;
use crate::stratum::role::{Child, Role};
use crate::stratum::server::{Settings, prepare};
use anyhow::{Context as _, Result, ensure};
use bitcoin::Network;
use examples::build::Programs;
use regtest::{Keeper, Provide, provide, to_stderr};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Every hash but one in 65,536 is a share of this difficulty: 2^-32.
const EASIEST: &str = "2.3283064365386963e-10";
/// What pools ask for: about one in a million of those shares, 2^-12.
const OF_POOLS: &str = "0.000244140625";
/// Seconds of the two long measurements.
const SECONDS: u64 = 8;
/// Seconds of a siege, and of the calm before and after it.
const SIEGE: u64 = 60;
const CALM: u64 = 20;
/// Shares a second of a thousand miners at the rate that their difficulty aims at.
const USUAL: u64 = 100;
/// New tips for each number of miners.
const TIPS: usize = 7;
/// How long a link may take to listen.
const START: u32 = 400;
const TICK: Duration = Duration::from_millis(50);

type Measure = fn(&Bench, &Chain) -> Result<Vec<Row>>;

struct Bench {
    keeper: Keeper,
    folder: tempfile::TempDir,
}

/// All rows of these parts.
pub(crate) fn all(parts: &Parts) -> Result<Vec<Row>> {
    let keeper = Programs::here()?.keeper()?;
    let bitcoind = provide(&Provide { install: false, progress: &to_stderr })?.bitcoind;
    let bench = Bench { keeper, folder: tempfile::tempdir()? };
    let folder = |name: &str| bench.folder.path().join(name);
    let testnet4 = Chain::start(&bench.keeper, &bitcoind, &folder("testnet4"), Network::Testnet4)?;
    let mut rows = Vec::new();
    for (part, measure) in
        [("shares", Bench::shares as Measure), ("siege", Bench::siege), ("switches", Bench::switches)]
    {
        if parts.want(part) {
            rows.extend(measure(&bench, &testnet4)?);
        }
    }
    drop(testnet4);
    if parts.want("tips") {
        let regtest = Chain::start(&bench.keeper, &bitcoind, &folder("regtest"), Network::Regtest)?;
        rows.extend(bench.tips(&regtest)?);
    }
    Ok(rows)
}

impl Bench {
    fn server(&self, name: &str, chain: &Chain, port: u16, difficulty: &str, pools: &[u16]) -> Result<Child> {
        let folder = self.folder.path().join(name);
        let Chain { network, rpc_port, cookie, .. } = chain;
        let settings =
            Settings { network: *network, rpc_port: *rpc_port, cookie, listen: port, difficulty, pools };
        prepare(&folder, &settings)?;
        self.start(&folder)
    }

    fn start(&self, folder: &Path) -> Result<Child> {
        let _left_over = fs::remove_file(folder.join("addresses.json"));
        let child = Role::Server.start(&self.keeper, &folder.display().to_string())?;
        let jobs = |folder: &Path| {
            let status = miner_link::client::status(folder, true).ok()?;
            serde_json::from_str::<Value>(&status).ok()?.get("jobs")?.as_u64()
        };
        for _ in 0..START {
            if jobs(folder).is_some_and(|jobs| jobs > 0) {
                return Ok(child);
            }
            thread::sleep(TICK);
        }
        anyhow::bail!("a link makes no job");
    }

    fn load(&self, port: u16) -> Result<Load> {
        let mut child = Role::Load.start(&self.keeper, &format!("127.0.0.1:{port}"))?;
        let control = TcpStream::connect(("127.0.0.1", child.line()?.parse::<u16>()?))?;
        Ok(Load { answers: BufReader::new(control.try_clone()?), control, _child: child })
    }

    fn shares(&self, chain: &Chain) -> Result<Vec<Row>> {
        note("shares: a bare loop first");
        let mut bare = Role::Bare.start(&self.keeper, "")?;
        let port = bare.line()?.parse()?;
        let mut load = self.load(port)?;
        load.tell("connect 1000")?;
        let floor = number(&load.tell(&format!("flat {SECONDS}"))?, "per_second")?;
        drop((load, bare));
        note("shares: the link");
        let port = free_port()?;
        let server = self.server("shares", chain, port, EASIEST, &[])?;
        let mut load = self.load(port)?;
        let connected = load.tell("connect 1000")?;
        let flat = load.tell(&format!("flat {SECONDS}"))?;
        note(&format!("  at full speed: {flat}"));
        let paced = load.tell(&format!("paced {SECONDS} 1000"))?;
        note(&format!("  at 1,000 a second: {paced}"));
        drop((load, server));
        let speed = number(&flat, "per_second")?;
        Ok(vec![
            Row::above("shares_per_core", speed, "1/s", floor),
            Row::plain("submit_p99_at_1000", number(&paced, "p99_micros")? / 1_000.0, "ms"),
            Row::plain("accept_1000", number(&connected, "seconds")?, "s"),
        ])
    }

    /// How long a thousand miners wait for their answers at their usual rate: alone, besieged, and alone
    /// again. A machine has moods, so that the calm is the mean of the two.
    fn siege(&self, chain: &Chain) -> Result<Vec<Row>> {
        note("siege: 1,000 miners among strangers");
        let port = free_port()?;
        let server = self.server("siege", chain, port, EASIEST, &[])?;
        let mut load = self.load(port)?;
        load.tell("connect 1000")?;
        let before = load.tell(&format!("paced {CALM} {USUAL}"))?;
        let argument = format!("127.0.0.1:{port} {}", SIEGE + 3);
        let mut strangers = Role::Siege.start(&self.keeper, &argument)?;
        let during = load.tell(&format!("paced {SIEGE} {USUAL}"))?;
        let sent = strangers.line()?;
        let after = load.tell(&format!("paced {CALM} {USUAL}"))?;
        note(&format!("  before {before}\n  during {during}\n  after {after}\n  MB/s and slow ones {sent}"));
        drop((load, server));
        let p99 = |answer| number(answer, "p99_micros");
        let calm = (p99(&before)? + p99(&after)?) / 2.0;
        let rate = sent.split(' ').next().and_then(|rate| rate.parse().ok()).context("a rate")?;
        Ok(vec![
            Row::above("siege_submit_p99", p99(&during)?, "us", calm),
            Row::plain("siege_garbage", rate, "MB/s"),
            Row::plain("siege_lost", number(&during, "lost")?, "miners"),
        ])
    }

    fn tips(&self, chain: &Chain) -> Result<Vec<Row>> {
        let port = free_port()?;
        let server = self.server("tips", chain, port, EASIEST, &[])?;
        let mut load = self.load(port)?;
        let folder = self.folder.path().join("tips");
        let before = resident(&folder)?;
        note("tips: 1,000 miners");
        load.tell("connect 1000")?;
        load.tell("gather")?;
        let few = self.tip(chain, &mut load)?;
        note("tips: 10,000 miners");
        let held = load.tell("connect 9000")?;
        ensure!(number(&held, "lost")? < 1.0, "miners were lost: {held}");
        let after = resident(&folder)?;
        let many = self.tip(chain, &mut load)?;
        let held = number(&held, "ready")?;
        drop(server);
        Ok(vec![
            Row::plain("held", held, "miners"),
            Row::plain("kb_per_connection", (after - before) / held, "kB"),
            Row::plain("tip_to_last_1000", few, "ms"),
            Row::plain("tip_to_last_10000", many, "ms"),
        ])
    }

    /// From when bitcoind told who waits for a block until the last miner was told; the median.
    fn tip(&self, chain: &Chain, load: &mut Load) -> Result<f64> {
        let mut all = Vec::new();
        for _ in 0..TIPS {
            thread::sleep(Duration::from_millis(700));
            let block = chain.block()?;
            let before = now();
            let event = chain.submit(block)?;
            let told = load.tell(&format!("cleaned {before}"))?;
            all.push((number(&told, "last")? - event as f64) / 1e6);
        }
        all.sort_by(f64::total_cmp);
        note(&format!("  {all:.1?} ms"));
        all.get(TIPS / 2).copied().context("at least one")
    }

    /// A second pool serves; the first comes, and goes again.
    fn switches(&self, chain: &Chain) -> Result<Vec<Row>> {
        note("switches: 1,000 miners, two pools");
        let (first, second, port) = (free_port()?, free_port()?, free_port()?);
        let backup = self.server("second", chain, second, OF_POOLS, &[])?;
        let link = self.server("farm", chain, port, EASIEST, &[first, second])?;
        let farm = self.folder.path().join("farm");
        wait_for_pool(&farm, 1)?;
        let mut load = self.load(port)?;
        load.tell("connect 1000")?;
        load.tell("pace 1000")?;
        thread::sleep(Duration::from_secs(2));
        let came = now();
        let best = self.server("first", chain, first, OF_POOLS, &[])?;
        wait_for_pool(&farm, 0)?;
        let to_first = load.tell(&format!("cleaned {came}"))?;
        // While there is a choice, old work is good until new work is there: what counts is how far
        // apart the first and the last miner are.
        let warm = number(&to_first, "last")? - number(&to_first, "first")?;
        thread::sleep(Duration::from_secs(2));
        let gone = now();
        drop(best);
        let away = load.tell(&format!("cleaned {gone}"))?;
        let cold = number(&away, "last")? - gone as f64;
        wait_for_pool(&farm, 1)?;
        thread::sleep(Duration::from_secs(2));
        let end = load.tell("rest")?;
        note(&format!(
            "  {end}; to the first pool {:.1} ms, from the killed one {:.1} ms",
            warm / 1e6,
            cold / 1e6
        ));
        drop((link, backup));
        let refused = end.get("refused").and_then(Value::as_object).context("refusals")?;
        // Two per hundred thousand of these shares do not meet the easiest target there is.
        let lost = refused.iter().filter(|(answer, _)| !answer.contains("low difficulty"));
        let lost: u64 = lost.filter_map(|(_, count)| count.as_u64()).sum();
        Ok(vec![
            Row::plain("switch_reconnects", number(&end, "lost")?, "miners"),
            Row::plain("switch_lost_shares", lost as f64, "shares"),
            Row::plain("switch_gap", warm.max(cold) / 1e6, "ms"),
        ])
    }
}

struct Load {
    control: TcpStream,
    answers: BufReader<TcpStream>,
    _child: Child,
}

impl Load {
    fn tell(&mut self, command: &str) -> Result<Value> {
        writeln!(self.control, "{command}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        serde_json::from_str(&answer).with_context(|| format!("the answer to '{command}'"))
    }
}

fn wait_for_pool(folder: &Path, pool: usize) -> Result<()> {
    for _ in 0..START {
        let pools = miner_link::client::pools(folder, true).unwrap_or_default();
        let pools: Value = serde_json::from_str(&pools).unwrap_or_default();
        if pools.pointer(&format!("/pools/{pool}/state")).and_then(Value::as_str) == Some("in use") {
            return Ok(());
        }
        thread::sleep(TICK);
    }
    anyhow::bail!("pool {pool} is not used");
}

fn number(answer: &Value, name: &str) -> Result<f64> {
    answer.get(name).and_then(Value::as_f64).with_context(|| format!("no {name} in {answer}"))
}

/// Kilobytes of memory of the link of `folder`.
fn resident(folder: &Path) -> Result<f64> {
    let pid = miner_link::home::addresses(folder)?.pid;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
