//! The miner's side of Stratum V1.

use crate::work::{Found, Work, target_of};
use anyhow::{Context as _, Result, bail};
use bitcoin::Target;
use hex::FromHex as _;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// What this miner calls itself.
const AGENT: &str = concat!("software-miner/", env!("CARGO_PKG_VERSION"));
/// Bytes of the longest line that is read.
const LINE_MAX: u64 = 64 * 1024;
/// Lines that wait to be looked at. The server waits when it is full.
const QUEUE: usize = 256;

/// What came of a share.
#[derive(Debug)]
pub(crate) enum Event {
    /// It counts.
    Accepted,
    /// It does not, for this reason.
    Rejected(String),
    /// The server is gone.
    Closed,
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct StratumClient {
    stream: TcpStream,
    lines: Receiver<Value>,
    next_id: u64,
    extranonce1: Vec<u8>,
    extranonce2_size: usize,
    target: Target,
    latest: Option<Work>,
}

impl StratumClient {
    /// Connect, subscribe and authorise.
    pub(crate) fn connect(url: &str, user: &str, limit: Duration) -> Result<Self> {
        let address = url.trim_start_matches("stratum+tcp://").trim_end_matches('/');
        let address = address.to_socket_addrs()?.next().context("no such address")?;
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limit))?;
        let lines = read_lines(stream.try_clone()?);
        let (extranonce1, target, latest) = (Vec::new(), target_of(1.0), None);
        let mut client = Self { stream, lines, next_id: 0, extranonce1, extranonce2_size: 0, target, latest };
        let subscribed = client.ask("mining.subscribe", &json!([AGENT]), limit)?;
        let text = subscribed.pointer("/result/1").and_then(Value::as_str).context("no extranonce")?;
        client.extranonce1 = Vec::from_hex(text)?;
        let size = subscribed.pointer("/result/2").and_then(Value::as_u64).context("no extranonce size")?;
        client.extranonce2_size = usize::try_from(size)?;
        let authorised = client.ask("mining.authorize", &json!([user, "x"]), limit)?;
        if authorised.get("result") != Some(&Value::Bool(true)) {
            bail!("the server does not take the name '{user}': {}", reason(&authorised));
        }
        Ok(client)
    }

    /// The newest job, if one came since the last call or comes within `wait`.
    pub(crate) fn latest_work(&mut self, wait: Duration) -> Result<Option<Work>> {
        let mut wait = if self.latest.is_some() { Duration::ZERO } else { wait };
        loop {
            match self.lines.recv_timeout(wait) {
                Ok(line) => self.note(&line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(self.latest.take()),
                Err(RecvTimeoutError::Disconnected) => bail!("the server hung up"),
            }
            if self.latest.is_some() {
                wait = Duration::ZERO;
            }
        }
    }

    /// Submit a share and wait for what the server says to it.
    pub(crate) fn submit(
        &mut self,
        user: &str,
        work: &Work,
        found: &Found,
        limit: Duration,
    ) -> Result<Event> {
        let params = json!([user, work.job, found.extranonce2, work.time, found.nonce]);
        match self.ask("mining.submit", &params, limit) {
            Ok(answer) if answer.get("result") == Some(&Value::Bool(true)) => Ok(Event::Accepted),
            Ok(answer) => Ok(Event::Rejected(reason(&answer))),
            Err(_) => Ok(Event::Closed),
        }
    }

    fn ask(&mut self, method: &str, params: &Value, limit: Duration) -> Result<Value> {
        self.next_id += 1;
        let id = self.next_id;
        writeln!(self.stream, "{}", json!({"id": id, "method": method, "params": params}))?;
        loop {
            let line = self.lines.recv_timeout(limit).with_context(|| format!("no answer to {method}"))?;
            if line.get("id").and_then(Value::as_u64) == Some(id) && line.get("method").is_none() {
                return Ok(line);
            }
            self.note(&line)?;
        }
    }

    /// Take in what the server says of its own accord.
    fn note(&mut self, line: &Value) -> Result<()> {
        let params = line.get("params").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        match line.get("method").and_then(Value::as_str) {
            Some("mining.set_difficulty") => {
                self.target = target_of(params.first().and_then(Value::as_f64).context("no difficulty")?);
            }
            Some("mining.notify") => {
                let work = Work::read(params, &self.extranonce1, self.extranonce2_size, self.target)?;
                self.latest = Some(work);
            }
            _ => {}
        }
        Ok(())
    }
}

fn reason(answer: &Value) -> String {
    let text = answer.pointer("/error/1").and_then(Value::as_str);
    text.map_or_else(|| "no reason given".to_owned(), str::to_owned)
}

/// A thread that reads until the connection ends.
fn read_lines(stream: TcpStream) -> Receiver<Value> {
    let (sender, receiver) = sync_channel(QUEUE);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            match reader.by_ref().take(LINE_MAX).read_line(&mut line) {
                Ok(read) if read > 0 && line.ends_with('\n') => {}
                _ => return,
            }
            if serde_json::from_str(&line).is_ok_and(|value: Value| sender.send(value).is_err()) {
                return;
            }
        }
    });
    receiver
}
