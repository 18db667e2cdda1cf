//! The lines that give one job to miners, each written at most once.

use crate::job::ROOM;
use std::sync::{Arc, OnceLock};

/// By how much of the room a miner fills, and by whether earlier jobs are void.
#[derive(Debug, Default)]
pub(super) struct Notices([[OnceLock<Arc<str>>; 2]; ROOM + 1]);

impl Notices {
    pub(super) fn get(&self, fills: usize, clean: bool, write: impl FnOnce() -> String) -> Arc<str> {
        let Some([goes_on, voids]) = self.0.get(fills) else { return write().into() };
        let place = if clean { voids } else { goes_on };
        place.get_or_init(|| write().into()).clone()
    }
}
