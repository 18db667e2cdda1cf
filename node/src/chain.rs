//! The chain shell: one thread that asks the chain source, so that nothing else ever blocks on it. It
//! connects by itself, and after a failure again, later each time.

use crate::config::{Config, Filters as FilterSettings};
use bitcoin::{BlockHash, Network, Transaction};
use crdt::charter::Birth;
use crdt::{Charter, Height, ProposalId};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wallet::ChangeSet;
use wallet::chain::filters::Peers;
use wallet::chain::{
    self, BroadcastError, ChainError, Cross, Electrum, Esplora, Filters, FullNode, Health, News as Found,
    Position, Source, SourceHealth,
};

/// Polls between two fee estimates.
const ESTIMATE_EVERY: u32 = 60;
/// Blocks in which a payment should confirm.
const ESTIMATE_TARGET: u16 = 6;
/// Questions and answers under way.
const QUEUE: usize = 64;
/// How long to wait after a first failure before asking again…
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// …twice as long after each further one, but never longer than this.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Peers that must agree on each filter where nobody says otherwise: one may lie, two would have to agree.
const AGREE: u8 = 2;

/// News of the chain.
#[derive(Debug)]
pub struct Update {
    /// The source's best block.
    pub tip: (Height, BlockHash),
    /// What is new for the wallet; not all of it if there is [`more`](Found::more).
    pub found: Found,
    /// Satoshis per virtual byte, if the source has an estimate.
    pub fee_rate: Option<u64>,
    /// How the sources are.
    pub health: Health,
    /// What the sources learnt for themselves, to be stored.
    pub checked: Option<ChangeSet>,
}

impl Update {
    /// Nothing new but the best block, from a full node.
    #[must_use]
    pub fn at(height: Height, hash: BlockHash) -> Self {
        let tip = Some(chain::Tip { height, hash, time: u32::MAX });
        let source = SourceHealth { name: "bitcoind".to_owned(), tip, progress: None, decides: true };
        let (found, health) = (Found::default(), Health::of(source));
        Self { tip: (height, hash), found, fee_rate: None, health, checked: None }
    }
}

/// What the thread is asked.
#[derive(Debug)]
pub enum Question {
    /// What is new? From this position, if there is a wallet; anew if it lost its way.
    Poll(Option<Box<Position>>, bool),
    /// Send a payment of this decision.
    Broadcast(ProposalId, Transaction),
    /// Take up what was stored of [`Update::checked`]. There is no answer.
    Remember(Box<ChangeSet>),
}

/// What it answers.
#[derive(Debug)]
pub enum News {
    /// To a poll.
    Update(Box<Update>),
    /// To a poll: the source does not answer.
    Lost(String),
    /// To a broadcast.
    Broadcast(ProposalId, Result<(), String>),
}

/// The source that the configuration names, or two that check each other; nothing is asked yet. Without a
/// charter there is no birth block to look for, and the first source alone is given.
#[must_use]
pub fn source(config: &Config, charter: Option<&Charter>) -> Box<dyn Source> {
    let network = config.network;
    let birth = charter.map(|charter| charter.birth.clone());
    let mut sources = sources(config, network, birth.as_ref()).into_iter();
    let Some(first) = sources.next() else { return filters(&FilterSettings::default(), network, birth) };
    match (sources.next(), charter) {
        (Some(second), Some(charter)) => Box::new(Cross::new(first, second, charter.clone())),
        _ => first,
    }
}

/// All that are named, the one that can be believed most first.
fn sources(config: &Config, network: Network, birth: Option<&Birth>) -> Vec<Box<dyn Source>> {
    let birth = birth.cloned();
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if let Some(node) = &config.bitcoind {
        let (url, cookie) = (node.url.clone(), node.cookie.clone());
        sources.push(Box::new(FullNode::new(url, cookie, network, birth.clone())));
    }
    if let Some(settings) = &config.filters {
        sources.push(filters(settings, network, birth.clone()));
    }
    if let Some(server) = &config.electrum {
        sources.push(Box::new(Electrum::new(server.url.clone(), network, birth.clone())));
    }
    if let Some(server) = &config.esplora {
        sources.push(Box::new(Esplora::new(&server.url, network, birth)));
    }
    sources
}

