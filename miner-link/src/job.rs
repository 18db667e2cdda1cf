//! A job: a template with a coinbase of ours, in the pieces that miners put together.
//!
//! Pure. The one value output pays the treasury's script; nothing else in a policy can reach a block.
//! Byte orders: coinbase parts, extranonces and branch are raw bytes in hashing order; version, bits,
//! time and nonce are big-endian hex of the number; the previous hash is the header's bytes with each
//! word of four reversed.

use crate::template::{Template, join};
use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::script::{Builder, PushBytes, PushBytesBuf};
use bitcoin::{Amount, Block, Network, OutPoint, Script, ScriptBuf, Sequence};
use bitcoin::{Transaction, TxIn, TxMerkleNode, TxOut, Witness, transaction};
use hex::DisplayHex as _;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Bytes that tell connections apart.
pub const EXTRANONCE1: usize = 4;
/// Bytes that a miner counts through. Some firmware cannot use more than 8; 4 is what all can.
pub const EXTRANONCE2: usize = 4;
/// What consensus allows a coinbase's scriptSig.
const SCRIPT_SIG_MAX: usize = 100;
/// Text that everybody can read in the blocks of guilds.
const SIGNATURE: &[u8] = b"/hashguild/";
/// Version bits that miners may roll (BIP320).
pub const VERSION_MASK: u32 = 0x1fff_e000;

/// The name of a job, for as long as this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What every coinbase of a link says, apart from height and template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// [`crdt::mining::coinbase_tag`].
    pub tag: [u8; 32],
    /// Drawn at random once per process, so that no two processes make equal coinbases.
    pub process: u32,
    /// The chain, for its subsidy.
    pub network: Network,
}

/// Something to mine.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What it is made of.
    pub template: Arc<Template>,
    /// Whether all earlier jobs are void, because the tip moved.
    pub clean: bool,
    coinbase_start: Vec<u8>,
    coinbase_end: Vec<u8>,
    branch: Vec<[u8; 32]>,
}

/// A template that no job follows from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The guild would get less than the chain allows.
    #[error("the template pays {given}, less than the subsidy of {subsidy}")]
    BelowSubsidy {
        /// What it pays.
        given: Amount,
        /// What a block at its height may create.
        subsidy: Amount,
    },
}

/// The part of a header that a miner chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solution {
    /// Of the connection.
    pub extranonce1: [u8; EXTRANONCE1],
    /// Of the miner.
    pub extranonce2: [u8; EXTRANONCE2],
    /// With rolled bits.
    pub version: u32,
    /// The time.
    pub time: u32,
    /// The nonce.
    pub nonce: u32,
}

impl Job {
    /// Make the job `id` from `template`, paying all to `payee`.
    ///
    /// # Errors
    ///
    /// [`JobError`].
    pub fn new(
        id: JobId,
        template: Arc<Template>,
        payee: &Script,
        marks: &Marks,
        clean: bool,
    ) -> Result<Self, JobError> {
        let (given, subsidy) = (template.value, subsidy(template.height, marks.network));
        if given < subsidy {
            return Err(JobError::BelowSubsidy { given, subsidy });
        }
        let script = script_sig(&template, id, marks);
        // Version 4, input count 1, outpoint 36, script length 1 (≤ 100), and the extranonces end the script.
        let split = 4 + 1 + 36 + 1 + script.len() - EXTRANONCE1 - EXTRANONCE2;
        let bytes = serialize(&coinbase(&template, script, payee));
        let (start, rest) = bytes.split_at(split);
        let (_, end) = rest.split_at(EXTRANONCE1 + EXTRANONCE2);
        let branch = template.merkle_branch();
        Ok(Self { id, clean, coinbase_start: start.to_vec(), coinbase_end: end.to_vec(), branch, template })
    }

    /// The parameters of `mining.notify`.
    #[must_use]
    pub fn notify_params(&self, clean: bool) -> Value {
        let template = &self.template;
        let branch: Vec<String> = self.branch.iter().map(|hash| hash.to_lower_hex_string()).collect();
        json!([
            self.id.to_string(),
            swap_words(template.previous.to_byte_array()).to_lower_hex_string(),
            self.coinbase_start.to_lower_hex_string(),
            self.coinbase_end.to_lower_hex_string(),
            branch,
            format!("{:08x}", template.version),
            format!("{:08x}", template.bits.to_consensus()),
            format!("{:08x}", template.time),
            clean,
        ])
    }

