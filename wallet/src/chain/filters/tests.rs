//! What the thread heard, and what a treasury is told of it.

use super::*;
use bdk_kyoto::bip157::chain::{BlockHeaderChanges, IndexedHeader};
use bitcoin::CompactTarget;
use bitcoin::TxMerkleNode;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash as _;

fn header(previous: BlockHash, nonce: u32) -> Header {
    let bits = CompactTarget::from_consensus(0x207f_ffff);
    let merkle_root = TxMerkleNode::all_zeros();
    Header { version: Version::ONE, prev_blockhash: previous, merkle_root, time: nonce, bits, nonce }
}

/// `count` headers above `from`.
fn branch(from: HashCheckpoint, count: u32, nonce: u32) -> Vec<IndexedHeader> {
    let mut previous = from.hash;
    let heights = (from.height + 1)..=(from.height + count);
    let mut headers = Vec::new();
    for height in heights {
        let header = header(previous, nonce + height);
        previous = header.block_hash();
        headers.push(IndexedHeader { height, header });
    }
    headers
}

fn checkpoint(genesis: BlockHash, blocks: &[(Height, BlockHash)]) -> CheckPoint {
    let blocks = blocks.iter().map(|(height, hash)| BlockId { height: *height, hash: *hash });
    CheckPoint::new(BlockId { height: 0, hash: genesis }).extend(blocks).unwrap()
}

#[test]
fn a_turn_of_the_chain_gives_the_fork_and_what_takes_the_place_of_blocks() {
    let genesis = bitcoin::constants::genesis_block(Network::Regtest).block_hash();
    let start = HashCheckpoint::new(10, BlockHash::from_byte_array([7; 32]));
    let mut shared = Shared::new(Network::Regtest, start, 0);
    assert_eq!(shared.best(), None, "nothing was heard");
    let old = branch(start, 5, 0);
    old.iter().for_each(|header| shared.headers(BlockHeaderChanges::Connected(*header)));
    let at = |index: usize| (old[index].height, old[index].block_hash());
    let known = checkpoint(genesis, &[(10, start.hash), at(1), at(3)]);
    let (base, instead) = shared.fork(&known);
    assert_eq!((base.block_id(), instead.len()), (known.block_id(), 0), "all of it is in the best chain");

    let fork = HashCheckpoint::new(12, old[1].block_hash());
    let new = branch(fork, 4, 100);
    let gone = old[2..].to_vec();
    shared.headers(BlockHeaderChanges::Reorganized { accepted: new.clone(), reorganized: gone });
    let (base, instead) = shared.fork(&known);
    assert_eq!(base.block_id(), BlockId { height: 12, hash: fork.hash });
    assert_eq!(instead, BTreeMap::from([(14, new[1].block_hash())]));
    assert_eq!(shared.hash(16), Some(new[3].block_hash()));
    assert_eq!(shared.progress(), Some(Progress { done: 10, of: 16 }), "no filter was looked at");

    let elsewhere = checkpoint(genesis, &[(5, BlockHash::from_byte_array([5; 32]))]);
    assert_eq!(shared.fork(&elsewhere).0.height(), 5, "what lies below our headers cannot be told");
}

#[test]
fn peers_are_addresses_or_names_with_a_port() {
    for (text, good) in [
        ("127.0.0.1:18444", true),
        ("[::1]:8333", true),
        ("node.example:8333", true),
        ("node.example", false),
        ("127.0.0.1:99999", false),
        ("", false),
    ] {
        assert_eq!(trusted(text).is_ok(), good, "{text}");
    }
}

#[test]
fn a_start_lies_below_any_likely_turn_but_not_below_the_birth() {
    let birth = Birth { height: 50, hash: BlockHash::from_byte_array([9; 32]) };
    let filters = Filters::new(Network::Regtest, Some(birth.clone()), Peers::default());
    assert_eq!(filters.start(None), HashCheckpoint::new(50, birth.hash));
    let genesis = bitcoin::constants::genesis_block(Network::Regtest).block_hash();
    let hash = |byte: u8| BlockHash::from_byte_array([byte; 32]);
    let bench = crate::testkit::Bench::default();
    for (blocks, expected) in [
        (vec![(60, hash(1))], 50),
        (vec![(60, hash(1)), (140, hash(2))], 50),
        (vec![(60, hash(1)), (160, hash(2))], 60),
        (vec![(60, hash(1)), (160, hash(2)), (400, hash(3))], 160),
    ] {
        let at = Position { checkpoint: checkpoint(genesis, &blocks), ..bench.treasury.position() };
        assert_eq!(filters.start(Some(&at)).height, expected, "{blocks:?}");
    }
}
