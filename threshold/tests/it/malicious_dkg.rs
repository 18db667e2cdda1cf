//! One party lies while a key is made; the test says who, and who must notice.

use std::collections::BTreeSet;
use threshold::dkg::{Body, Change, DkgMessage, Effect, Input, Outcome};
use threshold::dkg::{Rejected, Round1, Round2, Session, Statement, Step, Why};
use threshold::testkit::{self, Cluster, config, member, party};
use threshold::{PartyId, SessionId, Timestamp};
use zeroize::Zeroizing;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// Change what `liar` says to `victims`, signed again by the liar.
fn liar(liar: u16, victims: &[u16], mut change: impl FnMut(&mut Body) + 'static) -> testkit::Cluster {
    let (liar, victims) = (party(liar), victims.iter().map(|number| party(*number)).collect::<BTreeSet<_>>());
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.tamper = Box::new(move |to, message| {
        if message.from() != liar || !victims.contains(&to) {
            return vec![message];
        }
        let mut body = message.body().clone();
        change(&mut body);
        vec![DkgMessage::sign(message.session(), liar, body, &member(liar))]
    });
    cluster.run();
    cluster
}

fn failed(cluster: &Cluster, number: u16) -> (Vec<PartyId>, Why) {
    match &cluster.nodes[&party(number)].outcome {
        Some(Outcome::Failed { culprits, why }) => (culprits.clone(), why.clone()),
        other => panic!("party {number}: {other:?}"),
    }
}

/// A first-round message of another run: valid by itself.
fn other_round1(number: u16, t: u16) -> Round1 {
    let mut cluster = Cluster::new(t, 3, 77);
    let sent = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = sent.clone();
    cluster.tamper = Box::new(move |_, message| {
        if let (Body::Round1(round1), true) = (message.body(), message.from() == party(number)) {
            *keep.borrow_mut() = Some(round1.clone());
        }
        vec![]
    });
    cluster.run();
    sent.take().unwrap()
}

#[test]
fn two_stories_in_round_one_are_found_by_the_echo() {
    let other = other_round1(1, 2);
    let cluster = liar(1, &[3], move |body| {
        if let Body::Round1(round1) = body {
            *round1 = other.clone();
        }
    });
    assert_eq!(failed(&cluster, 2), (vec![], Why::RoundOneDiffers { by: vec![party(3)] }));
    assert!(matches!(failed(&cluster, 3).1, Why::RoundOneDiffers { .. }));
    assert_eq!(cluster.keys().map(drop), None);
}

#[test]
fn two_stories_to_one_party_are_evidence() {
    let other = other_round1(1, 2);
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.tamper = Box::new(move |_, message| match message.body() {
        Body::Round1(_) if message.from() == party(1) => {
            let body = Body::Round1(other.clone());
            vec![message.clone(), DkgMessage::sign(message.session(), party(1), body, &member(party(1)))]
        }
        _ => vec![message],
    });
    cluster.run();
    let (_, Rejected::Equivocation(evidence)) = &cluster.rejected[0] else { panic!() };
    assert_eq!(evidence.culprit(), party(1));
    assert!(evidence.holds(&member(party(1)).verifying_key().to_bytes()));
    assert!(!evidence.holds(&member(party(2)).verifying_key().to_bytes()));
    let mut repeated = evidence.clone();
    repeated.second = repeated.first.clone();
    assert!(!repeated.holds(&member(party(1)).verifying_key().to_bytes()), "twice the same is no evidence");
    assert!(cluster.keys().is_some(), "the first story counts");
}

#[test]
fn another_threshold_is_named() {
    let other = other_round1(1, 3);
    let cluster = liar(1, &[2, 3], move |body| {
        if let Body::Round1(round1) = body {
            round1.package = other.package.clone();
        }
    });
    for number in [2, 3] {
        assert_eq!(failed(&cluster, number), (vec![party(1)], Why::Coefficients { expected: 2, found: 3 }));
    }
}

/// A cluster in which party 1 runs the protocol to the letter, but began with a secret or a message of its
/// own choice.
fn impostor(choose: impl FnOnce(Zeroizing<Vec<u8>>, DkgMessage) -> Change) -> Cluster {
    let mut honest = Session::new(config(2, 3, party(1)), &mut testkit::rng(50), NOW);
    let Some(Effect::Persist(Change::RoundOne { secret, message })) = honest.next_effect() else { panic!() };
    let change = choose(secret, message);
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.replace(party(1), Session::resume(config(2, 3, party(1)), vec![change], NOW).unwrap());
    cluster.run();
    cluster
}

#[test]
fn who_commits_to_what_it_does_not_know_is_named() {
    // the rogue-key attack: a commitment copied from party 2, whose proof does not fit party 1
    let copied = other_round1(2, 2);
    let cluster = impostor(|secret, message| {
        let Body::Round1(round1) = message.body() else { panic!() };
        let body = Body::Round1(Round1 { package: copied.package.clone(), ..round1.clone() });
        Change::RoundOne {
            secret,
            message: DkgMessage::sign(message.session(), party(1), body, &member(party(1))),
        }
    });
    for number in [2, 3] {
        assert_eq!(failed(&cluster, number), (vec![party(1)], Why::Proof));
    }
}

