//! Anti-entropy: how two nodes find out what each lacks (§5). Gossip is a hint; this is the truth.

use crate::chain::Chain;
use crate::document::Document;
use crate::hash::Digest;
use crate::id::{EntryId, MemberId};
use crate::limits::{ENTRY_MAX, MEMBERS_MAX, PAGE_MAX};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How far a node has everybody's chain.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Frontier {
    reaches: BTreeMap<MemberId, Reach>,
    /// Where entries wait that contradict our chain of their author. Our own business: not on the wire.
    #[serde(skip)]
    disputed: BTreeMap<MemberId, u32>,
}

impl PartialEq for Frontier {
    fn eq(&self, other: &Self) -> bool {
        self.reaches == other.reaches
    }
}

impl Eq for Frontier {}

/// Entries to go back at a time in search of a fork: so many that, with the one known to be disputed,
/// they fit a page whatever their size.
const STEP_BACK: u32 = 7;
const _: () = assert!((STEP_BACK as usize + 1) * ENTRY_MAX <= PAGE_MAX, "a page holds a step and one more");

/// How far a node has one author's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Entries that stand.
    pub count: u32,
    /// The last of them.
    pub head: Option<EntryId>,
    /// The two entries that prove a fork.
    pub fork: Option<[EntryId; 2]>,
}

/// One author's entries from a sequence number on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Whose.
    pub author: MemberId,
    /// From which on.
    pub from: u32,
}

impl Reach {
    fn of(chain: &Chain) -> Self {
        Self {
            count: chain.next_seq(),
            head: chain.head().map(crate::Signed::id),
            fork: chain.fork().map(|fork| [fork.low.id(), fork.high.id()]),
        }
    }

    /// From where on a peer who has `their` chain may have something for us, who have this one.
    fn wants(&self, their: &Self) -> Option<u32> {
        match self.count.cmp(&their.count) {
            _ if self == their => None,
            // Two branches, forked somewhere below.
            Ordering::Equal if self.head != their.head => Some(self.count.saturating_sub(STEP_BACK + 1)),
            // The same stands: only their evidence can be new.
            Ordering::Equal => their.fork.is_some().then_some(self.count),
            // They are behind us. If they are on another branch, they will notice when they ask us.
            Ordering::Greater if their.fork.is_none() => None,
            Ordering::Less | Ordering::Greater => Some(self.count.min(their.count)),
        }
    }
}

impl Frontier {
    /// What `document` has.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let spoken = document.chains().filter(|(_, chain)| chain.all().next().is_some());
        let reaches = spoken.map(|(author, chain)| (*author, Reach::of(chain))).collect();
        Self { reaches, disputed: document.disputed().collect() }
    }

    /// A hash that is equal iff two frontiers are: what gossip carries.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("a frontier always encodes");
        Digest::tagged("hashguild/frontier/v1", &[&bytes])
    }

    /// What to ask of a peer whose frontier is `theirs`. At most one range an author.
    ///
    /// Asking, taking the page and comparing again, in both directions, ends in equal frontiers. Where two
    /// nodes know two branches of one author and neither knows the fork, every round goes `STEP_BACK`
    /// entries back until the branches meet; such searches come last, so that they keep nothing new waiting.
    #[must_use]
    pub fn lacks(&self, theirs: &Self) -> Vec<Range> {
        let none = Reach { count: 0, head: None, fork: None };
        let (mut news, mut searches) = (Vec::new(), Vec::new());
        for (author, their) in &theirs.reaches {
            let ours = self.reaches.get(author).unwrap_or(&none);
            let Some(first) = ours.wants(their) else { continue };
            let disputed = self.disputed.get(author).map(|seq| seq.saturating_sub(STEP_BACK));
            let from = disputed.map_or(first, |seq| seq.min(first));
            let ranges = if from < ours.count { &mut searches } else { &mut news };
            ranges.push(Range { author: *author, from });
        }
        news.extend(searches);
        news.truncate(MEMBERS_MAX);
        news
    }
}

/// Entries that answer `ranges`, as many as fit a page, in an order in which they can be inserted.
#[must_use]
pub fn page(document: &Document, ranges: &[Range]) -> Vec<Vec<u8>> {
    let mut room = PAGE_MAX;
    let mut page = Vec::new();
    for range in ranges.iter().take(MEMBERS_MAX) {
        let Some(chain) = document.chain(&range.author) else { continue };
        for signed in chain.since(range.from) {
            let Some(left) = room.checked_sub(signed.bytes().len()) else { return page };
            room = left;
            page.push(signed.bytes().to_vec());
        }
    }
    page
}
