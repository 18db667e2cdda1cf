//! A job: something to mine, in the pieces that miners put together.
//!
//! Pure. A job is made of a template, and then its value outputs are those of the [`Payout`] that follows
//! from the policy and nothing else can reach a block; or of the work of a pool, and then its coinbase is
//! the pool's to the byte. Byte orders: coinbase parts, extranonces and branch are raw bytes in hashing
//! order; version, bits, time and nonce are big-endian hex of the number; the previous hash is the
//! header's bytes with each word of four reversed.
//!
//! Every coinbase leaves a *room* in its scriptSig, which a miner fills with its connection's
//! extranonce 1 and its own extranonce 2. A pool's room is its extranonce 2, and the pool's extranonce 1
//! is sent to miners as a part of the first coinbase piece. So a connection keeps its extranonces for
//! life, whatever it mines for, and no switch makes a miner connect again.

mod coinbase;
mod extranonce;
mod notices;
mod offer;
mod payout;

pub(crate) use coinbase::{BEFORE_SCRIPT_SIG, subsidy};
pub use extranonce::{EXTRANONCE1, EXTRANONCE2, EXTRANONCE2_LEAST, EXTRANONCE2_OF_LINK, Extranonce2, ROOM};
pub use offer::Offer;
pub use payout::Payout;

use crate::template::{Template, join};
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256d};
use bitcoin::{Amount, Block, BlockHash, CompactTarget, Network, Target, Transaction, TxMerkleNode};
use hex::DisplayHex as _;
use notices::Notices;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// What consensus allows a coinbase's scriptSig.
pub const SCRIPT_SIG_MAX: usize = 100;
/// Version bits that miners may roll (BIP320).
pub const VERSION_MASK: u32 = 0x1fff_e000;

/// The name of a job, for as long as this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What every coinbase of a link says, apart from height and template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// [`crdt::mining::coinbase_tag`].
    pub tag: [u8; 32],
    /// Drawn at random once per process, so that no two processes make equal coinbases.
    pub process: u32,
    /// The chain, for its subsidy.
    pub network: Network,
}

/// What a job says of the header, apart from the merkle root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The version, before any bit is rolled.
    pub version: u32,
    /// The tip to build on.
    pub previous: BlockHash,
    /// The network's target, as headers spell it.
    pub bits: CompactTarget,
    /// The same, as a number.
    pub target: Target,
    /// The time a header should carry.
    pub time: u32,
    /// The earliest time a header may carry.
    pub least_time: u32,
}

/// Which of our connections to pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The pool's place in the configured order.
    pub pool: usize,
    /// Which connection to it, counted from the start of the process.
    pub connection: u32,
}

/// Work of a pool, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Where it came from.
    pub route: Route,
    /// The pool's name for it.
    pub name: String,
    /// The header.
    pub head: Head,
    /// The coinbase before the room, with the pool's extranonce 1 at its end.
    pub coinbase_start: Vec<u8>,
    /// Bytes of the pool's extranonce 2.
    pub room: usize,
    /// The coinbase after the room.
    pub coinbase_end: Vec<u8>,
    /// From the coinbase's txid to the merkle root, in hashing order.
    pub branch: Vec<[u8; 32]>,
    /// What the pool wants to hear of.
    pub share_target: Target,
    /// The version bits that the pool lets us roll.
    pub version_mask: u32,
    /// Whether the pool's earlier jobs are void.
    pub clean: bool,
}

/// Whose work a job is.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Ours: what is found goes to bitcoind.
    Own(Arc<Template>),
    /// A pool's: what is found goes to the pool.
    Pool(Arc<Work>),
}

/// Something to mine.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The header.
    pub head: Head,
    /// Whose work it is.
    pub origin: Origin,
    /// Whether all earlier jobs are void, because the tip moved.
    pub clean: bool,
    coinbase_start: Vec<u8>,
    coinbase_end: Vec<u8>,
    branch: Vec<[u8; 32]>,
    room: usize,
    notices: Notices,
}

/// How long a coinbase is, in bytes as they are hashed, and each of the two pieces that miners are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// All of it, extranonces included.
    pub whole: usize,
    /// The longer of the pieces before and after the extranonces.
    pub piece: usize,
}

impl Shape {
    /// Whether this is no longer than `limit` allows.
    #[must_use]
    pub const fn fits(self, limit: Self) -> bool {
        self.whole <= limit.whole && self.piece <= limit.piece
    }
}

/// A template that no job follows from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The guild would get less than the chain allows.
    #[error("the template pays {given}, less than the subsidy of {subsidy}")]
    BelowSubsidy {
        /// What it pays.
        given: Amount,
        /// What a block at its height may create.
        subsidy: Amount,
    },
}

