//! What a link reports about itself, on its own loopback API and in its data folder.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Where a running link listens, as `addresses.json` in its data folder says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The process.
    pub pid: u32,
    /// For miners.
    pub stratum: SocketAddr,
    /// For people and tools: `GET /status`, `GET /workers`.
    pub api: SocketAddr,
}

/// Whether a link obeys a policy, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PolicyStatus {
    /// No job is served.
    Nothing {
        /// Why not.
        why: String,
    },
    /// Blocks of the own bitcoind's templates, all of it to the treasury.
    Solo {
        /// The treasury's mining address.
        address: String,
        /// The epoch of the certificate.
        epoch: u32,
        /// The height it closed at.
        close: u32,
        /// The decision.
        decision: String,
    },
}

/// `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The version of this record: 1.
    pub v: u32,
    /// The guild.
    pub guild: String,
    /// Whose farm.
    pub member: String,
    /// This link's own key.
    pub link: String,
    /// What is mined for whom.
    pub policy: PolicyStatus,
    /// What is wrong with what the node last answered, if anything.
    pub policy_refused: Option<String>,
    /// The height being mined at: that of the tip, plus one.
    pub height: Option<u32>,
    /// Jobs made since the start.
    pub jobs: u64,
    /// What keeps jobs from being made, if anything.
    pub job_trouble: Option<String>,
    /// Connected miners that have authorised.
    pub workers: u64,
    /// Shares that counted.
    pub shares_accepted: u64,
    /// Shares that did not.
    pub shares_rejected: u64,
    /// Blocks found by miners of this link.
    pub blocks_found: u64,
    /// Those the own bitcoind took as a part of a chain.
    pub blocks_accepted: u64,
    /// The last block found.
    pub last_block: Option<String>,
    /// Found blocks that bitcoind did not answer for yet.
    pub blocks_pending: u64,
    /// Whether the member's node answered last time.
    pub node_reachable: bool,
    /// Whether bitcoind answered last time.
    pub bitcoind_reachable: bool,
    /// For miners.
    pub stratum: SocketAddr,
}

/// One line of `GET /workers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// `member.worker`, as the miner was told to call itself.
    pub name: String,
    /// Connections that carry it now.
    pub connections: u32,
    /// What its miner says it is.
    pub agent: String,
    /// Shares that counted.
    pub shares_accepted: u64,
    /// Shares that did not.
    pub shares_rejected: u64,
    /// Blocks.
    pub blocks_found: u64,
    /// The difficulty of its shares now.
    pub difficulty: f64,
    /// Seconds since 1970 of the last share that counted.
    pub last_share: Option<u32>,
}
