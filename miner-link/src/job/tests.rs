use super::*;
use crate::testkit::{MARKS, TIME, gbt, mine, template};
use bitcoin::script::Builder;
use crdt::testkit::payee;
use hex::FromHex as _;

fn make(height: u32, count: u8, id: u32) -> Job {
    Job::new(JobId(id), Arc::new(template(height, count, 1)), &Payout::all_to(payee(9)), &MARKS, true)
        .unwrap()
}

fn solution() -> Solution {
    Solution {
        extranonce1: [1, 2],
        extranonce2: [5, 6, 7, 8].into(),
        version: 0x2abc_c000,
        time: TIME + 5,
        nonce: 0x0102_0304,
    }
}

#[test]
fn blocks_are_what_consensus_expects() {
    for (height, count) in [(1, 0), (16, 1), (17, 2), (120, 3), (128, 4), (70_000, 5), (8_400_000, 20)] {
        let name = format!("height {height}, {count} transactions");
        let block = make(height, count, 1).block(&solution()).unwrap();
        assert!(block.check_merkle_root(), "{name}");
        assert!(block.check_witness_commitment(), "{name}");
        let coinbase = &block.txdata[0];
        assert!(coinbase.is_coinbase(), "{name}");
        let script = &coinbase.input[0].script_sig;
        assert!((2..=SCRIPT_SIG_MAX).contains(&script.len()), "{name}: {} bytes", script.len());
        // BIP34: the script begins with the height, pushed as a script pushes numbers.
        let height_push = Builder::new().push_int(i64::from(height)).into_script();
        assert!(script.as_bytes().starts_with(height_push.as_bytes()), "{name}");
        assert!(contains(script.as_bytes(), &MARKS.tag), "{name}");
        // One value output, the payee's, of everything.
        let paid: Vec<_> = coinbase.output.iter().filter(|output| output.value > Amount::ZERO).collect();
        assert_eq!(paid.len(), 1, "{name}");
        assert_eq!((paid[0].value.to_sat(), &paid[0].script_pubkey), (5_000_001_000, &payee(9)), "{name}");
        let Header { version, time, nonce, bits, .. } = block.header;
        assert_eq!((version.to_consensus(), time, nonce), (0x2abc_c000, TIME + 5, 0x0102_0304), "{name}");
        assert_eq!(bits.to_consensus(), 0x207f_ffff, "{name}");
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// A miner that knows nothing of this crate puts together the same header.
#[test]
fn what_a_miner_assembles_is_the_header() {
    for count in 0..=9 {
        let job = make(120, count, 0xab);
        let params = job.notify_params(EXTRANONCE2, true);
        let text = |index: usize| params[index].as_str().unwrap().to_owned();
        assert_eq!((text(0), text(5), text(6)), ("ab".into(), "20000000".into(), "207fffff".into()));
        assert_eq!(text(7), format!("{TIME:08x}"));
        let coinbase = format!("{}{}{}{}", text(2), "0102", "05060708", text(3));
        let mut root = sha256d::Hash::hash(&Vec::from_hex(&coinbase).unwrap()).to_byte_array();
        for hash in params[4].as_array().unwrap() {
            let hash = <[u8; 32]>::from_hex(hash.as_str().unwrap()).unwrap();
            root = sha256d::Hash::hash(&[root, hash].concat()).to_byte_array();
        }
        let mut previous = <[u8; 32]>::from_hex(&text(1)).unwrap();
        previous.chunks_mut(4).for_each(<[u8]>::reverse);
        let mut header = solution().version.to_le_bytes().to_vec();
        header.extend(previous);
        header.extend(root);
        header.extend((TIME + 5).to_le_bytes());
        header.extend(0x207f_ffff_u32.to_le_bytes());
        header.extend(solution().nonce.to_le_bytes());
        assert_eq!(header, serialize(&job.header(&solution())), "{count} transactions");
    }
}

/// The example that every description of Stratum uses.
#[test]
fn the_previous_hash_is_sent_with_its_words_reversed() {
    let shown = "00000000440b921e1b77c6c0487ae5616de67f788f44ae2a5af6e2194d16b6f8";
    let sent = "4d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000";
    let hash: bitcoin::BlockHash = shown.parse().unwrap();
    assert_eq!(swap_words(hash.to_byte_array()).to_lower_hex_string(), sent);
}

#[test]
fn no_two_jobs_have_one_coinbase() {
    let (one, two) = (make(120, 3, 1), make(120, 3, 2));
    assert_ne!(one.header(&solution()).merkle_root, two.header(&solution()).merkle_root);
}

#[test]
fn a_template_below_the_subsidy_is_refused() {
    let mut poor = gbt(120, 0, 1);
    poor["coinbasevalue"] = json!(4_999_999_999_u64);
    let poor = Arc::new(Template::read(poor).unwrap());
    let refused = Job::new(JobId(1), poor.clone(), &Payout::all_to(payee(9)), &MARKS, true).unwrap_err();
    assert!(matches!(refused, JobError::BelowSubsidy { .. }));
    let halved = Arc::new(Template { height: 150, ..(*poor).clone() });
    assert!(Job::new(JobId(1), halved, &Payout::all_to(payee(9)), &MARKS, true).is_ok());
    assert_eq!(subsidy(840_000, Network::Bitcoin).to_sat(), 312_500_000);
    assert_eq!(subsidy(u32::MAX, Network::Regtest), Amount::ZERO);
}

#[test]
fn templates_with_nonsense_are_refused() {
    // (what is wrong, field, value)
    let cases = [
        ("bits of another target", "bits", json!("1d00ffff")),
        ("no number", "bits", json!("xyz")),
        ("a rule that is not known", "rules", json!(["!taproot2"])),
        ("no transaction", "transactions", json!([{"data": "00"}])),
        ("no previous block", "previousblockhash", json!(null)),
    ];
    for (name, field, value) in cases {
        let mut answer = gbt(120, 1, 1);
        answer[field] = value;
        assert!(Template::read(answer).is_err(), "{name}");
    }
}

#[test]
fn a_mined_block_meets_its_target() {
    let job = make(120, 2, 1);
    let nonce = mine(&job, [0; 2], true);
    let mut block = job.draft().unwrap();
    block.header.nonce = nonce;
    assert!(block.header.validate_pow(job.head.target).is_ok());
}

/// The block after the one that was being mined, before bitcoind has made a template of it.
#[test]
fn an_empty_block_is_mined_meanwhile() {
    let known = template(120, 5, 1);
    let tip: BlockHash = format!("{:064x}", 2).parse().unwrap();
    let next = |height, network| known.empty_on(tip, height, network, TIME + 9);
    let empty = next(120, Network::Regtest).unwrap();
    assert_eq!((empty.previous, empty.height, empty.time), (tip, 121, TIME + 9));
    let block = Job::new(JobId(1), Arc::new(empty), &Payout::all_to(payee(9)), &MARKS, true)
        .unwrap()
        .draft()
        .unwrap();
    assert!(block.check_merkle_root() && block.check_witness_commitment());
    assert_eq!(block.txdata.len(), 1);
    assert_eq!(
        block.txdata[0].output[0].value.to_sat(),
        50_0000_0000,
        "no fees of transactions that are not in it"
    );
    // Not where the next bits, or the height, are anybody's guess.
    assert_eq!(next(121, Network::Regtest), None);
    assert_eq!(next(119, Network::Regtest), None);
    assert_eq!(next(120, Network::Testnet4), None);
    let last = template(2_015, 0, 1);
    assert_eq!(last.empty_on(tip, 2_015, Network::Bitcoin, TIME), None, "the difficulty is another one then");
}

/// Whoever is in the split is paid by the block, by weight, and nobody else is; what does not divide goes
/// to the largest remainders, and the whole is the template's to the satoshi (M4).
#[test]
fn a_split_is_paid_by_the_coinbase_and_sums_to_the_whole() {
    use crdt::mining::{Payee, Share, Small, Split};
    let share = |payee, weight| Share { payee, weight };
    let (alice, bob) = (Payee::Script(payee(1)), Payee::Script(payee(2)));
    // (weights of treasury, alice and bob, what each gets of 50.00001)
    let cases = [
        ([1, 1, 1], vec![1_666_667_000, 1_666_667_000, 1_666_667_000]),
        ([90, 9, 1], vec![4_500_000_900, 450_000_090, 50_000_010]),
        ([7, 2, 2], vec![3_181_818_818, 909_091_091, 909_091_091]),
        // A part that comes to nothing is left out.
        ([u32::MAX, u32::MAX, 1], vec![2_500_000_500, 2_500_000_500]),
    ];
    for (weights, expected) in cases {
        let payees = [Payee::Treasury, alice.clone(), bob.clone()];
        let shares = payees.into_iter().zip(weights).map(|(payee, weight)| share(payee, weight));
        let payout = Payout::of(Split::new(shares.collect(), Small::NoWork).unwrap(), payee(9));
        let job = Job::new(JobId(1), Arc::new(template(120, 3, 1)), &payout, &MARKS, true).unwrap();
        let block = job.block(&solution()).unwrap();
        assert!(block.check_merkle_root() && block.check_witness_commitment(), "{weights:?}");
        let outputs = &block.txdata[0].output;
        let paid: Vec<u64> =
            outputs.iter().map(|output| output.value.to_sat()).filter(|sat| *sat > 0).collect();
        assert_eq!(paid, expected, "{weights:?}");
        assert_eq!(paid.iter().sum::<u64>(), 5_000_001_000, "{weights:?}");
        let scripts = [payee(9), payee(1), payee(2)];
        assert!(
            outputs
                .iter()
                .zip(&scripts)
                .take(paid.len())
                .all(|(output, script)| output.script_pubkey == *script)
        );
    }
}
