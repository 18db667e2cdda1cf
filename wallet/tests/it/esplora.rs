//! An Esplora server for tests, written after the protocol's description: it tells what a real bitcoind
//! has, or lies about it on demand.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use bitcoin::consensus::encode::{deserialize_hex, serialize};
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::hex::{DisplayHex as _, FromHex as _};
use bitcoin::{Block, Txid};
use regtest::Rpc;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does instead of telling the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    No,
    /// It does not tell of this transaction.
    Withhold(Txid),
    /// It gives blocks with another witness.
    Witness,
    /// It gives blocks with a transaction changed.
    Block,
    /// Its newest header shows no work.
    Header,
    /// It says that it is on mainnet.
    Genesis,
}

pub(crate) struct Server {
    pub(crate) url: String,
    lie: Arc<Mutex<Lie>>,
}

/// What is known of each block: hash, and for each script the transactions.
type Index = BTreeMap<u64, (String, BTreeMap<String, Vec<String>>)>;

#[derive(Clone)]
struct Desk {
    rpc: Rpc,
    lie: Arc<Mutex<Lie>>,
    index: Arc<Mutex<Index>>,
}

impl Server {
    pub(crate) fn start(node: &regtest::Bitcoind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let lie = Arc::new(Mutex::new(Lie::No));
        let desk = Desk { rpc: node.client(), lie: Arc::clone(&lie), index: Arc::default() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let desk = desk.clone();
                std::thread::spawn(move || desk.serve(stream));
            }
        });
        Self { url, lie }
    }

    pub(crate) fn lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }
}

impl Desk {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).ok()?;
                if header.trim().is_empty() {
                    break;
                }
                let header = header.to_lowercase();
                length = header.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let path = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
            let (status, answer) = match self.answer(&path, &body) {
                Some(answer) => ("200 OK", answer),
                None if path == "tx" => {
                    ("400 Bad Request", b"sendrawtransaction RPC error: refused".to_vec())
                }
                None => ("404 Not Found", b"not found".to_vec()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.write_all(&[head.into_bytes(), answer].concat()).ok()?;
        }
    }

    fn call(&self, method: &str, params: &[Value]) -> Option<Value> {
        self.rpc.call(method, params).ok()
    }

    fn lying(&self) -> Lie {
        *self.lie.lock().unwrap()
    }

    fn answer(&self, path: &str, body: &[u8]) -> Option<Vec<u8>> {
        let text = |value: Value| value.as_str().map(|text| text.as_bytes().to_vec());
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["blocks", "tip", "hash"] => text(self.call("getbestblockhash", &[])?),
            ["block-height", "0"] if self.lying() == Lie::Genesis => {
                let main = bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin);
                Some(main.block_hash().to_string().into_bytes())
            }
            ["block-height", height] => {
                text(self.call("getblockhash", &[json!(height.parse::<u64>().ok()?)])?)
            }
            ["block", hash, "header"] => {
                let mut header =
                    self.call("getblockheader", &[json!(hash), json!(false)])?.as_str()?.to_owned();
                if self.lying() == Lie::Header {
                    header.replace_range(152..160, "ffffffff");
                }
                Some(header.into_bytes())
            }
            ["block", hash, "status"] => {
                let header = self.call("getblockheader", &[json!(hash)])?;
                let best = header.get("confirmations")?.as_i64()? > 0;
                Some(
                    json!({ "in_best_chain": best, "height": header.get("height")? })
                        .to_string()
                        .into_bytes(),
                )
            }
            ["block", hash, "raw"] => self.block(hash),
            ["tx", txid, "raw"] => {
                Vec::from_hex(self.call("getrawtransaction", &[json!(txid)])?.as_str()?).ok()
            }
            ["scripthash", id, "txs"] => Some(self.script(id)?.to_string().into_bytes()),
            ["scripthash", _, "txs", "chain", _] => Some(b"[]".to_vec()),
            ["fee-estimates"] => Some(br#"{"1": 87.882, "6": 3.01, "144": 1.0}"#.to_vec()),
            ["tx"] => text(self.call("sendrawtransaction", &[json!(String::from_utf8_lossy(body))])?),
            _ => None,
        }
    }

    fn block(&self, hash: &str) -> Option<Vec<u8>> {
        let raw = self.call("getblock", &[json!(hash), json!(0)])?;
        let mut block: Block = deserialize_hex(raw.as_str()?).ok()?;
        let last = block.txdata.last_mut()?;
        match self.lying() {
            Lie::Witness if !last.is_coinbase() => {
                last.input[0].witness =
                    bitcoin::Witness::from_slice(&[vec![1; 64], vec![2; 34], vec![3; 33]]);
            }
            Lie::Block => last.output[0].value += bitcoin::Amount::ONE_SAT,
            _ => {}
        }
        Some(serialize(&block))
    }

    /// All of it on one page; the real ones give 25 a page.
    fn script(&self, id: &str) -> Option<Value> {
        let hidden = match self.lying() {
            Lie::Withhold(txid) => txid.to_string(),
            _ => String::new(),
        };
        let index = self.index()?;
        let confirmed =
            index.iter().filter_map(|(height, (hash, scripts))| Some((height, hash, scripts.get(id)?)));
        let confirmed = confirmed.flat_map(|(height, hash, txids)| {
            let status = json!({ "confirmed": true, "block_height": height, "block_hash": hash });
            txids
                .iter()
                .filter(|txid| **txid != hidden)
                .map(move |txid| json!({ "txid": txid, "status": status }))
        });
        let mut listed: Vec<Value> = confirmed.collect();
        for txid in self.call("getrawmempool", &[])?.as_array()? {
            let transaction = self.call("getrawtransaction", &[txid.clone(), json!(2)])?;
            if scripts(&transaction).contains(&id.to_owned()) {
                listed.push(json!({ "txid": txid, "status": { "confirmed": false } }));
            }
        }
        Some(Value::Array(listed))
    }

    fn index(&self) -> Option<Index> {
        let mut index = self.index.lock().unwrap();
        let top = self.call("getblockcount", &[])?.as_u64()?;
        index.retain(|height, _| *height <= top);
        while let Some((height, (hash, _))) = index.last_key_value() {
            if self.call("getblockhash", &[json!(height)])?.as_str() == Some(hash) {
                break;
            }
            index.pop_last();
        }
        let next = index.last_key_value().map_or(0, |(height, _)| height + 1);
        for height in next..=top {
            let hash = self.call("getblockhash", &[json!(height)])?.as_str()?.to_owned();
            let block = self.call("getblock", &[json!(hash), json!(3)])?;
            let mut here: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for transaction in block.get("tx")?.as_array()? {
                let mut touched = scripts(transaction);
                touched.sort();
                touched.dedup();
                let txid = transaction.get("txid")?.as_str()?;
                touched.into_iter().for_each(|script| here.entry(script).or_default().push(txid.to_owned()));
            }
            index.insert(height, (hash, here));
        }
        Some(index.clone())
    }
}

/// The hashes of the scripts that a transaction pays or spends.
fn scripts(transaction: &Value) -> Vec<String> {
    let list = |name: &str| transaction.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let inputs = list("vin").into_iter().filter_map(|input| input.get("prevout").cloned());
    let all = inputs.chain(list("vout")).filter_map(|output| {
        let script = output.get("scriptPubKey")?.get("hex")?.as_str()?.to_owned();
        Some(sha256::Hash::hash(&Vec::from_hex(&script).ok()?).to_byte_array().to_lower_hex_string())
    });
    all.collect()
}
