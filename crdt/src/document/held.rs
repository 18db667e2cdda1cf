//! Entries that cannot be decided yet: they wait for an earlier one, or for our chain to grow. Bounded per
//! author, so that nobody crowds out another, and in all.

use crate::id::{EntryId, MemberId};
use crate::limits::{HELD, HELD_BYTES, HELD_PER_AUTHOR};
use crate::signed::Signed;
use std::collections::BTreeMap;

/// What waits of one author, by place.
pub(super) type Waiting = BTreeMap<(u32, EntryId), Signed>;

/// All that waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    authors: BTreeMap<MemberId, Waiting>,
    count: usize,
    bytes: usize,
}

impl Held {
    /// Keep `signed`; of too many, those of its author with the lowest sequence numbers. Whether it is kept.
    pub(super) fn keep(&mut self, signed: Signed) -> bool {
        let (author, key) = (signed.entry().author, (signed.entry().seq, signed.id()));
        let len = signed.len();
        let waiting = self.authors.entry(author).or_default();
        if waiting.insert(key, signed).is_none() {
            self.count += 1;
            self.bytes += len;
        }
        let mut kept = true;
        while waiting.len() > HELD_PER_AUTHOR || self.count > HELD || self.bytes > HELD_BYTES {
            let Some((last, dropped)) = waiting.pop_last() else { break };
            self.count -= 1;
            self.bytes -= dropped.len();
            kept &= last != key;
        }
        if waiting.is_empty() {
            self.authors.remove(&author);
        }
        kept
    }

    /// Take out all that waits of `author`.
    pub(super) fn take(&mut self, author: &MemberId) -> Waiting {
        let waiting = self.authors.remove(author).unwrap_or_default();
        self.count -= waiting.len();
        self.bytes -= waiting.values().map(Signed::len).sum::<usize>();
        waiting
    }

    /// Drop what `gone` picks of `author`.
    pub(super) fn drop_where(&mut self, author: &MemberId, gone: impl Fn(&Signed) -> bool) {
        for signed in self.take(author).into_values().filter(|signed| !gone(signed)) {
            self.keep(signed);
        }
    }

    /// Authors of whom something waits.
    pub(super) fn authors(&self) -> Vec<MemberId> {
        self.authors.keys().copied().collect()
    }

    /// What waits, by author.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&MemberId, &Waiting)> {
        self.authors.iter()
    }

    /// How many entries wait.
    pub(super) const fn len(&self) -> usize {
        self.count
    }
}
