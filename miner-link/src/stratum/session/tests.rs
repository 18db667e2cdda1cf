mod devices;
mod properties;
mod quirks;

use super::*;
use crate::job::Job;
use crate::testkit::{TIME, job, mine};

const EXTRANONCE: [u8; 2] = [0, 1];

fn at(seconds: u64) -> Now {
    Now { since_start: Duration::from_secs(seconds), unix: TIME + u32::try_from(seconds).unwrap() }
}

fn say(session: &mut Session, line: &str) -> Vec<Value> {
    sent(&session.handle(Input::Line(line.as_bytes()), at(1)))
}

fn sent(effects: &[Effect]) -> Vec<Value> {
    let line = |effect: &Effect| match effect {
        Effect::Send(line) => Some(serde_json::from_str(line).unwrap()),
        _ => None,
    };
    effects.iter().filter_map(line).collect()
}

fn methods(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["method"].as_str().unwrap_or("reply")).collect()
}

const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["cpuminer/2.5.1"]}"#;
const AUTHORIZE: &str = r#"{"id":2,"method":"mining.authorize","params":["alice.rig1","x"]}"#;

fn ready() -> Session {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    say(&mut session, SUBSCRIBE);
    say(&mut session, AUTHORIZE);
    session
}

fn submit(job: &str, nonce: u32, name: &str) -> String {
    let time = format!("{TIME:08x}");
    json!({"method": "mining.submit", "params": [name, job, "00000000", time, format!("{nonce:08x}")], "id": 4})
        .to_string()
}

#[test]
fn a_job_goes_to_who_subscribed_and_authorised_in_any_order() {
    for order in [[SUBSCRIBE, AUTHORIZE], [AUTHORIZE, SUBSCRIBE]] {
        let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
        assert_eq!(session.handle(Input::Job(job(1, 1).into()), at(0)), []);
        assert_eq!(methods(&say(&mut session, order[0])), ["reply"]);
        let lines = say(&mut session, order[1]);
        assert_eq!(methods(&lines), ["reply", "mining.set_difficulty", "mining.notify"]);
        let difficulty = lines[1]["params"][0].as_f64().unwrap();
        assert!((4.6e-10..4.7e-10).contains(&difficulty), "never above the network's: {difficulty}");
        assert_eq!(lines[2]["params"][8], json!(true), "the first job is clean");
    }
}

#[test]
fn without_a_job_there_is_none_to_serve() {
    let mut session = ready();
    assert_eq!(session.handle(Input::Tick, at(60)), []);
    let replies = say(&mut session, &submit("1", 0, "alice.rig1"));
    assert_eq!(replies[0]["error"][0], json!(21));
}

#[test]
fn subscribing_tells_the_extranonce() {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    let reply = &say(&mut session, SUBSCRIBE)[0];
    assert_eq!(reply["result"][1], json!("0001"));
    assert_eq!(reply["result"][2], json!(4));
    assert_eq!(reply["result"][0][1][0], json!("mining.notify"));
}

#[test]
fn a_block_is_handed_on_before_the_miner_is_told() {
    let mut session = ready();
    let work = job(1, 1);
    session.handle(Input::Job(work.clone().into()), at(1));
    let nonce = mine(&work, EXTRANONCE, true);
    let effects = session.handle(Input::Line(submit("1", nonce, "alice.rig1").as_bytes()), at(2));
    assert!(matches!(&effects[0], Effect::Found { name, .. } if name == "alice.rig1"), "{effects:?}");
    assert_eq!(sent(&effects)[0]["result"], json!(true));
    assert!(matches!(&effects[2], Effect::Share { outcome: Ok(_), .. }), "{effects:?}");
    let again = say(&mut session, &submit("1", nonce, "alice.rig1"));
    assert_eq!(again[0]["error"][0], json!(22));
}

#[test]
fn refusals_have_the_numbers_that_miners_know() {
    let work = job(1, 1);
    let miss = mine(&work, EXTRANONCE, false);
    let mut session = ready();
    session.handle(Input::Job(work.into()), at(1));
    let cases = [
        ("nobody's job", submit("ff", miss, "alice.rig1"), 21),
        ("another spelling of the job", submit("01", miss, "alice.rig1"), 21),
        ("another worker", submit("1", miss, "bob.rig1"), 24),
        ("too little work", submit("1", miss, "alice.rig1"), 23),
        ("no parameters", r#"{"id":4,"method":"mining.submit","params":[]}"#.to_owned(), 20),
        ("no such method", r#"{"id":4,"method":"mining.get_transactions","params":[]}"#.to_owned(), -3),
    ];
    for (name, line, code) in cases {
        let reply = &say(&mut session, &line)[0];
        assert_eq!((&reply["id"], &reply["error"][0]), (&json!(4), &json!(code)), "{name}");
        assert_eq!(reply["result"], Value::Null, "{name}");
    }
    session.handle(Input::Job(job(2, 2).into()), at(3));
    let late = |session: &mut Session, seconds| {
        let line = submit("1", miss, "alice.rig1");
        sent(&session.handle(Input::Line(line.as_bytes()), at(seconds)))[0]["error"][0].clone()
    };
    assert_eq!(late(&mut session, 6), json!(23), "on its way when the tip moved");
    assert_eq!(late(&mut session, 7), json!(21), "stale");
    let mut fresh = Session::new(EXTRANONCE, Rules::default(), at(0));
    assert_eq!(say(&mut fresh, &submit("1", miss, "alice.rig1"))[0]["error"][0], json!(25));
    for name in ["", "a b", "ä", "a\u{7}", &"x".repeat(65)] {
        let line = json!({"id": 4, "method": "mining.authorize", "params": [name]}).to_string();
        assert_eq!(say(&mut fresh, &line)[0]["error"][0], json!(24), "{name:?}");
    }
}

#[test]
fn version_rolling_is_granted_within_the_mask() {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    let line = r#"{"id":1,"method":"mining.configure","params":[["version-rolling","x"],
        {"version-rolling.mask":"ffffffff"}]}"#;
    let granted = &say(&mut session, &line.replace('\n', ""))[0]["result"];
    assert_eq!(granted["version-rolling"], json!(true));
    assert_eq!(granted["version-rolling.mask"], json!("1fffe000"));
    assert_eq!(granted["x"], json!(false));
}

