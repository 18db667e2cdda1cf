//! Found blocks, kept on disk until a bitcoind has answered for them. All bitcoinds are told.

use crate::error::Error;
use crate::home::replace;
use crate::shared::Shared;
use crate::template::gbt::{Bitcoind, RpcError, Submitted};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, BlockHash};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// Blocks on their way from the miners' connections; a connection waits when it is full.
const QUEUE: usize = 64;
/// Pause between attempts while bitcoind does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// Blocks that wait for bitcoind; those of earlier runs and these together. More than a farm finds.
const PENDING_MAX: usize = 256;

/// A block found by a worker.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) worker: String,
    pub(crate) block: Box<Block>,
    /// Told when the block is on disk, or cannot be.
    pub(crate) kept: oneshot::Sender<()>,
}

struct Spool {
    dir: PathBuf,
    bitcoinds: Vec<Bitcoind>,
    shared: Arc<Shared>,
    pending: Vec<BlockHash>,
}

/// Take found blocks to `bitcoinds` until the sender is dropped, first those of earlier runs.
pub(crate) fn deliver(
    dir: PathBuf,
    bitcoinds: Vec<Bitcoind>,
    shared: Arc<Shared>,
) -> Result<Sender<Found>, Error> {
    let (sender, mut receiver) = channel(QUEUE);
    let pending = left_over(&dir)?;
    let mut spool = Spool { dir, bitcoinds, shared, pending };
    thread::spawn(move || while spool.step(&mut receiver) {});
    Ok(sender)
}

fn left_over(dir: &PathBuf) -> Result<Vec<BlockHash>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::file(dir))?;
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".hex")?.parse().ok();
    Ok(entries.flatten().filter_map(name).take(PENDING_MAX).collect())
}

impl Spool {
    /// Take in one new block if there is one, then try all that wait. False when all is over.
    fn step(&mut self, receiver: &mut Receiver<Found>) -> bool {
        let found = if self.pending.is_empty() {
            receiver.blocking_recv()
        } else {
            match receiver.try_recv() {
                Ok(found) => Some(found),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    thread::sleep(RETRY);
                    self.submit_all();
                    return true;
                }
            }
        };
        let Some(found) = found else { return false };
        self.take_in(found);
        self.submit_all();
        true
    }

    fn take_in(&mut self, found: Found) {
        let hash = found.block.block_hash();
        info!(%hash, worker = found.worker, "block found");
        self.shared.found(&found.worker, hash);
        let hex = serialize_hex(found.block.as_ref());
        if let Err(error) = replace(&self.path(hash, "hex"), hex.as_bytes()) {
            // Without a file there is one attempt, now.
            error!(%hash, %error, "cannot keep a found block");
            self.submit(hash, &hex);
            return;
        }
        // The connection may be gone.
        let _gone = found.kept.send(());
        if self.pending.len() < PENDING_MAX {
            self.pending.push(hash);
        }
        self.shared.pending(self.pending.len());
    }

    fn submit_all(&mut self) {
        for hash in std::mem::take(&mut self.pending) {
            let kept = fs::read_to_string(self.path(hash, "hex"));
            if kept.is_ok_and(|hex| !self.submit(hash, hex.trim())) {
                self.pending.push(hash);
            }
        }
        self.shared.pending(self.pending.len());
    }

    /// Whether the block is settled: a bitcoind has it, or all of them refuse it.
    fn submit(&self, hash: BlockHash, hex: &str) -> bool {
        let kept = self.path(hash, "hex");
        let answers: Vec<_> = self.bitcoinds.iter().map(|bitcoind| bitcoind.submit(hex)).collect();
        let settled = match best(answers) {
            Ok(Submitted::Accepted) => {
                info!(%hash, "block accepted");
                self.shared.accepted_block();
                fs::remove_file(kept)
            }
            Ok(Submitted::Inconclusive) => {
                info!(%hash, "block is valid, but another was faster");
                fs::remove_file(kept)
            }
            Ok(Submitted::Rejected(reason)) => {
                error!(%hash, reason, "block rejected; it stays on disk");
                fs::rename(kept, self.path(hash, "rejected"))
            }
            Err(error) => {
                warn!(%hash, %error, "block not delivered yet");
                return false;
            }
        };
        if let Err(error) = settled {
            warn!(%hash, %error, "a delivered block's file stays");
        }
        true
    }

    fn path(&self, hash: BlockHash, ending: &str) -> PathBuf {
        self.dir.join(format!("{hash}.{ending}"))
    }
}

/// What several bitcoinds together say: one that took the block is enough, and one that did not answer
/// may still take what the others refuse.
fn best(answers: Vec<Result<Submitted, RpcError>>) -> Result<Submitted, RpcError> {
    let rank = |answer: &Result<Submitted, RpcError>| match answer {
        Ok(Submitted::Accepted) => 0,
        Ok(Submitted::Inconclusive) => 1,
        Err(_) => 2,
        Ok(Submitted::Rejected(_)) => 3,
    };
    let none = || Err(RpcError::Unreachable("no bitcoind".to_owned()));
    answers.into_iter().min_by_key(rank).unwrap_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_waits_for_who_did_not_answer_unless_another_took_it() {
        let away = || Err(RpcError::Unreachable("away".to_owned()));
        let no = || Ok(Submitted::Rejected("high-hash".to_owned()));
        let (yes, later) = (|| Ok(Submitted::Accepted), || Ok(Submitted::Inconclusive));
        assert!(matches!(best(vec![no(), away(), yes()]), Ok(Submitted::Accepted)));
        assert!(matches!(best(vec![no(), later(), away()]), Ok(Submitted::Inconclusive)));
        assert!(best(vec![no(), away()]).is_err(), "it stays on disk");
        assert!(matches!(best(vec![no(), no()]), Ok(Submitted::Rejected(_))));
        assert!(best(Vec::new()).is_err());
    }
}
