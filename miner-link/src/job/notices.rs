//! The lines that give one job to miners, each written at most once.

use crate::job::EXTRANONCE2_OF_LINK;
use std::sync::{Arc, OnceLock};

/// By what the job voids, and for whom it is.
#[derive(Debug, Default)]
pub(super) struct Notices {
    for_miners: [OnceLock<Arc<str>>; 2],
    for_links: [OnceLock<Arc<str>>; 2],
}

impl Notices {
    pub(super) fn get(&self, size: usize, clean: bool, write: impl FnOnce() -> String) -> Arc<str> {
        let [goes_on, voids] = if size == EXTRANONCE2_OF_LINK { &self.for_links } else { &self.for_miners };
        let place = if clean { voids } else { goes_on };
        place.get_or_init(|| write().into()).clone()
    }
}