/// The part of a header that a miner chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solution {
    /// Of the connection.
    pub extranonce1: [u8; EXTRANONCE1],
    /// Of the miner.
    pub extranonce2: Extranonce2,
    /// With rolled bits.
    pub version: u32,
    /// The time.
    pub time: u32,
    /// The nonce.
    pub nonce: u32,
}

/// A share on its way to a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The connection that its job came over.
    pub route: Route,
    /// The pool's name for the job.
    pub job: String,
    /// What fills the pool's room.
    pub extranonce2: Vec<u8>,
    /// The header's time.
    pub time: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The rolled bits, where the pool lets us roll any.
    pub version_bits: Option<u32>,
    /// What it had to meet for the pool.
    pub target: Target,
}

/// What shows that a job's hash was done, without the block's other transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The header.
    pub header: Header,
    /// The coinbase, without its witness.
    pub coinbase: Vec<u8>,
    /// From its txid to the merkle root.
    pub branch: Vec<[u8; 32]>,
}

impl Job {
    /// Make the job `id` from `template`, paying by `payout`. Where the coinbase is so large that the block
    /// would break a limit, the template's last transactions are left out.
    ///
    /// # Errors
    ///
    /// [`JobError`].
    pub fn new(
        id: JobId,
        template: Arc<Template>,
        payout: &Payout,
        marks: &Marks,
        clean: bool,
    ) -> Result<Self, JobError> {
        let subsidy = subsidy(template.height, marks.network);
        if template.value < subsidy {
            return Err(JobError::BelowSubsidy { given: template.value, subsidy });
        }
        let largest = coinbase::cost(&coinbase::coinbase(&template, id, marks, payout));
        let template = template.beside(largest);
        let coinbase = coinbase::coinbase(&template, id, marks, payout);
        let script = coinbase.input.first().map_or(0, |input| input.script_sig.len());
        // The room ends the script.
        let split = BEFORE_SCRIPT_SIG + script - ROOM;
        let bytes = serialize(&coinbase);
        let (start, rest) = bytes.split_at(split);
        let (_, end) = rest.split_at(ROOM);
        Ok(Self {
            id,
            head: template.head(),
            clean,
            coinbase_start: start.to_vec(),
            coinbase_end: end.to_vec(),
            branch: template.merkle_branch(),
            room: ROOM,
            notices: Notices::default(),
            origin: Origin::Own(template),
        })
    }

    /// Make the job `id` of a pool's work, byte for byte.
    #[must_use]
    pub fn of_pool(id: JobId, work: Arc<Work>, clean: bool) -> Self {
        Self {
            id,
            head: work.head,
            clean,
            coinbase_start: work.coinbase_start.clone(),
            coinbase_end: work.coinbase_end.clone(),
            branch: work.branch.clone(),
            room: work.room,
            notices: Notices::default(),
            origin: Origin::Pool(work),
        }
    }

    /// The template it is made of, if it is our own.
    #[must_use]
    pub const fn template(&self) -> Option<&Arc<Template>> {
        match &self.origin {
            Origin::Own(template) => Some(template),
            Origin::Pool(_) => None,
        }
    }

    /// The pool whose work it is, by its place in the configured order.
    #[must_use]
    pub fn pool(&self) -> Option<usize> {
        match &self.origin {
            Origin::Own(_) => None,
            Origin::Pool(work) => Some(work.route.pool),
        }
    }

