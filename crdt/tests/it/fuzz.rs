//! Hostile bytes through every parser (D3): no panic, no long work, no much memory, and what gets through
//! is written as it was read.
//!
//! Ordinary tests with fixed seeds, a million mutations together with those of the node's frames;
//! `HASHGUILD_FUZZ` sets how many each part makes.

use crate::bounds::bounded;
use crate::harness::{
    Guild, TIP, cases, certificate, entry, group, guild, key_ready, key_test, over_the_wire,
};
use crdt::edit::{Edit, Heads, Sheet, Step, Steps};
use crdt::entry::{Addresses, Invite};
use crdt::sync::{Answer, Frontier, Pull, Question, Range, answer, page};
use crdt::testkit::{Random, ballot, facts, spend};
use crdt::text::{Line, Note};
use crdt::*;
use postcard::{Error, from_bytes};
use std::collections::BTreeSet;

fn rounds(default: u32) -> u32 {
    cases("HASHGUILD_FUZZ", default)
}

fn line(text: &str) -> Line {
    Line::try_from(text.to_owned()).expect("plain")
}

fn note(text: &str) -> Note {
    Note::try_from(text.to_owned()).expect("plain")
}

fn steps() -> Steps {
    let set = Step::Set { item: line("rig1"), field: line("site"), value: note("cellar") };
    Steps::try_from(vec![set, Step::Clear { item: line("rig2"), field: line("site") }]).expect("two")
}

/// Entries of every kind, all of which apply.
fn seeds(guild: &mut Guild) -> Vec<Signed> {
    let id = guild.charter.id();
    guild.ready(&group(1));
    let proposed = guild.say(0, spend(70_000));
    let proposal = ProposalId::from(proposed.id());
    let body = guild.body(proposal);
    let text = note("why");
    let ready = Payload::KeyReady(key_ready(1, &group(1)));
    let said = [
        Payload::Accept,
        ready,
        key_test(id, &group(1)),
        ballot(proposal, Choice::Yes, true),
        Payload::Withdraw { proposal },
        Payload::Comment { proposal, text },
        certificate(body, &group(1)),
        Payload::DkgEcho { epoch: 1, attempt: 2, round1: Digest([1; 32]) },
        Payload::Reachable(Addresses::try_from(vec![line("/ip4/10.0.0.1/tcp/9000")]).expect("one")),
        Payload::Invite(Invite { guest: guild.id(2), name: line("Zoe"), expiry: 100 }),
        Payload::Edit(Edit { sheet: Sheet::Sites, after: Heads::default(), steps: steps() }),
    ];
    let first = (0, None, 50);
    let said = said.into_iter().map(|payload| entry(guild.person(1), id, first, 1, payload));
    said.chain([proposed]).collect()
}

#[test]
fn mutated_entries_are_refused_or_read_as_they_stand() {
    let mut random = Random::new(1);
    let mut guild = guild(3);
    let seeds = seeds(&mut guild);
    let door = Verifier::new(&guild.charter);
    let mut genuine = 0;
    for _ in 0..rounds(500_000) {
        let seed = random.pick(&seeds);
        let bytes = random.mutate(&seed.to_bytes());
        if let Ok(signed) = bounded(&bytes, || door.verify(&bytes)) {
            assert_eq!(signed.to_bytes(), bytes);
            assert_eq!(signed, *seed, "nothing but the original carries the author's signature");
            genuine += 1;
        }
    }
    assert!(genuine > 0, "some mutations cancel out: the door opens at all");
}

