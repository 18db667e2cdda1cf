//! One author's entries: a chain, its quota, and what a fork leaves of it (§4, §5).

use crate::entry::Payload;
use crate::id::EntryId;
use crate::limits::{PROPOSAL_BLOCKS, PROPOSALS, QUOTA_BLOCKS, QUOTA_BYTES, QUOTA_ENTRIES};
use crate::signed::Signed;

/// The entries of one author that are in the document.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    entries: Vec<Signed>,
    fork: Option<Fork>,
    quota: Quota,
    /// So many entries stand whatever comes: a checkpoint ends with them.
    sealed: u32,
    /// Whether it ends there: its author left.
    ended: bool,
}

/// Proof that an author signed two entries with one sequence number: the two of smallest id. Everything
/// below stands, nothing from here on does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The entry of smallest id.
    pub low: Signed,
    /// The entry of second smallest id.
    pub high: Signed,
}

/// What the quota buckets of claimed blocks hold so far.
#[derive(Debug, Clone, Copy, Default)]
struct Quota {
    bucket: u32,
    entries: u32,
    bytes: usize,
    proposal_bucket: u32,
    proposals: u32,
}

/// What became of an entry offered to its author's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is the next of the chain.
    Next,
    /// Already there.
    Known,
    /// An earlier entry is missing, or its predecessor is not the one we have.
    Waits,
    /// It proves a fork; the chain was cut there. What fell: the entries that stood from there on, or the
    /// evidence that this one replaces.
    Forks(Vec<Signed>),
    /// It comes after a known fork.
    Suspended,
    /// It breaks a rule of the chain, decided from the chain alone.
    Invalid(Broken),
}

/// The rule of the chain an entry breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The first entry names a predecessor, or a later one names none.
    #[error("entry {0} of its author names its predecessor wrongly")]
    Predecessor(u32),
    /// Claims a height below the guild's first block.
    #[error("claims height {0}, before the guild began")]
    BeforeBirth(u32),
    /// Claims a lower height than the entry before.
    #[error("claims height {claimed}, below its predecessor's {before}")]
    HeightFell {
        /// What it claims.
        claimed: u32,
        /// What the entry before claimed.
        before: u32,
    },
    /// More than an author may say in [`QUOTA_BLOCKS`] blocks.
    #[error(
        "its author said more than {QUOTA_ENTRIES} entries or {QUOTA_BYTES} bytes in {QUOTA_BLOCKS} blocks"
    )]
    Quota,
    /// More proposals than an author may make in [`PROPOSAL_BLOCKS`] blocks.
    #[error("its author made more than {PROPOSALS} proposals in {PROPOSAL_BLOCKS} blocks")]
    Proposals,
}

/// Every proposal bucket is a whole number of the others, so that one stretch of a chain fills both.
const _: () = assert!(PROPOSAL_BLOCKS.is_multiple_of(QUOTA_BLOCKS), "buckets are nested");

impl Quota {
    /// What the buckets hold once `signed` is in the chain.
    fn after(self, signed: &Signed) -> Result<Self, Broken> {
        let entry = signed.entry();
        let mut next = self;
        let (bucket, proposal_bucket) = (entry.height / QUOTA_BLOCKS, entry.height / PROPOSAL_BLOCKS);
        if bucket != self.bucket {
            next = Self { bucket, entries: 0, bytes: 0, ..next };
        }
        if proposal_bucket != self.proposal_bucket {
            next = Self { proposal_bucket, proposals: 0, ..next };
        }
        next.entries += 1;
        next.bytes += signed.len();
        next.proposals += u32::from(matches!(entry.payload, Payload::Propose(_)));
        if next.entries > QUOTA_ENTRIES || next.bytes > QUOTA_BYTES {
            return Err(Broken::Quota);
        }
        if next.proposals > PROPOSALS { Err(Broken::Proposals) } else { Ok(next) }
    }
}

impl Chain {
    /// The entries that stand, in order.
    #[must_use]
    pub fn entries(&self) -> &[Signed] {
        &self.entries
    }

    /// Proof of a fork, if there is one.
    #[must_use]
    pub const fn fork(&self) -> Option<&Fork> {
        self.fork.as_ref()
    }

    /// The last entry that stands.
    #[must_use]
    pub fn head(&self) -> Option<&Signed> {
        self.entries.last()
    }

    /// The sequence number the next entry will have.
    #[must_use]
    pub fn next_seq(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("quotas keep chains far below 2^32 entries")
    }

    /// Everything in the document of this author: what stands, then the evidence of a fork.
    pub fn all(&self) -> impl Iterator<Item = &Signed> {
        self.entries.iter().chain(self.fork.iter().flat_map(|fork| [&fork.low, &fork.high]))
    }

    /// What [`Self::all`] gives from sequence number `seq` on.
    pub fn since(&self, seq: u32) -> impl Iterator<Item = &Signed> {
        let fork = self.fork.as_ref().filter(|_| seq <= self.next_seq());
        let entries = self.entries.get(index(seq)..).unwrap_or_default();
        entries.iter().chain(fork.into_iter().flat_map(|fork| [&fork.low, &fork.high]))
    }

    /// Whether `signed` continues another entry than the one that stands before its place. Never to be
    /// applied here; but if its predecessor is valid, this author's chain is forked somewhere below.
    #[must_use]
    pub fn contradicts(&self, signed: &Signed) -> bool {
        let entry = signed.entry();
        let before = entry.seq.checked_sub(1).and_then(|seq| self.id_at(seq));
        before.is_some_and(|before| entry.prev.is_some_and(|prev| prev != before))
    }

