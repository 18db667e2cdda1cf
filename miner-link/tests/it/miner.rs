//! A miner that hashes, and knows nothing of the crate under test.

use crate::farm::LIMIT;
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::{CompactTarget, Target};
use hex::{DisplayHex as _, FromHex as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) struct Miner {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    name: String,
    extranonce1: Vec<u8>,
    size: usize,
    pub(crate) job: Option<Value>,
}

impl Miner {
    pub(crate) fn connect(stratum: &str, name: &str) -> Self {
        Self::connect_as(stratum, name, "test/1")
    }

    /// A miner that calls itself `agent`.
    pub(crate) fn connect_as(stratum: &str, name: &str, agent: &str) -> Self {
        let stream = TcpStream::connect(stratum).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let (extranonce1, name) = (Vec::new(), name.to_owned());
        let mut miner = Self { stream, reader, name, extranonce1, size: 0, job: None };
        let subscribed = miner.ask("mining.subscribe", &json!([agent]));
        miner.extranonce1 = Vec::from_hex(subscribed["result"][1].as_str().unwrap()).unwrap();
        miner.size = usize::try_from(subscribed["result"][2].as_u64().unwrap()).unwrap();
        let authorised = miner.ask("mining.authorize", &json!([miner.name]));
        assert_eq!(authorised["result"], json!(true));
        miner
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        // The id comes last, as cpuminer writes it.
        let line = format!("{{\"method\": \"{method}\", \"params\": {params}, \"id\": \"q\"}}\n");
        // In one piece: the parts of a line would wait for each other's acknowledgement.
        self.stream.write_all(line.as_bytes()).unwrap();
        loop {
            let line = self.read().expect("an answer");
            if line["id"] == json!("q") {
                return line;
            }
        }
    }

    /// How long the answer to the simplest question takes.
    pub(crate) fn ping(&mut self) -> Duration {
        let (answer, time) = self.time(|miner| miner.ask("mining.ping", &json!([])));
        assert_eq!(answer["result"], json!("pong"));
        time
    }

    /// What something comes to, and how long that takes.
    #[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
    pub(crate) fn time<T>(&mut self, wait: impl FnOnce(&mut Self) -> T) -> (T, Duration) {
        let before = std::time::Instant::now();
        let done = wait(self);
        (done, before.elapsed())
    }

    /// The next line, if one comes in time.
    fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).is_err() {
            return None;
        }
        let value: Value = serde_json::from_str(&line).unwrap();
        if value["method"] == json!("mining.notify") {
            self.job = Some(value["params"].clone());
        }
        Some(value)
    }

    /// Whether nothing at all comes for `time`.
    pub(crate) fn hears_nothing_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let heard = self.read();
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        heard.is_none()
    }

    /// The job at hand, or the next one.
    pub(crate) fn wait_for_job(&mut self) -> Value {
        loop {
            if let Some(job) = self.job.clone() {
                return job;
            }
            self.read().expect("a job");
        }
    }

    /// A job with another coinbase than `previous`'s.
    pub(crate) fn wait_for_another_job(&mut self, previous: &Value) -> Value {
        loop {
            let job = self.wait_for_job();
            if job[3] != previous[3] {
                return job;
            }
            self.job = None;
        }
    }

    /// A job on another tip than `previous`'s.
    pub(crate) fn wait_for_job_after(&mut self, previous: &Value) -> Value {
        loop {
            let job = self.wait_for_job();
            if job[1] != previous[1] {
                return job;
            }
            self.job = None;
        }
    }

    /// Hash until a block is found and submit it; the answer.
    pub(crate) fn find_block(&mut self, job: &Value) -> Value {
        let text = |index: usize| job[index].as_str().unwrap();
        let number = |index: usize| u32::from_str_radix(text(index), 16).unwrap();
        let extranonce2 = vec![0x5a; self.size];
        let (start, end) = (Vec::from_hex(text(2)).unwrap(), Vec::from_hex(text(3)).unwrap());
        let coinbase = [start, self.extranonce1.clone(), extranonce2.clone(), end].concat();
        let mut root = sha256d::Hash::hash(&coinbase).to_byte_array();
        for hash in job[4].as_array().unwrap() {
            let hash = Vec::from_hex(hash.as_str().unwrap()).unwrap();
            root = sha256d::Hash::hash(&[root.to_vec(), hash].concat()).to_byte_array();
        }
        let mut previous = Vec::from_hex(text(1)).unwrap();
        previous.chunks_mut(4).for_each(<[u8]>::reverse);
        let words = [number(7).to_le_bytes(), number(6).to_le_bytes()].concat();
        let header = [number(5).to_le_bytes().to_vec(), previous, root.to_vec(), words].concat();
        let target = Target::from_compact(CompactTarget::from_consensus(number(6)));
        let meets = |nonce: &u32| {
            let header = [header.clone(), nonce.to_le_bytes().to_vec()].concat();
            Target::from_le_bytes(sha256d::Hash::hash(&header).to_byte_array()) <= target
        };
        let nonce = (0..u32::MAX).find(meets).unwrap();
        let extranonce2 = extranonce2.to_lower_hex_string();
        let params = json!([self.name, text(0), extranonce2, text(7), format!("{nonce:08x}")]);
        self.ask("mining.submit", &params)
    }
}
