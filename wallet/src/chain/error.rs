//! Why a chain source is of no use now, or why it does not take a transaction.

use bitcoin::{BlockHash, Network, Txid};
use crdt::charter::Birth;

/// Why a source of the chain is of no use now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// It cannot be reached, does not let us in, or answers what cannot be read.
    #[error("{who} does not answer {call}")]
    Call {
        /// What and where it should be.
        who: String,
        /// What was asked.
        call: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answers something else than what was asked.
    #[error("{who} answers {call} with something unexpected: {answer}")]
    Answer {
        /// What and where it is.
        who: String,
        /// What was asked.
        call: &'static str,
        /// What it said.
        answer: String,
    },
    /// It follows another chain.
    #[error("{who} is on {found}, the guild on {expected}")]
    Network {
        /// What and where it is.
        who: String,
        /// The charter's network.
        expected: Network,
        /// The source's.
        found: Network,
    },
    /// It follows another chain of the same network, or is behind the guild's birth.
    #[error(
        "{who} has {} at height {}, the guild was born at {}: wait until it is there, or ask another source",
        .found.map_or_else(|| "no block".to_owned(), |hash| hash.to_string()), .expected.height, .expected.hash
    )]
    Birth {
        /// What and where it is.
        who: String,
        /// The charter's birth block.
        expected: Birth,
        /// The source's block at that height; none if it is not there yet.
        found: Option<BlockHash>,
    },
    /// It shows a block that cost less than a block of this network does.
    #[error("{who} shows block {hash}, which has less work in it than a block of {network} has")]
    Work {
        /// What and where it is.
        who: String,
        /// The block.
        hash: BlockHash,
        /// The network.
        network: Network,
    },
    /// What it gives does not fit its own proof.
    #[error("{who} gives {what} that does not fit its header: it lies, or is broken")]
    Proof {
        /// What and where it is.
        who: String,
        /// What does not fit.
        what: String,
    },
    /// It tries to reach the network, and did not so far.
    #[error("{who}: {why}")]
    Waiting {
        /// What it is.
        who: String,
        /// What it waits for, or what keeps it.
        why: String,
    },
}

/// Why a transaction did not go out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The source turned it down; this is what it says.
    #[error("{txid} is not taken: {reason}")]
    Refused {
        /// Which transaction.
        txid: Txid,
        /// The node's own words, such as `bad-txns-inputs-missingorspent`.
        reason: String,
    },
    /// The source did not answer: the transaction may be out or not. Trying again does no harm.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// An error and its causes in one line.
pub(crate) fn line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}
