//! Merkle branches: that a transaction, witness and all, is in the block of a header.
//!
//! The branch of a txid leads into the header; witnesses are in no txid, so a second branch leads from the
//! wtxid to the root that the block's first transaction commits to (BIP141). Without it anybody could make a
//! payment look like a recovery.

use super::{BlockPart, Fault, Part, TransactionPart};
use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::hex::{DisplayHex as _, FromHex as _};
use bitcoin::{Block, Transaction, Txid};
use crdt::Height;
use crdt::receipt::BRANCH_MAX;
use std::collections::BTreeSet;

/// What a commitment to witnesses begins with: `OP_RETURN`, a push of 36 bytes, four magic bytes.
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
/// A transaction of so many bytes can be two hashes of a merkle tree (CVE-2017-12842).
const TWO_HASHES: usize = 64;

type Hash = [u8; 32];

fn parent(left: Hash, right: Hash) -> Hash {
    sha256d::Hash::hash(&[left, right].concat()).to_byte_array()
}

/// The hashes beside the way from `position` to the root, from below.
fn branch(leaves: &[Hash], mut position: usize) -> Vec<Hash> {
    let (mut level, mut beside) = (leaves.to_vec(), Vec::new());
    while level.len() > 1 {
        let own = level.get(position).copied().unwrap_or_default();
        beside.push(level.get(position ^ 1).copied().unwrap_or(own)); // the last of an odd number is its own pair
        let pairs = level.chunks(2).filter_map(|pair| Some(parent(*pair.first()?, *pair.last()?)));
        level = pairs.collect();
        position /= 2;
    }
    beside
}

/// Where a branch leads; none from the place of a copy, which an odd number of hashes gets beside its last.
fn root(leaf: Hash, position: u32, branch: &[Hash]) -> Option<Hash> {
    let (mut at, mut node) = (position, leaf);
    for beside in branch {
        let right = at & 1 == 1;
        if right && *beside == node {
            return None;
        }
        node = if right { parent(*beside, node) } else { parent(node, *beside) };
        at >>= 1;
    }
    Some(node)
}

/// What a block's first transaction commits to: the root of all witnesses and its own reserved value.
fn commitment(coinbase: &Transaction) -> Option<(Hash, Hash)> {
    let scripts = coinbase.output.iter().rev().map(|output| output.script_pubkey.as_bytes());
    let mut pushed = scripts.filter_map(|script| script.strip_prefix(&COMMITMENT));
    let committed = Hash::try_from(pushed.next()?.get(..32)?).ok()?;
    let reserved = Hash::try_from(coinbase.input.first()?.witness.nth(0)?).ok()?;
    Some((committed, reserved))
}

fn hex(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| hash.to_lower_hex_string()).collect()
}

/// What proves the transactions `wanted` of `block`; none if it has none of them.
pub(super) fn part(height: Height, block: &Block, wanted: &BTreeSet<Txid>) -> Option<BlockPart> {
    let coinbase = block.txdata.first()?;
    let txids: Vec<Txid> = block.txdata.iter().map(Transaction::compute_txid).collect();
    if !txids.iter().any(|txid| wanted.contains(txid)) {
        return None;
    }
    let leaves: Vec<Hash> = txids.iter().map(|txid| txid.to_byte_array()).collect();
    let rest = block.txdata.iter().skip(1).map(|transaction| transaction.compute_wtxid().to_byte_array());
    let witnesses: Vec<Hash> = std::iter::once([0; 32]).chain(rest).collect();
    let committed = commitment(coinbase).is_some();
    let transaction = |(position, transaction): (usize, &Transaction)| TransactionPart {
        position: u32::try_from(position).unwrap_or(u32::MAX),
        transaction: serialize(transaction).to_lower_hex_string(),
        branch: hex(&branch(&leaves, position)),
        witness_branch: if committed { hex(&branch(&witnesses, position)) } else { Vec::new() },
    };
    let ours = block.txdata.iter().enumerate().skip(1);
    let ours = ours.filter(|(position, _)| txids.get(*position).is_some_and(|txid| wanted.contains(txid)));
    Some(BlockPart {
        height,
        coinbase: serialize(coinbase).to_lower_hex_string(),
        branch: hex(&branch(&leaves, 0)),
        transactions: ours.map(transaction).collect(),
    })
}