    /// The connection to a pool that it came over, if it is not our own.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        match &self.origin {
            Origin::Own(_) => None,
            Origin::Pool(work) => Some(work.route),
        }
    }

    /// The hardest target that is worth asking of a share: a harder one would keep blocks, or shares
    /// that the pool pays for, from whom they are meant for.
    #[must_use]
    pub fn hardest(&self) -> Target {
        match &self.origin {
            Origin::Own(_) => self.head.target,
            Origin::Pool(work) => self.head.target.max(work.share_target),
        }
    }

    /// The version bits that may be rolled at all.
    #[must_use]
    pub fn version_mask(&self) -> u32 {
        match &self.origin {
            Origin::Own(_) => VERSION_MASK,
            Origin::Pool(work) => work.version_mask & VERSION_MASK,
        }
    }

    /// Whether the room holds what a connection with an extranonce 2 of `size` bytes fills it with.
    #[must_use]
    pub const fn has_room_for(&self, size: usize) -> bool {
        self.room >= EXTRANONCE1 + size
    }

    /// How long its coinbase is for a connection with an extranonce 2 of `size` bytes.
    #[must_use]
    pub fn shape(&self, size: usize) -> Shape {
        let (start, end) = (self.coinbase_start.len() + self.padding(size).len(), self.coinbase_end.len());
        Shape { whole: start + EXTRANONCE1 + size + end, piece: start.max(end) }
    }

    /// The line that gives this job to a connection with an extranonce 2 of `size` bytes. It is
    /// written once and shared by all of them.
    #[must_use]
    pub fn notice(&self, size: usize, clean: bool) -> Arc<str> {
        self.notices.get(EXTRANONCE1 + size, clean, || {
            let params = self.notify_params(size, clean);
            json!({"id": null, "method": "mining.notify", "params": params}).to_string()
        })
    }

    /// The parameters of `mining.notify`.
    #[must_use]
    pub fn notify_params(&self, size: usize, clean: bool) -> Value {
        let branch: Vec<String> = self.branch.iter().map(|hash| hash.to_lower_hex_string()).collect();
        let start = [self.coinbase_start.as_slice(), self.padding(size)].concat();
        json!([
            self.id.to_string(),
            swap_words(self.head.previous.to_byte_array()).to_lower_hex_string(),
            start.to_lower_hex_string(),
            self.coinbase_end.to_lower_hex_string(),
            branch,
            format!("{:08x}", self.head.version),
            format!("{:08x}", self.head.bits.to_consensus()),
            format!("{:08x}", self.head.time),
            clean,
        ])
    }

    /// The header that `solution` makes of this job.
    #[must_use]
    pub fn header(&self, solution: &Solution) -> Header {
        let mut engine = sha256d::Hash::engine();
        self.coinbase_parts(solution).into_iter().for_each(|part| engine.input(part));
        let txid = sha256d::Hash::from_engine(engine).to_byte_array();
        let root = self.branch.iter().fold(txid, |left, right| join(left, *right));
        Header {
            version: Version::from_consensus(i32::from_ne_bytes(solution.version.to_ne_bytes())),
            prev_blockhash: self.head.previous,
            merkle_root: TxMerkleNode::from_byte_array(root),
            time: solution.time,
            bits: self.head.bits,
            nonce: solution.nonce,
        }
    }

    /// The whole block that `solution` makes of this job; none of a pool's work, whose transactions
    /// only the pool knows.
    #[must_use]
    pub fn block(&self, solution: &Solution) -> Option<Block> {
        let template = self.template()?;
        let bytes = self.coinbase_parts(solution).concat();
        let mut coinbase: Transaction =
            deserialize(&bytes).expect("the pieces are those of a transaction, split around the room");
        if template.commitment.is_some() {
            coinbase.input.iter_mut().for_each(|input| input.witness = coinbase::witness());
        }
        let others = template.transactions.iter().cloned();
        let txdata = std::iter::once(coinbase).chain(others).collect();
        Some(Block { header: self.header(solution), txdata })
    }

    /// What shows that `solution` was hashed for the guild; none of a pool's work, which says nothing of us.
    #[must_use]
    pub fn proof(&self, solution: &Solution) -> Option<Proof> {
        self.template()?;
        let coinbase = self.coinbase_parts(solution).concat();
        Some(Proof { header: self.header(solution), coinbase, branch: self.branch.clone() })
    }

    /// What to tell the pool of `solution` with this hash; nothing when the work is our own, or not
    /// enough for the pool.
    #[must_use]
    pub fn forward(&self, solution: &Solution, hash: BlockHash) -> Option<Forward> {
        let Origin::Pool(work) = &self.origin else { return None };
        work.share_target.is_met_by(hash).then(|| {
            let [_, padding, extranonce1, extranonce2, _] = self.coinbase_parts(solution);
            let mask = self.version_mask();
            Forward {
                route: work.route,
                job: work.name.clone(),
                extranonce2: [padding, extranonce1, extranonce2].concat(),
                time: solution.time,
                nonce: solution.nonce,
                version_bits: (mask != 0).then_some(solution.version & mask),
                target: work.share_target,
            }
        })
    }

    /// A block without work, for bitcoind to look at before any miner does.
    #[must_use]
    pub fn draft(&self) -> Option<Block> {
        let Head { version, time, .. } = self.head;
        let (extranonce1, extranonce2) = ([0; EXTRANONCE1], Extranonce2::zero(EXTRANONCE2));
        self.block(&Solution { extranonce1, extranonce2, version, time, nonce: 0 })
    }

    fn coinbase_parts<'a>(&'a self, solution: &'a Solution) -> [&'a [u8]; 5] {
        let extranonce2 = solution.extranonce2.as_slice();
        let padding = self.padding(extranonce2.len());
        [&self.coinbase_start, padding, &solution.extranonce1, extranonce2, &self.coinbase_end]
    }

    /// What a connection's extranonces leave of the room, as a part of the first coinbase piece.
    fn padding(&self, size: usize) -> &'static [u8] {
        const ZEROS: [u8; SCRIPT_SIG_MAX] = [0; SCRIPT_SIG_MAX];
        ZEROS.get(..self.room.saturating_sub(EXTRANONCE1 + size)).unwrap_or(&ZEROS)
    }
}

/// Stratum's order of a previous hash, and back.
pub(crate) fn swap_words(mut hash: [u8; 32]) -> [u8; 32] {
    hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    hash
}

#[cfg(test)]
mod tests;
