//! Attempts at a key: who is left out, who is not, and what a coordinator that dies or lies can do.

use crate::bus::Bus;
use crdt::entry::Attempt;
use crdt::{MemberId, Payload};
use node::core::ask::Subject;
use std::collections::BTreeSet;

/// Seconds in which nodes on a bus that loses all gossip make and test a key.
const KEY: u64 = 120;

fn usable(bus: &mut Bus, nodes: &[usize]) -> Option<String> {
    let keys: BTreeSet<_> = nodes
        .iter()
        .map(|node| bus.status(*node))
        .map(|status| status.group_key.filter(|_| status.key_usable))
        .collect();
    assert!(keys.len() <= 2, "two keys: {keys:?}");
    if keys.len() == 1 { keys.into_iter().next().flatten() } else { None }
}

/// Run until these nodes have a key that can be used, or for `seconds`.
fn until_usable(bus: &mut Bus, nodes: &[usize], seconds: u64) -> Option<String> {
    for _ in 0..seconds {
        bus.run(1);
        bus.assert_addresses_are_late(nodes);
        if let Some(key) = usable(bus, nodes) {
            return Some(key);
        }
    }
    None
}

/// Founders who signed, of whom one is away for good before a key is made.
fn one_away(count: usize, away: usize) -> Bus {
    let mut bus = one_silent(count, away);
    bus.drop_puppet();
    bus
}

/// Founders who signed, of whom one is here and says nothing more.
fn one_silent(count: usize, silent: usize) -> Bus {
    let mut bus = Bus::without(count, &[silent]);
    bus.chatty = true;
    bus.puppet(silent, |document, person| drop(person.say(document, 1, Payload::Accept)));
    bus.run(10);
    assert!(bus.status(0).founded);
    bus
}

#[test]
fn after_432_blocks_the_others_make_the_key_without_who_is_away() {
    let mut bus = one_away(5, 4);
    let others = [0, 1, 2, 3];
    bus.mine_to(432);
    bus.run(30);
    assert_eq!(usable(&mut bus, &others), None, "the first attempt waits for all");
    bus.mine_to(433);
    let key = until_usable(&mut bus, &others, KEY).expect("a key of four");
    let status = bus.status(0);
    assert_eq!((status.signers_needed, status.co_signers), (3, 4), "t is the charter's function of the set");
    // Back again, it has no share, makes no other key, and sees the same one.
    bus.start(4);
    bus.run(20);
    bus.mine_to(1_000);
    bus.run(20);
    assert_eq!(usable(&mut bus, &[0, 1, 2, 3, 4]), Some(key));
}

#[test]
fn who_is_here_in_silence_is_left_out_as_well() {
    let mut bus = one_silent(5, 4);
    bus.mine_to(433);
    assert!(until_usable(&mut bus, &[0, 1, 2, 3], KEY).is_some());
}

/// Every single effect takes minutes: `HASHGUILD_KILLS=1`.
fn effects_between_kills(usual: usize) -> usize {
    std::env::var("HASHGUILD_KILLS").map_or(usual, |every| every.parse().expect("a number"))
}

#[test]
fn an_attempt_survives_the_death_of_any_node_after_any_effect() {
    for fuse in (1..90).step_by(effects_between_kills(9)) {
        let mut bus = one_away(4, 3);
        bus.burning = 0;
        bus.fuse = Some(fuse);
        bus.mine_to(433);
        for _ in 0..2 * KEY {
            bus.run(1);
            bus.assert_addresses_are_late(&[0, 1, 2]);
            if !bus.is_up(0) {
                bus.start(0);
            }
            if usable(&mut bus, &[0, 1, 2]).is_some() {
                break;
            }
        }
        assert!(usable(&mut bus, &[0, 1, 2]).is_some(), "killed after {fuse}: {:#?}", bus.status(0).waits);
    }
}

#[test]
fn nobody_joins_an_attempt_that_leaves_out_who_did_its_part() {
    let mut bus = one_away(5, 4);
    bus.mine_to(433);
    let seats: Vec<MemberId> = bus.charter.co_signers.clone();
    // In the name of the one who is away: three of the four who are here, or too few, or nobody known.
    let unfair = Attempt { epoch: 1, attempt: 2, set: vec![seats[0], seats[1], seats[4]] };
    bus.puppet(4, |document, person| {
        person.say(document, 433, Payload::Attempt(unfair.clone()));
    });
    bus.run(45);
    for node in 0..4 {
        let joined = bus.said(node).into_iter().filter_map(|signed| match &signed.entry().payload {
            Payload::Attempt(attempt) => Some(attempt.clone()),
            _ => None,
        });
        let joined: Vec<Attempt> = joined.collect();
        assert!(joined.iter().all(|attempt| attempt.set.len() >= 4), "node {node}: {joined:?}");
    }
}

#[test]
fn who_holds_a_full_set_joins_no_further_attempt() {
    let mut bus = Bus::new(4);
    bus.chatty = true;
    let key = until_usable(&mut bus, &[0, 1, 2, 3], KEY).unwrap();
    let seats: Vec<MemberId> = bus.charter.co_signers.clone();
    bus.mine_to(900);
    let again = Attempt { epoch: 1, attempt: 2, set: seats };
    bus.puppet(3, |document, person| {
        person.say(document, 900, Payload::Attempt(again.clone()));
    });
    bus.run(30);
    for node in 0..3 {
        assert!(!bus.said(node).iter().any(|signed| matches!(signed.entry().payload, Payload::Attempt(_))));
    }
    assert_eq!(usable(&mut bus, &[0, 1, 2]), Some(key));
}

/// The coordinator of the key test dies after any of its effects, for good: the next in rank takes over, or
/// those who gave their shares add them up.
#[test]
fn a_coordinator_that_dies_at_any_moment_stops_no_signature() {
    let seats: Vec<MemberId> = Bus::without(5, &[0, 1, 2, 3, 4]).charter.co_signers;
    let first = Subject::KeyTest.ranked(&seats)[0];
    let leader = seats.iter().position(|seat| *seat == first).unwrap();
    let others: Vec<usize> = (0..5).filter(|node| *node != leader).collect();
    let mut tried = 0;
    for fuse in (40..).step_by(effects_between_kills(12)) {
        let mut bus = Bus::new(5);
        bus.chatty = true;
        bus.burning = leader;
        bus.fuse = Some(fuse);
        let key = until_usable(&mut bus, &others, 60);
        if bus.is_up(leader) {
            break; // the key was made before
        }
        let stored = bus.status(others[0]).group_key.is_some(); // and all others know
        if stored {
            tried += 1;
            assert!(key.is_some(), "dead after {fuse} effects");
        }
    }
    assert!(tried > 0, "it died while it led");
}