/// A branch as a file has it.
fn read(part: &Part, branch: &[String]) -> Result<Vec<Hash>, Fault> {
    let hash = |text: &String| {
        Hash::from_hex(text).map_err(|_| Fault::new(part.clone(), "branches of 32-byte hashes", text))
    };
    if branch.len() > BRANCH_MAX {
        let found = format!("{} hashes", branch.len());
        return Err(Fault::new(part.clone(), format!("a branch of {BRANCH_MAX} hashes at the most"), found));
    }
    branch.iter().map(hash).collect()
}

fn transaction(part: &Part, text: &str) -> Result<Transaction, Fault> {
    let bytes = Vec::<u8>::from_hex(text).ok();
    let read: Option<Transaction> = bytes.and_then(|bytes| deserialize(&bytes).ok());
    let read = read.filter(|read| serialize(read).to_lower_hex_string() == text);
    let read = read.ok_or_else(|| Fault::new(part.clone(), "a transaction", "other bytes"))?;
    if read.base_size() == TWO_HASHES {
        return Err(Fault::new(part.clone(), "a transaction", "64 bytes that may be two hashes of a tree"));
    }
    Ok(read)
}

/// The transactions of `block` that are proved to be in the block of `header`, its first one before the
/// others.
pub(super) fn check(block: &BlockPart, header: &Header) -> Result<Vec<Transaction>, Fault> {
    let (height, target) = (block.height, header.merkle_root.to_byte_array());
    let part = Part::Block(height);
    let coinbase = transaction(&part, &block.coinbase)?;
    let first = read(&part, &block.branch)?;
    let not_first = || Fault::new(part.clone(), "the first transaction of this block", "another");
    if !coinbase.is_coinbase() || root(coinbase.compute_txid().to_byte_array(), 0, &first) != Some(target) {
        return Err(not_first());
    }
    let committed = commitment(&coinbase);
    let mut all = vec![coinbase];
    for shown in &block.transactions {
        let part = Part::Transaction(height, shown.position);
        let transaction = transaction(&part, &shown.transaction)?;
        let branch = read(&part, &shown.branch)?;
        let leaf = transaction.compute_txid().to_byte_array();
        // All leaves of a tree are equally deep.
        let inside = branch.len() == first.len() && shown.position > 0 && shown.position >> branch.len() == 0;
        if !inside || root(leaf, shown.position, &branch) != Some(target) {
            return Err(Fault::new(part, "a branch to this block's merkle root", "one that leads elsewhere"));
        }
        check_witness(&part, shown, &transaction, committed)?;
        all.push(transaction);
    }
    Ok(all)
}

/// Whether the witness is the one that the block commits to.
fn check_witness(
    part: &Part,
    shown: &TransactionPart,
    transaction: &Transaction,
    committed: Option<(Hash, Hash)>,
) -> Result<(), Fault> {
    let branch = read(part, &shown.witness_branch)?;
    let fits = match committed {
        None => branch.is_empty() && transaction.input.iter().all(|input| input.witness.is_empty()),
        Some((committed, reserved)) => {
            let root = root(transaction.compute_wtxid().to_byte_array(), shown.position, &branch);
            branch.len() == shown.branch.len() && root.is_some_and(|root| parent(root, reserved) == committed)
        }
    };
    let fault = || Fault::new(part.clone(), "the witness that the block commits to", "another");
    fits.then_some(()).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_branch_of_every_tree_leads_to_the_root_that_bitcoin_knows() {
        for count in 1..=17_u8 {
            let leaves: Vec<Hash> = (0..count).map(|leaf| [leaf; 32]).collect();
            let hashes = leaves.iter().map(|leaf| sha256d::Hash::from_byte_array(*leaf));
            let expected = bitcoin::merkle_tree::calculate_root(hashes).unwrap().to_byte_array();
            for position in 0..usize::from(count) {
                let branch = branch(&leaves, position);
                let at = u32::try_from(position).unwrap();
                assert_eq!(root(leaves[position], at, &branch), Some(expected), "{position} of {count}");
                if count > 1 {
                    assert_ne!(root([0xff; 32], at, &branch), Some(expected));
                    let copy = at + 1;
                    assert_ne!(root(leaves[position], copy, &branch), Some(expected), "a copy has no place");
                }
            }
        }
    }
}
