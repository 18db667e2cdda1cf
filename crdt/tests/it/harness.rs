//! What the tests share: a guild with a group key, entries in any place, and two nodes that compare.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Keypair, Message, Secp256k1};
use crdt::certificate::{Body, Certificate, Signature, key_test_digest};
use crdt::entry::{ENTRY_VERSION, KeyReady};
use crdt::sync::{Frontier, Pull, page};
use crdt::testkit::{Person, charter, facts, people};
use crdt::treasury::GroupKey;
use crdt::*;
use serde::{Serialize, de::DeserializeOwned};

/// The tip of every node here, unless a test says otherwise.
pub(crate) const TIP: Height = 10_000;

/// How much work a test does: `default`, or what the environment says.
pub(crate) fn cases(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |count| count.parse().expect("a number of cases"))
}

/// A guild of people and the document of one node.
pub(crate) struct Guild {
    pub(crate) people: Vec<Person>,
    pub(crate) charter: Charter,
    pub(crate) document: Document,
}

/// A founded guild of `count` people: nobody spoke.
pub(crate) fn guild(count: usize) -> Guild {
    with_charter(people(count), |_| {})
}

/// A guild whose charter was changed before it was signed.
pub(crate) fn with_charter(people: Vec<Person>, change: impl FnOnce(&mut Charter)) -> Guild {
    let mut charter = charter(&people);
    change(&mut charter);
    charter.check().expect("a sound charter");
    let document = Document::new(&charter);
    Guild { people, charter, document }
}

impl Guild {
    /// Person `who` says `payload` at [`TIP`].
    pub(crate) fn say(&mut self, who: usize, payload: Payload) -> Signed {
        self.say_at(who, TIP, payload)
    }

    /// Person `who` says `payload` at `height`.
    pub(crate) fn say_at(&mut self, who: usize, height: Height, payload: Payload) -> Signed {
        self.people.get(who).expect("one of us").say(&mut self.document, height, payload)
    }

    pub(crate) fn person(&self, who: usize) -> &Person {
        self.people.get(who).expect("one of us")
    }

    pub(crate) fn id(&self, who: usize) -> MemberId {
        self.person(who).id()
    }

    /// The bytes that the certificate of `proposal` signs.
    pub(crate) fn body(&self, proposal: ProposalId) -> Body {
        let state = self.fold().state;
        state.proposals.get(&proposal).expect("a proposal").body(state.guild, proposal)
    }

    /// What an empty node of this guild has.
    pub(crate) fn empty(&self) -> Document {
        Document::new(&self.charter)
    }

    pub(crate) fn fold(&self) -> Folded {
        fold(&self.charter, &self.document, &facts(TIP))
    }

    pub(crate) fn verdict(&self, signed: &Signed) -> Verdict {
        self.fold().verdicts.get(&signed.id()).expect("a verdict on every entry").clone()
    }

    /// All co-signers stored the key `key`.
    pub(crate) fn ready(&mut self, key: &Keypair) {
        for who in 0..self.people.len() {
            self.say(who, Payload::KeyReady(key_ready(1, key)));
        }
    }
}

/// An entry of `person` in a place of the test's choice. `salt` sets it apart from others like it.
pub(crate) fn entry(
    person: &Person,
    guild: GuildId,
    place: (u32, Option<EntryId>, Height),
    salt: u8,
    payload: Payload,
) -> Signed {
    let (seq, prev, height) = place;
    let block_hash = BlockHash::from_byte_array([salt; 32]);
    let author = person.id();
    Signed::sign(
        Entry { version: ENTRY_VERSION, guild, author, seq, prev, height, block_hash, payload },
        &person.key,
    )
}

/// `count` entries of `person` that follow each other after `prev`, the first with number `from`.
pub(crate) fn branch(
    person: &Person,
    guild: GuildId,
    after: Option<&Signed>,
    count: u32,
    payload: impl Fn(u32) -> (Height, u8, Payload),
) -> Vec<Signed> {
    let mut last = after.cloned();
    let from = after.map_or(0, |signed| signed.entry().seq + 1);
    let mut made = Vec::new();
    for seq in from..from + count {
        let (height, salt, payload) = payload(seq);
        let signed = entry(person, guild, (seq, last.as_ref().map(Signed::id), height), salt, payload);
        last = Some(signed.clone());
        made.push(signed);
    }
    made
}

/// A group key, different for each `seed`.
pub(crate) fn group(seed: u8) -> Keypair {
    Keypair::from_seckey_slice(&Secp256k1::new(), &[seed; 32]).expect("a small number is a key")
}

pub(crate) fn group_key(key: &Keypair) -> GroupKey {
    GroupKey::try_from(key.public_key().serialize().to_vec()).expect("a point")
}

pub(crate) fn key_ready(attempt: u32, key: &Keypair) -> KeyReady {
    KeyReady { epoch: 1, attempt, group_key: group_key(key), transcript: Digest([7; 32]) }
}

pub(crate) fn sign(digest: Digest, key: &Keypair) -> Signature {
    sign_with(digest, key, 0)
}

/// One of the many signatures of `key` over `digest`: another one for each `nonce`.
pub(crate) fn sign_with(digest: Digest, key: &Keypair, nonce: u8) -> Signature {
    let message = Message::from_digest(digest.0);
    Signature::from(Secp256k1::new().sign_schnorr_with_aux_rand(&message, key, &[nonce; 32]).serialize())
}

pub(crate) fn certificate(body: Body, key: &Keypair) -> Payload {
    let signature = sign(body.digest(), key);
    Payload::Certificate(Certificate { body, signature })
}

pub(crate) fn key_test(guild: GuildId, key: &Keypair) -> Payload {
    let signature = sign(key_test_digest(guild, 1, Digest([7; 32])), key);
    Payload::KeyTest { epoch: 1, signature }
}

/// What arrives when `value` travels.
pub(crate) fn over_the_wire<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let bytes = postcard::to_stdvec(value).expect("encodes");
    postcard::from_bytes(&bytes).expect("decodes")
}

/// One round: `to` compares with `from`, asks once and takes the page. Whether anything was asked.
pub(crate) fn pull(to: &mut Document, from: &Document, tip: Height) -> bool {
    let theirs = over_the_wire(&Frontier::of(from));
    let ranges = Frontier::of(to).lacks(&theirs);
    let asked = over_the_wire(&Pull { ranges, wanted: to.wanted().collect() });
    let page = page(from, &asked);
    let door = from.verifier();
    assert!(page.iter().map(Vec::len).sum::<usize>() <= limits::PAGE_MAX, "a page is bounded");
    for bytes in page {
        to.insert(door.verify(&bytes).expect("honest nodes send entries only"), tip);
    }
    !asked.ranges.is_empty()
}

/// Rounds in both directions until both have the same; how many it took.
pub(crate) fn converge(one: &mut Document, other: &mut Document, tip: Height, most: usize) -> usize {
    for round in 0..=most {
        if Frontier::of(one) == Frontier::of(other) {
            assert_eq!(Frontier::of(one).digest(), Frontier::of(other).digest());
            assert!(Frontier::of(one).lacks(&Frontier::of(other)).is_empty());
            pull(one, other, tip); // what is wanted by id
            pull(other, one, tip);
            return round;
        }
        pull(one, other, tip);
        pull(other, one, tip);
    }
    panic!("two nodes still differ after {most} rounds")
}
