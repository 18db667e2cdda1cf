//! Guilds, templates and jobs for tests.

use crate::contract::{Pairing, PolicyAnswer};
use crate::job::{EXTRANONCE1, EXTRANONCE2, Extranonce2, Job, JobId, Marks, Payout, Solution};
use crate::template::Template;
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::secp256k1::{Keypair, Message, Secp256k1, SecretKey};
use bitcoin::{Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use crdt::certificate::{Body, Decidable as _};
use crdt::governance::Setting;
use crdt::hash::Digest;
use crdt::mining::MiningPolicy;
use crdt::testkit::{charter, payee, people};
use crdt::treasury::GroupKey;
use crdt::{Certificate, Charter, Height, ProposalId};
use hex::DisplayHex as _;
use serde_json::json;
use std::sync::Arc;

/// The time of every template.
pub const TIME: u32 = 1_700_000_000;
/// The marks of every job.
pub const MARKS: Marks = Marks { tag: [0xee; 32], process: 7, network: Network::Regtest };

/// A guild of two whose group key is one key of ours.
#[derive(Debug)]
pub struct Guild {
    /// Its charter.
    pub charter: Charter,
    keypair: Keypair,
}

impl Guild {
    /// The same guild, had its charter chosen pools.
    #[must_use]
    pub fn with_pools(mut self) -> Self {
        self.charter.mining = MiningPolicy::POOL;
        self
    }

    /// The same guild, had its charter chosen to pay its blocks like this.
    #[must_use]
    pub fn with_payout(mut self, payout: crdt::mining::Payout) -> Self {
        self.charter.mining.payout = payout;
        self
    }

    /// The guild whose key comes from `seed`, which is not 0.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        let secret = SecretKey::from_slice(&[seed; 32]).expect("not zero");
        Self { charter: charter(&people(2)), keypair: Keypair::from_secret_key(&Secp256k1::new(), &secret) }
    }

    /// P.
    #[must_use]
    pub fn key(&self) -> GroupKey {
        GroupKey::try_from(self.keypair.public_key().serialize().to_vec()).expect("a key")
    }

    /// What the co-signers would make of `body`.
    #[must_use]
    pub fn sign(&self, body: Body) -> Certificate {
        let message = Message::from_digest(body.digest().0);
        let signature = Secp256k1::new().sign_schnorr_no_aux_rand(&message, &self.keypair);
        Certificate { body, signature: signature.serialize().into() }
    }

    /// A pairing with the first founder.
    #[must_use]
    pub fn pairing(&self) -> Pairing {
        Pairing {
            node_url: "http://127.0.0.1:8780".to_owned(),
            token: "secret".to_owned(),
            guild: self.charter.id(),
            member: self.charter.founders.first().expect("two founders").key,
            epoch: 1,
            group_key: self.key(),
        }
    }

    /// What the node answers before there is a certificate.
    #[must_use]
    pub fn uncertified(&self) -> PolicyAnswer {
        PolicyAnswer::new(&self.charter, 1, Some(self.key()), None)
    }

    /// What the node answers, with this certificate.
    #[must_use]
    pub fn answer(&self, certificate: &Certificate) -> PolicyAnswer {
        let certified = Some((&self.charter.mining, certificate));
        PolicyAnswer::new(&self.charter, 1, Some(self.key()), certified)
    }

    /// What the node answers once the guild decided on `policy`, in a vote that closed at `close`.
    #[must_use]
    pub fn decided(&self, policy: &MiningPolicy, close: Height, proposal: u8) -> PolicyAnswer {
        let effect = Setting::Mining(policy.clone()).effect_hash();
        let proposal = ProposalId(Digest([proposal; 32]));
        let body = Body { close, proposal, effect, ..Body::founding(&self.charter) };
        PolicyAnswer::new(&self.charter, 1, Some(self.key()), Some((policy, &self.sign(body))))
    }

    /// What the node answers, with the certificate of the founding policy.
    #[must_use]
    pub fn founding(&self) -> PolicyAnswer {
        self.answer(&self.sign(Body::founding(&self.charter)))
    }
}

fn transaction(seed: u8) -> Transaction {
    let previous_output = OutPoint::new(Txid::from_byte_array([seed; 32]), 0);
    let witness = Witness::from_slice(&[[seed; 4]]);
    Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: Sequence::MAX, witness }],
        output: vec![TxOut { value: Amount::from_sat(1_000), script_pubkey: payee(seed) }],
    }
}

/// The JSON of `getblocktemplate` at `height` with `count` transactions, on the tip that `tip` names.
#[must_use]
pub fn gbt(height: u32, count: u8, tip: u8) -> serde_json::Value {
    let transactions: Vec<Transaction> = (1..=count).map(transaction).collect();
    let wtxids = transactions.iter().map(|tx| tx.compute_wtxid().to_raw_hash());
    let root =
        bitcoin::merkle_tree::calculate_root(std::iter::once(sha256d::Hash::all_zeros()).chain(wtxids));
    let root = bitcoin::WitnessMerkleNode::from_raw_hash(root.expect("at least the coinbase"));
    let commitment = bitcoin::Block::compute_witness_commitment(&root, &[0; 32]).to_byte_array();
    let data: Vec<_> = transactions.iter().map(|tx| json!({"data": serialize_hex(tx)})).collect();
    json!({
        "version": 0x2000_0000, "rules": ["csv", "!segwit"], "capabilities": ["proposal"],
        "previousblockhash": format!("{tip:064x}"), "height": height, "bits": "207fffff",
        "target": "7fffff0000000000000000000000000000000000000000000000000000000000",
        "curtime": TIME, "mintime": TIME - 600, "coinbasevalue": 5_000_001_000_u64,
        "default_witness_commitment": format!("6a24aa21a9ed{}", commitment.to_lower_hex_string()),
        "transactions": data, "longpollid": "00", "mutable": ["time"], "vbavailable": {},
    })
}

/// The template of [`gbt`].
#[must_use]
pub fn template(height: u32, count: u8, tip: u8) -> Template {
    Template::read(gbt(height, count, tip)).expect("a template")
}

/// The job `id` on the tip that `tip` names.
#[must_use]
pub fn job(id: u32, tip: u8) -> Arc<Job> {
    let template = Arc::new(template(120, 3, tip));
    Arc::new(Job::new(JobId(id), template, &Payout::all_to(payee(9)), &MARKS, true).expect("enough value"))
}

/// A nonce at which `job`'s hash does, or does not, meet its network's target.
#[must_use]
pub fn mine(job: &Job, extranonce1: [u8; EXTRANONCE1], block: bool) -> u32 {
    let (version, time) = (job.head.version, job.head.time);
    let extranonce2 = Extranonce2::zero(EXTRANONCE2);
    let solution = |nonce| Solution { extranonce1, extranonce2, version, time, nonce };
    let meets = |nonce: &u32| job.head.target.is_met_by(job.header(&solution(*nonce)).block_hash());
    (0..u32::MAX).find(|nonce| meets(nonce) == block).expect("regtest is easy")
}
