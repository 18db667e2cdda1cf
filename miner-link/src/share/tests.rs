mod mainnet;
mod reference;

use super::*;
use crate::share::target::Level;
use crate::testkit::{TIME, job, mine};
use serde_json::{Value, json};

const EXTRANONCE: [u8; 2] = [9, 9];

/// A nonce that is a share of `level`, but no block: the template's target is made hard first.
fn hard_job() -> Job {
    let mut template = crate::testkit::template(120, 3, 1);
    template.target = Level::new(0).target();
    let marks = &crate::testkit::MARKS;
    let payee = crate::job::Payout::all_to(crdt::testkit::payee(9));
    Job::new(crate::job::JobId(0xab), std::sync::Arc::new(template), &payee, marks, true).unwrap()
}

fn easy() -> Target {
    Level::new(-30).target()
}

fn find_share(job: &Job, mask: u32) -> u32 {
    let terms = terms(job, mask);
    (0..)
        .find(|nonce| {
            let submission = read(&params(&format!("{nonce:08x}"))).unwrap();
            matches!(judge(&submission, &terms, &mut Seen::default()), Verdict::Accepted { .. })
        })
        .unwrap()
}

fn terms(job: &Job, version_mask: u32) -> Terms<'_> {
    Terms { job, extranonce1: EXTRANONCE, version_mask, target: easy(), stale: false, unix: TIME }
}

fn params(nonce: &str) -> Vec<Value> {
    vec![json!("alice.rig1"), json!("ab"), json!("0a0b0c0d"), json!(format!("{TIME:08x}")), json!(nonce)]
}

fn read(params: &[Value]) -> Result<Submission, Reason> {
    Submission::read(params, 4).map(|(_, submission)| submission)
}

fn with(nonce: &str, index: usize, value: Value) -> Vec<Value> {
    let mut params = params(nonce);
    if index < params.len() {
        params[index] = value
    } else {
        params.push(value)
    }
    params
}

/// One share, and all the ways in which it was once possible to be paid for it again.
#[test]
fn a_share_counts_once_in_one_spelling() {
    let job = hard_job();
    let mask = crate::job::VERSION_MASK;
    let nonce = format!("{:08x}", find_share(&job, mask));
    let mut seen = Seen::default();
    let mut submit = |params: Vec<Value>| match read(&params) {
        Ok(submission) => judge(&submission, &terms(&job, mask), &mut seen),
        Err(reason) => Verdict::Rejected(reason),
    };
    assert!(matches!(submit(params(&nonce)), Verdict::Accepted { .. }));
    let month = TIME + 30 * 86_400;
    let cases = [
        ("word for word", params(&nonce), Reason::Duplicate),
        ("upper-case nonce", params(&nonce.to_uppercase()), Reason::Duplicate),
        ("upper-case extranonce 2", with(&nonce, 2, json!("0A0B0C0D")), Reason::Duplicate),
        ("padded nonce", params(&format!("00{nonce}")), Reason::Malformed),
        ("version bits that change nothing", with(&nonce, 5, json!("00000000")), Reason::Duplicate),
        ("version bits outside the mask", with(&nonce, 5, json!("e0000001")), Reason::Version),
        ("a month ahead", with(&nonce, 3, json!(format!("{month:08x}"))), Reason::Time),
        ("a short nonce", params("1"), Reason::Malformed),
        ("a long extranonce 2", with(&nonce, 2, json!("0a0b0c0d00")), Reason::Malformed),
        ("a sign", params("+1234567"), Reason::Malformed),
        ("a prefix", params("0x345678"), Reason::Malformed),
        ("a number", with(&nonce, 4, json!(5)), Reason::Malformed),
        ("before the job", with(&nonce, 3, json!(format!("{:08x}", TIME - 1))), Reason::Time),
    ];
    for (name, params, reason) in cases {
        assert_eq!(submit(params), Verdict::Rejected(reason), "{name}");
    }
}

#[test]
fn version_bits_count_only_when_they_were_agreed_on() {
    let job = hard_job();
    let bits = |bits: &str| read(&with("00000000", 5, json!(bits))).unwrap();
    let refused = Verdict::Rejected(Reason::Version);
    assert_eq!(judge(&bits("00002000"), &terms(&job, 0), &mut Seen::default()), refused);
    let rolled = judge(&bits("00002000"), &terms(&job, 0x0000_2000), &mut Seen::default());
    assert_ne!(rolled, refused);
    assert_eq!(judge(&bits("00004000"), &terms(&job, 0x0000_2000), &mut Seen::default()), refused);
}

#[test]
fn a_stale_block_is_a_block_and_a_stale_share_is_not() {
    let easy_job = job(0xab, 1);
    let nonce = |block| format!("{:08x}", mine(&easy_job, [0; 2], block));
    let submission = |nonce: &str| {
        let mut submission = read(&params(nonce)).unwrap();
        submission.extranonce2 = [0; 4].into();
        submission
    };
    let stale = Terms { extranonce1: [0; 2], stale: true, ..terms(&easy_job, 0) };
    let found = judge(&submission(&nonce(true)), &stale, &mut Seen::default());
    let Verdict::Block(block) = found else { panic!("{found:?}") };
    assert!(block.header.validate_pow(easy_job.head.target).is_ok());
    assert!(block.check_merkle_root() && block.check_witness_commitment());
    let miss = judge(&submission(&nonce(false)), &stale, &mut Seen::default());
    assert_eq!(miss, Verdict::Rejected(Reason::Stale));
    let fresh = Terms { stale: false, target: easy_job.head.target, ..stale };
    let miss = judge(&submission(&nonce(false)), &fresh, &mut Seen::default());
    assert_eq!(miss, Verdict::Rejected(Reason::LowDifficulty));
}

#[test]
fn a_full_set_counts_nothing_more() {
    use bitcoin::hashes::Hash as _;
    let mut seen = Seen::default();
    let hash = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        BlockHash::from_byte_array(bytes)
    };
    let counted = (0..100_000).take_while(|number| seen.insert(hash(*number))).count();
    assert_eq!(counted, 16_384);
    assert!(seen.contains(hash(0)));
}

#[test]
fn clocks_may_differ() {
    let job = hard_job();
    let at = |time: u32, unix: u32| {
        let params = with("00000000", 3, json!(format!("{time:08x}")));
        let terms = Terms { unix, ..terms(&job, 0) };
        judge(&read(&params).unwrap(), &terms, &mut Seen::default()) != Verdict::Rejected(Reason::Time)
    };
    // (name, header's time, clock, whether it may be)
    let cases = [
        ("the job's own", TIME, TIME, true),
        ("rolled on", TIME + 7_000, TIME + 60, true),
        ("too far", TIME + 7_001, TIME + 60, false),
        ("the job's own, with our clock a day late", TIME, TIME - 86_400, true),
        ("rolled on, with our clock a day late", TIME + 1, TIME - 86_400, false),
    ];
    for (name, time, unix, allowed) in cases {
        assert_eq!(at(time, unix), allowed, "{name}");
    }
}
