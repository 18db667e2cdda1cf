//! What it costs to serve miners, beside a loop that only reads, hashes and answers.
//!
//! Three processes: the server, held to one core; the load, held to the other; and this one, which
//! tells them what to do. Shares are measured on a fresh testnet4 chain, where one is not a block;
//! tips on regtest, where blocks cost nothing; switches between links on that testnet4 chain. A siege is a
//! fourth process, beside the load, that gives way to it.

mod bare;
mod chain;
mod load;
mod role;
mod rows;
mod server;
mod siege;

use crate::Parts;
use crate::report::Row;
use anyhow::Result;

/// All rows, or the work of a child.
pub(crate) fn run(parts: &Parts) -> Result<Vec<Row>> {
    match role::mine() {
        Some(role) => role.act().map(|()| Vec::new()),
        None => rows::all(parts),
    }
}
