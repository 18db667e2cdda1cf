//! The shares of one connection on one tip that were counted.

use bitcoin::BlockHash;
use std::collections::HashSet;

/// Shares of one connection on one tip. Hundreds of times what the difficulty aims at; at 32 bytes each
/// it bounds what a flood can take. Nothing is ever dropped from the set: a share that is forgotten
/// could be sent again.
const SEEN_MAX: usize = 16_384;

/// The shares of one connection on one tip that were counted, by the hash of their header.
#[derive(Debug, Default)]
pub struct Seen(HashSet<BlockHash>);

impl Seen {
    /// Whether this share was counted.
    #[must_use]
    pub fn contains(&self, hash: BlockHash) -> bool {
        self.0.contains(&hash)
    }

    /// Whether none was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Count it. False when there is no room, and then it must not be counted.
    pub fn insert(&mut self, hash: BlockHash) -> bool {
        self.0.len() < SEEN_MAX && self.0.insert(hash)
    }
}
