//! Key generation, kills, lies and questions nobody may ask.

use crate::bus::Bus;
use crdt::testkit::{self, Person};
use crdt::{Digest, Document, Entry, MemberId, Payload, ProposalId, Signed, limits};
use node::api::dto::{Answer, ChoiceDto, Command, NewBallot};
use node::core::ask::Ask;
use node::journal::Record;
use node::net::protocol::{Request, Response};

/// Seconds in which five nodes on a bus that loses all gossip make and test a key.
const KEY: u64 = 120;

fn key_of(bus: &mut Bus, count: usize) -> String {
    let keys: Vec<_> = (0..count).map(|index| bus.status(index)).collect();
    assert!(keys.iter().all(|status| status.key_usable), "{keys:#?}");
    assert!(keys.iter().all(|status| status.group_key == keys[0].group_key));
    assert!(keys.iter().all(|status| status.state_hash == keys[0].state_hash));
    keys[0].group_key.clone().unwrap()
}

#[test]
fn five_nodes_make_a_key_by_pull_alone() {
    let mut bus = Bus::new(5);
    bus.run(KEY);
    key_of(&mut bus, 5);
}

/// Kill one node after its first, second, third… effect, start it again from what was durable: the key is
/// made all the same, no chain is forked, nobody says twice that its share is stored, no nonce signs twice
/// (the bus asserts that), and nobody shows an address before the key is stored by all and tested twice.
#[test]
fn a_node_killed_after_any_odd_effect_comes_back_and_the_key_is_made() {
    kill_after_each((1..).step_by(2));
}

#[test]
fn a_node_killed_after_any_even_effect_comes_back_and_the_key_is_made() {
    kill_after_each((2..).step_by(2));
}

fn kill_after_each(fuses: impl Iterator<Item = usize>) {
    for fuse in fuses {
        let mut bus = Bus::new(3);
        bus.chatty = true;
        bus.fuse = Some(fuse);
        for _ in 0..3 * KEY {
            bus.run(1);
            bus.assert_addresses_are_late(&[0, 1, 2]);
            if !bus.is_up(0) {
                bus.start(0);
            }
            if (0..3).all(|index| bus.is_up(index) && bus.status(index).key_usable) {
                break;
            }
        }
        let unburnt = bus.fuse.take();
        bus.run(35);
        key_of(&mut bus, 3);
        if unburnt.is_some() {
            assert!(fuse > 60, "killed at every step of making a key");
            return; // the key was there before the fuse had burnt down
        }
        let said = bus.said(0);
        let seqs: Vec<u32> = said.iter().map(|signed| signed.entry().seq).collect();
        assert_eq!(seqs, (0..u32::try_from(seqs.len()).unwrap()).collect::<Vec<_>>(), "one chain");
        let ready = said.iter().filter(|signed| matches!(signed.entry().payload, Payload::KeyReady(_)));
        assert_eq!(ready.count(), 1);
    }
}

#[test]
fn nobody_signs_what_was_not_decided() {
    let mut bus = Bus::new(5);
    bus.run(KEY);
    let (mallory, session) = (bus.member(4), [7; 32]);
    let unknown = ProposalId(Digest([9; 32]));
    let asks = [Ask::Certificate(unknown), Ask::Payment { decision: unknown, height: 1, fee_rate: 2 }];
    for ask in asks {
        for victim in 0..4 {
            let response = bus.forge(mallory, victim, Bus::offer(ask, session, [0; 32]));
            let Response::Refused(refusal) = response else { panic!("{ask:?}: {response:?}") };
            assert!(
                !refusal.rule().is_empty() && !refusal.expected().is_empty() && !refusal.found().is_empty()
            );
        }
    }
    // What may be signed is signed only as each node builds it itself.
    let ask = Ask::Founding;
    let response = bus.forge(mallory, 0, Bus::offer(ask, session, [1; 32]));
    assert!(matches!(response, Response::Refused(refusal) if refusal.rule() == "same request"));
    // An offer of another scheme, of which nothing is known, and of none.
    let Request::Commit { mut offer, .. } = Bus::offer(ask, session, [1; 32]) else { unreachable!() };
    offer[1] += 1;
    for offer in [offer, vec![], vec![1; 5_000]] {
        let response = bus.forge(mallory, 0, Request::Commit { ask, offer, witness: vec![] });
        assert!(matches!(response, Response::Refused(refusal) if refusal.rule() == "signing session"));
    }
    // A witness that nobody has is waited for, not for ever, and is no reason to sign.
    for count in [1, limits::WITNESS_MAX + 1] {
        let Request::Commit { ask, offer, .. } = Bus::offer(Ask::Certificate(unknown), session, [0; 32])
        else {
            unreachable!()
        };
        let witness = vec![crdt::EntryId(Digest([8; 32])); count];
        let response = bus.forge(mallory, 0, Request::Commit { ask, offer, witness });
        assert!(matches!(response, Response::Refused(refusal) if refusal.rule() == "known proposal"));
    }
    // Shares without a session, and bytes that are nothing.
    for package in [vec![], vec![0; 100], vec![0xff; 5_000]] {
        let response = bus.forge(mallory, 0, Request::Sign { ask, package });
        assert!(matches!(response, Response::Refused(_)), "{response:?}");
    }
}