fn filters(settings: &FilterSettings, network: Network, birth: Option<Birth>) -> Box<dyn Source> {
    let agree = settings.agree.unwrap_or(if settings.peers.is_empty() { AGREE } else { 1 });
    Box::new(Filters::new(network, birth, Peers { addresses: settings.peers.clone(), agree }))
}

struct Thread {
    source: Box<dyn Source>,
    polls: u32,
    fee_rate: Option<u64>,
    lost: Option<Lost>,
}

/// Why the source was of no use, and when it is asked again.
struct Lost {
    why: String,
    until: Instant,
    wait: Duration,
}

/// Start the thread. It ends when its questions do.
#[must_use]
pub fn start(config: &Config, charter: &Charter) -> (mpsc::Sender<Question>, mpsc::Receiver<News>) {
    let (ask, mut questions) = mpsc::channel(QUEUE);
    let (tell, news) = mpsc::channel(QUEUE);
    let source = source(config, Some(charter));
    let mut thread = Thread { source, polls: 0, fee_rate: None, lost: None };
    std::thread::spawn(move || {
        while let Some(question) = questions.blocking_recv() {
            if let Some(answer) = thread.answer(question)
                && tell.blocking_send(answer).is_err()
            {
                return;
            }
        }
    });
    (ask, news)
}

/// An error and its causes in one line.
#[must_use]
pub fn line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line.replace('\n', " ")
}

#[expect(clippy::disallowed_methods, reason = "a shell: how long it has waited")]
fn now() -> Instant {
    Instant::now()
}

impl Thread {
    fn answer(&mut self, question: Question) -> Option<News> {
        match question {
            Question::Poll(position, anew) => Some(self.poll_in_time(position.as_deref(), anew)),
            Question::Broadcast(decision, transaction) => {
                Some(News::Broadcast(decision, self.broadcast(&transaction)))
            }
            Question::Remember(stored) => {
                self.source.remember(*stored);
                None
            }
        }
    }

    /// A source that failed is left alone for a while.
    fn poll_in_time(&mut self, position: Option<&Position>, anew: bool) -> News {
        if let Some(lost) = self.lost.as_ref().filter(|lost| now() < lost.until) {
            return News::Lost(lost.why.clone());
        }
        match self.poll(position, anew) {
            Ok(update) => {
                self.lost = None;
                News::Update(Box::new(update))
            }
            Err(error) => {
                let wait = self.lost.as_ref().map_or(RETRY_FIRST, |lost| (lost.wait * 2).min(RETRY_MAX));
                let why = line(&error);
                self.lost = Some(Lost { why: why.clone(), until: now() + wait, wait });
                News::Lost(why)
            }
        }
    }

    fn poll(&mut self, position: Option<&Position>, anew: bool) -> Result<Update, ChainError> {
        let mut tip = self.source.tip()?;
        let found = position.map(|at| self.source.follow(at, anew)).transpose()?.unwrap_or_default();
        if self.polls.is_multiple_of(ESTIMATE_EVERY) {
            self.fee_rate = self.source.estimate_fee(ESTIMATE_TARGET).ok().flatten();
        }
        self.polls = self.polls.wrapping_add(1);
        let health = self.source.health();
        if let Some((height, hash)) = found.end().filter(|_| !found.more) {
            tip = chain::Tip { height, hash, ..tip }; // a block came since we asked
        }
        let checked = self.source.take_staged();
        Ok(Update { tip: (tip.height, tip.hash), found, fee_rate: self.fee_rate, health, checked })
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<(), String> {
        match self.source.broadcast(transaction) {
            Ok(_) => Ok(()),
            Err(BroadcastError::Refused { reason, .. }) => Err(reason),
            Err(error) => {
                tracing::warn!(target: "guild::chain", error = line(&error), "payment not sent, trying again");
                Ok(()) // nothing is known: rebroadcast tells
            }
        }
    }
}

#[cfg(test)]
mod tests;