    /// Offer an entry of this author. Any order and repetition leads to the same chain.
    pub fn offer(&mut self, signed: &Signed) -> Place {
        let seq = signed.entry().seq;
        if seq < self.sealed.min(self.next_seq()) {
            return if self.id_at(seq) == Some(signed.id()) { Place::Known } else { Place::Suspended };
        }
        if self.ended && seq >= self.sealed {
            return Place::Suspended;
        }
        if seq > self.next_seq() {
            return if self.fork.is_some() { Place::Suspended } else { Place::Waits };
        }
        match self.check_link(signed) {
            Ok(true) => {}
            Ok(false) => return Place::Waits,
            Err(broken) => return Place::Invalid(broken),
        }
        match self.entries.get(index(seq)) {
            Some(known) if known.id() == signed.id() => Place::Known,
            Some(_) => self.cut(signed.clone(), seq),
            None if self.fork.is_some() => self.join_fork(signed.clone()),
            None => self.append(signed.clone()),
        }
    }

    /// Whether `signed` continues the entry before its place. `Ok(false)`: it continues another one.
    fn check_link(&self, signed: &Signed) -> Result<bool, Broken> {
        let entry = signed.entry();
        let before = entry.seq.checked_sub(1).and_then(|seq| self.entries.get(index(seq)));
        match (before, entry.prev) {
            (None, None) => Ok(true),
            (Some(before), Some(prev)) if before.id() != prev => Ok(false),
            (Some(before), Some(_)) if before.entry().height > entry.height => {
                Err(Broken::HeightFell { claimed: entry.height, before: before.entry().height })
            }
            (Some(_), Some(_)) => Ok(true),
            _ => Err(Broken::Predecessor(entry.seq)),
        }
    }

    fn append(&mut self, signed: Signed) -> Place {
        match self.quota.after(&signed) {
            Ok(quota) => {
                self.quota = quota;
                self.entries.push(signed);
                Place::Next
            }
            Err(broken) => Place::Invalid(broken),
        }
    }

    /// A second entry at a place that is taken: what was there and the newcomer are the fork.
    fn cut(&mut self, signed: Signed, seq: u32) -> Place {
        if let Err(broken) = self.quota_before(seq).after(&signed) {
            return Place::Invalid(broken); // an invalid entry is no fork evidence
        }
        let mut fell = self.entries.split_off(index(seq));
        self.quota = self.quota_before(seq);
        let first = fell.first().expect("the place is taken").clone();
        let (low, high) = in_order(first, signed);
        let above = self.fork.replace(Fork { low, high });
        fell.extend(above.into_iter().flat_map(|fork| [fork.low, fork.high]));
        Place::Forks(fell)
    }

    /// A further entry at the forked place: the two of smallest id are kept.
    fn join_fork(&mut self, signed: Signed) -> Place {
        let Some(fork) = self.fork.as_mut() else { return Place::Known };
        if signed.id() == fork.low.id() || signed.id() == fork.high.id() {
            return Place::Known;
        }
        if let Err(broken) = self.quota.after(&signed) {
            return Place::Invalid(broken);
        }
        if signed.id() > fork.high.id() {
            return Place::Suspended;
        }
        let dropped = fork.high.clone();
        let (low, high) = in_order(fork.low.clone(), signed);
        *fork = Fork { low, high };
        Place::Forks(vec![dropped])
    }

    /// What the buckets of the entry before `seq` hold. Heights never fall: a bucket is one stretch, short
    /// by its quota.
    fn quota_before(&self, seq: u32) -> Quota {
        let bucket = |signed: &Signed| signed.entry().height / PROPOSAL_BLOCKS;
        let before = self.entries.get(..index(seq)).unwrap_or(&self.entries);
        let last = before.last().map_or(0, bucket);
        let stretch = before.get(before.partition_point(|signed| bucket(signed) < last)..);
        stretch.into_iter().flatten().fold(Quota::default(), |quota, signed| {
            quota.after(signed).expect("entries that stand are within quota")
        })
    }

    /// The first `sealed` entries stand whatever comes; if it `ended`, nothing else does. What fell.
    pub(crate) fn seal(&mut self, sealed: u32, ended: bool) -> Vec<Signed> {
        (self.sealed, self.ended) = (sealed, ended);
        if !ended || self.next_seq() <= sealed && self.fork.is_none() {
            return Vec::new();
        }
        let mut fell = self.entries.split_off(index(sealed).min(self.entries.len()));
        self.quota = self.quota_before(sealed);
        fell.extend(self.fork.take().into_iter().flat_map(|fork| [fork.low, fork.high]));
        fell
    }

    /// Whether nothing of its author is taken that is not here.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.ended && self.entries.len() as u64 >= self.sealed as u64
    }

    /// The id of the entry at `seq`, if it stands.
    #[must_use]
    pub fn id_at(&self, seq: u32) -> Option<EntryId> {
        self.entries.get(index(seq)).map(Signed::id)
    }
}

fn index(seq: u32) -> usize {
    usize::try_from(seq).expect("usize has 32 bits or more")
}

fn in_order(a: Signed, b: Signed) -> (Signed, Signed) {
    if a.id() < b.id() { (a, b) } else { (b, a) }
}
