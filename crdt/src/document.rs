//! The set of valid entries: what two nodes merge in any order (§5).

mod held;

use crate::Height;
use crate::chain::{Broken, Chain, Place};
use crate::charter::Charter;
use crate::entry::{ENTRY_VERSION, Entry, Payload};
use crate::epoch::{Head, Sealed};
use crate::id::{EntryId, GuildId, MemberId, ProposalId};
use crate::limits::AHEAD;
use crate::signed::{Signed, Verifier};
use bitcoin::BlockHash;
use held::Held;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All entries of a guild that a node holds: of each author the chain that stands, evidence of a fork, and
/// of forked authors the proposals that others voted on.
#[derive(Debug, Clone)]
pub struct Document {
    guild: GuildId,
    birth: Height,
    chains: BTreeMap<MemberId, Chain>,
    /// Proposals that fell in a fork of their author, but that a ballot or certificate of another names: a
    /// member who forks takes back no decision of the others (§5).
    adopted: BTreeMap<EntryId, Signed>,
    /// Proposals that ballots or certificates name and that are not here: to be asked for by id.
    wanted: BTreeSet<EntryId>,
    held: Held,
    /// Everything in the document by id. Never iterated: its order is no one's business.
    index: HashMap<EntryId, Signed>,
    touched: BTreeSet<MemberId>,
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
    /// Too many entries wait already: dropped, a later pull brings it again.
    Dropped,
    /// Its author is not on the roll.
    Stranger(MemberId),
    /// It breaks a rule of its chain.
    Invalid(Broken),
}

/// The proposal that `entry` votes on or certifies: what keeps it alive when its author forks.
fn names(entry: &Entry) -> Option<EntryId> {
    let ProposalId(id) = match &entry.payload {
        Payload::Ballot(ballot) => ballot.proposal,
        Payload::Certificate(certificate) => certificate.body.proposal,
        _ => return None,
    };
    Some(EntryId(id))
}

impl Document {
    /// An empty document of `charter`'s guild, in which its founders may speak.
    #[must_use]
    pub fn new(charter: &Charter) -> Self {
        let authors = charter.founders.iter().map(|founder| founder.key);
        Self::empty(charter.id(), charter.birth.height, authors)
    }

    fn empty(guild: GuildId, birth: Height, authors: impl Iterator<Item = MemberId>) -> Self {
        Self {
            guild,
            birth,
            chains: authors.map(|author| (author, Chain::default())).collect(),
            adopted: BTreeMap::new(),
            wanted: BTreeSet::new(),
            held: Held::default(),
            index: HashMap::new(),
            touched: BTreeSet::new(),
            version: 0,
        }
    }

    /// The guild.
    #[must_use]
    pub const fn guild(&self) -> GuildId {
        self.guild
    }

    /// A reader of entries of those who may speak here.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::of(self.guild, self.chains.keys().copied())
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

    /// Proposals that count although their author forked below them.
    pub fn adopted(&self) -> impl Iterator<Item = &Signed> {
        self.adopted.values()
    }

    /// Whether the entry `id` is applied: it stands in its author's chain, or was adopted.
    #[must_use]
    pub fn counts(&self, id: EntryId) -> bool {
        let standing = |signed: &Signed| {
            let entry = signed.entry();
            self.chains.get(&entry.author).and_then(|chain| chain.id_at(entry.seq)) == Some(id)
        };
        self.adopted.contains_key(&id) || self.index.get(&id).is_some_and(standing)
    }

    /// Every entry in the document: chains with their evidence, then what was adopted.
    pub fn all(&self) -> impl Iterator<Item = &Signed> {
        let adopted = self.adopted.values().filter(|signed| !self.is_evidence(signed));
        self.chains.values().flat_map(Chain::all).chain(adopted)
    }

    fn is_evidence(&self, signed: &Signed) -> bool {
        let fork = self.chains.get(&signed.entry().author).and_then(Chain::fork);
        fork.is_some_and(|fork| [fork.low.id(), fork.high.id()].contains(&signed.id()))
    }

    /// Entries in the document.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nobody has spoken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The entry of this id.
    #[must_use]
    pub fn find(&self, id: EntryId) -> Option<&Signed> {
        self.index.get(&id)
    }

