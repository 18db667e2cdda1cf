//! Proofs of work, kept on disk until the member's node took them (§11).
//!
//! A share of our own work that meets the receipt difficulty proves that this farm hashed for the guild.
//! It is durable before anything is done with it, and a node that is away for weeks costs none of them,
//! as long as fewer than [`WAITING_MAX`] wait.

use crate::contract::ReceiptHex;
use crate::error::Error;
use crate::home::replace;
use crate::job::Proof;
use crate::node::{Handed, Node};
use crate::shared::Shared;
use crdt::receipt::Receipt;
use hex::{DisplayHex as _, FromHex as _};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::{error, warn};

/// Proofs on their way from the miners' connections. What finds it full is not kept.
const QUEUE: usize = 256;
/// Proofs that wait on disk: years of a device at the difficulty that fits it, in about a kilobyte each.
const WAITING_MAX: usize = 100_000;
/// Pause after the node took nothing.
const RETRY: Duration = Duration::from_secs(5);
/// How often new proofs are looked for while old ones wait.
const TICK: Duration = Duration::from_millis(250);
/// Ticks of a pause.
const TICKS: u128 = RETRY.as_millis() / TICK.as_millis();

/// What makes a proof a receipt of this link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker {
    pub(crate) link: [u8; 32],
    pub(crate) difficulty: u64,
}

struct Spool {
    dir: PathBuf,
    maker: Maker,
    node: Node,
    shared: Arc<Shared>,
    /// Names of files, the oldest first.
    waiting: VecDeque<String>,
    /// Number of the next file.
    next: u64,
    rest: u128,
}

/// Take proofs to `node` until the sender is dropped, first those of earlier runs.
pub(crate) fn deliver(
    dir: PathBuf,
    maker: Maker,
    node: Node,
    shared: Arc<Shared>,
) -> Result<Sender<Box<Proof>>, Error> {
    let (sender, mut receiver) = channel(QUEUE);
    let waiting = left_over(&dir)?;
    let next = waiting.back().map_or(0, |last| number(last) + 1);
    let mut spool = Spool { dir, maker, node, shared, waiting, next, rest: 0 };
    spool.shared.receipts(spool.waiting.len());
    thread::spawn(move || while spool.step(&mut receiver) {});
    Ok(sender)
}

/// The oldest first: by their numbers, for a file system's clock may not tell two of one tick apart.
fn left_over(dir: &Path) -> Result<VecDeque<String>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::file(dir))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_suffix(".receipt")?.to_owned();
        Some((number(&name), name))
    });
    let mut kept: Vec<(u64, String)> = names.collect();
    kept.sort_unstable();
    Ok(kept.into_iter().map(|(_, name)| name).collect())
}

/// Of the file `<number>-<hash>`; 0 for one of before there were numbers.
fn number(name: &str) -> u64 {
    name.split_once('-').and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

impl Spool {
    /// Keep one new proof if there is one, or hand one over. False when all is over.
    fn step(&mut self, receiver: &mut Receiver<Box<Proof>>) -> bool {
        let proof = if self.waiting.is_empty() {
            receiver.blocking_recv()
        } else {
            match receiver.try_recv() {
                Ok(proof) => Some(proof),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    self.hand_over();
                    return true;
                }
            }
        };
        let Some(proof) = proof else { return false };
        self.keep(*proof);
        self.shared.receipts(self.waiting.len());
        true
    }

    fn keep(&mut self, proof: Proof) {
        let hash = proof.header.block_hash();
        if self.waiting.len() >= WAITING_MAX {
            return warn!(%hash, "too many receipts wait for the node: this one is not kept");
        }
        let Maker { link, difficulty } = self.maker;
        let Proof { header, coinbase, branch } = proof;
        let receipt = Receipt { link, difficulty, header, coinbase, branch };
        let bytes = postcard::to_stdvec(&receipt).expect("a receipt always encodes");
        let name = format!("{}-{hash}", self.next);
        match replace(&self.path(&name, "receipt"), bytes.to_lower_hex_string().as_bytes()) {
            Ok(()) => {
                self.next += 1;
                self.waiting.push_back(name);
            }
            Err(error) => error!(%hash, %error, "cannot keep a receipt"),
        }
    }

    /// Hand over the oldest, unless the node rests.
    fn hand_over(&mut self) {
        if self.rest > 0 {
            self.rest -= 1;
            return thread::sleep(TICK);
        }
        let Some(name) = self.waiting.pop_front() else { return };
        let kept = self.path(&name, "receipt");
        let read = fs::read_to_string(&kept).ok().filter(|hex| Vec::<u8>::from_hex(hex.trim()).is_ok());
        let Some(hex) = read else {
            return error!(name, "a kept receipt cannot be read");
        };
        let settled = match self.node.hand(&ReceiptHex { receipt_hex: hex.trim().to_owned() }) {
            Handed::Taken => fs::remove_file(kept),
            Handed::Refused(why) => {
                error!(name, why, "the node refuses a receipt; it stays on disk");
                fs::rename(kept, self.path(&name, "refused"))
            }
            Handed::Later(why) => {
                tracing::debug!(why, "the node takes no receipts now");
                self.waiting.push_front(name);
                self.rest = TICKS;
                return;
            }
        };
        if let Err(error) = settled {
            warn!(name, %error, "a receipt's file stays");
        }
        self.shared.receipts(self.waiting.len());
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.dir.join(format!("{name}.{ending}"))
    }
}

#[cfg(test)]
mod tests;