    /// The header that `solution` makes of this job.
    #[must_use]
    pub fn header(&self, solution: &Solution) -> Header {
        let txid = sha256d::Hash::hash(&self.coinbase_bytes(solution)).to_byte_array();
        let root = self.branch.iter().fold(txid, |left, right| join(left, *right));
        Header {
            version: Version::from_consensus(i32::from_ne_bytes(solution.version.to_ne_bytes())),
            prev_blockhash: self.template.previous,
            merkle_root: TxMerkleNode::from_byte_array(root),
            time: solution.time,
            bits: self.template.bits,
            nonce: solution.nonce,
        }
    }

    /// The whole block that `solution` makes of this job.
    #[must_use]
    pub fn block(&self, solution: &Solution) -> Block {
        let mut coinbase: Transaction =
            deserialize(&self.coinbase_bytes(solution)).expect("the pieces are those of a transaction");
        if self.template.commitment.is_some() {
            let reserved = Witness::from_slice(&[[0_u8; 32]]);
            coinbase.input.iter_mut().for_each(|input| input.witness = reserved.clone());
        }
        let others = self.template.transactions.iter().cloned();
        Block { header: self.header(solution), txdata: std::iter::once(coinbase).chain(others).collect() }
    }

    /// A block without work, for bitcoind to look at before any miner does.
    #[must_use]
    pub fn draft(&self) -> Block {
        let Template { version, time, .. } = *self.template;
        let (extranonce1, extranonce2) = ([0; EXTRANONCE1], [0; EXTRANONCE2]);
        self.block(&Solution { extranonce1, extranonce2, version, time, nonce: 0 })
    }

    fn coinbase_bytes(&self, solution: &Solution) -> Vec<u8> {
        let parts: [&[u8]; 4] =
            [&self.coinbase_start, &solution.extranonce1, &solution.extranonce2, &self.coinbase_end];
        parts.concat()
    }
}

fn coinbase(template: &Template, script_sig: ScriptBuf, payee: &Script) -> Transaction {
    let treasury = TxOut { value: template.value, script_pubkey: payee.to_owned() };
    let commitment = template.commitment.clone();
    let commitment = commitment.map(|script_pubkey| TxOut { value: Amount::ZERO, script_pubkey });
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: std::iter::once(treasury).chain(commitment).collect(),
    }
}

/// Height (BIP34), a number that no other job has, the signature, the guild's tag, and last the room
/// for both extranonces. The number makes coinbases differ even when a miner restarts its count.
fn script_sig(template: &Template, id: JobId, marks: &Marks) -> ScriptBuf {
    let mut unique = [0; 8];
    let numbers = marks.process.to_be_bytes().into_iter().chain(id.0.to_be_bytes());
    unique.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
    let signature = PushBytesBuf::try_from(SIGNATURE.to_vec()).expect("a short text");
    let room: &PushBytes = (&[0; EXTRANONCE1 + EXTRANONCE2]).into();
    let script = Builder::new()
        .push_int(i64::from(template.height))
        .push_slice(unique)
        .push_slice(signature)
        .push_slice(marks.tag)
        .push_slice(room)
        .into_script();
    debug_assert!(script.len() <= SCRIPT_SIG_MAX, "{} bytes of scriptSig", script.len());
    script
}

/// What a block at `height` may create.
fn subsidy(height: u32, network: Network) -> Amount {
    let interval =
        if network == Network::Regtest { 150 } else { bitcoin::constants::SUBSIDY_HALVING_INTERVAL };
    let first = Amount::from_int_btc(50).to_sat();
    Amount::from_sat(first.checked_shr(height / interval).unwrap_or(0))
}

fn swap_words(mut hash: [u8; 32]) -> [u8; 32] {
    hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    hash
}

#[cfg(test)]
mod tests;
