//! A real block of mainnet: what miners and pools made of its pieces is what we make of them.

use super::*;
use crate::job::{Head, JobId, Route, Work};
use crate::template::join;
use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash as _;
use bitcoin::{Transaction, Witness};

/// Where a coinbase's scriptSig begins.
const SCRIPT: usize = 42;

fn block() -> Block {
    deserialize(bitcoin_test_data::blocks::mainnet_702861()).unwrap()
}

fn branch(block: &Block) -> Vec<[u8; 32]> {
    let template = crate::template::Template {
        txids: block.txdata.iter().skip(1).map(Transaction::compute_txid).collect(),
        ..crate::testkit::template(120, 0, 1)
    };
    template.merkle_branch()
}

/// The block's coinbase as miners hash it, cut open where `room` bytes end its scriptSig.
fn work(block: &Block, room: usize) -> (Work, Vec<u8>) {
    let mut coinbase = block.txdata[0].clone();
    coinbase.input[0].witness = Witness::new();
    let script = coinbase.input[0].script_sig.len();
    let bytes = serialize(&coinbase);
    let (start, rest) = bytes.split_at(SCRIPT + script - room);
    let (filled, end) = rest.split_at(room);
    let header = block.header;
    let head = Head {
        version: u32::from_ne_bytes(header.version.to_consensus().to_ne_bytes()),
        previous: header.prev_blockhash,
        bits: header.bits,
        target: header.target(),
        time: header.time,
        least_time: 0,
    };
    let work = Work {
        route: Route { pool: 0, connection: 1 },
        name: "1".to_owned(),
        head,
        coinbase_start: start.to_vec(),
        room,
        coinbase_end: end.to_vec(),
        branch: branch(block),
        share_target: Level::new(20).target(),
        version_mask: crate::job::VERSION_MASK,
        clean: true,
    };
    (work, filled.to_vec())
}

#[test]
fn its_branch_leads_to_its_root() {
    let block = block();
    let branch = branch(&block);
    assert!(branch.len() > 10, "{} transactions", block.txdata.len());
    let coinbase = block.txdata[0].compute_txid().to_byte_array();
    let root = branch.iter().fold(coinbase, |left, right| join(left, *right));
    assert_eq!(root, block.header.merkle_root.to_byte_array());
}

#[test]
fn its_hash_is_found_again_from_its_pieces() {
    let block = block();
    // The six bytes that end its scriptSig stand for what a connection and a miner would have chosen.
    let (work, filled) = work(&block, 6);
    let job = Job::of_pool(JobId(0xab), std::sync::Arc::new(work), true);
    let [one, two, rest @ ..] = filled.as_slice() else { panic!("six bytes") };
    let hex: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let header = block.header;
    let (time, nonce) = (format!("{:08x}", header.time), format!("{:08x}", header.nonce));
    let bits = format!("{:08x}", job.head.version & crate::job::VERSION_MASK);
    let submission = |nonce: &str| {
        read(&[json!("a.b"), json!("ab"), json!(hex), json!(time), json!(nonce), json!(bits)]).unwrap()
    };
    let terms = Terms {
        extranonce1: [*one, *two],
        target: Level::new(40).target(),
        stale: true,
        unix: header.time,
        ..terms(&job, crate::job::VERSION_MASK)
    };
    // It solves the network's block, so that neither its lateness nor a silly target is held against it.
    let verdict = judge(&submission(&nonce), &terms, &mut Seen::default());
    let Verdict::Accepted { hash, forward: Some(share), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(hash, block.block_hash());
    assert_eq!(share.extranonce2, filled);
    assert_eq!(share.nonce, header.nonce);
    // The next nonce is nothing.
    let next = format!("{:08x}", header.nonce + 1);
    let fresh = Terms { stale: false, ..terms };
    let verdict = judge(&submission(&next), &fresh, &mut Seen::default());
    assert_eq!(verdict, Verdict::Rejected(Reason::LowDifficulty));
}
