//! What a running link knows about itself, for its status and its metrics.
//!
//! Work is counted in expected hashes, in integers, and apart for each source: what was mined alone,
//! and what was mined for each pool. A share counts by the target it had to meet, never by what it
//! happened to reach.

mod tally;

use crate::clock::Now;
use crate::contract::{LinkStatus, PoolStatus, SourceStatus, WorkerStatus};
use crate::share::Reason;
use crate::share::target::wire_difficulty;
use crate::stratum::limits::WORKERS_KEPT;
use bitcoin::{BlockHash, Target};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tally::Tally;
pub(crate) use tally::hashes_of;

/// The facts, behind one lock that is held for moments.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<Facts>);

#[derive(Debug)]
struct Facts {
    status: LinkStatus,
    workers: BTreeMap<String, Worker>,
    pools: Vec<PoolStatus>,
    /// By pool; none is our own work.
    sources: BTreeMap<Option<usize>, Tally>,
    /// The best hash before this process started.
    best_before: Option<Target>,
}

#[derive(Debug)]
struct Worker {
    status: WorkerStatus,
    tally: Tally,
}

impl Shared {
    /// `pools` are the names of the pools, in order.
    pub(crate) fn new(status: LinkStatus, pools: Vec<PoolStatus>) -> Self {
        let (workers, sources) = (BTreeMap::new(), BTreeMap::new());
        Self(Mutex::new(Facts { status, workers, pools, sources, best_before: None }))
    }

    /// Go on from the best hash of an earlier process.
    pub(crate) fn surpass(&self, best: Option<Target>) {
        self.lock().best_before = best;
    }

    /// The best hash that any miner of this link ever submitted.
    pub(crate) fn best(&self) -> Option<Target> {
        self.lock().best()
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let facts = self.lock();
        let mut status = facts.status.clone();
        let at_work = facts.workers.values().filter(|worker| worker.status.connections > 0).count();
        status.workers = u64::try_from(at_work).unwrap_or(u64::MAX);
        status.best_difficulty = facts.best().map(wire_difficulty);
        status.sources = facts.sources.iter().map(|(pool, tally)| facts.source(*pool, tally)).collect();
        status
    }

    pub(crate) fn workers(&self, now: Now) -> Vec<WorkerStatus> {
        let facts = self.lock();
        let show = |worker: &Worker| WorkerStatus {
            hashes: worker.tally.hashes.to_string(),
            hashes_per_second: worker.tally.hashes_per_second(now.since_start).to_string(),
            refusals: worker.tally.refusals(),
            best_difficulty: worker.tally.best.map(wire_difficulty),
            ..worker.status.clone()
        };
        facts.workers.values().map(show).collect()
    }

    /// What all workers together hash.
    pub(crate) fn hashes_per_second(&self, now: Now) -> u128 {
        let facts = self.lock();
        facts.workers.values().map(|worker| worker.tally.hashes_per_second(now.since_start)).sum()
    }

    pub(crate) fn pools(&self) -> Vec<PoolStatus> {
        self.lock().pools.clone()
    }

    /// Change the facts that are not counted here.
    pub(crate) fn update(&self, change: impl FnOnce(&mut LinkStatus)) {
        change(&mut self.lock().status);
    }

    pub(crate) fn joined(&self, name: &str, agent: &str) {
        let mut facts = self.lock();
        if facts.workers.len() >= WORKERS_KEPT && !facts.workers.contains_key(name) {
            return;
        }
        let new = || Worker { status: WorkerStatus::new(name), tally: Tally::default() };
        let worker = facts.workers.entry(name.to_owned()).or_insert_with(new);
        worker.status.connections = worker.status.connections.saturating_add(1);
        agent.clone_into(&mut worker.status.agent);
    }

    pub(crate) fn left(&self, names: &[String]) {
        let mut facts = self.lock();
        for name in names {
            if let Some(worker) = facts.workers.get_mut(name) {
                worker.status.connections = worker.status.connections.saturating_sub(1);
            }
        }
    }

    pub(crate) fn share(
        &self,
        name: &str,
        outcome: Result<BlockHash, Reason>,
        target: Target,
        pool: Option<usize>,
        now: Now,
    ) {
        let mut facts = self.lock();
        let count = u64::from(outcome.is_ok());
        facts.status.shares_accepted += count;
        facts.status.shares_rejected += 1 - count;
        facts.sources.entry(pool).or_default().count(outcome, target, now.since_start);
        if let Some(worker) = facts.workers.get_mut(name) {
            worker.tally.count(outcome, target, now.since_start);
            let status = &mut worker.status;
            status.shares_accepted += count;
            status.shares_rejected += 1 - count;
            if outcome.is_ok() {
                status.last_share = Some(now.unix);
                status.difficulty = wire_difficulty(target);
            }
        }
    }

    pub(crate) fn found(&self, name: &str, hash: BlockHash) {
        let mut facts = self.lock();
        facts.status.blocks_found += 1;
        facts.status.last_block = Some(hash.to_string());
        if let Some(worker) = facts.workers.get_mut(name) {
            worker.status.blocks_found += 1;
        }
    }

    pub(crate) fn accepted_block(&self) {
        self.lock().status.blocks_accepted += 1;
    }

    pub(crate) fn pending(&self, count: usize) {
        self.lock().status.blocks_pending = u64::try_from(count).unwrap_or(u64::MAX);
    }

    pub(crate) fn receipts(&self, count: usize) {
        self.lock().status.receipts_pending = u64::try_from(count).unwrap_or(u64::MAX);
    }

    /// A pool answered for a share that it was sent.
    pub(crate) fn pool_answered(&self, pool: usize, refused: Option<String>, target: Target) {
        self.pool(pool, |status| {
            status.difficulty = wire_difficulty(target);
            match refused {
                None => {
                    status.shares_accepted += 1;
                    let sum = status.hashes.parse::<u128>().unwrap_or(0).saturating_add(hashes_of(target));
                    status.hashes = sum.to_string();
                }
                Some(why) => {
                    status.shares_refused += 1;
                    status.last_refusal = Some(why);
                }
            }
        });
    }

    /// A share was counted here, and its pool never heard of it.
    pub(crate) fn pool_late(&self, pool: usize) {
        self.pool(pool, |status| status.shares_late += 1);
    }

    pub(crate) fn pool_trouble(&self, pool: usize, trouble: Option<String>) {
        self.pool(pool, |status| status.trouble = trouble);
    }

    pub(crate) fn pool_state(&self, pool: usize, state: &str) {
        self.pool(pool, |status| state.clone_into(&mut status.state));
    }

    fn pool(&self, pool: usize, change: impl FnOnce(&mut PoolStatus)) {
        if let Some(status) = self.lock().pools.get_mut(pool) {
            change(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        // Counters stay sound whatever happened to the thread that held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn best(&self) -> Option<Target> {
        self.sources.values().filter_map(|tally| tally.best).chain(self.best_before).min()
    }

    fn source(&self, pool: Option<usize>, tally: &Tally) -> SourceStatus {
        let name = pool.map(|pool| self.pools.get(pool).map_or_else(String::new, |pool| pool.name.clone()));
        SourceStatus {
            source: name.map_or_else(|| "solo".to_owned(), |name| format!("pool {name}")),
            shares_accepted: tally.accepted,
            shares_rejected: tally.rejected(),
            hashes: tally.hashes.to_string(),
        }
    }
}