    /// Proposals to ask others for by id: named here by a vote, and lost with the chain of a forked author.
    /// Nothing while no author forked: chains bring everything then.
    pub fn wanted(&self) -> impl Iterator<Item = EntryId> {
        let forked = self.chains.values().any(|chain| chain.fork().is_some());
        self.wanted.iter().copied().filter(move |_| forked)
    }

    /// The authors whose part of the document changed since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<MemberId> {
        std::mem::take(&mut self.touched)
    }

    /// Let somebody speak who is not a founder.
    pub fn admit(&mut self, author: MemberId) {
        self.chains.entry(author).or_default();
    }

    /// Go by these epochs: what their checkpoints end stands whatever comes, and the chains of those who left
    /// end there. `stays` says who speaks on. What fell: it may stand again if the chain turns.
    pub fn govern(&mut self, epochs: &[Sealed], stays: impl Fn(&MemberId) -> bool) -> Vec<Signed> {
        let mut fell = Vec::new();
        let heads = epochs.iter().flat_map(|sealed| &sealed.checkpoint.heads);
        let mut ends: BTreeMap<MemberId, u32> = BTreeMap::new();
        for (author, head) in heads {
            ends.insert(*author, head.seq.saturating_add(1));
        }
        for author in epochs.iter().flat_map(|sealed| sealed.checkpoint.roll.keys()) {
            self.chains.entry(*author).or_default();
        }
        for (author, chain) in &mut self.chains {
            let end = ends.get(author).copied().unwrap_or_default();
            let ended = !epochs.is_empty() && !stays(author);
            for gone in chain.seal(end, ended) {
                self.index.remove(&gone.id());
                self.touched.insert(*author);
                self.version += 1;
                fell.push(gone);
            }
        }
        fell
    }

    /// Whether all that this checkpoint ends is here: its heads, and what is before them.
    #[must_use]
    pub fn reaches(&self, heads: &BTreeMap<MemberId, Head>) -> bool {
        heads.iter().all(|(author, head)| {
            self.chains.get(author).and_then(|chain| chain.id_at(head.seq)) == Some(head.entry)
        })
    }

    /// Add an entry. `tip` is the height of our chain.
    pub fn insert(&mut self, signed: Signed, tip: Height) -> Insert {
        let (author, height) = (signed.entry().author, signed.entry().height);
        let Some(chain) = self.chains.get_mut(&author) else { return Insert::Stranger(author) };
        if height < self.birth {
            return Insert::Invalid(Broken::BeforeBirth(height));
        }
        if height > tip.saturating_add(AHEAD) {
            return self.hold(signed);
        }
        match chain.offer(&signed) {
            Place::Next => {
                let mut new = vec![signed.clone()];
                self.stand(signed);
                new.extend(self.release(author, tip));
                Insert::New(new)
            }
            Place::Forks(fell) => {
                self.cut(&signed, fell);
                let mut new = vec![signed];
                new.extend(self.release(author, tip));
                Insert::New(new)
            }
            Place::Known => {
                self.settle_disputes(&signed);
                Insert::Nothing
            }
            _ if self.adopt(&signed) => Insert::New(vec![signed]),
            Place::Suspended => Insert::Nothing,
            Place::Waits => self.hold(signed),
            Place::Invalid(broken) => Insert::Invalid(broken),
        }
    }

    /// Look again at what waited for our tip to reach `tip`.
    pub fn tip_reached(&mut self, tip: Height) -> Vec<Signed> {
        let authors = self.held.authors();
        authors.into_iter().flat_map(|author| self.release(author, tip)).collect()
    }

    fn hold(&mut self, signed: Signed) -> Insert {
        if self.held.keep(signed) { Insert::Held } else { Insert::Dropped }
    }

    /// `signed` is the newest of its chain now.
    fn stand(&mut self, signed: Signed) {
        if let Some(id) = names(signed.entry()).filter(|id| id.0 != self.guild.0) {
            match self.index.get(&id).cloned() {
                None => drop(self.wanted.insert(id)),
                Some(proposal) => self.speak_for(&signed, proposal),
            }
        }
        self.know(signed);
    }

    /// `vote` names a proposal that is here: if only as evidence of a fork, it counts from now on.
    fn speak_for(&mut self, vote: &Signed, proposal: Signed) {
        let (entry, id) = (proposal.entry(), proposal.id());
        let by_another = entry.author != vote.entry().author;
        if by_another && matches!(entry.payload, Payload::Propose(_)) && !self.counts(id) {
            self.touched.insert(entry.author);
            self.adopted.insert(id, proposal);
        }
    }

    fn know(&mut self, signed: Signed) {
        self.version += 1;
        self.touched.insert(signed.entry().author);
        self.wanted.remove(&signed.id());
        self.index.insert(signed.id(), signed);
    }

    /// `signed` proves a fork, and `fell` counts no more. Costs a walk over the document: an author can do
    /// that to us once for each entry it ever signed, never twice at one place.
    fn cut(&mut self, signed: &Signed, fell: Vec<Signed>) {
        for gone in &fell {
            self.index.remove(&gone.id());
        }
        let author = signed.entry().author;
        let fork = self.chains.get(&author).and_then(Chain::fork).cloned().expect("it was just cut");
        let evidence = [fork.low, fork.high];
        for signed in &evidence {
            self.know(signed.clone());
        }
        let mut lost = std::mem::take(&mut self.adopted);
        let proposals = fell.into_iter().chain(evidence);
        lost.extend(
            proposals
                .filter(|signed| matches!(signed.entry().payload, Payload::Propose(_)))
                .map(|signed| (signed.id(), signed)),
        );
        let named = self.named(&lost);
        for (id, signed) in lost {
            if named.contains(&id) {
                self.know(signed.clone());
                self.adopted.insert(id, signed);
            } else {
                self.touched.insert(signed.entry().author);
                if !self.is_evidence(&signed) {
                    self.index.remove(&id);
                }
            }
        }
    }

    /// Those of `proposals` that a standing vote or certificate of another author names.
    fn named(&self, proposals: &BTreeMap<EntryId, Signed>) -> BTreeSet<EntryId> {
        if proposals.is_empty() {
            return BTreeSet::new();
        }
        let said = self.chains.values().flat_map(Chain::entries);
        let named = said.filter_map(|signed| Some((signed.entry().author, names(signed.entry())?)));
        let by_another = |author, id| proposals.get(&id).is_some_and(|of| of.entry().author != author);
        named.filter(|(author, id)| by_another(*author, *id)).map(|(_, id)| id).collect()
    }

    /// Take a proposal of an author who forked, wherever it claims to stand, if others voted on it.
    fn adopt(&mut self, signed: &Signed) -> bool {
        let (entry, id) = (signed.entry(), signed.id());
        let forked = self.chains.get(&entry.author).is_some_and(|chain| chain.fork().is_some());
        let proposal = matches!(entry.payload, Payload::Propose(_));
        if !forked || !proposal || !self.wanted.contains(&id) {
            return false;
        }
        if self.named(&BTreeMap::from([(id, signed.clone())])).is_empty() {
            return false;
        }
        self.know(signed.clone());
        self.adopted.insert(id, signed.clone());
        true
    }

    /// Entries that wait.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held.len()
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
        let (author, seq) = (known.entry().author, known.entry().seq);
        let Some(chain) = self.chains.get(&author) else { return };
        self.held.drop_where(&author, |signed| signed.entry().seq <= seq && chain.contradicts(signed));
    }

    /// Offer everything held of `author` again, in order, until nothing moves.
    fn release(&mut self, author: MemberId, tip: Height) -> Vec<Signed> {
        let mut new = Vec::new();
        for signed in self.held.take(&author).into_values() {
            if signed.entry().height > tip.saturating_add(AHEAD) {
                self.held.keep(signed);
                continue;
            }
            let chain = self.chains.get_mut(&author).expect("only entries of known authors are held");
            match chain.offer(&signed) {
                Place::Next => {
                    self.stand(signed.clone());
                    new.push(signed);
                }
                Place::Forks(fell) => {
                    self.cut(&signed, fell);
                    new.push(signed);
                }
                Place::Known => {}
                _ if self.adopt(&signed) => new.push(signed),
                Place::Waits => drop(self.held.keep(signed)),
                Place::Suspended | Place::Invalid(_) => {}
            }
        }
        new
    }

    /// The document of those of its entries that `keep` picks: what was said by then, for looking back.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Entry) -> bool) -> Self {
        let mut past = Self::empty(self.guild, self.birth, self.chains.keys().copied());
        let adopted = self.adopted.values().filter(|signed| keep(signed.entry()));
        let kept = self.chains.values().flat_map(Chain::all).filter(|signed| keep(signed.entry()));
        for signed in kept.chain(adopted) {
            past.insert(signed.clone(), Height::MAX);
        }
        past
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
