//! Anti-entropy: how two nodes find out what each lacks (§5). Gossip is a hint; this is the truth.
//!
//! A node asks a peer to compare digests of their frontiers. If they differ, the peer gives its frontier:
//! how far it has every author's chain. The node asks for what it lacks, page by page. The peer does the
//! same the other way round. [`machine`] keeps these conversations with many peers at once.

pub mod machine;

use crate::bounded;
use crate::chain::Chain;
use crate::document::Document;
use crate::hash::Digest;
use crate::id::{EntryId, MemberId};
use crate::limits::{ENTRY_MAX, MEMBERS_MAX, PAGE_ENTRIES, PAGE_MAX, WANTED_MAX};
use crate::signed::Signed;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What a node asks of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// "This is the digest of my frontier. What is yours, if it differs?"
    Compare(Digest),
    /// "Give me these."
    Pull(Pull),
}

/// What a node lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Ends of chains.
    #[serde(deserialize_with = "bounded::list::<_, _, MEMBERS_MAX>")]
    pub ranges: Vec<Range>,
    /// Single proposals, by id ([`Document::wanted`]): at most [`WANTED_MAX`].
    #[serde(deserialize_with = "bounded::list::<_, _, WANTED_MAX>")]
    pub wanted: Vec<EntryId>,
}

/// What the other answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The frontiers are equal.
    Same,
    /// They differ: this is mine.
    Frontier(Frontier),
    /// A page of entries, at most [`PAGE_MAX`] bytes, in an order in which they can be inserted.
    Entries(#[serde(deserialize_with = "bounded::list::<_, _, PAGE_ENTRIES>")] Vec<Vec<u8>>),
}

/// Answer `question` from what `document` has.
#[must_use]
pub fn answer(document: &Document, question: &Question) -> Answer {
    match question {
        Question::Compare(theirs) => {
            let ours = Frontier::of(document);
            if ours.digest() == *theirs { Answer::Same } else { Answer::Frontier(ours) }
        }
        Question::Pull(pull) => Answer::Entries(page(document, pull)),
    }
}

/// The first half of an entry's id. To hide a fork from this comparison its author would have to find two
/// entries with equal marks, some 2⁶⁴ hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark([u8; 16]);

impl From<EntryId> for Mark {
    fn from(id: EntryId) -> Self {
        let bytes = id.to_bytes();
        Self(*bytes.first_chunk().expect("32 bytes begin with 16"))
    }
}

/// How far a node has everybody's chain.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Frontier {
    #[serde(deserialize_with = "bounded::map::<_, _, _, MEMBERS_MAX>")]
    reaches: BTreeMap<MemberId, Reach>,
    /// Where entries wait that contradict our chain of their author. Our own business: not on the wire.
    #[serde(skip)]
    disputed: BTreeMap<MemberId, u32>,
    /// Of whom nothing more is taken here, and who may speak at all: likewise.
    #[serde(skip)]
    open: BTreeSet<MemberId>,
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
    pub head: Option<Mark>,
    /// The two entries that prove a fork.
    pub fork: Option<[Mark; 2]>,
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
            head: chain.head().map(|head| head.id().into()),
            fork: chain.fork().map(|fork| [fork.low.id().into(), fork.high.id().into()]),
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
        let open = document.chains().filter(|(_, chain)| !chain.is_over()).map(|(author, _)| *author);
        Self { reaches, disputed: document.disputed().collect(), open: open.collect() }
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
        for (author, their) in theirs.reaches.iter().filter(|(author, _)| self.open.contains(author)) {
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

/// Entries that answer `pull`, as many as fit a page, in an order in which they can be inserted.
#[must_use]
pub fn page(document: &Document, pull: &Pull) -> Vec<Vec<u8>> {
    let wanted = pull.wanted.iter().take(WANTED_MAX).filter_map(|id| document.find(*id));
    let ranges = pull.ranges.iter().take(MEMBERS_MAX);
    let chains = ranges.filter_map(|range| Some(document.chain(&range.author)?.since(range.from)));
    let mut room = PAGE_MAX;
    let fits = |signed: &&Signed| match room.checked_sub(signed.len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    wanted.chain(chains.flatten()).take_while(fits).map(Signed::to_bytes).collect()
}
