//! The program against a real bitcoind, a node that says what a test wants, and a miner that hashes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails where it cannot go on")]

mod abuse;
mod chain;
mod cli;
mod farm;
mod miner;
mod node;
mod pool;
mod proxy;
mod solo;
