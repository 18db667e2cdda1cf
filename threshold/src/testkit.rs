//! Parties in one process, for tests: a [`Cluster`] that makes a key, [`Keys`] that sign.
//!
//! Deterministic: the same seed gives the same run. Messages can be changed, dropped and repeated in
//! flight, parties killed after any effect.

mod cluster;

pub use cluster::{Cluster, Node, Tamper};

use crate::dkg::{Config, Transcript};
use crate::party::{PartyId, Threshold};
use crate::session::{SessionId, Timestamp};
use crate::sign::{self, Coordinator, Effect, Input, Outcome, Request, Signer};
use crate::{KeyShare, PublicKeys};
use ed25519_dalek::SigningKey;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, VecDeque};

/// Randomness that repeats.
#[must_use]
pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// The member key of a party.
#[must_use]
pub fn member(party: PartyId) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(party.number()).expect("at most 100 parties"); 32])
}

/// A party by its number.
///
/// # Panics
///
/// If no party has that number.
#[must_use]
pub fn party(number: u16) -> PartyId {
    PartyId::new(number).expect("a party's number")
}

/// The configuration of one party of `t` of `n`.
///
/// # Panics
///
/// If that is no threshold.
#[must_use]
pub fn config(t: u16, n: u16, me: PartyId) -> Config {
    let threshold = Threshold::new(t, n).expect("a threshold");
    let keys = threshold.parties().map(|party| (party, member(party).verifying_key().to_bytes()));
    let session = SessionId::dkg([7; 32], 1, 1);
    Config::new(session, me, threshold, keys.collect(), member(me)).expect("a configuration")
}

/// A finished key with all its shares.
#[derive(Debug, Clone)]
pub struct Keys {
    /// What everybody knows.
    pub public: PublicKeys,
    /// Every party's share.
    pub shares: BTreeMap<PartyId, KeyShare>,
    /// How it was made.
    pub transcript: Transcript,
}

/// Make a key `t` of `n` by a key generation.
///
/// # Panics
///
/// If that is no threshold.
#[must_use]
pub fn keys(t: u16, n: u16, seed: u64) -> Keys {
    let mut cluster = Cluster::new(t, n, seed);
    cluster.run();
    cluster.keys().expect("honest parties make a key")
}

/// What came of a ceremony.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The sessions that were opened, with the parties asked to commit.
    pub sessions: Vec<(SessionId, Vec<PartyId>)>,
}

impl Keys {
    /// Every party, in order.
    #[must_use]
    pub fn parties(&self) -> Vec<PartyId> {
        self.shares.keys().copied().collect()
    }

    /// Sign with the first `t` parties.
    ///
    /// # Panics
    ///
    /// If the request is not one of this key.
    #[must_use]
    pub fn sign(&self, request: &Request) -> Vec<[u8; 64]> {
        match self.ceremony(request, self.parties(), &mut |_, answer| Some(answer)).outcome {
            Outcome::Signed(signatures) => signatures,
            Outcome::Failed(failure) => unreachable!("all parties are willing: {failure:?}"),
        }
    }

    /// Sign, with answers changed or withheld (`None`) on their way to the coordinator.
    ///
    /// # Panics
    ///
    /// If the request is not one of this key, or the ceremony does not end.
    pub fn ceremony(
        &self,
        request: &Request,
        ranked: Vec<PartyId>,
        tamper: &mut dyn FnMut(PartyId, Input) -> Option<Input>,
    ) -> Report {
        let mut now = Timestamp::from_millis(1_000_000);
        let mut rng = rng(99);
        let mut signers = self.signers();
        let mut coordinator = Coordinator::new(request, self.public.clone(), ranked, [3; 32], now)
            .expect("a request of this key");
        let mut sessions: Vec<(SessionId, Vec<PartyId>)> = vec![];
        let mut answers = VecDeque::new();
        // bounded: every session and every wait ends
        for _ in 0..10_000 {
            while let Some(effect) = coordinator.next_effect() {
                let (to, answer) = match effect {
                    Effect::AskCommit(to, session) => {
                        match sessions.last_mut() {
                            Some((last, asked)) if *last == session => asked.push(to),
                            _ => sessions.push((session, vec![to])),
                        }
                        let signer = signers.get_mut(&to).expect("a signer for each party");
                        let commitments = signer.commit(request, session, party(1), &mut rng, now);
                        (to, commitments.ok().map(|commitments| Input::Commitments(to, commitments)))
                    }
                    Effect::AskSign(to, package) => {
                        let signer = signers.get_mut(&to).expect("a signer for each party");
                        (
                            to,
                            signer.sign(party(1), &package, now).ok().map(|shares| Input::Shares(to, shares)),
                        )
                    }
                    Effect::WakeAt(_) => continue,
                    Effect::Done(outcome) => return Report { outcome, sessions },
                };
                answers.extend(answer.and_then(|answer| tamper(to, answer)));
            }
            match answers.pop_front() {
                // late answers of a session that is over are turned away
                Some(answer) => drop(coordinator.handle(answer, now)),
                None => {
                    now = now.after(sign::ROUND_TIMEOUT);
                    coordinator.handle(Input::Tick, now).expect("a tick is always welcome");
                }
            }
        }
        unreachable!("a ceremony ends")
    }

    /// A signer for each party.
    ///
    /// # Panics
    ///
    /// Never: every share is one of this key.
    #[must_use]
    pub fn signers(&self) -> BTreeMap<PartyId, Signer> {
        let signer = |share: &KeyShare| Signer::new(share.clone(), self.public.clone());
        let shares = self.shares.iter();
        shares.map(|(party, share)| (*party, signer(share).expect("a share of this key"))).collect()
    }
}
