//! The chain shell: one thread that asks bitcoind, so that nothing else ever blocks on it. It reconnects
//! by itself; a bitcoind that starts anew has a new cookie.

use crate::config::Bitcoind as Settings;
use bitcoin::{BlockHash, Network, Transaction};
use crdt::charter::Birth;
use crdt::{Height, ProposalId};
use std::sync::Arc;
use tokio::sync::mpsc;
use wallet::CheckPoint;
use wallet::chain::{Bitcoind, BroadcastError, ChainError, Follow, Mempool, NewBlock};

/// Blocks given to the daemon at once, so that a long walk along the chain shows progress.
const BLOCKS_MAX: usize = 64;
/// Polls between two fee estimates.
const ESTIMATE_EVERY: u32 = 60;
/// Blocks in which a payment should confirm.
const ESTIMATE_TARGET: u16 = 6;
/// Questions and answers under way.
const QUEUE: usize = 64;

/// News of the chain.
#[derive(Debug)]
pub struct Update {
    /// bitcoind's best block.
    pub tip: (Height, BlockHash),
    /// Blocks after the wallet's position, in order; not all of them if there are [`more`](Self::more).
    pub blocks: Vec<NewBlock>,
    /// Whether there are more.
    pub more: bool,
    /// What changed in the mempool.
    pub mempool: Mempool,
    /// Satoshis per virtual byte, if bitcoind has an estimate.
    pub fee_rate: Option<u64>,
}

/// Where the wallet stands, to follow the chain from.
#[derive(Debug, Clone)]
pub struct Position {
    /// The last block it took.
    pub checkpoint: CheckPoint,
    /// Nothing of the guild is older.
    pub birth: Height,
    /// What it believes to be in the mempool.
    pub unconfirmed: Vec<Arc<Transaction>>,
}

/// What the thread is asked.
#[derive(Debug)]
pub enum Question {
    /// What is new? From this position, if there is a wallet; anew if it lost its way.
    Poll(Option<Position>, bool),
    /// Send a payment of this decision.
    Broadcast(ProposalId, Transaction),
}

/// What it answers.
#[derive(Debug)]
pub enum News {
    /// To a poll.
    Update(Box<Update>),
    /// To a poll: bitcoind does not answer.
    Lost(String),
    /// To a broadcast.
    Broadcast(ProposalId, Result<(), String>),
}

struct Thread {
    settings: Settings,
    network: Network,
    birth: Birth,
    node: Option<Bitcoind>,
    follow: Option<Follow>,
    polls: u32,
    fee_rate: Option<u64>,
}

/// Start the thread. It ends when its questions do.
#[must_use]
pub fn start(
    settings: Settings,
    network: Network,
    birth: Birth,
) -> (mpsc::Sender<Question>, mpsc::Receiver<News>) {
    let (ask, mut questions) = mpsc::channel(QUEUE);
    let (tell, news) = mpsc::channel(QUEUE);
    let mut thread = Thread { settings, network, birth, node: None, follow: None, polls: 0, fee_rate: None };
    std::thread::spawn(move || {
        while let Some(question) = questions.blocking_recv() {
            if tell.blocking_send(thread.answer(question)).is_err() {
                return;
            }
        }
    });
    (ask, news)
}

/// An error and its causes in one line.
fn line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

impl Thread {
    fn answer(&mut self, question: Question) -> News {
        match question {
            Question::Poll(position, anew) => match self.poll(position, anew) {
                Ok(update) => News::Update(Box::new(update)),
                Err(error) => {
                    self.node = None;
                    self.follow = None;
                    News::Lost(line(&error))
                }
            },
            Question::Broadcast(decision, transaction) => {
                News::Broadcast(decision, self.broadcast(&transaction))
            }
        }
    }

    fn node(&mut self) -> Result<Bitcoind, ChainError> {
        if let Some(node) = &self.node {
            return Ok(node.clone());
        }
        let node = Bitcoind::connect(&self.settings.url, &self.settings.cookie)?;
        node.check_network(self.network)?;
        node.check_birth(&self.birth)?;
        self.node = Some(node.clone());
        Ok(node)
    }

    fn poll(&mut self, position: Option<Position>, anew: bool) -> Result<Update, ChainError> {
        let node = self.node()?;
        if anew {
            self.follow = None;
        }
        if self.follow.is_none() {
            self.follow = position.map(|at| node.follow(at.checkpoint, at.birth, at.unconfirmed));
        }
        if self.polls.is_multiple_of(ESTIMATE_EVERY) {
            self.fee_rate = node.estimate_fee(ESTIMATE_TARGET).ok().flatten();
        }
        self.polls = self.polls.wrapping_add(1);
        let mut tip = node.tip()?;
        let (mut blocks, mut mempool, mut more) = (Vec::new(), Mempool::default(), false);
        if let Some(follow) = &mut self.follow {
            while blocks.len() < BLOCKS_MAX
                && let Some(block) = follow.next_block()?
            {
                blocks.push(block);
            }
            more = blocks.len() == BLOCKS_MAX;
            if let Some(last) = blocks.last().filter(|_| !more) {
                tip = (last.height, last.block.block_hash()); // a block came since we asked
            }
            mempool = follow.mempool()?;
        }
        Ok(Update { tip, blocks, more, mempool, fee_rate: self.fee_rate })
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<(), String> {
        let node = self.node().map_err(|error| line(&error))?;
        match node.broadcast(transaction) {
            Ok(_) => Ok(()),
            Err(BroadcastError::Refused { reason, .. }) => Err(reason),
            Err(error) => {
                tracing::warn!(target: "guild::chain", error = line(&error), "payment not sent, trying again");
                Ok(()) // nothing is known: rebroadcast tells
            }
        }
    }
}
