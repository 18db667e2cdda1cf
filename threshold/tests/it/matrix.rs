//! Every message of a key generation edited in flight, in every way, for one party and for all. Whoever sits
//! on the wire only delays the key; a party that spoils what it signs is named, and nobody else.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use threshold::dkg::{Body, DkgMessage, Outcome, Round1, Round2, Statement, Why};
use threshold::testkit::{self, Cluster, member, party};
use threshold::{FixedBytes, PartyId, SessionId, Wire as _};

/// Who edits: somebody on the wire, who signs nothing, or party 1 itself, who signs what it edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Wire,
    Party1,
}

fn is_round(number: u8, message: &DkgMessage) -> bool {
    matches!((number, message.body()), (1, Body::Round1(_)) | (2, Body::Round2(_)))
}

/// What each party ends with when `edit` sits between party 1 and `victims`.
fn run(
    round: u8,
    victims: &[u16],
    who: Who,
    edit: impl Fn(&DkgMessage) -> Option<DkgMessage> + 'static,
) -> Cluster {
    let victims: BTreeSet<PartyId> = victims.iter().map(|number| party(*number)).collect();
    // on the wire each first sending is edited: what is sent again arrives
    let left = Rc::new(Cell::new(if who == Who::Wire { victims.len() } else { usize::MAX }));
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.tamper = Box::new(move |to, message| {
        let ours = message.from() == party(1) && victims.contains(&to) && is_round(round, &message);
        if !ours || left.get() == 0 {
            return vec![message];
        }
        left.set(left.get() - 1);
        edit(&message).into_iter().collect()
    });
    cluster.run();
    cluster
}

/// Everybody who is named, by anybody.
fn named(cluster: &Cluster) -> BTreeSet<PartyId> {
    let outcomes = cluster.nodes.values().filter_map(|node| node.outcome.as_ref());
    let culprits = outcomes.filter_map(|outcome| match outcome {
        Outcome::Failed { culprits, .. } => Some(culprits.clone()),
        Outcome::Ready { .. } => None,
    });
    culprits.flatten().collect()
}

/// The same message with its bytes changed on the way, if they still are a message.
fn bytes_edited(message: &DkgMessage, edit: impl Fn(&mut Vec<u8>)) -> Option<DkgMessage> {
    let mut bytes = message.to_wire();
    edit(&mut bytes);
    DkgMessage::from_wire(&bytes).ok()
}

#[test]
fn whoever_sits_on_the_wire_only_delays_the_key() {
    type Edit = fn(&DkgMessage) -> Option<DkgMessage>;
    let edits: [(&str, Edit); 7] = [
        ("lost", |_| None),
        ("truncated", |message| bytes_edited(message, |bytes| bytes.truncate(bytes.len() / 2))),
        ("oversized", |message| bytes_edited(message, |bytes| bytes.resize(DkgMessage::LIMIT + 1, 0))),
        ("one bit of the content", |message| {
            bytes_edited(message, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            })
        }),
        ("another session", |message| bytes_edited(message, |bytes| bytes[10] ^= 1)),
        ("another scheme", |message| bytes_edited(message, |bytes| bytes[1] += 1)),
        ("another sender", |message| {
            Some(DkgMessage::sign(message.session(), party(2), message.body().clone(), &member(party(3))))
        }),
    ];
    for (name, edit) in edits {
        for round in [1, 2] {
            for victims in [&[2][..], &[2, 3]] {
                let cluster = run(round, victims, Who::Wire, edit);
                assert!(cluster.keys().is_some(), "{name}, round {round}: the key is made all the same");
                assert_eq!(named(&cluster), BTreeSet::new(), "{name}, round {round}: nobody is blamed");
            }
        }
    }
}

/// A first-round message that another run of party `number` sent, for `t` of 3.
fn replayed(number: u16, t: u16, seed: u64) -> Round1 {
    let sent = Rc::new(Cell::new(None));
    let keep = sent.clone();
    let mut cluster = Cluster::new(t, 3, seed);
    cluster.tamper = Box::new(move |_, message| {
        if let (Body::Round1(round1), true) = (message.body(), message.from() == party(number)) {
            keep.set(Some(round1.clone()));
        }
        vec![]
    });
    cluster.run();
    sent.take().unwrap()
}

fn signed(message: &DkgMessage, body: Body) -> Option<DkgMessage> {
    Some(DkgMessage::sign(message.session(), party(1), body, &member(party(1))))
}

fn first(message: &DkgMessage, edit: impl Fn(&mut Round1)) -> Option<DkgMessage> {
    let Body::Round1(mut round1) = message.body().clone() else { return None };
    edit(&mut round1);
    signed(message, Body::Round1(round1))
}

fn second(message: &DkgMessage, edit: impl Fn(&mut Round2)) -> Option<DkgMessage> {
    let Body::Round2(mut round2) = message.body().clone() else { return None };
    edit(&mut round2);
    signed(message, Body::Round2(round2))
}

