use super::*;
use crate::contract::{LinkStatus, Pairing};
use crate::job::{Extranonce2, Solution};
use crate::testkit::{Guild, TIME, job};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

const MAKER: Maker = Maker { link: [7; 32], difficulty: 1 << 18 };

fn proof(nonce: u32) -> Box<Proof> {
    let (extranonce1, extranonce2) = ([0, 1], Extranonce2::zero(4));
    let solution = Solution { extranonce1, extranonce2, version: 0x2000_0000, time: TIME, nonce };
    Box::new(job(1, 1).proof(&solution).unwrap())
}

fn shared() -> Arc<Shared> {
    let status = serde_json::json!({
        "v": 1, "guild": "", "member": "", "link": "", "policy": {"state": "nothing", "why": ""},
        "policy_refused": null, "height": null, "jobs": 0, "job_trouble": null, "workers": 0,
        "shares_accepted": 0, "shares_rejected": 0, "blocks_found": 0, "blocks_accepted": 0,
        "last_block": null, "blocks_pending": 0, "node_reachable": false, "bitcoind_reachable": false,
        "stratum": "127.0.0.1:1",
    });
    Arc::new(Shared::new(serde_json::from_value::<LinkStatus>(status).unwrap(), Vec::new()))
}

fn node(url: &str) -> Node {
    Node::new(&Pairing { node_url: url.to_owned(), ..Guild::new(3).pairing() })
}

fn wait_for(comes_true: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if comes_true() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come true");
}

fn count(dir: &Path, ending: &str) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).count()
}

/// Answers each POST with the next of `statuses`, and gives the bodies.
fn take(statuses: &'static [&'static str]) -> (String, std::sync::mpsc::Receiver<ReceiptHex>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (bodies, taken) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for (stream, status) in listener.incoming().flatten().zip(statuses) {
            let mut reader = BufReader::new(&stream);
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            (&stream).write_all(answer.as_bytes()).unwrap();
            bodies.send(serde_json::from_slice(&body).unwrap()).unwrap();
        }
    });
    (url, taken)
}

#[test]
fn receipts_wait_on_disk_until_the_node_took_them() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_owned();
    // The node is away, and the link ends.
    let (first, away) = (shared(), node("http://127.0.0.1:1"));
    let sender = deliver(dir.clone(), MAKER, away, first.clone()).unwrap();
    (1..=3).for_each(|nonce| sender.blocking_send(proof(nonce)).unwrap());
    wait_for(|| count(&dir, ".receipt") == 3 && first.status().receipts_pending == 3);
    drop(sender);
    // It begins again, and the node takes two and refuses one.
    let (url, taken) = take(&["204 No Content", "409 Conflict", "200 OK"]);
    let second = shared();
    let _sender = deliver(dir.clone(), MAKER, node(&url), second.clone()).unwrap();
    for nonce in 1..=3 {
        let bytes = Vec::from_hex(&taken.recv().unwrap().receipt_hex).unwrap();
        let receipt: Receipt = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((receipt.link, receipt.difficulty), (MAKER.link, MAKER.difficulty));
        assert_eq!((receipt.header, receipt.branch), (proof(nonce).header, proof(nonce).branch), "in order");
    }
    wait_for(|| count(&dir, ".receipt") == 0 && second.status().receipts_pending == 0);
    assert_eq!(count(&dir, ".refused"), 1);
}
