//! Hostile bytes through every parser (D3): no panic, and what gets through is written as it was read.
//!
//! An ordinary test with a fixed seed; `HASHGUILD_FUZZ` sets how many mutations each part makes.

use crate::harness::{
    Guild, TIP, cases, certificate, entry, group, guild, key_ready, key_test, over_the_wire,
};
use crdt::sync::{Frontier, Pull, Range, page};
use crdt::testkit::{ballot, facts, spend};
use crdt::*;

/// A small generator (splitmix64): the same mutations in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        let [any, pick, ..] = self.next().to_le_bytes();
        if pick & 1 == 0 { any } else { TELLING.get(usize::from(any % 8)).copied().unwrap_or_default() }
    }

    /// `bytes` with up to four of: a byte changed, removed, inserted; cut; a piece repeated or moved.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(12) {
                _ if bytes.is_empty() => bytes.push(self.byte()),
                0..=4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
                5 | 6 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
                7 => drop(bytes.remove(at)),
                8 => bytes.insert(at, self.byte()),
                9 => bytes.truncate(at),
                10 => {
                    let piece: Vec<u8> = bytes.iter().skip(at).take(self.below(40)).copied().collect();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => {
                    let (one, other) = (self.below(bytes.len()), self.below(bytes.len()));
                    bytes.swap(one, other);
                }
            }
        }
        bytes
    }
}

fn rounds(default: u32) -> u32 {
    cases("HASHGUILD_FUZZ", default)
}

/// Entries of every kind that matters to the fold, all of which apply.
fn seeds(guild: &mut Guild) -> Vec<Signed> {
    let id = guild.charter.id();
    guild.ready(&group(1));
    let proposed = guild.say(0, spend(70_000));
    let proposal = ProposalId::from(proposed.id());
    let body = guild.body(proposal);
    let text = text::Note::try_from("why".to_owned()).expect("plain");
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
    ];
    let first = (0, None, 50);
    let said = said.into_iter().map(|payload| entry(guild.person(1), id, first, 1, payload));
    said.chain([proposed]).collect()
}

#[test]
fn mutated_entries_are_refused_or_read_as_they_stand() {
    let mut random = Random(1);
    let mut guild = guild(3);
    let seeds = seeds(&mut guild);
    let door = Verifier::new(&guild.charter);
    let mut genuine = 0;
    for _ in 0..rounds(100_000) {
        let seed = &seeds[random.below(seeds.len())];
        let bytes = random.mutate(&seed.to_bytes());
        if let Ok(signed) = door.verify(&bytes) {
            assert_eq!(signed.to_bytes(), bytes);
            assert_eq!(signed, *seed, "nothing but the original carries the author's signature");
            genuine += 1;
        }
    }
    assert!(genuine > 0, "some mutations cancel out: the door opens at all");
}

#[test]
fn signed_nonsense_of_a_member_breaks_nothing() {
    let mut random = Random(2);
    let mut guild = guild(3);
    let seeds = seeds(&mut guild);
    let fresh = guild.document.clone();
    let door = Verifier::new(&guild.charter);
    let (mut decoded, mut taken) = (0u32, 0u32);
    for round in 0..rounds(100_000) {
        let seed = &seeds[random.below(seeds.len())];
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
        let read = door.verify(&signed.to_bytes());
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
    let mut random = Random(3);
    let bytes = guild(3).charter.to_bytes();
    let mut sound = 0u32;
    for _ in 0..rounds(100_000) {
        let mutated = random.mutate(&bytes);
        if let Ok(charter) = Charter::from_bytes(&mutated) {
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
    let mut random = Random(4);
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
        if let Ok(theirs) = postcard::from_bytes::<Frontier>(&random.mutate(&bytes)) {
            read += 1;
            let lacks = ours.lacks(&theirs);
            assert!(lacks.len() <= limits::MEMBERS_MAX);
            let authors: std::collections::BTreeSet<MemberId> =
                lacks.iter().map(|range| range.author).collect();
            assert_eq!(authors.len(), lacks.len(), "at most one range an author");
            assert_eq!(theirs == ours, theirs.digest() == ours.digest());
        }
        if let Ok(pull) = postcard::from_bytes::<Pull>(&random.mutate(&asked)) {
            answered += 1;
            let page = page(&guild.document, &pull);
            assert!(page.iter().map(Vec::len).sum::<usize>() <= limits::PAGE_MAX);
        }
    }
    assert!(read > 1_000 && answered > 1_000, "{read} frontiers and {answered} questions got through");
}
