//! Stands between a link and its bitcoind, and lies when told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Answers until the process ends.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// What is added to the height of templates.
    lie: Arc<AtomicU64>,
    /// Milliseconds that a template takes longer.
    slowness: Arc<AtomicU64>,
    /// Blocks without work that bitcoind was asked about.
    proposals: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) fn start(rpc_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lie = Arc::new(AtomicU64::new(0));
        let slowness = Arc::new(AtomicU64::new(0));
        let proposals = Arc::new(AtomicU64::new(0));
        let (told, slow, counted) = (lie.clone(), slowness.clone(), proposals.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (told, slow, counted) = (told.clone(), slow.clone(), counted.clone());
                // A long poll takes its time.
                thread::spawn(move || carry(stream, rpc_port, &told, &slow, &counted));
            }
        });
        Self { port, lie, slowness, proposals }
    }

    pub(crate) fn proposals(&self) -> u64 {
        self.proposals.load(Ordering::SeqCst)
    }

    pub(crate) fn delay_templates(&self, millis: u64) {
        self.slowness.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn add_to_heights(&self, count: u64) {
        self.lie.store(count, Ordering::SeqCst);
    }
}

fn carry(
    mut client: TcpStream,
    rpc_port: u16,
    lie: &AtomicU64,
    slow: &AtomicU64,
    proposals: &AtomicU64,
) -> Option<()> {
    let (head, body) = message(&client)?;
    let asked: serde_json::Value = serde_json::from_slice(&body).ok()?;
    proposals.fetch_add(u64::from(asked["params"][0]["mode"] == "proposal"), Ordering::SeqCst);
    let mut server = TcpStream::connect(("127.0.0.1", rpc_port)).ok()?;
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&body).ok()?;
    let (_, body) = message(&server)?;
    let text: String = body.iter().map(|byte| char::from(*byte)).collect();
    if text.contains("longpollid") {
        thread::sleep(Duration::from_millis(slow.load(Ordering::SeqCst)));
    }
    let body = lied(&text, lie.load(Ordering::SeqCst)).unwrap_or(text);
    let length = body.len();
    write!(client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").ok()
}

/// Templates are the answers with a long poll's id in them.
fn lied(body: &str, more: u64) -> Option<String> {
    let mut answer: serde_json::Value = serde_json::from_str(body).ok()?;
    answer["result"].get("longpollid")?;
    let height = answer["result"]["height"].as_u64()?;
    answer["result"]["height"] = (height + more).into();
    Some(answer.to_string())
}

/// One message of HTTP: its head, and as much of a body as it announces.
fn message(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        head.push_str(&line);
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return Some((head, body));
        }
    }
}
