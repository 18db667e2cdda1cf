//! What there is to mine, for devices of every kind.

use crate::job::{Job, Shape};
use bitcoin::BlockHash;
use std::sync::Arc;

/// A job, and another one where devices that would cut its coinbase short have work of their own. Both are
/// of one template and differ in whom they pay.
#[derive(Debug, Clone)]
pub struct Offer {
    job: Arc<Job>,
    small: Option<Arc<Job>>,
}

impl Offer {
    /// `job` for all that can take it, `small` for others.
    #[must_use]
    pub const fn new(job: Arc<Job>, small: Option<Arc<Job>>) -> Self {
        Self { job, small }
    }

    /// The job of those that can take any.
    #[must_use]
    pub const fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// The job of a device with an extranonce 2 of `size` bytes that takes coinbases of at most `shape`.
    #[must_use]
    pub fn for_device(&self, size: usize, shape: Shape) -> Option<&Arc<Job>> {
        let fits = |job: &&Arc<Job>| job.shape(size).fits(shape);
        Some(&self.job).filter(fits).or_else(|| self.small.as_ref().filter(fits))
    }

    /// All jobs of it.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        std::iter::once(&self.job).chain(&self.small)
    }

    /// The tip that all of it builds on.
    #[must_use]
    pub fn tip(&self) -> BlockHash {
        self.job.head.previous
    }
}

impl From<Arc<Job>> for Offer {
    fn from(job: Arc<Job>) -> Self {
        Self::new(job, None)
    }
}
