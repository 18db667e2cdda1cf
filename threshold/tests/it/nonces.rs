//! A ledger of all nonces: whoever asks, in whatever order, and whoever dies when, no nonce signs twice.

use crate::sign::CERTIFICATE;
use rand::Rng as _;
use std::collections::BTreeMap;
use threshold::sign::{CertificateBody, Commitment, Request, RequestId, Signer, SigningPackage};
use threshold::testkit::{self, Keys, party};
use threshold::{PartyId, SessionId, Timestamp, Wire as _};

/// Every commitment that any signer gave: in which session, and over what it gave a share.
#[derive(Default)]
struct Ledger {
    drawn: BTreeMap<(PartyId, Commitment), (PartyId, SessionId)>,
    signed: BTreeMap<(PartyId, Commitment), Vec<u8>>,
}

impl Ledger {
    fn drawn(&mut self, who: PartyId, at: (PartyId, SessionId), list: &[Commitment]) {
        for commitment in list {
            let first = *self.drawn.entry((who, *commitment)).or_insert(at);
            assert_eq!(first, at, "a nonce of {who} was shown in two sessions");
        }
    }

    fn signed(&mut self, who: PartyId, package: &SigningPackage) {
        for commitment in &package.commitments[&who] {
            let before = self.signed.insert((who, *commitment), package.to_wire());
            assert_eq!(before, None, "a nonce of {who} signed twice");
        }
    }
}

/// What is to be signed in a session, and what signers committed to in it.
type Said = (Request, BTreeMap<PartyId, Vec<Commitment>>);

struct World {
    keys: Keys,
    signers: BTreeMap<PartyId, Signer>,
    ledger: Ledger,
    now: Timestamp,
    /// What signers committed to, by session.
    said: BTreeMap<(PartyId, SessionId), Said>,
}

fn request(number: u16) -> Request {
    Request::Certificate(CertificateBody { option: number, ..CERTIFICATE })
}

impl World {
    fn new() -> Self {
        let keys = testkit::keys(2, 3, 1);
        let signers = keys.signers();
        let now = Timestamp::from_millis(1_000_000);
        Self { keys, signers, ledger: Ledger::default(), now, said: BTreeMap::new() }
    }

    /// All that a signer has in memory is gone; its share comes from the disk.
    fn kill(&mut self, who: PartyId) {
        let share = threshold::KeyShare::from_bytes(&self.keys.shares[&who].to_bytes()).unwrap();
        self.signers.insert(who, Signer::new(share, self.keys.public.clone()).unwrap());
    }

    fn commit(
        &mut self,
        who: PartyId,
        leader: PartyId,
        session: u8,
        about: u16,
        rng: &mut impl rand::RngCore,
    ) {
        let (request, session) = (request(about), SessionId::from_bytes([session; 32]));
        let mut rng = testkit::rng(rng.next_u64());
        let signer = self.signers.get_mut(&who).unwrap();
        let Ok(said) = signer.commit(&request, session, leader, &mut rng, self.now) else { return };
        self.ledger.drawn(who, (leader, session), &said.list);
        let place = self.said.entry((leader, session)).or_insert_with(|| (request, BTreeMap::new()));
        place.1.insert(who, said.list);
    }

    /// The leader asks for shares; `id` is what it says is signed.
    fn sign(&mut self, who: PartyId, leader: PartyId, session: u8, id: Option<RequestId>) {
        let session = SessionId::from_bytes([session; 32]);
        let Some((request, commitments)) = self.said.get(&(leader, session)) else { return };
        let seats = commitments
            .iter()
            .filter(|(party, _)| **party == who)
            .chain(commitments.iter().filter(|(party, _)| **party != who));
        let commitments: BTreeMap<_, _> = seats.take(2).map(|(party, list)| (*party, list.clone())).collect();
        let request = id.unwrap_or_else(|| request.id());
        let package = SigningPackage { session, request, commitments };
        let signer = self.signers.get_mut(&who).unwrap();
        if signer.sign(leader, &package, self.now).is_ok() {
            self.ledger.signed(who, &package);
        }
    }
}

#[test]
fn a13_no_nonce_signs_twice_whoever_asks_and_whoever_dies() {
    let mut rng = testkit::rng(11);
    let mut world = World::new();
    for _ in 0..12_000 {
        let (who, leader) = (party(rng.gen_range(1..=3)), party(rng.gen_range(1..=3)));
        let (session, about) = (rng.gen_range(0..6), rng.gen_range(0..3));
        match rng.gen_range(0..20) {
            0..8 => world.commit(who, leader, session, about, &mut rng),
            8..16 => world.sign(who, leader, session, None),
            16 => world.sign(who, leader, session, Some(request(about).id())),
            17 => world.kill(who),
            18 => world.now = world.now.after(std::time::Duration::from_secs(rng.gen_range(0..90))),
            _ => world.signers.get_mut(&who).unwrap().forget(request(about).id()),
        }
    }
    let (drawn, signed) = (world.ledger.drawn.len(), world.ledger.signed.len());
    assert!(drawn > 500 && signed > 100, "{drawn} nonces drawn, {signed} used: the test tests something");
}

/// One session, the signer killed after each of its effects: what comes back has no nonce of before.
#[test]
fn killed_after_any_effect_a_signer_has_no_nonce_of_before() {
    for killed_after in 0..3 {
        let mut world = World::new();
        let mut rng = testkit::rng(13);
        let mut step = 0;
        let mut maybe_kill = |world: &mut World| {
            if step == killed_after {
                world.kill(party(1));
            }
            step += 1;
        };
        maybe_kill(&mut world);
        for who in [1, 2] {
            world.commit(party(who), party(2), 1, 0, &mut rng);
        }
        maybe_kill(&mut world);
        world.sign(party(1), party(2), 1, None);
        maybe_kill(&mut world);
        // the coordinator asks for everything again, in the same and in a new session
        world.sign(party(1), party(2), 1, None);
        for who in [1, 2] {
            world.commit(party(who), party(2), 2, 0, &mut rng);
        }
        world.sign(party(1), party(2), 2, None);
        assert!(!world.ledger.signed.is_empty(), "killed after {killed_after}");
    }
}
