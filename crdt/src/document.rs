//! The set of valid entries: what two nodes merge in any order (§5).

use crate::Height;
use crate::chain::{Broken, Chain, Place};
use crate::entry::{ENTRY_VERSION, Entry, Payload};
use crate::id::{EntryId, GuildId, MemberId};
use crate::limits::{AHEAD, HELD_PER_AUTHOR};
use crate::signed::Signed;
use bitcoin::BlockHash;
use std::collections::{BTreeMap, BTreeSet};

/// All entries of a guild that a node holds.
#[derive(Debug, Clone)]
pub struct Document {
    guild: GuildId,
    chains: BTreeMap<MemberId, Chain>,
    held: BTreeMap<MemberId, BTreeMap<(u32, EntryId), Signed>>,
    version: u64,
}

/// What became of an entry offered to the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Insert {
    /// These entries are new: the offered one, and those that had waited for it.
    New(Vec<Signed>),
    /// Nothing changed: it was there, or comes after a known fork.
    Nothing,
    /// Undecidable yet; kept until what it waits for arrives.
    Held,
    /// Too many of this author's entries wait already: dropped, a later pull brings it again.
    Dropped,
    /// Its author is not on the roll.
    Stranger(MemberId),
    /// It breaks a rule of its chain.
    Invalid(Broken),
}

impl Document {
    /// An empty document of `guild`, in which `authors` may speak.
    #[must_use]
    pub fn new(guild: GuildId, authors: impl IntoIterator<Item = MemberId>) -> Self {
        let chains = authors.into_iter().map(|author| (author, Chain::default())).collect();
        Self { guild, chains, held: BTreeMap::new(), version: 0 }
    }

    /// The guild.
    #[must_use]
    pub const fn guild(&self) -> GuildId {
        self.guild
    }

    /// Grows with every change: equal versions of one document mean equal content.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The chain of every author.
    pub fn chains(&self) -> impl Iterator<Item = (&MemberId, &Chain)> {
        self.chains.iter()
    }

    /// One author's chain.
    #[must_use]
    pub fn chain(&self, author: &MemberId) -> Option<&Chain> {
        self.chains.get(author)
    }

    /// Entries in the document.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chains.values().map(|chain| chain.all().count()).sum()
    }

    /// Whether nobody has spoken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of this id.
    #[must_use]
    pub fn find(&self, id: EntryId) -> Option<&Signed> {
        self.chains.values().flat_map(Chain::all).find(|signed| signed.id() == id)
    }

    /// Add an entry. `tip` is the height of our chain.
    pub fn insert(&mut self, signed: Signed, tip: Height) -> Insert {
        let author = signed.entry().author;
        let Some(chain) = self.chains.get_mut(&author) else { return Insert::Stranger(author) };
        if signed.entry().height > tip.saturating_add(AHEAD) {
            return self.hold(signed);
        }
        match chain.offer(&signed) {
            Place::Next | Place::Forks => {
                self.version += 1;
                let mut new = vec![signed];
                new.extend(self.release(author, tip));
                Insert::New(new)
            }
            Place::Known => {
                self.settle_disputes(&signed);
                Insert::Nothing
            }
            Place::Suspended => Insert::Nothing,
            Place::Waits => self.hold(signed),
            Place::Invalid(broken) => Insert::Invalid(broken),
        }
    }

    /// Look again at what waited for our tip to reach `tip`.
    pub fn tip_reached(&mut self, tip: Height) -> Vec<Signed> {
        let authors: BTreeSet<MemberId> = self.held.keys().copied().collect();
        authors.into_iter().flat_map(|author| self.release(author, tip)).collect()
    }

    /// Keep `signed` until it can be decided; of too many, those with the lowest sequence numbers.
    fn hold(&mut self, signed: Signed) -> Insert {
        let held = self.held.entry(signed.entry().author).or_default();
        let key = (signed.entry().seq, signed.id());
        held.insert(key, signed);
        let dropped = if held.len() > HELD_PER_AUTHOR { held.pop_last() } else { None };
        if dropped.is_some_and(|(last, _)| last == key) { Insert::Dropped } else { Insert::Held }
    }

    /// Entries that wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.values().map(BTreeMap::len).sum()
    }

    /// Of each author the lowest place where an entry waits that contradicts our chain of this author.
    pub(crate) fn disputed(&self) -> impl Iterator<Item = (MemberId, u32)> {
        self.held.iter().filter_map(|(author, held)| {
            let chain = self.chains.get(author)?;
            let lowest = held.values().find(|signed| chain.contradicts(signed))?;
            Some((*author, lowest.entry().seq))
        })
    }

    /// Somebody else's chain agrees with ours up to `known`: what contradicts it below comes from another
    /// peer, who will bring it again, or from nowhere.
    fn settle_disputes(&mut self, known: &Signed) {
        let Some(chain) = self.chains.get(&known.entry().author) else { return };
        if let Some(held) = self.held.get_mut(&known.entry().author) {
            held.retain(|(seq, _), signed| *seq > known.entry().seq || !chain.contradicts(signed));
        }
    }

    /// Offer everything held of `author` again, in order, until nothing moves.
    fn release(&mut self, author: MemberId, tip: Height) -> Vec<Signed> {
        let Some(waiting) = self.held.remove(&author) else { return Vec::new() };
        let chain = self.chains.get_mut(&author).expect("only entries of known authors are held");
        let mut new = Vec::new();
        let mut still = BTreeMap::new();
        for (key, signed) in waiting {
            if signed.entry().height > tip.saturating_add(AHEAD) {
                still.insert(key, signed);
                continue;
            }
            match chain.offer(&signed) {
                Place::Next | Place::Forks => new.push(signed),
                Place::Waits => drop(still.insert(key, signed)),
                Place::Known | Place::Suspended | Place::Invalid(_) => {}
            }
        }
        self.version += new.len() as u64;
        if !still.is_empty() {
            self.held.insert(author, still);
        }
        new
    }

    /// The next entry of `author`, to be signed: after everything the document has of this chain.
    #[must_use]
    pub fn next_entry(&self, author: MemberId, tip: (Height, BlockHash), payload: Payload) -> Entry {
        let chain = self.chains.get(&author);
        let head = chain.and_then(Chain::head);
        Entry {
            version: ENTRY_VERSION,
            guild: self.guild,
            author,
            seq: chain.map_or(0, Chain::next_seq),
            prev: head.map(Signed::id),
            height: head.map_or(0, |head| head.entry().height).max(tip.0),
            block_hash: tip.1,
            payload,
        }
    }
}
