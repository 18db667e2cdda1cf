//! A pool's work, held against our own bitcoind.
//!
//! A pool could have us work on blocks that nobody will take, or on a chain of its own. Our node knows
//! the tip, and with it what the next header must say. It may be the pool that hears of a block first,
//! so that another tip is borne with for a while, [`FOREIGN`] at most.

use crate::job::{BEFORE_SCRIPT_SIG, Head, Work};
use crate::template::Template;
use crate::upstream::limits::FOREIGN;
use bitcoin::{BlockHash, CompactTarget, Network};
use std::time::Duration;

/// What our node thinks the next block builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The tip.
    pub tip: BlockHash,
    /// What the next header's bits are.
    pub bits: CompactTarget,
    /// The next block's height.
    pub height: u32,
    /// Whether the chain lets bits depend on the clock, so that they prove nothing.
    pub bits_vary: bool,
}

impl View {
    /// That of a template.
    #[must_use]
    pub const fn of(template: &Template, network: Network) -> Self {
        let bits_vary = matches!(network, Network::Testnet | Network::Testnet4 | Network::Regtest);
        Self { tip: template.previous, bits: template.bits, height: template.height, bits_vary }
    }
}

/// Work that is not mined on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Objection {
    /// On our own tip, but with another difficulty than the chain's.
    #[error("the pool's bits are {given:08x}, and the chain's are {ours:08x}")]
    Bits {
        /// The pool's.
        given: u32,
        /// Our node's.
        ours: u32,
    },
    /// On our own tip, but for another height.
    #[error("the pool's coinbase is for height {given}, and the next block's is {ours}")]
    Height {
        /// The pool's.
        given: u32,
        /// Our node's.
        ours: u32,
    },
    /// On a tip that our node did not come to in all that time.
    #[error("the pool has worked on another tip than our bitcoind's for more than a minute")]
    Foreign,
}

/// What is remembered of one pool.
#[derive(Debug, Default)]
pub struct Check {
    head: Option<(Head, Option<u32>)>,
    foreign_since: Option<Duration>,
}

impl Check {
    /// The pool's latest work.
    pub fn work(&mut self, work: &Work) {
        self.head = Some((work.head, height(&work.coinbase_start)));
    }

    /// Hold it against what our node says now; without a view there is nothing to hold it against.
    ///
    /// # Errors
    ///
    /// [`Objection`].
    pub fn against(&mut self, view: Option<&View>, now: Duration) -> Result<(), Objection> {
        let (Some((head, height)), Some(view)) = (self.head, view) else { return Ok(()) };
        if head.previous != view.tip {
            let since = *self.foreign_since.get_or_insert(now);
            let long = now.saturating_sub(since) > FOREIGN;
            return if long { Err(Objection::Foreign) } else { Ok(()) };
        }
        self.foreign_since = None;
        if head.bits != view.bits && !view.bits_vary {
            let (given, ours) = (head.bits.to_consensus(), view.bits.to_consensus());
            return Err(Objection::Bits { given, ours });
        }
        match height {
            Some(given) if given != view.height => Err(Objection::Height { given, ours: view.height }),
            _ => Ok(()),
        }
    }
}

/// The height that a coinbase begins its scriptSig with (BIP34).
fn height(coinbase_start: &[u8]) -> Option<u32> {
    let (count, rest) = coinbase_start.get(BEFORE_SCRIPT_SIG..)?.split_first()?;
    // OP_1 to OP_16 are how the smallest heights are pushed.
    if (0x51..=0x60).contains(count) {
        return Some(u32::from(*count) - 0x50);
    }
    let bytes = rest.get(..usize::from(*count)).filter(|bytes| (1..=4).contains(&bytes.len()))?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests;
