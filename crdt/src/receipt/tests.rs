use super::*;
use crate::mining::{Payee, Share, Split};
use crate::testkit::{payee, people};
use bitcoin::block::Version;
use bitcoin::script::Builder;
use bitcoin::{OutPoint, Sequence, TxIn, TxMerkleNode, Witness, absolute, transaction};

const LINK: [u8; 32] = [7; 32];
const D: u64 = 1 << 18;
const BRANCH: [[u8; 32]; 2] = [[1; 32], [2; 32]];

fn guild() -> GuildId {
    GuildId(Digest([3; 32]))
}

fn member(number: usize) -> MemberId {
    people(2)[number].id()
}

fn output(sat: u64, script_pubkey: ScriptBuf) -> TxOut {
    TxOut { value: Amount::from_sat(sat), script_pubkey }
}

/// A receipt of the first member for a block at `height` that pays `outputs`.
fn receipt(height: u32, outputs: Vec<TxOut>) -> Receipt {
    let tag = coinbase_tag(guild(), member(0), LINK, D);
    let script_sig = Builder::new()
        .push_int(i64::from(height))
        .push_slice([5; 8])
        .push_slice(tag)
        .push_slice([0; 8])
        .into_script();
    let commitment = ScriptBuf::from_bytes(vec![0x6a, 1, 2]);
    let coinbase = Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: outputs.into_iter().chain([output(0, commitment)]).collect(),
    };
    let header = Header {
        version: Version::from_consensus(4),
        prev_blockhash: BlockHash::from_byte_array([9; 32]),
        merkle_root: TxMerkleNode::from_byte_array([0; 32]),
        time: 0,
        bits: CompactTarget::from_consensus(0x1d00_ffff),
        nonce: 0,
    };
    let (bytes, branch) = (serialize(&coinbase), BRANCH.to_vec());
    let mut receipt = Receipt { link: LINK, difficulty: D, header, coinbase: bytes, branch };
    receipt.header.merkle_root = TxMerkleNode::from_byte_array(receipt.root(&coinbase));
    receipt
}

/// All but the work, which no test can do.
fn read(receipt: &Receipt) -> Result<Work, Flaw> {
    receipt.check_at(Target::from_be_bytes([0xff; 32]), guild(), member(0))
}

#[test]
fn a_receipt_says_what_was_hashed_for_whom() {
    for height in [1, 16, 17, 128, 840_000] {
        let paid = vec![output(50, payee(1)), output(7, payee(2))];
        let receipt = receipt(height, paid.clone());
        let work = read(&receipt).unwrap();
        assert_eq!((work.height, work.difficulty, &work.paid), (height, D, &paid), "{height}");
        assert_eq!(work.parent, receipt.header.prev_blockhash);
        assert_eq!(work.hash, receipt.header.block_hash());
        let bytes = postcard::to_stdvec(&receipt).unwrap();
        assert_eq!(postcard::from_bytes::<Receipt>(&bytes).unwrap(), receipt);
        // Nobody did the work.
        assert_eq!(receipt.check(guild(), member(0)), Err(Flaw::Target));
    }
}

/// F26, F27: wages for work that was somebody else's, or that was less.
#[test]
fn f27_nobody_elses_work_is_claimed_and_none_twice_or_for_more() {
    let honest = || receipt(100, vec![output(50, payee(1))]);
    let all = Target::from_be_bytes([0xff; 32]);
    assert_eq!(honest().check_at(all, guild(), member(1)), Err(Flaw::Tag), "another member");
    assert_eq!(honest().check_at(all, GuildId(Digest([4; 32])), member(0)), Err(Flaw::Tag), "another guild");
    let edit = |change: fn(&mut Receipt)| {
        let mut receipt = honest();
        change(&mut receipt);
        read(&receipt)
    };
    // (name, what is changed, why it proves nothing)
    type Edit = fn(&mut Receipt);
    let cases: [(&str, Edit, Flaw); 9] = [
        ("another link", |receipt| receipt.link = [8; 32], Flaw::Tag),
        ("more than it was made for", |receipt| receipt.difficulty = D + 1, Flaw::Tag),
        (
            "another block's header",
            |receipt| receipt.header.merkle_root = TxMerkleNode::all_zeros(),
            Flaw::Root,
        ),
        ("a branch too short", |receipt| receipt.branch.truncate(1), Flaw::Root),
        ("a branch turned round", |receipt| receipt.branch.reverse(), Flaw::Root),
        ("a byte after the coinbase", |receipt| receipt.coinbase.push(0), Flaw::Coinbase),
        ("no coinbase", |receipt| receipt.coinbase[10] = 1, Flaw::Coinbase),
        ("a payee put in later", |receipt| *receipt.coinbase.last_mut().unwrap() = 1, Flaw::Root),
        ("nothing", |receipt| receipt.coinbase.clear(), Flaw::Coinbase),
    ];
    for (name, change, flaw) in cases {
        assert_eq!(edit(change), Err(flaw), "{name}");
    }
    let mut easy = honest();
    easy.difficulty = 0;
    assert_eq!(easy.check(guild(), member(0)), Err(Flaw::Difficulty));
}

#[test]
fn f26_work_counts_for_the_policy_it_paid() {
    let share = |payee, weight| Share { payee, weight };
    let shares = || vec![share(Payee::Treasury, 2), share(Payee::Script(payee(1)), 1)];
    let split = |small| Payout::Split(Split::new(shares(), small).unwrap());
    let work = |outputs| read(&receipt(100, outputs)).unwrap();
    let treasury = payee(9);
    let third = || vec![output(67, payee(9)), output(33, payee(1))];
    // (name, outputs, policy, whether it pays as that wants)
    let cases = [
        ("all to the treasury", vec![output(100, payee(9))], Payout::Treasury, true),
        ("all to somebody else", vec![output(100, payee(1))], Payout::Treasury, false),
        ("a part to somebody else", third(), Payout::Treasury, false),
        ("in proportion", third(), split(Small::NoWork), true),
        ("one satoshi off", vec![output(66, payee(9)), output(34, payee(1))], split(Small::NoWork), false),
        ("turned round", vec![output(33, payee(1)), output(67, payee(9))], split(Small::NoWork), false),
        ("a small device's", vec![output(100, payee(9))], split(Small::Treasury), true),
        ("a small device's, which gets no work", vec![output(100, payee(9))], split(Small::NoWork), false),
        ("nothing at all", vec![], split(Small::NoWork), false),
    ];
    for (name, outputs, policy, pays) in cases {
        assert_eq!(work(outputs).pays(&policy, &treasury), pays, "{name}");
    }
    assert_ne!(work(third()).paid_hash(), work(vec![output(100, payee(9))]).paid_hash());
}

#[test]
fn a_difficulty_has_the_target_that_everybody_computes() {
    assert_eq!(target(1), Some(Target::MAX_ATTAINABLE_MAINNET));
    let bytes = |difficulty| target(difficulty).unwrap().to_be_bytes();
    // 0xffff·2^208 / 2^18 and / 3.
    assert_eq!(bytes(1 << 18)[..10], [0, 0, 0, 0, 0, 0, 0x3f, 0xff, 0xc0, 0]);
    assert_eq!(bytes(3)[..7], [0, 0, 0, 0, 0x55, 0x55, 0]);
    assert!(bytes(u64::MAX).iter().any(|byte| *byte != 0));
    assert_eq!(target(0), None);
}
