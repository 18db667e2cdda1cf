//! What a running link knows about itself, for its status.

use crate::contract::{LinkStatus, WorkerStatus};
use crate::share::Reason;
use crate::share::target::wire_difficulty;
use crate::stratum::limits::WORKERS_KEPT;
use bitcoin::{BlockHash, Target};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The facts, behind one lock that is held for moments.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<Facts>);

#[derive(Debug)]
struct Facts {
    status: LinkStatus,
    workers: BTreeMap<String, WorkerStatus>,
}

impl Shared {
    pub(crate) fn new(status: LinkStatus) -> Self {
        Self(Mutex::new(Facts { status, workers: BTreeMap::new() }))
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let facts = self.lock();
        let mut status = facts.status.clone();
        let at_work = facts.workers.values().filter(|worker| worker.connections > 0).count();
        status.workers = u64::try_from(at_work).unwrap_or(u64::MAX);
        status
    }

    pub(crate) fn workers(&self) -> Vec<WorkerStatus> {
        self.lock().workers.values().cloned().collect()
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
        let new = WorkerStatus {
            name: name.to_owned(),
            connections: 0,
            agent: String::new(),
            shares_accepted: 0,
            shares_rejected: 0,
            blocks_found: 0,
            difficulty: 0.0,
            last_share: None,
        };
        let worker = facts.workers.entry(name.to_owned()).or_insert(new);
        worker.connections = worker.connections.saturating_add(1);
        agent.clone_into(&mut worker.agent);
    }

    pub(crate) fn left(&self, names: &[String]) {
        let mut facts = self.lock();
        for name in names {
            if let Some(worker) = facts.workers.get_mut(name) {
                worker.connections = worker.connections.saturating_sub(1);
            }
        }
    }

    pub(crate) fn share(&self, name: &str, rejected: Option<Reason>, target: Target, unix: u32) {
        let mut facts = self.lock();
        let count = u64::from(rejected.is_none());
        facts.status.shares_accepted += count;
        facts.status.shares_rejected += 1 - count;
        if let Some(worker) = facts.workers.get_mut(name) {
            worker.shares_accepted += count;
            worker.shares_rejected += 1 - count;
            worker.difficulty = wire_difficulty(target);
            worker.last_share = if rejected.is_none() { Some(unix) } else { worker.last_share };
        }
    }

    pub(crate) fn found(&self, name: &str, hash: BlockHash) {
        let mut facts = self.lock();
        facts.status.blocks_found += 1;
        facts.status.last_block = Some(hash.to_string());
        if let Some(worker) = facts.workers.get_mut(name) {
            worker.blocks_found += 1;
        }
    }

    pub(crate) fn accepted_block(&self) {
        self.lock().status.blocks_accepted += 1;
    }

    pub(crate) fn pending(&self, count: usize) {
        self.lock().status.blocks_pending = u64::try_from(count).unwrap_or(u64::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        // Counters stay sound whatever happened to the thread that held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