#[test]
fn signed_nonsense_of_a_member_breaks_nothing() {
    let mut random = Random::new(2);
    let mut guild = guild(3);
    let seeds = seeds(&mut guild);
    let fresh = guild.document.clone();
    let door = Verifier::new(&guild.charter);
    let (mut decoded, mut taken) = (0u32, 0u32);
    for round in 0..rounds(100_000) {
        let seed = random.pick(&seeds);
        let body = random.mutate(&seed.to_bytes()[64..]);
        let Ok(entry) = postcard::from_bytes::<Entry>(&body) else { continue };
        decoded += 1;
        let person = guild.people.iter().find(|person| person.id() == entry.author);
        let Some(person) = person.filter(|_| postcard::to_stdvec(&entry).expect("encodes").len() < 30_000)
        else {
            continue;
        };
        // A member signs whatever decodes: the door lets in what is canonical, of this guild and version.
        let mut chained = entry;
        if random.below(2) == 0 {
            let next = guild.document.next_entry(person.id(), (TIP, chained.block_hash), Payload::Accept);
            (chained.seq, chained.prev, chained.height) = (next.seq, next.prev, next.height);
        }
        let signed = Signed::sign(chained, &person.key);
        let bytes = signed.to_bytes();
        let read = bounded(&bytes, || door.verify(&bytes));
        let ours = signed.entry().guild == guild.charter.id() && signed.entry().version == 1;
        assert_eq!(read.is_ok(), ours);
        if let Ok(read) = read {
            assert_eq!(read, signed);
            taken += u32::from(matches!(guild.document.insert(read, TIP), Insert::New(_)));
        }
        if round % 500 == 0 {
            let folded = guild.fold();
            assert_eq!(folded.verdicts.len(), guild.document.len(), "a verdict on every entry");
            folded.verdicts.values().for_each(|verdict| drop(verdict.to_string()));
            assert!(guild.document.held() <= 3 * limits::HELD_PER_AUTHOR);
            guild.document = fresh.clone(); // forks end chains: begin again
        }
    }
    assert!(decoded > 1_000 && taken > 100, "{decoded} decoded, {taken} taken: the mutations reach the fold");
}

#[test]
fn mutated_charters_are_refused_or_read_as_they_stand() {
    let mut random = Random::new(3);
    let bytes = guild(3).charter.to_bytes();
    let mut sound = 0u32;
    for _ in 0..rounds(100_000) {
        let mutated = random.mutate(&bytes);
        if let Ok(charter) = bounded(&mutated, || Charter::from_bytes(&mutated)) {
            assert_eq!(charter.to_bytes(), mutated);
            assert_eq!(charter.check(), Ok(()));
            assert_eq!(charter.id() == guild(3).charter.id(), mutated == bytes);
            let document = Document::new(&charter);
            assert!(fold(&charter, &document, &facts(TIP)).state.proposals.is_empty());
            sound += 1;
        }
    }
    assert!(sound > 100, "{sound} of the mutations are charters too");
}

#[test]
fn mutated_frontiers_and_ranges_cost_a_bounded_answer() {
    let mut random = Random::new(4);
    let mut guild = guild(3);
    drop(seeds(&mut guild));
    let ours = Frontier::of(&guild.document);
    assert_eq!(over_the_wire(&ours), ours);
    let bytes = postcard::to_stdvec(&ours).expect("encodes");
    let ranges = (0..3).map(|who| Range { author: guild.id(who), from: 0 }).collect();
    let pull = Pull { ranges, wanted: vec![guild.document.all().next().expect("some").id()] };
    let asked = postcard::to_stdvec(&pull).expect("encodes");
    let (mut read, mut answered) = (0u32, 0u32);
    for _ in 0..rounds(100_000) {
        let mutated = random.mutate(&bytes);
        if let Ok((theirs, lacks)) = bounded(&mutated, || compared(&ours, &mutated)) {
            read += 1;
            assert!(lacks.len() <= limits::MEMBERS_MAX);
            let authors: BTreeSet<MemberId> = lacks.iter().map(|range| range.author).collect();
            assert_eq!(authors.len(), lacks.len(), "at most one range an author");
            assert_eq!(theirs == ours, theirs.digest() == ours.digest());
        }
        let mutated = random.mutate(&asked);
        if let Ok(page) = bounded(&mutated, || Ok::<_, Error>(page(&guild.document, &from_bytes(&mutated)?)))
        {
            answered += 1;
            assert!(page.iter().map(Vec::len).sum::<usize>() <= limits::PAGE_MAX);
        }
    }
    assert!(read > 1_000 && answered > 1_000, "{read} frontiers and {answered} questions got through");
}

