//! Members, charters and entries for tests.

mod random;

pub use random::Random;

use crate::amount::Weight;
use crate::charter::{Birth, CHARTER_VERSION, Charter, FeeCap, Founder, Recovery, ThresholdRule};
use crate::document::Document;
use crate::entry::Payload;
use crate::governance::{Ballot, Choice, Effect, Output, Proposal, Spend};
use crate::hash::Digest;
use crate::id::{MemberId, ProposalId};
use crate::limits::CO_SIGNERS_MAX;
use crate::mining::MiningPolicy;
use crate::rules::{Rule, Rules};
use crate::signed::Signed;
use crate::text::{Line, Note};
use crate::{ChainFacts, Height};
use bitcoin::bip32::{Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Amount, BlockHash, Network, OutPoint, ScriptBuf, Txid, WPubkeyHash};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;

/// Somebody with a key.
#[derive(Debug)]
pub struct Person {
    /// The secret.
    pub key: SigningKey,
    /// The name.
    pub name: String,
}

/// The first people's names.
pub const NAMES: [&str; 7] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];

/// `count` people with fixed keys; those after the [`NAMES`] go by number.
#[must_use]
pub fn people(count: usize) -> Vec<Person> {
    let named = (1u8..).zip(NAMES).map(|(seed, name)| ([seed; 32], name.to_owned()));
    let numbered = (8u32..).map(|number| {
        let seed = Digest::tagged("hashguild/testkit/person/v1", &[&number.to_be_bytes()]);
        (seed.0, format!("member {number}"))
    });
    let people = named.chain(numbered).take(count);
    people.map(|(seed, name)| Person { key: SigningKey::from_bytes(&seed), name }).collect()
}

impl Person {
    /// The public half.
    #[must_use]
    pub fn id(&self) -> MemberId {
        MemberId::from(&self.key.verifying_key())
    }

    /// Say `payload` next, at `height`, after everything `document` has of this person; the document
    /// takes it.
    pub fn say(&self, document: &mut Document, height: Height, payload: Payload) -> Signed {
        let entry = document.next_entry(self.id(), (height, BlockHash::all_zeros()), payload);
        let signed = Signed::sign(entry, &self.key);
        document.insert(signed.clone(), height);
        signed
    }
}

/// A regtest charter of `people` with equal weights.
///
/// # Panics
///
/// Never for people of [`people`].
#[must_use]
pub fn charter(people: &[Person]) -> Charter {
    let founder = |person: &Person| Founder {
        key: person.id(),
        name: Line::try_from(person.name.clone()).expect("names are plain"),
        weight: Weight::try_from(1).expect("one is a weight"),
        claim: Weight::default(),
        payout: payee(person.name.as_bytes().first().copied().unwrap_or_default()),
    };
    let secp = Secp256k1::new();
    let recovery = |person: &Person| {
        let seed = person.key.to_bytes();
        let root = Xpriv::new_master(Network::Regtest, &seed).expect("32 bytes are a seed");
        Xpub::from_priv(&secp, &root)
    };
    let least = u16::try_from(people.len() / 2 + 1).expect("few people");
    Charter {
        version: CHARTER_VERSION,
        network: Network::Regtest,
        name: Line::try_from("Test guild".to_owned()).expect("plain"),
        founders: people.iter().map(founder).collect(),
        co_signers: people.iter().map(Person::id).take(CO_SIGNERS_MAX).collect(),
        threshold: ThresholdRule::Standard,
        rules: Rules::all(Rule::Absolute, 50, 432),
        mining: MiningPolicy::SOLO,
        fee_cap: FeeCap { sat: 100_000, sat_per_vb: 200 },
        recovery: Recovery { keys: people.iter().map(recovery).collect(), least, delay: 52_560 },
        birth: Birth { height: 0, hash: BlockHash::all_zeros() },
    }
}

/// A document that `people` may write.
#[must_use]
pub fn document(people: &[Person]) -> Document {
    Document::new(&charter(people))
}

/// A standard script, different for each `seed`.
#[must_use]
pub fn payee(seed: u8) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array([seed; 20]))
}

/// A proposal to pay `sat` to [`payee`] 9 from some anchor.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn spend(sat: u64) -> Payload {
    let outputs = vec![Output { script: payee(9), amount: Amount::from_sat(sat) }];
    Payload::Propose(Proposal {
        title: Line::try_from("Pay the host".to_owned()).expect("plain"),
        text: Note::default(),
        effect: Effect::Spend(Spend { outputs, anchor: OutPoint::new(Txid::all_zeros(), 0) }),
    })
}

/// A ballot.
#[must_use]
pub fn ballot(proposal: ProposalId, choice: Choice, last: bool) -> Payload {
    Payload::Ballot(Ballot { proposal, choice, last, reason: Note::default() })
}

/// Chain facts at `height` with nothing settled.
#[must_use]
pub fn facts(height: Height) -> ChainFacts {
    ChainFacts { height, block_hash: BlockHash::all_zeros(), settled: BTreeMap::new(), epochs: Vec::new() }
}
