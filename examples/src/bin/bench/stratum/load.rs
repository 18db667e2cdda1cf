//! Miners without hardware: connections that submit, wait, and note when they are told of work.
//!
//! Commands come as lines on stdin, answers go as lines of JSON to stdout. The difficulty is so low that
//! every hash but one in 65,536 is a share, so that nothing is hashed here.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{interval, sleep};

/// How long everything waits for everybody.
const LIMIT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(5);

/// Whether news is gathered for a moment before it is looked at, as network cards do with packets: else each
/// line that the server writes would wake this process, and the server would pay for that.
static GATHER: AtomicBool = AtomicBool::new(false);
/// How long. Times of arrival are late by as much, never early.
const MOMENT: Duration = Duration::from_micros(500);

fn gather() {
    if GATHER.load(Ordering::Relaxed) {
        thread::sleep(MOMENT);
    }
}

/// What connections do between notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Listen,
    /// As fast as answers come.
    Flat,
    /// One share in this time.
    Every(Duration),
}

#[derive(Default)]
struct Counts {
    ready: Cell<usize>,
    lost: Cell<usize>,
    accepted: Cell<u64>,
    refused: RefCell<std::collections::BTreeMap<String, u64>>,
    micros: RefCell<Vec<u64>>,
    /// When each connection was last given clean work, in nanoseconds since 1970.
    cleaned: RefCell<Vec<u64>>,
}

/// Play the miners of `address` until stdin ends.
pub(crate) fn act(address: &str) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().on_thread_park(gather).build()?;
    LocalSet::new().block_on(&runtime, obey(address))
}

#[expect(clippy::print_stdout, reason = "the parent reads the answers there")]
async fn obey(address: &str) -> Result<()> {
    let counts = Rc::new(Counts::default());
    let (mode, modes) = watch::channel(Mode::Listen);
    // The keeper's stdin is not ours, so that commands come over a socket that is the first to connect.
    let control = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", control.local_addr()?.port());
    let (commands, _) = control.accept().await?;
    let (reader, mut writer) = commands.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        let number =
            |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok()).context("a number");
        let answer = match words.first().copied() {
            Some("connect") => connect(address, number(1)?, &counts, &modes).await?,
            Some("flat") => measure(&mode, Mode::Flat, number(1)?, &counts).await,
            Some("paced") => {
                let every =
                    Duration::from_secs(1) * u32::try_from(counts.ready.get())? / u32::try_from(number(2)?)?;
                measure(&mode, Mode::Every(every), number(1)?, &counts).await
            }
            Some("pace") => {
                let every =
                    Duration::from_secs(1) * u32::try_from(counts.ready.get())? / u32::try_from(number(1)?)?;
                reset(&counts);
                mode.send_replace(Mode::Every(every));
                json!(true)
            }
            Some("rest") => {
                mode.send_replace(Mode::Listen);
                sleep(Duration::from_millis(500)).await;
                report(&counts, LIMIT)
            }
            Some("gather") => {
                GATHER.store(true, Ordering::Relaxed);
                json!(true)
            }
            Some("cleaned") => cleaned(&counts, number(1)?).await,
            _ => json!(null),
        };
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Open `more` connections; how long until all of them had their answers and their first work.
async fn connect(
    address: &str,
    more: u64,
    counts: &Rc<Counts>,
    modes: &watch::Receiver<Mode>,
) -> Result<Value> {
    let (before, target) = (now(), counts.ready.get() + usize::try_from(more)?);
    for _ in 0..more {
        let place = counts.cleaned.borrow().len();
        counts.cleaned.borrow_mut().push(0);
        let (address, counts, modes) = (address.to_owned(), counts.clone(), modes.clone());
        tokio::task::spawn_local(async move {
            let ended = Miner::connect(&address, place, counts.clone()).await;
            if let Ok(mut miner) = ended {
                let _ended = miner.work(modes).await;
            }
            counts.lost.set(counts.lost.get() + 1);
        });
    }
    let all = || counts.ready.get() >= target || counts.lost.get() > 0;
    wait(all).await;
    let spent = Duration::from_nanos(now() - before);
    Ok(json!({"seconds": spent.as_secs_f64(), "ready": counts.ready.get(), "lost": counts.lost.get()}))
}

async fn wait(mut done: impl FnMut() -> bool) {
    let end = now() + u64::try_from(LIMIT.as_nanos()).unwrap_or(u64::MAX);
    while !done() && now() < end {
        sleep(TICK).await;
    }
}

async fn measure(mode: &watch::Sender<Mode>, how: Mode, seconds: u64, counts: &Counts) -> Value {
    mode.send_replace(how);
    // The first second is for everybody to find a rhythm.
    sleep(Duration::from_secs(1)).await;
    reset(counts);
    let (before, wanted) = (now(), Duration::from_secs(seconds));
    sleep(wanted).await;
    let answer = report(counts, Duration::from_nanos(now() - before));
    mode.send_replace(Mode::Listen);
    sleep(Duration::from_millis(500)).await;
    answer
}

fn reset(counts: &Counts) {
    counts.accepted.set(0);
    counts.refused.borrow_mut().clear();
    counts.micros.borrow_mut().clear();
}

