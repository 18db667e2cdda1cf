//! Anti-entropy: how two nodes find out what each lacks (§5). Gossip is a hint; this is the truth.

use crate::chain::Chain;
use crate::document::Document;
use crate::hash::Digest;
use crate::id::{EntryId, MemberId};
use crate::limits::{MEMBERS_MAX, PAGE_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a node has everybody's chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier(BTreeMap<MemberId, Reach>);

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
}

impl Frontier {
    /// What `document` has.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let spoken = document.chains().filter(|(_, chain)| chain.all().next().is_some());
        Self(spoken.map(|(author, chain)| (*author, Reach::of(chain))).collect())
    }

    /// A hash that is equal iff two frontiers are: what gossip carries.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("a frontier always encodes");
        Digest::tagged("hashguild/frontier/v1", &[&bytes])
    }

    /// What to ask of a peer whose frontier is `theirs`. At most one range an author.
    #[must_use]
    pub fn lacks(&self, theirs: &Self) -> Vec<Range> {
        let none = Reach { count: 0, head: None, fork: None };
        let wanted = theirs.0.iter().filter_map(|(author, their)| {
            let ours = self.0.get(author).unwrap_or(&none);
            if ours == their || ours.fork.is_some() && ours.count <= their.count && ours.fork == their.fork {
                return None;
            }
            let from = if their.count > ours.count && their.fork.is_none() && ours.fork.is_none() {
                ours.count
            } else if their.count < ours.count && their.fork.is_none() {
                return None; // they are behind us
            } else {
                0 // somewhere below we disagree: let them show us everything, forks are rare
            };
            Some(Range { author: *author, from })
        });
        wanted.take(MEMBERS_MAX).collect()
    }
}

/// Entries that answer `ranges`, as many as fit a page, in an order in which they can be inserted.
#[must_use]
pub fn page(document: &Document, ranges: &[Range]) -> Vec<Vec<u8>> {
    let mut room = PAGE_MAX;
    let mut page = Vec::new();
    for range in ranges.iter().take(MEMBERS_MAX) {
        let Some(chain) = document.chain(&range.author) else { continue };
        for signed in chain.all().filter(|signed| signed.entry().seq >= range.from) {
            let Some(left) = room.checked_sub(signed.bytes().len()) else { return page };
            room = left;
            page.push(signed.bytes().to_vec());
        }
    }
    page
}
