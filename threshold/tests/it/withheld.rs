//! A coordinator that keeps the signature to itself: those who gave their shares add them up without it.

use crate::sign::{CERTIFICATE, verifies};
use std::collections::BTreeMap;
use threshold::sign::{MAX_GIVEN, Rejected, Request, Shares, Signer, SigningPackage};
use threshold::testkit::{self, Keys, party};
use threshold::{PartyId, SessionId, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// Parties 1 to 3 gave their shares to party 5, which says nothing more.
fn given(keys: &Keys, session: u8) -> (BTreeMap<PartyId, Signer>, BTreeMap<PartyId, Shares>) {
    let mut signers = keys.signers();
    let shares = give(&mut signers, session);
    (signers, shares)
}

fn give(signers: &mut BTreeMap<PartyId, Signer>, session: u8) -> BTreeMap<PartyId, Shares> {
    let (request, session) = (Request::Certificate(CERTIFICATE), SessionId::from_bytes([session; 32]));
    let mut rng = testkit::rng(7);
    let mut commitments = BTreeMap::new();
    for number in [1, 2, 3].map(party) {
        let signer = signers.get_mut(&number).unwrap();
        commitments.insert(number, signer.commit(&request, session, party(5), &mut rng, NOW).unwrap().list);
    }
    let package = SigningPackage { session, request: request.id(), commitments };
    let mut shares = BTreeMap::new();
    for number in [1, 2, 3].map(party) {
        shares.insert(number, signers.get_mut(&number).unwrap().sign(party(5), &package, NOW).unwrap());
    }
    shares
}

#[test]
fn every_signer_adds_up_what_the_others_tell() {
    let keys = testkit::keys(3, 5, 1);
    let (mut signers, shares) = given(&keys, 1);
    let session = SessionId::from_bytes([1; 32]);
    for me in [1, 2, 3].map(party) {
        let signer = signers.get_mut(&me).unwrap();
        let (ours, others) = signer.given(party(5), session).unwrap();
        assert_eq!((ours, others.len()), (&shares[&me], 2), "told to the two other seats");
        let mut signed = None;
        for other in others {
            signed = signer.told(party(5), other, shares[&other].clone()).unwrap();
        }
        let p = keys.public.group().x_only();
        assert!(verifies(&signed.unwrap()[0], CERTIFICATE.message(), &p));
    }
}

#[test]
fn what_is_told_wrongly_is_dropped_and_can_be_told_again() {
    let keys = testkit::keys(3, 5, 1);
    let (mut signers, shares) = given(&keys, 1);
    let signer = signers.get_mut(&party(1)).unwrap();
    let mut wrong = shares[&party(2)].clone();
    wrong.list[0][31] ^= 1;
    let mut short = shares[&party(2)].clone();
    short.list.clear();
    let mut other = shares[&party(2)].clone();
    other.session = SessionId::from_bytes([9; 32]);
    let told = [
        (party(4), shares[&party(2)].clone(), Rejected::NoSeat(party(4))),
        (party(2), short, Rejected::Malformed(party(2))),
        (party(2), other, Rejected::NoSuchSession(SessionId::from_bytes([9; 32]))),
    ];
    for (from, said, why) in told {
        assert_eq!(signer.told(party(5), from, said), Err(why));
    }
    assert_eq!(signer.told(party(5), party(3), shares[&party(3)].clone()), Ok(None));
    assert_eq!(signer.told(party(5), party(2), wrong), Err(Rejected::Malformed(party(2))));
    assert!(signer.told(party(5), party(2), shares[&party(2)].clone()).unwrap().is_some());
    assert_eq!(
        signer.told(party(4), party(2), shares[&party(2)].clone()),
        Err(Rejected::NoSuchSession(SessionId::from_bytes([1; 32]))),
        "a session is its coordinator's"
    );
}

#[test]
fn what_was_given_is_bounded_and_forgotten() {
    let keys = testkit::keys(3, 5, 1);
    let (mut signers, _) = given(&keys, 0);
    for session in 1..=u8::try_from(MAX_GIVEN).unwrap() {
        give(&mut signers, session);
    }
    let signer = signers.get_mut(&party(1)).unwrap();
    let kept = (0..=u8::MAX)
        .filter(|session| signer.given(party(5), SessionId::from_bytes([*session; 32])).is_some());
    assert_eq!(kept.count(), MAX_GIVEN);
    signer.expire(NOW.after(threshold::sign::NONCE_LIFE));
    assert!(signer.given(party(5), SessionId::from_bytes([1; 32])).is_none());
}
