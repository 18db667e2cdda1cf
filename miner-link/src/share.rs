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

use crate::job::{EXTRANONCE1, Job, Solution};
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
    /// So many shares on one job that repeats could not be told any more.
    #[error("too many shares on one job")]
    Full,
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
            Self::Malformed | Self::Version | Self::Time | Self::Full => 20,
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
    let template = &terms.job.template;
    if template.target.is_met_by(hash) && submission.time >= template.least_time {
        // A block is not refused for want of room in a set.
        let _full = seen.insert(hash);
        return Verdict::Block(Box::new(terms.job.block(&solution)));
    }
    match shortcoming(submission, terms, hash) {
        Some(reason) => Verdict::Rejected(reason),
        None if seen.insert(hash) => Verdict::Accepted { hash, target: terms.target },
        None => Verdict::Rejected(Reason::Full),
    }
}

fn solution(submission: &Submission, terms: &Terms<'_>) -> Option<Solution> {
    let mask = terms.version_mask;
    let base = terms.job.template.version;
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
    let first = terms.job.template.time;
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