/// What a frontier that came makes a node ask for.
fn compared(ours: &Frontier, bytes: &[u8]) -> Result<(Frontier, Vec<Range>), Error> {
    let theirs = from_bytes::<Frontier>(bytes)?;
    let lacks = ours.lacks(&theirs);
    Ok((theirs, lacks))
}

#[test]
fn mutated_pages_are_read_up_to_the_first_nonsense() {
    let mut random = Random::new(5);
    let mut guild = guild(3);
    drop(seeds(&mut guild));
    let ranges = (0..3).map(|who| Range { author: guild.id(who), from: 0 }).collect();
    let answer = answer(&guild.document, &Question::Pull(Pull { ranges, wanted: vec![] }));
    let bytes = postcard::to_stdvec(&answer).expect("encodes");
    let door = Verifier::new(&guild.charter);
    let (mut whole, mut begun) = (0u32, 0u32);
    for _ in 0..rounds(100_000) {
        let mutated = random.mutate(&bytes);
        let Ok(Answer::Entries(page)) = bounded(&mutated, || from_bytes(&mutated)) else { continue };
        let good = page.iter().map_while(|bytes| bounded(bytes, || door.verify(bytes)).ok());
        let good: Vec<Signed> = good.collect();
        whole += u32::from(good.len() == page.len());
        begun += u32::from(!good.is_empty());
        for signed in good {
            assert_eq!(
                guild.document.insert(signed, TIP),
                Insert::Nothing,
                "nothing new is signed by chance"
            );
        }
    }
    assert!(whole > 10 && begun > 1_000, "{whole} pages were whole, {begun} began well");
}

/// Bytes chosen so that each of them makes as much memory as it can: counts above what follows, counts as
/// large as what follows, and the smallest items there are.
#[test]
fn what_is_packed_full_costs_no_more() {
    let guild = guild(3);
    let door = Verifier::new(&guild.charter);
    let said = entry(guild.person(0), guild.charter.id(), (0, None, 50), 1, Payload::Accept).to_bytes();
    let head = said.split_last().expect("some bytes").1;
    let addresses: &[u8] = &[1];
    let (outputs, heads, steps): (&[u8], &[u8], &[u8]) = (&[6, 0, 0, 0], &[11, 2], &[11, 2, 0]);
    for list in [addresses, outputs, heads, steps] {
        for full in packed(&[head, list].concat(), limits::ENTRY_MAX) {
            assert!(bounded(&full, || door.verify(&full)).is_err());
        }
    }
    for full in [1, 2].into_iter().flat_map(|kind| packed(&[kind], 2 * limits::PAGE_MAX)) {
        assert!(bounded(&full, || from_bytes::<Answer>(&full)).is_err());
    }
    let crowd = bytes_of_a_frontier(14_000);
    assert!(bounded(&crowd, || from_bytes::<Answer>(&crowd)).is_err());
    for full in packed(&[1], 2 * limits::PAGE_MAX) {
        drop(bounded(&full, || from_bytes::<Question>(&full)));
    }
}

/// An answer that claims to have one entry each of `count` authors.
fn bytes_of_a_frontier(count: u32) -> Vec<u8> {
    let reaches = (0..count).map(|author| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&author.to_be_bytes());
        (key, (1u32, None::<u8>, None::<u8>))
    });
    let reaches: std::collections::BTreeMap<_, _> = reaches.collect();
    [vec![1], postcard::to_stdvec(&reaches).expect("encodes")].concat()
}

/// `head` and a list that fills the rest of `len` bytes.
fn packed(head: &[u8], len: usize) -> Vec<Vec<u8>> {
    let room = u32::try_from(len - head.len()).expect("few");
    let items: [&[u8]; 3] = [&[0], &[2, 0, 0], &[1, 0]];
    let counts = [room / 3, room / 2, room - 16, room, u32::MAX];
    let lists = counts.iter().flat_map(|count| items.map(|item| (count, item)));
    let lists = lists.map(|(count, item)| {
        let count = postcard::to_stdvec(count).expect("a number encodes");
        head.iter().chain(&count).chain(item.iter().cycle()).take(len).copied().collect()
    });
    lists.collect()
}
