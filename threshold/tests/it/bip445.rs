//! Keys of the draft BIP445 sign here: the vectors' shares are ours, only the scheme between signers differs.
//! So coins need not move when the scheme changes.

use crate::sign::{CERTIFICATE, verifies};
use frost_secp256k1_tr::keys::{KeyPackage, SigningShare, VerifyingShare};
use frost_secp256k1_tr::{self as frost, Identifier, VerifyingKey};
use hex::FromHex as _;
use rand::rngs::OsRng;
use std::collections::BTreeMap;
use threshold::sign::{Coordinator, Effect, Input, Outcome, Request, Signer};
use threshold::{KeyShare, PartyId, PublicKeys, Threshold, Timestamp, Wire as _};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// A key of the vectors, with the cases that sign with it.
#[derive(Default)]
struct Group {
    t: u16,
    n: u16,
    public: Vec<u8>,
    shares: BTreeMap<u16, (Vec<u8>, Vec<u8>)>,
    cases: Vec<(Vec<u16>, Vec<u8>)>,
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = vec![];
    let bytes = |text: &str| Vec::from_hex(text).unwrap();
    for line in include_str!("../data/bip445.csv").lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse::<u16>().unwrap();
        match fields[0] {
            "key" => groups.push(Group {
                t: number(2),
                n: number(3),
                public: bytes(fields[4]),
                ..Group::default()
            }),
            "share" => {
                let share = (bytes(fields[2]), bytes(fields[3]));
                groups.last_mut().unwrap().shares.insert(number(1) + 1, share);
            }
            _ => {
                let ids = fields[2].split(' ').map(|id| id.parse::<u16>().unwrap() + 1);
                groups.last_mut().unwrap().cases.push((ids.collect(), bytes(fields[3])));
            }
        }
    }
    groups
}

impl Group {
    /// The message of a case, signed by its signers: FROST with the vectors' key material.
    fn sign(&self, ids: &[u16], message: &[u8]) -> frost::Signature {
        let public = VerifyingKey::deserialize(&self.public).unwrap();
        let (mut nonces, mut commitments, mut keys) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for id in ids {
            let identifier = Identifier::try_from(*id).unwrap();
            let (public_share, secret) = &self.shares[id];
            let share = SigningShare::deserialize(secret).unwrap();
            assert_eq!(VerifyingShare::from(share).serialize().unwrap(), *public_share);
            let key = KeyPackage::new(identifier, share, VerifyingShare::from(share), public, self.t);
            let (ours, said) = frost::round1::commit(&share, &mut OsRng);
            nonces.insert(identifier, ours);
            commitments.insert(identifier, said);
            keys.insert(identifier, key);
        }
        let package = frost::SigningPackage::new(commitments, message);
        let share = |(id, key): (&Identifier, &KeyPackage)| {
            (*id, frost::round2::sign(&package, &nonces[id], key).unwrap())
        };
        let shares = keys.iter().map(share).collect();
        let shown = keys.iter().map(|(id, key)| (*id, *key.verifying_share())).collect();
        let public = frost::keys::PublicKeyPackage::new(shown, public, Some(self.t));
        frost::aggregate(&package, &shares, &public).unwrap()
    }

    fn share(&self, party: u16) -> KeyShare {
        let mut bytes = vec![threshold::message::VERSION, threshold::message::SCHEME];
        for number in [party, self.t, self.n] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(&self.public);
        bytes.extend(&self.shares[&party].1);
        KeyShare::from_bytes(&bytes).unwrap()
    }

    /// As they travel: version, scheme, kind; t, n, P, and the public shares.
    fn public_keys(&self) -> PublicKeys {
        let small = |number: u16| u8::try_from(number).unwrap();
        let mut bytes = vec![threshold::message::VERSION, threshold::message::SCHEME, PublicKeys::KIND];
        bytes.extend([small(self.t), small(self.n)]);
        bytes.extend(&self.public);
        bytes.push(small(self.n));
        self.shares.values().for_each(|(public, _)| bytes.extend(public));
        PublicKeys::from_wire(&bytes).unwrap()
    }

    /// A certificate by these signers, through our own coordinator and signers.
    fn certify(&self, ids: &[u16]) -> Vec<[u8; 64]> {
        let request = Request::Certificate(CERTIFICATE);
        let keys = self.public_keys();
        assert_eq!(keys.threshold(), Threshold::new(self.t, self.n).unwrap());
        let ranked: Vec<PartyId> = ids.iter().map(|id| PartyId::new(*id).unwrap()).collect();
        let leader = ranked[0];
        let signer =
            |party: &PartyId| (*party, Signer::new(self.share(party.number()), keys.clone()).unwrap());
        let mut signers: BTreeMap<PartyId, Signer> = ranked.iter().map(signer).collect();
        let mut coordinator = Coordinator::new(&request, keys.clone(), ranked, [1; 32], NOW).unwrap();
        while let Some(effect) = coordinator.next_effect() {
            let input = match effect {
                Effect::AskCommit(to, session) => {
                    let signer = signers.get_mut(&to).unwrap();
                    let said = signer.commit(&request, session, leader, &mut OsRng, NOW).unwrap();
                    Input::Commitments(to, said)
                }
                Effect::AskSign(to, package) => {
                    Input::Shares(to, signers.get_mut(&to).unwrap().sign(leader, &package, NOW).unwrap())
                }
                Effect::WakeAt(_) => continue,
                Effect::Done(Outcome::Signed(signatures)) => return signatures,
                Effect::Done(failed) => panic!("{failed:?}"),
            };
            coordinator.handle(input, NOW).unwrap();
        }
        panic!("the ceremony did not end")
    }
}

#[test]
fn keys_of_the_bip445_vectors_sign_here() {
    let mut signed = 0;
    for group in groups() {
        for (ids, message) in &group.cases {
            let signature = group.sign(ids, message);
            let public = VerifyingKey::deserialize(&group.public).unwrap();
            public.verify(message, &signature).unwrap();
            if let Ok(digest) = <[u8; 32]>::try_from(message.as_slice()) {
                let bytes = signature.serialize().unwrap().try_into().unwrap();
                assert!(verifies(&bytes, digest, &group.public[1..]), "libsecp256k1 too");
            }
            let certificate = group.certify(ids);
            assert!(verifies(&certificate[0], CERTIFICATE.message(), &group.public[1..]));
            signed += 1;
        }
    }
    assert_eq!(signed, 20, "every valid case with t of 2 or more");
}