#[test]
fn shares_of_another_polynomial_are_named() {
    let mut other = Session::new(config(2, 3, party(1)), &mut testkit::rng(51), NOW);
    let Some(Effect::Persist(Change::RoundOne { secret, .. })) = other.next_effect() else { panic!() };
    let cluster = impostor(|_, message| Change::RoundOne { secret, message });
    for number in [2, 3] {
        assert_eq!(failed(&cluster, number), (vec![party(1)], Why::Share));
    }
}

#[test]
fn a_degenerate_encryption_key_is_named() {
    let cluster = impostor(|secret, message| {
        let Body::Round1(round1) = message.body() else { panic!() };
        let body = Body::Round1(Round1 { sealing_key: [0; 32], ..round1.clone() });
        Change::RoundOne {
            secret,
            message: DkgMessage::sign(message.session(), party(1), body, &member(party(1))),
        }
    });
    assert_eq!(failed(&cluster, 2), (vec![party(1)], Why::SealingKey));
}

#[test]
fn malformed_packages_and_keys_are_named() {
    let cluster = liar(1, &[2, 3], |body| {
        if let Body::Round1(round1) = body {
            round1.package.truncate(20);
        }
    });
    assert_eq!(failed(&cluster, 2), (vec![party(1)], Why::Package));
    let cluster = liar(1, &[2, 3], |body| {
        if let Body::Round2(round2) = body {
            round2.ciphertexts.pop();
        }
    });
    assert_eq!(failed(&cluster, 3), (vec![party(1)], Why::Ciphertexts));
}

#[test]
fn a_share_that_does_not_decrypt_is_named_by_its_receiver() {
    let cluster = liar(1, &[3], |body| {
        if let Body::Round2(Round2 { ciphertexts }) = body {
            ciphertexts[2].0[40] ^= 1;
        }
    });
    assert_eq!(failed(&cluster, 3), (vec![party(1)], Why::Decryption));
    let waiting = cluster.nodes[&party(2)].session().waiting_on();
    assert_eq!((waiting.step, waiting.missing), (Step::KeyReady, vec![party(3)]), "nobody calls it ready");
}

#[test]
fn a_share_for_another_seat_is_named() {
    let cluster = liar(1, &[3], |body| {
        if let Body::Round2(Round2 { ciphertexts }) = body {
            ciphertexts.swap(1, 2);
        }
    });
    assert_eq!(failed(&cluster, 3), (vec![party(1)], Why::Decryption));
}

#[test]
fn different_ciphertexts_to_different_parties_make_no_key() {
    // party 1 spoils the ciphertext for 3 only in what it sends to 2: all shares are right,
    // but 2 could not help 3 to recover
    let cluster = liar(1, &[2], |body| {
        if let Body::Round2(Round2 { ciphertexts }) = body {
            ciphertexts[2].0[40] ^= 1;
        }
    });
    let waiting = cluster.nodes[&party(2)].session().waiting_on();
    assert_eq!((waiting.step, waiting.disagreeing), (Step::KeyReady, vec![party(1), party(3)]));
    assert!(cluster.keys().is_none());
}

#[test]
fn messages_are_their_authors_only() {
    let mut cluster = Cluster::new(2, 3, 1);
    let body = Body::Round1(other_round1(2, 2));
    let here = cluster_session();
    let there = SessionId::dkg([7; 32], 1, 2);
    let says =
        |session, from, key| Input::Message(DkgMessage::sign(session, from, body.clone(), &member(key)));
    cluster.give(party(1), says(here, party(2), party(3)));
    cluster.give(party(1), says(there, party(2), party(2)));
    cluster.give(party(1), says(here, party(4), party(4)));
    let echo = Statement::Echo { session: there, round1_hash: [0; 32] };
    cluster.give(party(1), Input::Statement(party(2), echo));
    let rejected: Vec<_> = cluster.rejected.iter().map(|(_, rejected)| rejected.clone()).collect();
    assert_eq!(
        rejected,
        [
            Rejected::BadSignature(party(2)),
            Rejected::OtherSession(there),
            Rejected::NotAParty(party(4)),
            Rejected::OtherSession(there),
        ]
    );
}

fn cluster_session() -> SessionId {
    SessionId::dkg([7; 32], 1, 1)
}

#[test]
fn a_contradicting_key_ready_neither_makes_nor_breaks_a_key() {
    let mut cluster = Cluster::new(2, 3, 1);
    let other = testkit::keys(2, 3, 9).public.group();
    let lie = Statement::KeyReady { session: cluster_session(), group_key: other, transcript_hash: [0; 32] };
    cluster.give(party(1), Input::Statement(party(3), lie));
    cluster.run();
    assert!(cluster.keys().is_some());
}

#[test]
fn a_lost_disk_cannot_rejoin_its_attempt() {
    let mut cluster = Cluster::new(2, 3, 1);
    cluster.run();
    let echo = cluster.nodes[&party(1)].published[0].clone();
    let mut fresh = Session::new(config(2, 3, party(1)), &mut testkit::rng(5), NOW);
    fresh.handle(Input::Statement(party(1), echo), NOW).unwrap();
    for change in &cluster.nodes[&party(1)].disk {
        if let Change::Received(message) = change {
            let _ = fresh.handle(Input::Message(message.clone()), NOW);
        }
    }
    let effects: Vec<_> = std::iter::from_fn(|| fresh.next_effect()).collect();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Publish(_))));
    assert_eq!(fresh.waiting_on().step, Step::Closed);
}
