//! Anti-entropy: two nodes that differ in any way end with the same, in a bounded number of rounds.

use crate::harness::{TIP, branch, converge, entry, guild, pull};
use crdt::limits::{ENTRY_MAX, HELD_PER_AUTHOR, PAGE_MAX, QUOTA_BLOCKS};
use crdt::sync::{Frontier, Pull, Range, Reach, page};
use crdt::testkit::{Person, people};
use crdt::text::Note;
use crdt::*;
use std::collections::BTreeMap;

/// A comment of about `bytes` bytes, in a bucket of its own for every 8 entries, so that no quota ends it.
fn long(bytes: usize, salt: u8) -> impl Fn(u32) -> (Height, u8, Payload) {
    let text = Note::try_from("x".repeat(bytes)).expect("plain");
    move |seq| {
        let payload = Payload::Comment { proposal: ProposalId(Digest([1; 32])), text: text.clone() };
        (seq / 8 * QUOTA_BLOCKS, salt, payload)
    }
}

fn documents(people: &[Person]) -> (Document, Document, GuildId) {
    let one = crdt::testkit::document(people);
    (one.clone(), one.clone(), one.guild())
}

fn pull_of(ranges: Vec<Range>) -> Pull {
    Pull { ranges, wanted: Vec::new() }
}

fn take(document: &mut Document, entries: &[Signed]) {
    for signed in entries {
        document.insert(signed.clone(), TIP);
    }
}

/// (what is different, entries both have, entries only one has, entries only the other has, bytes of each)
const DIFFERENCES: [(&str, u32, u32, u32, usize); 10] = [
    ("one is empty", 0, 5, 0, 10),
    ("one is behind by more than a page", 3, 60, 0, 16_000),
    ("both spoke at once", 3, 1, 1, 10),
    ("the longer branch is here", 3, 4, 1, 10),
    ("the longer branch is there", 3, 1, 4, 10),
    ("forked at the first entry", 0, 2, 7, 10),
    ("forked above more than a page", 60, 1, 1, 16_000),
    ("forked deep below two heads", 10, 100, 90, 10),
    ("forked deep, pages hold few", 40, 50, 100, 16_000),
    ("forked deep, equally long", 5, 70, 70, 16_000),
];

#[test]
fn two_nodes_that_differ_in_any_way_converge() {
    for (name, shared, here, there, bytes) in DIFFERENCES {
        let people = people(2);
        let (mut one, mut other, guild) = documents(&people);
        let common = branch(&people[0], guild, None, shared, long(bytes, 1));
        let ours = branch(&people[0], guild, common.last(), here, long(bytes, 2));
        let theirs = branch(&people[0], guild, common.last(), there, long(bytes, 3));
        take(&mut one, &[common.clone(), ours.clone()].concat());
        take(&mut other, &[common, theirs].concat());
        let rounds = converge(&mut one, &mut other, TIP, 40);
        let chain = one.chain(&people[0].id()).unwrap();
        let forked = here > 0 && there > 0;
        assert_eq!(chain.fork().is_some(), forked, "{name}");
        let stands = if forked { shared } else { shared + here };
        assert_eq!(chain.next_seq(), stands, "{name}: after {rounds} rounds");
    }
}

#[test]
fn a_fork_known_to_one_side_becomes_known_to_both() {
    let people = people(2);
    let (one, other, guild) = documents(&people);
    let chain = branch(&people[0], guild, None, 20, long(10, 1));
    // (the forked place, how much of the chain the other has)
    for (place, has) in [(0usize, 20), (3, 20), (3, 4), (3, 3), (3, 2), (3, 0), (19, 20), (20, 20)] {
        let (mut one, mut other) = (one.clone(), other.clone());
        let after = place.checked_sub(1).map(|before| &chain[before]);
        take(&mut one, &chain[..place]);
        take(&mut one, &branch(&people[0], guild, after, 1, long(10, 2)));
        take(&mut one, &branch(&people[0], guild, after, 1, long(10, 3)));
        take(&mut other, &chain[..has]);
        assert!(converge(&mut one, &mut other, TIP, 4) <= 2, "forked at {place}, the other has {has}");
        assert!(one.chain(&people[0].id()).unwrap().fork().is_some());
    }
}

#[test]
fn two_different_proofs_of_one_fork_become_one() {
    let people = people(2);
    let (one, _, guild) = documents(&people);
    let common = branch(&people[0], guild, None, 3, long(10, 1));
    let mut siblings: Vec<Signed> =
        (2..8).flat_map(|salt| branch(&people[0], guild, common.last(), 1, long(10, salt))).collect();
    siblings.sort_by_key(Signed::id);
    for (ours, theirs) in [([0, 1], [2, 3]), ([2, 3], [0, 1]), ([0, 3], [1, 2]), ([4, 5], [0, 5])] {
        let mut nodes = [ours, theirs].map(|picked| {
            let mut document = one.clone();
            take(&mut document, &common);
            take(&mut document, &picked.map(|index| siblings[index].clone()));
            document
        });
        let [one, other] = &mut nodes;
        assert!(converge(one, other, TIP, 4) <= 2);
        let smallest = ours.into_iter().chain(theirs).collect::<std::collections::BTreeSet<_>>();
        let smallest: Vec<EntryId> = smallest.into_iter().take(2).map(|index| siblings[index].id()).collect();
        let fork = one.chain(&people[0].id()).unwrap().fork().unwrap();
        assert_eq!(vec![fork.low.id(), fork.high.id()], smallest);
    }
}