/// BIP310's minimum-difficulty: kept for good where it can be, and refused where it cannot.
#[test]
fn no_difficulty_goes_below_what_the_device_wants() {
    let configure = r#"{"id":1,"method":"mining.configure","params":[["minimum-difficulty"],
        {"minimum-difficulty.value":20000}]}"#;
    let configure = configure.replace('\n', "");
    for first in [true, false] {
        let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
        session.handle(Input::Job(quirks::hard(1, 1).into()), at(0));
        let order = if first { [&configure, SUBSCRIBE] } else { [SUBSCRIBE, &configure] };
        let answers = order.map(|line| say(&mut session, line)[0]["result"]["minimum-difficulty"].clone());
        assert!(answers.contains(&json!(true)), "{answers:?}");
        let told = say(&mut session, AUTHORIZE);
        assert_eq!(told[1]["params"], json!([32_768.0]), "the next power of two");
        // Neither silence nor a wish for less brings it down.
        say(&mut session, r#"{"id":3,"method":"mining.suggest_difficulty","params":[1]}"#);
        for minute in 1..60 {
            let told = sent(
                &session.handle(Input::Job(quirks::hard(minute + 1, 1).into()), at(60 * u64::from(minute))),
            );
            assert_eq!(methods(&told), ["mining.notify"], "minute {minute}");
        }
    }
    // The chain's blocks are easier than that: what they are worth is not kept from anybody.
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    session.handle(Input::Job(job(1, 1).into()), at(0));
    assert_eq!(say(&mut session, &configure)[0]["result"]["minimum-difficulty"], json!(false));
}

#[test]
fn a_suggestion_is_heard_at_once_and_repeating_it_changes_nothing() {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    let mut work = crate::testkit::template(120, 0, 1);
    work.target = Level::new(40).target();
    let payee = crate::job::Payout::all_to(crdt::testkit::payee(9));
    let hard = Job::new(crate::job::JobId(1), Arc::new(work), &payee, &crate::testkit::MARKS, true).unwrap();
    session.handle(Input::Job(Arc::new(hard).into()), at(0));
    say(&mut session, r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    assert_eq!(say(&mut session, AUTHORIZE)[1]["params"], json!([8192.0]));
    let suggest = r#"{"id":3,"method":"mining.suggest_difficulty","params":[1000]}"#;
    let lines = say(&mut session, suggest);
    assert_eq!(methods(&lines), ["reply", "mining.set_difficulty", "mining.notify"]);
    assert_eq!(lines[1]["params"], json!([512.0]));
    assert_eq!(methods(&say(&mut session, suggest)), ["reply"]);
}

#[test]
fn who_says_nothing_or_nonsense_is_let_go() {
    let mut silent = Session::new(EXTRANONCE, Rules::default(), at(0));
    assert_eq!(silent.handle(Input::Tick, at(15)), []);
    assert_eq!(silent.handle(Input::Tick, at(16)), [Effect::Close(End::Handshake)]);
    let mut idle = ready();
    assert_eq!(idle.handle(Input::Tick, at(900)), []);
    assert_eq!(idle.handle(Input::Tick, at(902)), [Effect::Close(End::Idle)]);
    assert_eq!(idle.handle(Input::LongLine, at(2)), [Effect::Close(End::LongLine)]);
    let mut noisy = ready();
    let ends = (0..100).position(|_| !noisy.handle(Input::Line(b"?"), at(2)).is_empty());
    assert_eq!(ends, Some(16));
}

/// What is kept of a share is a receipt that says so to who knows guild, member and link.
#[test]
fn a_share_above_the_receipt_difficulty_is_kept() {
    use bitcoin::hashes::{Hash as _, sha256d};
    for (kept, keeps) in [(Target::from_be_bytes([0xff; 32]), true), (Target::ZERO, false)] {
        let mut session = Session::new(EXTRANONCE, Rules { kept, ..Rules::default() }, at(0));
        say(&mut session, SUBSCRIBE);
        say(&mut session, AUTHORIZE);
        let work = job(1, 1);
        session.handle(Input::Job(work.clone().into()), at(1));
        let nonce = mine(&work, EXTRANONCE, true);
        let effects = session.handle(Input::Line(submit("1", nonce, "alice.rig1").as_bytes()), at(2));
        let proof = effects.iter().find_map(|effect| match effect {
            Effect::Keep(proof) => Some(proof),
            _ => None,
        });
        assert_eq!(proof.is_some(), keeps);
        let Some(proof) = proof else { continue };
        let Effect::Found { block, .. } = &effects[0] else { panic!("{effects:?}") };
        assert_eq!(proof.header, block.header);
        let txid = sha256d::Hash::hash(&proof.coinbase).to_byte_array();
        assert_eq!(txid, block.txdata[0].compute_txid().to_byte_array());
        let join = |left, right: &[u8; 32]| sha256d::Hash::hash(&[left, *right].concat()).to_byte_array();
        assert_eq!(proof.branch.iter().fold(txid, join), block.header.merkle_root.to_byte_array());
    }
}
