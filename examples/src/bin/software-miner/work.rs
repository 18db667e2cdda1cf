//! Work: what a server wants hashed, and the hashing.

use anyhow::{Context as _, Result, ensure};
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::{CompactTarget, Target};
use hex::{DisplayHex as _, FromHex as _};
use serde_json::Value;

/// Where the nonce stands in a header.
const NONCE_AT: usize = 76;

/// One job, with all that the server said before it.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) job: String,
    pub(crate) time: String,
    previous: Vec<u8>,
    coinbase: [Vec<u8>; 2],
    branch: Vec<[u8; 32]>,
    version: u32,
    bits: u32,
    extranonce1: Vec<u8>,
    extranonce2_size: usize,
    target: Target,
}

/// A nonce that is worth something.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) extranonce2: String,
    pub(crate) nonce: String,
    pub(crate) is_block: bool,
    hash: [u8; 32],
}

impl Found {
    pub(crate) fn hash_hex(&self) -> String {
        self.hash.iter().rev().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Work {
    /// Read `mining.notify`.
    pub(crate) fn read(params: &[Value], extranonce1: &[u8], size: usize, target: Target) -> Result<Self> {
        let text = |index: usize| {
            params.get(index).and_then(Value::as_str).with_context(|| format!("notify without text {index}"))
        };
        let bytes = |index: usize| Ok::<_, anyhow::Error>(Vec::from_hex(text(index)?)?);
        let number = |index: usize| Ok::<_, anyhow::Error>(u32::from_str_radix(text(index)?, 16)?);
        let branch = params.get(4).and_then(Value::as_array).context("notify without a branch")?;
        let branch = branch.iter().map(|hash| {
            let hash = hash.as_str().context("a branch of something else than text")?;
            Ok(<[u8; 32]>::from_hex(hash)?)
        });
        let mut previous = bytes(1)?;
        ensure!(previous.len() == 32, "a previous hash of {} bytes", previous.len());
        // The words come in the order of the header, each one reversed.
        previous.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        Ok(Self {
            job: text(0)?.to_owned(),
            time: text(7)?.to_owned(),
            previous,
            coinbase: [bytes(2)?, bytes(3)?],
            branch: branch.collect::<Result<_>>()?,
            version: number(5)?,
            bits: number(6)?,
            extranonce1: extranonce1.to_vec(),
            extranonce2_size: size,
            target,
        })
    }

    fn extranonce2(&self, count: u64) -> Vec<u8> {
        let bytes = count.to_be_bytes();
        let zeros = std::iter::repeat_n(0, self.extranonce2_size.saturating_sub(bytes.len()));
        zeros.chain(bytes.into_iter().skip(8_usize.saturating_sub(self.extranonce2_size))).collect()
    }

    fn header(&self, extranonce2: &[u8]) -> Vec<u8> {
        let [start, end] = &self.coinbase;
        let coinbase = [start.as_slice(), &self.extranonce1, extranonce2, end].concat();
        let txid = sha256d::Hash::hash(&coinbase).to_byte_array();
        let join = |left: [u8; 32], right: &[u8; 32]| {
            sha256d::Hash::hash(&[left.as_slice(), right].concat()).to_byte_array()
        };
        let root = self.branch.iter().fold(txid, join);
        let time = u32::from_str_radix(&self.time, 16).unwrap_or_default();
        let mut header = self.version.to_le_bytes().to_vec();
        header.extend(&self.previous);
        header.extend(root);
        header.extend(time.to_le_bytes());
        header.extend(self.bits.to_le_bytes());
        header
    }
}

/// Goes through the nonces of one header.
#[derive(Debug)]
pub(crate) struct Search {
    header: Vec<u8>,
    extranonce2: String,
    share: Target,
    block: Target,
    next: Option<u32>,
}

impl Search {
    pub(crate) fn new(work: &Work, count: u64) -> Self {
        let extranonce2 = work.extranonce2(count);
        let block = Target::from_compact(CompactTarget::from_consensus(work.bits));
        Self {
            header: work.header(&extranonce2),
            extranonce2: extranonce2.to_lower_hex_string(),
            share: work.target,
            block,
            next: Some(0),
        }
    }

    /// Try up to `count` nonces: what was found, or none when all nonces of this header are used up.
    pub(crate) fn next_batch(&mut self, count: u32) -> Option<Option<Found>> {
        let first = self.next?;
        for nonce in first..=first.saturating_add(count - 1) {
            self.header.truncate(NONCE_AT);
            self.header.extend(nonce.to_le_bytes());
            let hash = sha256d::Hash::hash(&self.header).to_byte_array();
            let number = Target::from_le_bytes(hash);
            if number <= self.share || number <= self.block {
                self.next = nonce.checked_add(1);
                let (extranonce2, nonce) = (self.extranonce2.clone(), format!("{nonce:08x}"));
                return Some(Some(Found { extranonce2, nonce, is_block: number <= self.block, hash }));
            }
        }
        self.next = first.checked_add(count);
        Some(None)
    }
}

/// The target of a difficulty, rounded down: 0xffff · 2^208 / difficulty, in 64 significant bits.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the wire has a decimal number; rounding down keeps shares valid"
)]
pub(crate) fn target_of(difficulty: f64) -> Target {
    // As other miners do it: a 64-bit number, placed by whole 32-bit words.
    let (mut difficulty, mut place) = (difficulty, 6_usize);
    while place > 0 && difficulty > 1.0 {
        difficulty /= 4_294_967_296.0;
        place -= 1;
    }
    let number = (4_294_901_760.0 / difficulty) as u64;
    let mut le = [0_u8; 32];
    le.iter_mut().skip(place * 4).zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    if difficulty > 0.0 { Target::from_le_bytes(le) } else { Target::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_difficulty() {
        assert_eq!(target_of(1.0), Target::MAX_ATTAINABLE_MAINNET);
        let mut hard = [0; 32];
        hard[22..24].fill(0xff);
        assert_eq!(target_of(4_294_967_296.0), Target::from_le_bytes(hard));
        // The network's own on regtest, as a server writes it: never easier, and hardly harder.
        let regtest = target_of(4.656_542_373_906_925e-10_f64.next_up());
        let bytes = regtest.to_be_bytes();
        assert!(regtest <= Target::MAX_ATTAINABLE_REGTEST);
        assert_eq!(bytes[..2], [0x7f, 0xff]);
    }
}
