//! The jobs that one miner was given, and the shares of it that were counted.

use crate::job::{Job, JobId};
use crate::share::Seen;
use crate::stratum::limits::JOBS_KEPT;
use bitcoin::{BlockHash, Target};
use std::collections::VecDeque;
use std::sync::Arc;

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) job: Arc<Job>,
    /// What its shares must meet.
    pub(super) target: Target,
}

/// The last few, oldest first.
#[derive(Debug, Default)]
pub(super) struct Issued {
    jobs: VecDeque<Entry>,
    /// The target of the latest. No job's is harder.
    told: Option<Target>,
    /// By tip and not by job: two jobs of one pool may have one coinbase, and their shares one header.
    seen: VecDeque<(BlockHash, Seen)>,
}

impl Issued {
    pub(super) fn latest(&self) -> Option<&Job> {
        self.jobs.back().map(|entry| entry.job.as_ref())
    }

    pub(super) fn nothing_counted(&self) -> bool {
        self.seen.iter().all(|(_, seen)| seen.is_empty())
    }

    pub(super) fn push(&mut self, job: Arc<Job>, target: Target) {
        // Some firmware works on at the new difficulty on the old jobs. An easier one is held against
        // no share; a harder one is not asked of jobs that were issued before it.
        if self.told.replace(target).is_some_and(|told| told < target) {
            self.jobs.iter_mut().for_each(|entry| entry.target = entry.target.max(target));
        }
        // A job that is given again, because its pool is used again, is the newest again.
        let again = self.jobs.iter().position(|entry| entry.job.id == job.id);
        let entry = again.and_then(|place| self.jobs.remove(place)).unwrap_or(Entry { job, target });
        let gone = if self.jobs.len() >= JOBS_KEPT { self.jobs.pop_front() } else { None };
        let previous = entry.job.head.previous;
        self.jobs.push_back(entry);
        let gone = gone.map(|entry| entry.job.head.previous);
        if let Some(gone) = gone.filter(|gone| self.jobs.iter().all(|entry| entry.job.head.previous != *gone))
        {
            self.seen.retain(|(tip, _)| *tip != gone);
        }
        if !self.seen.iter().any(|(tip, _)| *tip == previous) {
            self.seen.push_back((previous, Seen::default()));
        }
    }

    /// A job that was issued, and the shares that were counted on its tip.
    pub(super) fn find(&mut self, id: JobId) -> Option<(&Entry, &mut Seen)> {
        let entry = self.jobs.iter().find(|entry| entry.job.id == id)?;
        let tip = entry.job.head.previous;
        let (_, seen) = self.seen.iter_mut().find(|(known, _)| *known == tip)?;
        Some((entry, seen))
    }
}
