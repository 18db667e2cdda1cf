//! Work receipts: proofs that a farm hashed for the guild (§11).
//!
//! A header below a target, and the coinbase that it commits to, whose scriptSig carries a tag of guild,
//! member, link and difficulty: so nobody else can claim the work, nor the same work for more. What a
//! receipt proves of itself is checked here, in any order and without a chain. Whether its parent is in the
//! best chain, and whom the policy in force wanted paid, is asked when it is counted.

use crate::hash::Digest;
use crate::mining::{Payout, Small, coinbase_tag};
use crate::{GuildId, Height, MemberId, bounded};
use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::script::Instruction;
use bitcoin::{Amount, BlockHash, CompactTarget, Script, ScriptBuf, Target, Transaction, TxOut};
use serde::{Deserialize, Serialize};

/// Bytes of a coinbase: no known device takes a longer one.
pub const COINBASE_MAX: usize = 16_000;
/// Hashes of a branch: a block of more than sixteen million transactions.
pub const BRANCH_MAX: usize = 24;
/// The opcodes that push the numbers 1 to 16.
const SMALL_NUMBERS: std::ops::RangeInclusive<u8> = 0x51..=0x60;

/// A share that is kept, as its author shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The key of the link that took it.
    pub link: [u8; 32],
    /// D: what it counts as. The hash is at most target(D).
    pub difficulty: u64,
    /// The header that was hashed.
    pub header: Header,
    /// The coinbase, without its witness.
    #[serde(deserialize_with = "bounded::list::<_, _, COINBASE_MAX>")]
    pub coinbase: Vec<u8>,
    /// From the coinbase's txid to the merkle root, in hashing order.
    #[serde(deserialize_with = "bounded::list::<_, _, BRANCH_MAX>")]
    pub branch: Vec<[u8; 32]>,
}

/// What a receipt proves by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The header's hash: the same work is not counted twice.
    pub hash: BlockHash,
    /// What it counts as.
    pub difficulty: u64,
    /// The block it builds on.
    pub parent: BlockHash,
    /// The height that the coinbase claims (BIP34): the parent's and one more.
    pub height: Height,
    /// What the header says of the chain's difficulty.
    pub bits: CompactTarget,
    /// What the coinbase pays, outputs of nothing apart.
    pub paid: Vec<TxOut>,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Shares of difficulty 0 are no work.
    #[error("a receipt counts as difficulty 1 at least")]
    Difficulty,
    /// Bytes that are no coinbase.
    #[error("its coinbase is none")]
    Coinbase,
    /// Made for another guild, member, link or difficulty.
    #[error("its coinbase does not carry the tag of guild, member, link and difficulty")]
    Tag,
    /// No height where BIP34 wants one.
    #[error("its coinbase begins with no height")]
    Height,
    /// The header commits to another coinbase.
    #[error("its header does not commit to its coinbase")]
    Root,
    /// Too little work.
    #[error("its hash is above the target of its difficulty")]
    Target,
}

impl Receipt {
    /// Check all that can be checked without a chain.
    ///
    /// # Errors
    ///
    /// [`Flaw`] names the first thing that does not hold.
    pub fn check(&self, guild: GuildId, author: MemberId) -> Result<Work, Flaw> {
        self.check_at(target(self.difficulty).ok_or(Flaw::Difficulty)?, guild, author)
    }

    fn check_at(&self, target: Target, guild: GuildId, author: MemberId) -> Result<Work, Flaw> {
        let coinbase: Transaction = deserialize(&self.coinbase).map_err(|_| Flaw::Coinbase)?;
        let [input] = coinbase.input.as_slice() else { return Err(Flaw::Coinbase) };
        if !coinbase.is_coinbase() || serialize(&coinbase) != self.coinbase || !input.witness.is_empty() {
            return Err(Flaw::Coinbase);
        }
        let tag = coinbase_tag(guild, author, self.link, self.difficulty);
        if !pushes(&input.script_sig, &tag) {
            return Err(Flaw::Tag);
        }
        let height = height(&input.script_sig).ok_or(Flaw::Height)?;
        if self.root(&coinbase) != self.header.merkle_root.to_byte_array() {
            return Err(Flaw::Root);
        }
        let hash = self.header.block_hash();
        if !target.is_met_by(hash) {
            return Err(Flaw::Target);
        }
        let paid = coinbase.output.into_iter().filter(|output| output.value > Amount::ZERO).collect();
        let Header { prev_blockhash: parent, bits, .. } = self.header;
        Ok(Work { hash, difficulty: self.difficulty, parent, height, bits, paid })
    }

    fn root(&self, coinbase: &Transaction) -> [u8; 32] {
        let txid = coinbase.compute_txid().to_byte_array();
        self.branch
            .iter()
            .fold(txid, |left, right| sha256d::Hash::hash(&[left, *right].concat()).to_byte_array())
    }
}

impl Work {
    /// Whether it paid as `payout` wants it, where the treasury's script is `treasury`: these payees in
    /// this order, each its part of the whole to the satoshi.
    #[must_use]
    pub fn pays(&self, payout: &Payout, treasury: &Script) -> bool {
        let total = self.paid.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
        let Some(total) = total.filter(|total| *total > Amount::ZERO) else { return false };
        let to_treasury = || vec![TxOut { value: total, script_pubkey: treasury.to_owned() }];
        match payout {
            Payout::Treasury => self.paid == to_treasury(),
            Payout::Split(split) => {
                let parts = split.shares().iter().zip(split.divide(total));
                let output = |script_pubkey: ScriptBuf, value| TxOut { value, script_pubkey };
                let outputs = parts
                    .filter(|(_, value)| *value > Amount::ZERO)
                    .map(|(share, value)| output(share.payee.script(treasury).to_owned(), value));
                let small = split.small() == Small::Treasury && self.paid == to_treasury();
                small || outputs.eq(self.paid.iter().cloned())
            }
        }
    }

    /// A short name of whom it paid, for the state.
    #[must_use]
    pub fn paid_hash(&self) -> Digest {
        Digest::tagged("hashguild/receipt-paid/v1", &[&serialize(&self.paid)])
    }
}

/// 0xffff · 2^208 / `difficulty`, rounded down; none for 0.
#[must_use]
pub fn target(difficulty: u64) -> Option<Target> {
    let (divisor, mut rest) = (u128::from(difficulty), 0);
    if divisor == 0 {
        return None;
    }
    let divide = |byte: u8| {
        // `rest` is below 2^64, so that the quotient of a byte more is one byte.
        let dividend = rest << 8 | u128::from(byte);
        rest = dividend % divisor;
        u8::try_from(dividend / divisor).unwrap_or(u8::MAX)
    };
    Some(Target::from_be_bytes(Target::MAX_ATTAINABLE_MAINNET.to_be_bytes().map(divide)))
}

fn pushes(script: &Script, bytes: &[u8]) -> bool {
    script.instructions().any(
        |instruction| matches!(instruction, Ok(Instruction::PushBytes(push)) if push.as_bytes() == bytes),
    )
}

/// The height that a coinbase's scriptSig begins with (BIP34).
fn height(script: &Script) -> Option<Height> {
    let (count, rest) = script.as_bytes().split_first()?;
    if SMALL_NUMBERS.contains(count) {
        return Some(Height::from(*count) - Height::from(*SMALL_NUMBERS.start()) + 1);
    }
    let bytes = rest.get(..usize::from(*count)).filter(|bytes| (1..=4).contains(&bytes.len()))?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | Height::from(*byte)))
}

#[cfg(test)]
mod tests;