#[test]
fn of_two_forks_the_lower_one_wins_on_both_sides() {
    let people = people(2);
    let (mut one, mut other, guild) = documents(&people);
    let chain = branch(&people[0], guild, None, 30, long(10, 1));
    take(&mut one, &chain);
    take(&mut other, &chain);
    take(&mut one, &branch(&people[0], guild, Some(&chain[24]), 3, long(10, 2)));
    take(&mut other, &branch(&people[0], guild, Some(&chain[9]), 3, long(10, 3)));
    assert_eq!(one.chain(&people[0].id()).unwrap().next_seq(), 25);
    assert!(converge(&mut one, &mut other, TIP, 4) <= 2);
    assert_eq!(one.chain(&people[0].id()).unwrap().next_seq(), 10);
}

#[test]
fn a_page_takes_no_more_than_it_may_and_starts_where_it_was_asked() {
    let people = people(2);
    let (mut document, _, guild) = documents(&people);
    let chain = branch(&people[0], guild, None, 60, long(16_000, 1));
    take(&mut document, &chain);
    let ask = |from| page(&document, &pull_of(vec![Range { author: people[0].id(), from }]));
    let full = ask(4);
    assert_eq!(full.first(), Some(&chain[4].to_bytes()));
    let size: usize = full.iter().map(Vec::len).sum();
    assert!(size <= PAGE_MAX && size + ENTRY_MAX > PAGE_MAX, "{size} bytes");
    assert_eq!(ask(58).len(), 2);
    assert!(ask(60).is_empty() && ask(u32::MAX).is_empty());
    let stranger = Range { author: crdt::testkit::people(3)[2].id(), from: 0 };
    assert!(page(&document, &pull_of(vec![stranger])).is_empty());
}

#[test]
fn a_frontier_that_claims_too_much_gets_asked_and_does_no_harm() {
    let people = people(3);
    let (mut document, _, guild) = documents(&people);
    take(&mut document, &branch(&people[0], guild, None, 5, long(10, 1)));
    let ours = Frontier::of(&document);
    let id = EntryId(Digest([9; 32]));
    for (count, fork) in
        [(u32::MAX, None), (6, None), (5, None), (0, Some([id, id])), (u32::MAX, Some([id, id]))]
    {
        // A frontier is what its bytes say: claims are made on the wire.
        let claim = Reach { count, head: Some(id.into()), fork: fork.map(|ids| ids.map(Into::into)) };
        let claims: BTreeMap<MemberId, Reach> =
            people.iter().map(|person| (person.id(), claim.clone())).collect();
        let lie: Frontier = postcard::from_bytes(&postcard::to_stdvec(&claims).unwrap()).unwrap();
        let asked = ours.lacks(&lie);
        assert!(asked.len() <= people.len());
        assert!(asked.iter().all(|range| range.from <= 5), "never beyond what we have");
        // The liar has nothing to show: the node stays as it was, and its next question is the same one.
        let before = document.version();
        for bytes in page(&crdt::testkit::document(&people), &pull_of(asked.clone())) {
            document.insert(document.verifier().verify(&bytes).unwrap(), TIP);
        }
        assert_eq!((document.version(), Frontier::of(&document).lacks(&lie)), (before, asked));
    }
}

#[test]
fn what_contradicts_a_chain_without_a_branch_behind_it_is_forgotten() {
    let guild = guild(2);
    let (mut behind, mut ahead) = (guild.empty(), guild.empty());
    let chain = branch(&guild.people[0], guild.charter.id(), None, 90, long(16_000, 1));
    take(&mut ahead, &chain);
    take(&mut behind, &chain[..40]);
    // Its author sends one node entries whose predecessors do not exist, at every place it will need.
    for seq in 1..=40 {
        let nothing = Some(EntryId(Digest([8; 32])));
        let place = (seq, nothing, 0);
        let bogus = entry(&guild.people[0], guild.charter.id(), place, 7, Payload::Accept);
        assert_eq!(behind.insert(bogus, TIP), Insert::Held);
    }
    converge(&mut behind, &mut ahead, TIP, 30);
    assert_eq!(behind.chain(&guild.id(0)).unwrap().next_seq(), 90);
    assert_eq!(behind.held(), 0, "and nothing of it is left");
}

#[test]
fn a_search_for_a_fork_keeps_nothing_new_waiting() {
    let people = people(2);
    let (mut one, mut other, guild) = documents(&people);
    let mut sorted: Vec<&Person> = people.iter().collect();
    sorted.sort_by_key(|person| person.id());
    // The author who comes first has two long branches; the other one just has something to say.
    take(&mut one, &branch(sorted[0], guild, None, 100, long(16_000, 1)));
    take(&mut other, &branch(sorted[0], guild, None, 100, long(16_000, 2)));
    for _ in 0..3 {
        pull(&mut one, &other, TIP); // now the search goes over more than a page
    }
    take(&mut other, &branch(sorted[1], guild, None, 5, long(10, 1)));
    pull(&mut one, &other, TIP);
    assert_eq!(one.chain(&sorted[1].id()).unwrap().next_seq(), 5, "in the first page");
    converge(&mut one, &mut other, TIP, 40);
    assert!(one.held() + other.held() <= 2 * HELD_PER_AUTHOR);
}

#[test]
fn the_frontier_on_the_wire_is_author_count_head_and_fork() {
    let guild = guild(2);
    let mut document = guild.empty();
    let first = entry(&guild.people[0], guild.charter.id(), (0, None, 5), 1, Payload::Accept);
    document.insert(first.clone(), TIP);
    let mut expected = vec![1];
    expected.extend(guild.id(0).to_bytes());
    expected.extend([1, 1]);
    expected.extend(&first.id().to_bytes()[..16]);
    expected.push(0);
    assert_eq!(postcard::to_stdvec(&Frontier::of(&document)).unwrap(), expected);
}
