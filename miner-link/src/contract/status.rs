//! What a link reports about itself, on its own loopback API and in its data folder.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// Blocks of the own bitcoind's templates, which pay as the policy says.
    Solo {
        /// The treasury's mining address.
        address: String,
        /// How many a block pays; with one it is the treasury, all of it.
        #[serde(default = "one")]
        payees: usize,
        /// The epoch of the certificate.
        epoch: u32,
        /// The height it closed at.
        close: u32,
        /// The decision.
        decision: String,
    },
    /// Work of the farm's pools; blocks of our own templates while no pool gives work, which pay as the
    /// policy says.
    Pool {
        /// The treasury's mining address.
        address: String,
        /// How many a block of ours pays; with one it is the treasury, all of it.
        #[serde(default = "one")]
        payees: usize,
        /// The epoch of the certificate.
        epoch: u32,
        /// The height it closed at.
        close: u32,
        /// The decision.
        decision: String,
    },
}

const fn one() -> usize {
    1
}

/// `GET /status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Receipts that the member's node did not take yet.
    #[serde(default)]
    pub receipts_pending: u64,
    /// Whether the member's node answered last time.
    pub node_reachable: bool,
    /// Whether bitcoind answered last time.
    pub bitcoind_reachable: bool,
    /// The difficulty of the best hash that any of its miners ever submitted.
    #[serde(default)]
    pub best_difficulty: Option<f64>,
    /// What was mined alone and what was mined for each pool, apart.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
    /// For miners.
    pub stratum: SocketAddr,
}

/// What was mined for one source of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// `solo`, or `pool` and its name.
    pub source: String,
    /// Shares that counted.
    pub shares_accepted: u64,
    /// Shares that did not.
    pub shares_rejected: u64,
    /// The hashes that the shares which counted are expected to take, as a decimal number.
    pub hashes: String,
}

/// One line of `GET /pools`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Host and port.
    pub name: String,
    /// The account.
    pub user: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// `in use`, `ready`, `connecting` or `not connected`.
    pub state: String,
    /// Why it was lost last, if it was and is not in use again.
    pub trouble: Option<String>,
    /// Shares that the pool took.
    pub shares_accepted: u64,
    /// Shares that the pool refused, though they counted here.
    pub shares_refused: u64,
    /// What it said of the last one.
    pub last_refusal: Option<String>,
    /// Shares that counted here and never reached the pool.
    pub shares_late: u64,
    /// The difficulty of the last share it answered for.
    pub difficulty: f64,
    /// The hashes that the shares it took are expected to take, as a decimal number.
    pub hashes: String,
}

impl PoolStatus {
    /// A pool that was not called yet.
    #[must_use]
    pub fn new(name: &str, user: &str, tls: bool) -> Self {
        Self {
            name: name.to_owned(),
            user: user.to_owned(),
            tls,
            state: "not connected".to_owned(),
            trouble: None,
            shares_accepted: 0,
            shares_refused: 0,
            last_refusal: None,
            shares_late: 0,
            difficulty: 0.0,
            hashes: "0".to_owned(),
        }
    }
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
    /// The hashes that the shares which counted are expected to take, as a decimal number.
    #[serde(default)]
    pub hashes: String,
    /// The same a second, over the last minutes.
    #[serde(default)]
    pub hashes_per_second: String,
    /// The difficulty of its best hash since the start.
    #[serde(default)]
    pub best_difficulty: Option<f64>,
    /// Shares that did not count, by reason.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
}

impl WorkerStatus {
    /// A worker that did nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            connections: 0,
            agent: String::new(),
            shares_accepted: 0,
            shares_rejected: 0,
            blocks_found: 0,
            difficulty: 0.0,
            last_share: None,
            hashes: String::new(),
            hashes_per_second: String::new(),
            best_difficulty: None,
            refusals: BTreeMap::new(),
        }
    }
}