/// What each victim says of a message that party 1 spoilt and signed. `None`: it sees nothing wrong with it
/// alone, and the key is not made because somebody else saw another message.
#[test]
fn a_party_that_spoils_what_it_signs_is_named_and_nobody_else() {
    type Edit = Box<dyn Fn(&DkgMessage) -> Option<DkgMessage>>;
    let other_degree = replayed(1, 3, 77).package;
    let cases: Vec<(&str, u8, Edit, Option<Why>)> = vec![
        ("truncated", 1, Box::new(|m| first(m, |said| said.package.truncate(40))), Some(Why::Package)),
        ("oversized", 1, Box::new(|m| first(m, |said| said.package.push(0))), Some(Why::Package)),
        (
            "identity point",
            1,
            // the header is 5 bytes and the number of coefficients; then the first commitment
            Box::new(|m| first(m, |said| said.package[6..39].fill(0))),
            Some(Why::Package),
        ),
        (
            "wrong t",
            1,
            Box::new(move |m| first(m, |said| said.package.clone_from(&other_degree))),
            Some(Why::Coefficients { expected: 2, found: 3 }),
        ),
        ("degenerate key to encrypt to", 1, Box::new(|m| first(m, |said| said.sealing_key = [0; 32])), None),
        (
            "one ciphertext less",
            2,
            Box::new(|m| second(m, |said| said.ciphertexts.truncate(2))),
            Some(Why::Ciphertexts),
        ),
        (
            "one ciphertext more",
            2,
            Box::new(|m| second(m, |said| said.ciphertexts.push(FixedBytes([1; 80])))),
            Some(Why::Ciphertexts),
        ),
        (
            "a share that does not decrypt",
            2,
            Box::new(|m| second(m, |said| said.ciphertexts[1].0[50] ^= 1)),
            Some(Why::Decryption),
        ),
        (
            "a share for another seat",
            2,
            Box::new(|m| second(m, |said| said.ciphertexts.swap(1, 2))),
            Some(Why::Decryption),
        ),
    ];
    for (name, round, edit, why) in cases {
        let cluster = run(round, &[2], Who::Party1, edit);
        assert!(cluster.keys().is_none(), "{name}: no key");
        assert!(named(&cluster).is_subset(&BTreeSet::from([party(1)])), "{name}: {:?}", named(&cluster));
        match (&cluster.nodes[&party(2)].outcome, why) {
            (Some(Outcome::Failed { culprits, why }), Some(expected)) => {
                assert_eq!((culprits.as_slice(), why), (&[party(1)][..], &expected), "{name}");
            }
            (outcome, None) => assert!(!matches!(outcome, Some(Outcome::Ready { .. })), "{name}"),
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
}

/// A first-round message from elsewhere is a story of its own: to one party it is an equivocation, which the
/// echo shows and which names nobody on one party's word; to all it makes another key, or none.
#[test]
fn replayed_and_equivocated_first_rounds_make_no_key_and_blame_nobody_honest() {
    for (name, other) in [("another run", replayed(1, 2, 77)), ("another party", replayed(2, 2, 1))] {
        for victims in [&[2][..], &[2, 3]] {
            let other = other.clone();
            let cluster =
                run(1, victims, Who::Party1, move |message| first(message, |said| *said = other.clone()));
            assert!(cluster.keys().is_none(), "{name}: no key");
            assert!(named(&cluster).is_subset(&BTreeSet::from([party(1)])), "{name}: {:?}", named(&cluster));
        }
    }
    let elsewhere = SessionId::dkg([7; 32], 1, 2);
    let cluster = run(1, &[2], Who::Wire, move |message| {
        Some(DkgMessage::sign(elsewhere, party(1), message.body().clone(), &member(party(1))))
    });
    assert!(cluster.keys().is_some() && named(&cluster).is_empty(), "another attempt's message does nothing");
}

/// There is no message that accuses. What a party can say is that it saw something else, or nothing.
#[test]
fn a_false_accusation_stops_an_attempt_and_blames_nobody() {
    let session = SessionId::dkg([7; 32], 1, 1);
    let echo = Statement::Echo { session, round1_hash: [6; 32] };
    let other = testkit::keys(2, 3, 9).public.group();
    let ready = Statement::KeyReady { session, group_key: other, transcript_hash: [0; 32] };
    for (lie, key) in [(echo, false), (ready, true)] {
        let mut cluster = Cluster::new(2, 3, 1);
        for honest in [2, 3].map(party) {
            cluster.give(honest, threshold::dkg::Input::Statement(party(1), lie.clone()));
        }
        cluster.run();
        assert_eq!(cluster.keys().is_some(), key, "{lie:?}");
        assert_eq!(named(&cluster), BTreeSet::new(), "{lie:?}");
    }
}
