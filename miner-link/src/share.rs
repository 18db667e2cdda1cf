//! What a submission is worth.
//!
//! Pure. Parameters are exact: a number has its eight digits and nothing else, so that no second
//! spelling of a share exists; and repeats are known by the hash of the header, whatever the spelling.
//! A block is looked for before anything else is held against a submission: a stale block is still a
//! block to somebody.

mod seen;
mod submission;
pub mod target;
pub mod vardiff;

pub use seen::Seen;
pub use submission::Submission;

use crate::job::{EXTRANONCE1, Forward, Job, Proof, Solution};
use bitcoin::{Block, BlockHash, Target};

/// How far ahead of a job's time, and of the clock, a header's time may be. bitcoind allows 7,200.
const TIME_AHEAD: u32 = 7_000;

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts, at the target its job was issued with.
    Accepted {
        /// The header's hash.
        hash: BlockHash,
        /// What it had to meet.
        target: Target,
        /// What the pool wants to hear of it, if the job is a pool's and the share is enough for it.
        forward: Option<Box<Forward>>,
    },
    /// It is a block. It counts as a share too.
    Block(Box<Block>),
    /// It does not count.
    Rejected(Reason),
}

/// Why a submission does not count, with the codes that miners know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Missing, too many, or not in their exact form.
    #[error("malformed parameters")]
    Malformed,
    /// Version bits that the miner may not roll.
    #[error("bad version")]
    Version,
    /// A time before the job's, or too far ahead.
    #[error("time out of range")]
    Time,
    /// So many shares on one tip that repeats could not be told any more.
    #[error("too many shares on one tip")]
    Full,
    /// Faster than any device that heeds its difficulty.
    #[error("too many submissions")]
    TooFast,
    /// A job that is not or no longer known.
    #[error("job not found")]
    UnknownJob,
    /// The tip moved.
    #[error("stale")]
    Stale,
    /// Seen before.
    #[error("duplicate share")]
    Duplicate,
    /// Not enough work.
    #[error("low difficulty share")]
    LowDifficulty,
    /// A worker that this connection did not authorise.
    #[error("unauthorised worker")]
    Unauthorised,
    /// No subscription.
    #[error("not subscribed")]
    NotSubscribed,
}

impl Reason {
    /// The number in Stratum's error reply.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Malformed | Self::Version | Self::Time | Self::Full | Self::TooFast => 20,
            Self::UnknownJob | Self::Stale => 21,
            Self::Duplicate => 22,
            Self::LowDifficulty => 23,
            Self::Unauthorised => 24,
            Self::NotSubscribed => 25,
        }
    }
}

/// What a submission is held against.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The job it names.
    pub job: &'a Job,
    /// What the connection was given.
    pub extranonce1: [u8; EXTRANONCE1],
    /// The version bits that the miner may roll; none without version rolling.
    pub version_mask: u32,
    /// The target at which the job was issued.
    pub target: Target,
    /// Whether the tip moved since.
    pub stale: bool,
    /// The time, in seconds since 1970.
    pub unix: u32,
}

/// Judge one submission, and remember it in `seen` when it counts.
pub fn judge(submission: &Submission, terms: &Terms<'_>, seen: &mut Seen) -> Verdict {
    let Some(solution) = solution(submission, terms) else {
        return Verdict::Rejected(Reason::Version);
    };
    let hash = terms.job.header(&solution).block_hash();
    if seen.contains(hash) {
        return Verdict::Rejected(Reason::Duplicate);
    }
    let head = &terms.job.head;
    let solves = head.target.is_met_by(hash) && submission.time >= head.least_time;
    if let Some(block) = solves.then(|| terms.job.block(&solution)).flatten() {
        // A block is not refused for want of room in a set.
        let _full = seen.insert(hash);
        return Verdict::Block(Box::new(block));
    }
    // What solves a pool's block is the pool's to judge, however late it is.
    match shortcoming(submission, terms, hash).filter(|_| !solves) {
        Some(reason) => Verdict::Rejected(reason),
        None if seen.insert(hash) => {
            let forward = terms.job.forward(&solution, hash).map(Box::new);
            Verdict::Accepted { hash, target: terms.target, forward }
        }
        None => Verdict::Rejected(Reason::Full),
    }
}

/// What shows that a share which counts, with this hash, was hashed for the guild, if it is enough for
/// `kept`.
#[must_use]
pub fn proof(
    submission: &Submission,
    terms: &Terms<'_>,
    verdict: &Verdict,
    kept: Target,
) -> Option<Box<Proof>> {
    let hash = match verdict {
        Verdict::Accepted { hash, .. } => *hash,
        Verdict::Block(block) => block.block_hash(),
        Verdict::Rejected(_) => return None,
    };
    if !kept.is_met_by(hash) {
        return None;
    }
    terms.job.proof(&solution(submission, terms)?).map(Box::new)
}

fn solution(submission: &Submission, terms: &Terms<'_>) -> Option<Solution> {
    let mask = terms.version_mask;
    let base = terms.job.head.version;
    let rolled = submission.version_bits.unwrap_or(base & mask);
    (rolled & !mask == 0).then_some(Solution {
        extranonce1: terms.extranonce1,
        extranonce2: submission.extranonce2,
        version: (base & !mask) | rolled,
        time: submission.time,
        nonce: submission.nonce,
    })
}

fn shortcoming(submission: &Submission, terms: &Terms<'_>, hash: BlockHash) -> Option<Reason> {
    let first = terms.job.head.time;
    // A clock behind bitcoind's does not void the job's own time.
    let last = first.min(terms.unix).saturating_add(TIME_AHEAD).max(first);
    if !(first..=last).contains(&submission.time) {
        Some(Reason::Time)
    } else if terms.stale {
        Some(Reason::Stale)
    } else if !terms.target.is_met_by(hash) {
        Some(Reason::LowDifficulty)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
