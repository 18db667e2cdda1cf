//! Honest parties make keys.

use threshold::dkg::{self, Body, DkgMessage, Input, Round1, Round2, Step};
use threshold::sign::{Commitments, MAX_INPUTS, Refusal, RequestId, Shares, SigningPackage};
use threshold::sign::{KeyTest, Request};
use threshold::testkit::{self, Cluster, member, party};
use threshold::{FixedBytes, KeyError, PublicKeys, SessionId, Wire};

#[test]
fn all_parties_end_with_one_key() {
    for (t, n) in [(2, 2), (2, 3), (3, 5), (5, 7)] {
        let keys = testkit::keys(t, n, 1);
        assert_eq!(keys.shares.len(), usize::from(n), "{t} of {n}");
        assert_eq!(keys.transcript.verify().unwrap(), keys.public);
        assert_eq!(keys.public.threshold().t(), t);
    }
}

#[test]
fn a_large_guild_makes_a_key_too() {
    let keys = testkit::keys(14, 21, 1);
    assert!(keys.transcript.to_wire().len() < 100_000);
    let (share, _) = dkg::recover(&member(party(21)), party(21), &keys.transcript).unwrap();
    assert_eq!(share.to_bytes(), keys.shares[&party(21)].to_bytes());
}

#[test]
fn a_share_comes_back_from_member_secret_and_transcript() {
    let mut parities = [false; 2];
    for seed in 0..8 {
        let keys = testkit::keys(2, 3, seed);
        let transcript = dkg::Transcript::from_wire(&keys.transcript.to_wire()).unwrap();
        parities[usize::from(keys.public.group().to_bytes()[0] - 2)] = true;
        for (me, share) in &keys.shares {
            let (recovered, public) = dkg::recover(&member(*me), *me, &transcript).unwrap();
            assert_eq!(recovered.to_bytes(), share.to_bytes());
            assert_eq!(public, keys.public);
        }
    }
    assert_eq!(parities, [true; 2], "keys of both parities were tried");
}

#[test]
fn only_the_member_of_the_seat_recovers() {
    let keys = testkit::keys(2, 3, 3);
    let result = dkg::recover(&member(party(2)), party(1), &keys.transcript);
    assert_eq!(result.unwrap_err(), dkg::BadTranscript::NotOurs(party(1)));
}

#[test]
fn it_says_for_whom_it_waits() {
    let mut cluster = Cluster::new(2, 3, 1);
    let waiting = cluster.nodes[&party(1)].session().waiting_on();
    assert_eq!((waiting.step, waiting.missing), (Step::RoundOne, vec![party(2), party(3)]));
    cluster.tamper = Box::new(|to, message| {
        let lost = to == party(1) && message.from() == party(3);
        if lost { vec![] } else { vec![message] }
    });
    cluster.run();
    let waiting = |number| cluster.nodes[&party(number)].session().waiting_on();
    assert_eq!((waiting(1).step, waiting(1).missing), (Step::RoundOne, vec![party(3)]));
    assert_eq!((waiting(2).step, waiting(2).missing), (Step::Echo, vec![party(1)]));
}

#[test]
fn no_key_before_the_share_is_read_back() {
    let mut cluster = Cluster::new(2, 3, 1);
    let other = testkit::keys(2, 3, 2).shares[&party(1)].clone();
    cluster.run();
    let keys = cluster.keys().unwrap();
    assert_eq!(other.check(&keys.public), Err(KeyError::Mismatch(party(1))));
    let rejected = cluster.rejected.len();
    cluster.give(party(1), Input::Stored(other));
    assert_eq!(cluster.rejected.len(), rejected + 1);
}

#[test]
fn public_keys_survive_the_wire() {
    let keys = testkit::keys(3, 5, 4).public;
    assert_eq!(PublicKeys::from_wire(&keys.to_wire()), Ok(keys));
}

#[test]
fn the_largest_guild_fits_the_limits() {
    // sizes only: the arithmetic of 100 parties takes minutes in a test build
    let session = SessionId::dkg([1; 32], 1, 1);
    let last = party(100);
    let sign = |body| DkgMessage::sign(session, last, body, &member(last)).to_wire().len();
    let first = sign(Body::Round1(Round1 { package: vec![0; 33 * 100 + 80], sealing_key: [0; 32] }));
    let second = sign(Body::Round2(Round2 { ciphertexts: vec![FixedBytes([0; 80]); 100] }));
    assert!(first.max(second) <= DkgMessage::LIMIT);
    assert!(100 * (32 + 2 + first + second) < dkg::Transcript::LIMIT);
    let commitments = Commitments { session, list: vec![FixedBytes([0; 66]); MAX_INPUTS] };
    assert!(commitments.to_wire().len() <= Commitments::LIMIT);
    let everybody = (1..=100).map(|number| (party(number), commitments.list.clone()));
    let request = RequestId::from_bytes([0; 32]);
    let package = SigningPackage { session, request, commitments: everybody.collect() };
    assert!(package.to_wire().len() <= SigningPackage::LIMIT);
    let shares = Shares { session, list: vec![[0; 32]; MAX_INPUTS] };
    assert!(shares.to_wire().len() <= Shares::LIMIT);
    let refusal = Refusal::new("x".repeat(999), "ä".repeat(999), "x".repeat(999));
    assert!(refusal.to_wire().len() <= Refusal::LIMIT);
}

#[test]
fn two_disjoint_quorums_test_the_key() {
    let keys = testkit::keys(3, 5, 5);
    let request =
        Request::KeyTest(KeyTest { guild: [1; 32], epoch: 1, session: SessionId::dkg([1; 32], 1, 1) });
    for ranked in [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]] {
        let ranked = ranked.map(party).to_vec();
        let report = keys.ceremony(&request, ranked, &mut |_, answer| Some(answer));
        assert!(matches!(report.outcome, threshold::sign::Outcome::Signed(_)));
    }
}