fn report(counts: &Counts, spent: Duration) -> Value {
    let mut micros = counts.micros.borrow().clone();
    micros.sort_unstable();
    let at = |hundredths: usize| {
        micros.get(micros.len().saturating_sub(1) * hundredths / 100).copied().unwrap_or(0)
    };
    json!({
        "accepted": counts.accepted.get(), "refused": *counts.refused.borrow(), "lost": counts.lost.get(),
        "per_second": u128::from(counts.accepted.get()) * 1_000_000 / spent.as_micros().max(1),
        "p50_micros": at(50), "p99_micros": at(99),
    })
}

/// Wait until every connection was given clean work after `since`; the first and the last time.
async fn cleaned(counts: &Counts, since: u64) -> Value {
    let all = || counts.cleaned.borrow().iter().all(|time| *time > since);
    wait(all).await;
    let times = counts.cleaned.borrow();
    let (first, last) = (times.iter().min().copied(), times.iter().max().copied());
    json!({"first": first, "last": last, "lost": counts.lost.get()})
}

/// Nanoseconds since 1970: the one clock that processes share.
#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
pub(crate) fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Miner {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    place: usize,
    job: String,
    time: String,
    /// Digits of the extranonce 2.
    digits: usize,
    count: u32,
    counts: Rc<Counts>,
}

impl Miner {
    async fn connect(address: &str, place: usize, counts: Rc<Counts>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let lines = BufReader::with_capacity(2_048, reader).lines();
        let (job, time) = (String::new(), String::new());
        let mut miner = Self { lines, writer, place, job, time, digits: 0, count: 0, counts };
        let hello = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bench/1\"]}\n\
                     {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"bench.rig\",\"x\"]}\n";
        miner.writer.write_all(hello.as_bytes()).await?;
        while miner.job.is_empty() {
            miner.read().await?;
        }
        miner.counts.ready.set(miner.counts.ready.get() + 1);
        Ok(miner)
    }

    /// Read one line; the answer to a share, if it is one.
    async fn read(&mut self) -> Result<Option<String>> {
        let line = self.lines.next_line().await?.context("the server hung up")?;
        if line.contains("\"method\":\"mining.notify\"") {
            let clean = line.contains("true]").then(now);
            // The first text of the parameters is the job, and the last the time. To parse all of it would
            // cost as much as it cost the server to send.
            let (_, params) = line.split_once("\"params\":[\"").context("parameters")?;
            params.split('"').next().unwrap_or_default().clone_into(&mut self.job);
            params.rsplit('"').nth(1).unwrap_or_default().clone_into(&mut self.time);
            if let (Some(time), Some(clean)) = (self.counts.cleaned.borrow_mut().get_mut(self.place), clean) {
                *time = clean;
            }
            return Ok(None);
        }
        if let Some((_, size)) = line.split_once("\"id\":1,").and_then(|_| line.rsplit_once(',')) {
            self.digits = 2 * size.trim_end_matches([']', '}']).parse().unwrap_or(0);
        }
        // Anything else that begins otherwise is the handshake, or a difficulty.
        Ok((line.contains("\"id\":4,") || line.ends_with("\"id\":4}")).then_some(line))
    }

    async fn work(&mut self, mut modes: watch::Receiver<Mode>) -> Result<()> {
        loop {
            let mode = *modes.borrow_and_update();
            match mode {
                Mode::Listen => tokio::select! {
                    changed = modes.changed() => changed?,
                    read = self.read() => { read?; }
                },
                Mode::Flat => self.share().await?,
                Mode::Every(every) => self.pace(every, &mut modes).await?,
            }
        }
    }

    async fn pace(&mut self, every: Duration, modes: &mut watch::Receiver<Mode>) -> Result<()> {
        // Not all at once.
        let phase = u64::try_from(self.place).unwrap_or(0).wrapping_mul(7_919) % 1_000;
        sleep(every * u32::try_from(phase).unwrap_or(0) / 1_000).await;
        let mut tick = interval(every);
        loop {
            tokio::select! {
                changed = modes.changed() => return Ok(changed?),
                read = self.read() => { read?; }
                _ = tick.tick() => self.share().await?,
            }
        }
    }

    /// Submit one share and wait for the answer to it.
    async fn share(&mut self) -> Result<()> {
        self.count = self.count.wrapping_add(1);
        let Self { job, time, count, digits, .. } = &*self;
        let second = u64::from(*count) & ((1 << (4 * digits)) - 1);
        let line = format!(
            "{{\"params\":[\"bench.rig\",\"{job}\",\"{second:0digits$x}\",\"{time}\",\"{count:08x}\"],\"id\":4,\"method\":\"mining.submit\"}}\n"
        );
        let before = now();
        self.writer.write_all(line.as_bytes()).await?;
        loop {
            let Some(answer) = self.read().await? else { continue };
            self.counts.micros.borrow_mut().push((now() - before) / 1_000);
            if answer.contains("\"result\":true") {
                self.counts.accepted.set(self.counts.accepted.get() + 1);
            } else {
                *self.counts.refused.borrow_mut().entry(answer).or_default() += 1;
            }
            return Ok(());
        }
    }
}