#[test]
fn a_stranger_reads_and_is_given_nothing_else() {
    let mut bus = Bus::new(3);
    bus.run(KEY);
    let stranger: MemberId = crdt::testkit::people(7)[6].id();
    assert!(matches!(bus.forge(stranger, 0, Request::Charter), Response::Charter(_)));
    let commit = Bus::offer(Ask::Founding, [1; 32], [1; 32]);
    let sign = Request::Sign { ask: Ask::Founding, package: vec![1; 40] };
    for request in [commit, sign, Request::Dkg(vec![1; 200])] {
        assert_eq!(bus.forge(stranger, 0, request), Response::NotAllowed);
    }
}

#[test]
fn garbage_is_taken_calmly() {
    let mut bus = Bus::new(3);
    let peer = bus.member(1);
    for len in [0, 1, 39, 40, 70, 5_000] {
        bus.forge(peer, 0, Request::Dkg(vec![0xa5; len]));
    }
    bus.run(KEY);
    key_of(&mut bus, 3);
}

/// Another entry for the place of `taken`, by the same author: a fork there.
fn other_entry(person: &Person, document: &Document, taken: &Signed) -> Signed {
    let entry = taken.entry();
    let other = Entry { payload: Payload::Accept, height: entry.height + 1, ..entry.clone() };
    assert!(document.find(taken.id()).is_some());
    Signed::sign(other, &person.key)
}

#[test]
fn a_founder_who_forks_takes_no_key_and_no_decision_along() {
    let mut bus = Bus::new(5);
    bus.run(KEY);
    let key = key_of(&mut bus, 5);
    let mut proposal = None;
    bus.puppet(4, |document, person| {
        proposal = Some(ProposalId::from(person.say(document, 1, testkit::spend(70_000)).id()));
    });
    let proposal = proposal.unwrap().to_string();
    bus.run(2);
    for member in 0..3 {
        let vote = NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
        bus.command(member, Command::Vote(proposal.clone(), vote)).unwrap();
    }
    bus.run(60);
    let certificate = |bus: &mut Bus, member| match bus.command(member, Command::Proposal(proposal.clone())) {
        Ok(Answer::Proposal(proposal)) => proposal.certificate,
        other => panic!("{other:?}"),
    };
    let certified = certificate(&mut bus, 0);
    assert!(certified.is_some(), "three of five decided");
    // Now it forks at its very first entry: charter, key, proposal, all that it ever said.
    bus.puppet(4, |document, person| {
        let chain = document.chain(&person.id()).unwrap();
        let fork = other_entry(person, document, &chain.entries()[0].clone());
        document.insert(fork, u32::MAX);
    });
    bus.run(60);
    let mut hashes = std::collections::BTreeSet::new();
    for member in 0..4 {
        let status = bus.status(member);
        assert!(status.founded && status.key_usable, "member {member}: {:?}", status.waits);
        assert_eq!(status.group_key.as_ref(), Some(&key));
        assert_eq!(certificate(&mut bus, member), certified, "V5: nothing un-decides");
        hashes.insert(status.state_hash);
    }
    assert_eq!(hashes.len(), 1, "and all agree");
}

#[test]
fn f14_a_node_that_hears_what_it_said_and_forgot_listens_before_it_speaks() {
    let mut bus = Bus::new(3);
    bus.run(KEY);
    // A backup of its folder from before its last words is put back.
    let last = bus.durable[0].journal.iter().rposition(|record| matches!(record, Record::Own(_))).unwrap();
    bus.durable[0].journal.truncate(last);
    bus.restart(0);
    bus.run(5);
    let status = bus.status(0);
    let wait = status.waits.first().expect("it waits").what.clone();
    assert!(wait.contains("listens") || wait.contains("restored or lost"), "{wait}");
    let own = bus.said(0);
    let places: std::collections::BTreeSet<u32> = own.iter().map(|signed| signed.entry().seq).collect();
    assert_eq!(places.len(), own.len(), "no place of its chain was signed twice");
    assert!(!bus.durable[0].trusted);
    bus.run(31 * 60);
    assert!(bus.durable[0].trusted && bus.status(0).waits.iter().all(|wait| !wait.what.contains("restored")));
}
