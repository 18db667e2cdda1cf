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
use bitcoin::BlockHash;
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
    waiting: VecDeque<BlockHash>,
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
    let mut spool = Spool { dir, maker, node, shared, waiting, rest: 0 };
    spool.shared.receipts(spool.waiting.len());
    thread::spawn(move || while spool.step(&mut receiver) {});
    Ok(sender)
}

/// The oldest first.
fn left_over(dir: &Path) -> Result<VecDeque<BlockHash>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::file(dir))?;
    let kept = entries.flatten().filter_map(|entry| {
        let hash = entry.file_name().to_str()?.strip_suffix(".receipt")?.parse().ok()?;
        Some((entry.metadata().ok()?.modified().ok()?, hash))
    });
    let mut kept: Vec<(_, BlockHash)> = kept.collect();
    kept.sort_unstable();
    Ok(kept.into_iter().map(|(_, hash)| hash).collect())
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
        match replace(&self.path(hash, "receipt"), bytes.to_lower_hex_string().as_bytes()) {
            Ok(()) => self.waiting.push_back(hash),
            Err(error) => error!(%hash, %error, "cannot keep a receipt"),
        }
    }

    /// Hand over the oldest, unless the node rests.
    fn hand_over(&mut self) {
        if self.rest > 0 {
            self.rest -= 1;
            return thread::sleep(TICK);
        }
        let Some(hash) = self.waiting.pop_front() else { return };
        let kept = self.path(hash, "receipt");
        let read = fs::read_to_string(&kept).ok().filter(|hex| Vec::<u8>::from_hex(hex.trim()).is_ok());
        let Some(hex) = read else {
            return error!(%hash, "a kept receipt cannot be read");
        };
        let settled = match self.node.hand(&ReceiptHex { receipt_hex: hex.trim().to_owned() }) {
            Handed::Taken => fs::remove_file(kept),
            Handed::Refused(why) => {
                error!(%hash, why, "the node refuses a receipt; it stays on disk");
                fs::rename(kept, self.path(hash, "refused"))
            }
            Handed::Later(why) => {
                tracing::debug!(why, "the node takes no receipts now");
                self.waiting.push_front(hash);
                self.rest = TICKS;
                return;
            }
        };
        if let Err(error) = settled {
            warn!(%hash, %error, "a receipt's file stays");
        }
        self.shared.receipts(self.waiting.len());
    }

    fn path(&self, hash: BlockHash, ending: &str) -> PathBuf {
        self.dir.join(format!("{hash}.{ending}"))
    }
}

#[cfg(test)]
mod tests;
