//! How the sources of the chain are, and what follows for money: it fails closed while they disagree,
//! lag, or are one server that nobody checks.

use super::Tip;
use bitcoin::{BlockHash, Network, Txid};
use crdt::Height;
use std::fmt;

/// A tip is fresh while its header is at most this many seconds old (§7).
pub const FRESH_SECONDS: u64 = 2 * 60 * 60;
/// Blocks that one source may be behind the other: blocks travel, and servers index.
pub const LAG_BLOCKS: Height = 2;

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Blocks or scripts looked at.
    pub done: u32,
    /// Of how many.
    pub of: u32,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHealth {
    /// What to call it.
    pub name: String,
    /// Its best block; none if it does not answer.
    pub tip: Option<Tip>,
    /// How far its scan is; none if it is through.
    pub progress: Option<Progress>,
    /// Whether it may decide alone that something is paid.
    pub decides: bool,
}

/// What keeps two sources from being believed, or one from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disagreement {
    /// One does not answer.
    Silent {
        /// Which.
        who: String,
        /// Why.
        why: String,
    },
    /// One has not looked at everything yet.
    Scanning {
        /// Which.
        who: String,
    },
    /// One is more than [`LAG_BLOCKS`] behind the other.
    Behind {
        /// Which.
        who: String,
        /// By how much.
        blocks: Height,
    },
    /// They have different blocks at one height.
    Chain {
        /// The height.
        height: Height,
        /// The first's block; none if it says there is none.
        first: Option<BlockHash>,
        /// The second's.
        second: Option<BlockHash>,
    },
    /// One does not tell of a transaction that the other shows in a block.
    Withheld {
        /// Who does not tell.
        by: String,
        /// What.
        txid: Txid,
        /// The block it is in.
        height: Height,
    },
    /// They show one transaction in different blocks, or with different witnesses.
    Differs {
        /// Which.
        txid: Txid,
    },
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |hash: &Option<BlockHash>| hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
        match self {
            Self::Silent { who, why } => write!(f, "{who} does not answer: {why}"),
            Self::Scanning { who } => write!(f, "{who} has not looked at everything yet"),
            Self::Behind { who, blocks } => write!(f, "{who} is {blocks} blocks behind the other source"),
            Self::Chain { height, first, second } => write!(
                f,
                "the sources disagree on block {height}: one says {}, the other {}",
                name(first),
                name(second)
            ),
            Self::Withheld { by, txid, height } => {
                write!(f, "{by} does not tell of {txid}, which the other source shows in block {height}")
            }
            Self::Differs { txid } => write!(f, "the sources show {txid} in different ways"),
        }
    }
}

/// How the chain source of a node is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Every source.
    pub sources: Vec<SourceHealth>,
    /// What they do not agree on; empty for one that works.
    pub disagreements: Vec<Disagreement>,
}

impl Health {
    /// One source that answers.
    #[must_use]
    pub fn of(source: SourceHealth) -> Self {
        Self { sources: vec![source], disagreements: Vec::new() }
    }

    /// The time in the newest header that any source has, in Unix seconds.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        self.sources.iter().filter_map(|source| Some(source.tip?.time)).max()
    }

    /// How old the newest header is, in seconds, at the Unix time `now`.
    #[must_use]
    pub fn age(&self, now: u64) -> Option<u64> {
        self.newest().map(|time| now.saturating_sub(time.into()))
    }

    /// Whether the newest header is young enough to speak of the present; regtest always.
    #[must_use]
    pub fn fresh(&self, network: Network, now: u64) -> bool {
        network == Network::Regtest || self.age(now).is_some_and(|age| age <= FRESH_SECONDS)
    }

    /// Whether what it says may decide that something is paid: one source that may alone, or two that
    /// agree.
    #[must_use]
    pub fn decides(&self) -> bool {
        let able = self.sources.len() >= 2 || self.sources.iter().any(|source| source.decides);
        able && self.disagreements.is_empty()
    }

    /// Whether money may move on what it says.
    ///
    /// # Errors
    ///
    /// In words, why not: the first of a disagreement, a stale tip, a server that nobody checks.
    pub fn money(&self, network: Network, now: u64) -> Result<(), String> {
        if let Some(disagreement) = self.disagreements.first() {
            return Err(disagreement.to_string());
        }
        let Some(source) = self.sources.first() else {
            return Err("no chain source answered yet".to_owned());
        };
        if !self.decides() {
            return Err(format!(
                "{} alone may withhold a payment: configure a second source to check it",
                source.name
            ));
        }
        if !self.fresh(network, now) {
            let age = self.age(now).unwrap_or_default() / 60;
            return Err(format!("the newest block of {} is {age} minutes old", source.name));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
