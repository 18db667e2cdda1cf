//! The guild that the benches measure: 100 authors who propose and vote on everything, at heights that
//! rise so that quotas hold and every ballot falls before its close.

use crate::measure::each;
use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use crdt::entry::{ENTRY_VERSION, Invite};
use crdt::limits::QUOTA_BLOCKS;
use crdt::testkit::{Person, ballot, charter, people, spend};
use crdt::text::Line;
use crdt::{Charter, Choice, Entry, EntryId, GuildId, Height, MemberId, Payload, ProposalId, Signed};
use ed25519_dalek::SigningKey;

/// Members who speak.
pub(crate) const AUTHORS: usize = 100;
/// The first of these co-sign nothing: their nodes can run here without starting a key generation.
pub(crate) const IDLE: usize = 2;
/// Proposals of an author in a row, then all vote on them.
const A_ROUND: usize = 5;
/// Blocks of a round: the span in which an author may propose eight times.
const ROUND: Height = 7 * QUOTA_BLOCKS;
/// The longest period a charter may have.
const PERIOD: Height = 52_560;
/// Changed votes of each author at the end, which are not among the entries.
const LATE: usize = 4;

/// A guild and what it said.
pub(crate) struct World {
    pub(crate) charter: Charter,
    /// By key, as everything is kept.
    pub(crate) people: Vec<Person>,
    /// All entries, author by author.
    pub(crate) entries: Entries,
    /// Ballots that come later.
    pub(crate) late: Entries,
    /// Every node's tip.
    pub(crate) tip: Height,
}

/// Entries one after the other, as they travel.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Entries {
    pub(crate) fn push(&mut self, entry: &[u8]) {
        self.bytes.extend_from_slice(entry);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| self.bytes.get(start..*end).expect("ends of entries pushed"))
    }

    pub(crate) const fn count(&self) -> usize {
        self.ends.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A member and all it said.
struct Voice {
    person: Person,
    guild: GuildId,
    seq: u32,
    prev: Option<EntryId>,
    said: Entries,
    proposed: Vec<ProposalId>,
}

impl Voice {
    fn new(person: Person, guild: GuildId) -> Self {
        Self { person, guild, seq: 0, prev: None, said: Entries::default(), proposed: Vec::new() }
    }

    fn say(&mut self, height: Height, payload: Payload) -> EntryId {
        let (seq, prev) = (self.seq, self.prev);
        let entry = Entry {
            version: ENTRY_VERSION,
            guild: self.guild,
            author: self.person.id(),
            seq,
            prev,
            height,
            block_hash: BlockHash::from_byte_array([7; 32]),
            payload,
        };
        let signed = Signed::sign(entry, &self.person.key);
        self.said.push(&signed.to_bytes());
        (self.seq, self.prev) = (seq + 1, Some(signed.id()));
        signed.id()
    }

    fn accept(&mut self) {
        self.say(0, Payload::Accept);
    }

    fn propose(&mut self, height: Height, count: usize) {
        self.proposed.clear();
        for sat in (50_000..).take(count) {
            let id = self.say(height, spend(sat));
            self.proposed.push(id.into());
        }
    }

    /// Vote on all of `open`, from block to block until the round is over.
    fn vote(&mut self, start: Height, open: &[ProposalId]) {
        for (index, proposal) in open.iter().enumerate() {
            let passed = index * usize::try_from(ROUND - 2).expect("small") / open.len();
            let height = start + 1 + Height::try_from(passed).expect("within a round");
            let choice = match index % 4 {
                0 | 2 => Choice::Yes,
                1 => Choice::No,
                _ => Choice::Abstain,
            };
            self.say(height, ballot(*proposal, choice, may_not_change(index)));
        }
    }

    /// Change some votes that may still change.
    fn reconsider(&mut self, height: Height, open: &[ProposalId]) {
        for (_, proposal) in open.iter().enumerate().filter(|(index, _)| !may_not_change(*index)).take(LATE) {
            self.say(height, ballot(*proposal, Choice::Yes, true));
        }
    }
}

const fn may_not_change(index: usize) -> bool {
    index.is_multiple_of(4)
}

/// The one node that is no member: invited, so it may connect and read.
pub(crate) fn guest() -> SigningKey {
    SigningKey::from_bytes(&[0xee; 32])
}

/// The members by key, and their charter.
pub(crate) fn founded() -> (Vec<Person>, Charter) {
    let mut people = people(AUTHORS);
    people.sort_by_key(Person::id);
    let mut charter = charter(&people);
    charter.co_signers.drain(..IDLE);
    charter.rules.spend.period = PERIOD;
    charter.check().expect("a sound charter");
    (people, charter)
}

impl World {
    /// `each_author` proposals of every author, and every author's vote on all of them.
    pub(crate) fn new(each_author: usize) -> Self {
        let (people, charter) = founded();
        let guild = charter.id();
        let mut voices: Vec<Voice> = people.into_iter().map(|person| Voice::new(person, guild)).collect();
        each(&mut voices, |voice| voice.accept());
        let (mut tip, mut left, mut open) = (0, each_author, Vec::new());
        while left > 0 {
            let count = left.min(A_ROUND);
            each(&mut voices, |voice| voice.propose(tip, count));
            open = voices.iter().flat_map(|voice| voice.proposed.iter().copied()).collect();
            each(&mut voices, |voice| voice.vote(tip, &open));
            (tip, left) = (tip + ROUND, left - count);
        }
        invite_guest(&mut voices, tip);
        let entries = take(&mut voices);
        each(&mut voices, |voice| voice.reconsider(tip, &open));
        let late = take(&mut voices);
        let people = voices.into_iter().map(|voice| voice.person).collect();
        Self { charter, people, entries, late, tip }
    }

    /// The member in place `index`.
    pub(crate) fn member(&self, index: usize) -> &Person {
        self.people.get(index).expect("one of the authors")
    }
}

fn invite_guest(voices: &mut [Voice], tip: Height) {
    let invite = Invite {
        guest: MemberId::from(&guest().verifying_key()),
        name: Line::try_from("Newcomer".to_owned()).expect("plain"),
        expiry: tip + 100,
    };
    if let Some(voice) = voices.first_mut() {
        voice.say(tip, Payload::Invite(invite));
    }
}

/// All that was said since the last time.
fn take(voices: &mut [Voice]) -> Entries {
    let mut entries = Entries::default();
    for voice in voices {
        std::mem::take(&mut voice.said).iter().for_each(|entry| entries.push(entry));
    }
    entries
}
