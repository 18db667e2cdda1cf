//! The jobs that one miner was given.

use crate::job::{Job, JobId};
use crate::share::Seen;
use crate::stratum::limits::JOBS_KEPT;
use bitcoin::Target;
use std::collections::VecDeque;
use std::sync::Arc;

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) job: Arc<Job>,
    /// What its shares must meet.
    pub(super) target: Target,
    pub(super) seen: Seen,
}

/// The last few, oldest first.
#[derive(Debug, Default)]
pub(super) struct Issued(VecDeque<Entry>);

impl Issued {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn nothing_counted(&self) -> bool {
        self.0.iter().all(|entry| entry.seen.is_empty())
    }

    pub(super) fn push(&mut self, job: Arc<Job>, target: Target) {
        // A job that is given again keeps its set: its shares must not count twice.
        if let Some(entry) = self.find(job.id) {
            entry.target = entry.target.max(target);
            return;
        }
        if self.0.len() >= JOBS_KEPT {
            self.0.pop_front();
        }
        // Some firmware works on at the new difficulty on the old jobs. An easier one is held against
        // no share; a harder one is not asked of jobs that were issued before it.
        self.0.iter_mut().for_each(|entry| entry.target = entry.target.max(target));
        self.0.push_back(Entry { job, target, seen: Seen::default() });
    }

    pub(super) fn find(&mut self, id: JobId) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.job.id == id)
    }
}
