//! What firmware is known to do, by the name of the quirk. The lines are written from descriptions and
//! bug reports; none is a capture.

use super::*;
use crate::job::{EXTRANONCE2, JobId};

/// Lines from a miner, with what each is answered: `reply` when it is granted, a code when it is not, and
/// the methods that are sent after it.
type Script = &'static [(&'static str, &'static [&'static str])];

const GRANTED: &[&str] = &["reply"];
const WORK: &[&str] = &["reply", "mining.set_difficulty", "mining.notify"];

/// (quirk, script). A job lies ready from the start.
const SCRIPTS: [(&str, Script); 10] = [
    (
        "Bitaxe, new: configures first, asks for all version bits, suggests after it authorised",
        &[
            (
                r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
                GRANTED,
            ),
            (r#"{"id":2,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.12.2"]}"#, GRANTED),
            (r#"{"id":3,"method":"mining.authorize","params":["alice.bitaxe","x"]}"#, WORK),
            (
                r#"{"id":4,"method":"mining.suggest_difficulty","params":[1000]}"#,
                &["reply", "mining.set_difficulty", "mining.notify"],
            ),
            (r#"{"id":5,"method":"mining.extranonce.subscribe","params":[]}"#, GRANTED),
        ],
    ),
    (
        "Bitaxe, old: subscribes, configures, suggests, and authorises last",
        &[
            (r#"{"id":1,"method":"mining.subscribe","params":["bitaxe/v2.0"]}"#, GRANTED),
            (
                r#"{"id":2,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
                GRANTED,
            ),
            (r#"{"id":3,"method":"mining.suggest_difficulty","params":[1000]}"#, GRANTED),
            (r#"{"id":4,"method":"mining.authorize","params":["alice.bitaxe","x"]}"#, WORK),
        ],
    ),
    (
        "Bitaxe's heartbeat: a second connection that wants an authorisation and a job, and goes",
        &[
            (r#"{"id":1,"method":"mining.subscribe","params":["bitaxe/heartbeat"]}"#, GRANTED),
            (r#"{"id":2,"method":"mining.authorize","params":["alice.bitaxe","x"]}"#, WORK),
        ],
    ),
    (
        "NerdMiner: says its difficulty every half minute to keep the connection",
        &[
            (r#"{"id": 1, "method": "mining.subscribe", "params": ["NerdMinerV2/1.8.3"]}"#, GRANTED),
            (r#"{"params": ["alice.nerd", "x"], "id": 2, "method": "mining.authorize"}"#, WORK),
            (
                r#"{"id": 3, "method": "mining.suggest_difficulty", "params": [0.00015]}"#,
                &["reply", "mining.set_difficulty", "mining.notify"],
            ),
            (r#"{"id": 4, "method": "mining.suggest_difficulty", "params": [0.00015]}"#, GRANTED),
            (r#"{"id": 5, "method": "mining.suggest_difficulty", "params": [0.00015]}"#, GRANTED),
        ],
    ),
    (
        "Antminer: repeats its session when it subscribes, wants a smallest number of bits",
        &[
            (
                r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":2}]}"#,
                GRANTED,
            ),
            (
                r#"{"id":2,"method":"mining.subscribe","params":["Antminer S19/cgminer 4.11.1","0001"]}"#,
                GRANTED,
            ),
            (r#"{"id":3,"method":"mining.authorize","params":["alice.s19","123"]}"#, WORK),
        ],
    ),
    (
        "Whatsminer: subscribes with host and port, and leaves the password out",
        &[
            (
                r#"{"id":1,"method":"mining.subscribe","params":["whatsminer/v1",null,"link.local",3333]}"#,
                GRANTED,
            ),
            (r#"{"id":2,"method":"mining.authorize","params":["alice.m60"]}"#, WORK),
        ],
    ),
    (
        "Braiins: asks for three extensions at once",
        &[
            (
                r#"{"id":0,"method":"mining.configure","params":[["minimum-difficulty","version-rolling","subscribe-extranonce"],{"minimum-difficulty.value":2048,"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":16}]}"#,
                GRANTED,
            ),
            (r#"{"id":1,"method":"mining.subscribe","params":["bosminer-plus-tuner/1.0"]}"#, GRANTED),
            (r#"{"id":2,"method":"mining.authorize","params":["alice.braiins","anything"]}"#, WORK),
        ],
    ),
    (
        "NiceHash: wants to hear of another extranonce, and puts a difficulty into the password",
        &[
            (r#"{"id":1,"method":"mining.subscribe","params":["NiceHash/1.0.0"]}"#, GRANTED),
            (r#"{"id":2,"method":"mining.authorize","params":["alice.rented","d=500000"]}"#, WORK),
            (r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#, GRANTED),
        ],
    ),
    (
        "cgminer: asks for transactions, which nobody serves, and must not be dropped for it",
        &[
            (r#"{"id": 0, "method": "mining.subscribe", "params": ["cgminer/4.9.0", "0001"]}"#, GRANTED),
            (r#"{"id": 1, "method": "mining.authorize", "params": ["alice.rig1", "x"]}"#, WORK),
            (r#"{"id": 2, "method": "mining.get_transactions", "params": ["1"]}"#, &["-3"]),
        ],
    ),
    (
        "cpuminer: writes the id last, and asks for the version in between",
        &[
            (r#"{"method": "mining.subscribe", "params": ["cpuminer/2.5.1"], "id": 1}"#, GRANTED),
            (r#"{"method": "client.get_version", "params": [], "id": 7}"#, GRANTED),
            (r#"{"method": "mining.authorize", "params": ["alice.cpu", "x"], "id": 2}"#, WORK),
        ],
    ),
];

/// A job that is harder than any miner's difficulty, so that difficulties show.
pub(super) fn hard(id: u32, tip: u8) -> Arc<Job> {
    let mut work = crate::testkit::template(120, 3, tip);
    work.target = Level::new(50).target();
    let payee = crate::job::Payout::all_to(crdt::testkit::payee(9));
    Arc::new(Job::new(JobId(id), Arc::new(work), &payee, &crate::testkit::MARKS, true).unwrap())
}

#[test]
fn firmware_gets_what_it_needs() {
    for (quirk, script) in SCRIPTS {
        let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
        session.handle(Input::Job(hard(1, 1).into()), at(0));
        for (line, expected) in script {
            let sent = say(&mut session, line);
            let told = |line: &Value| match (line["method"].as_str(), &line["error"][0]) {
                (Some(method), _) => method.to_owned(),
                (None, Value::Null) => "reply".to_owned(),
                (None, code) => code.to_string(),
            };
            let told: Vec<String> = sent.iter().map(told).collect();
            assert_eq!(&told, expected, "{quirk}: {line}");
            // Whatever is new in difficulty comes with work that voids the old (ESP-Miner#1587).
            if told.contains(&"mining.set_difficulty".to_owned()) {
                assert_eq!(sent.last().unwrap()["params"][8], json!(true), "{quirk}: {line}");
            }
        }
    }
}

#[test]
fn antminer_s19_goes_on_at_the_old_difficulty_for_a_while() {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    session.handle(Input::Job(hard(1, 1).into()), at(0));
    for line in [SUBSCRIBE, r#"{"id":2,"method":"mining.authorize","params":["alice.s19","d=0.0000000005"]}"#]
    {
        say(&mut session, line);
    }
    // Half of all hashes are shares at 2^-31; it outgrows that, and the next job is harder.
    let easy = (0..2_000_u32)
        .map(|nonce| say(&mut session, &submit("1", nonce, "alice.s19"))[0]["result"] == json!(true));
    assert!(easy.filter(|counted| *counted).count() >= 16);
    let told = sent(&session.handle(Input::Job(hard(2, 1).into()), at(30)));
    assert_eq!(methods(&told), ["mining.set_difficulty", "mining.notify"]);
    assert!(told[0]["params"][0].as_f64().unwrap() > 1e-8, "{}", told[0]);
    // What it still finds on the first job counts as it was asked for.
    let late = (2_000..2_040).filter(|nonce| {
        let line = submit("1", *nonce, "alice.s19");
        sent(&session.handle(Input::Line(line.as_bytes()), at(40)))[0]["result"] == json!(true)
    });
    assert!(late.count() >= 5, "one in two is a share");
}

#[test]
fn a_lowered_difficulty_holds_for_old_jobs_too() {
    let mut session = ready();
    session.handle(Input::Job(hard(1, 1).into()), at(0));
    // Silence for a long time: the difficulty falls, and shares at the new one come for the old job.
    let told = sent(&session.handle(Input::Job(hard(2, 1).into()), at(800)));
    let fallen = told[0]["params"][0].as_f64().unwrap();
    assert!(fallen < 2.0_f64.powi(-6), "{fallen}");
    let (first, second) = (session.issued.find(JobId(1)).unwrap().0.target, session.told.unwrap());
    assert_eq!(first, second);
}

#[test]
fn whatsminer_cannot_use_more_than_eight_bytes_of_extranonce() {
    const { assert!(EXTRANONCE2 <= 8 && crate::job::EXTRANONCE2_OF_LINK <= 8) };
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    assert_eq!(
        say(&mut session, r#"{"id":1,"method":"mining.subscribe","params":["whatsminer/v1"]}"#)[0]["result"]
            [2],
        json!(4)
    );
}

#[test]
fn cgminer_may_not_trim_or_pad_what_it_counts() {
    let mut session = ready();
    session.handle(Input::Job(job(1, 1).into()), at(1));
    for extranonce2 in ["", "00", "000000", "0000000000", "0000000000000000"] {
        let line = submit("1", 0, "alice.rig1").replacen("\"00000000\"", &format!("{extranonce2:?}"), 1);
        assert_eq!(say(&mut session, &line)[0]["error"][0], json!(20), "{extranonce2:?}");
    }
}

#[test]
fn a_miner_that_rolls_bits_is_told_when_a_pool_lets_it_roll_fewer() {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    session.handle(Input::Job(job(1, 1).into()), at(0));
    say(
        &mut session,
        r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
    );
    for line in [SUBSCRIBE, AUTHORIZE] {
        say(&mut session, line);
    }
    let work = crate::job::Work {
        route: crate::job::Route { pool: 0, connection: 1 },
        name: "x".to_owned(),
        head: job(1, 1).head,
        coinbase_start: vec![0; 60],
        room: 8,
        coinbase_end: vec![0; 60],
        branch: Vec::new(),
        share_target: Level::new(-30).target(),
        version_mask: 0x0000_6000,
        clean: false,
    };
    let told = sent(
        &session.handle(Input::Job(Arc::new(Job::of_pool(JobId(2), Arc::new(work), false)).into()), at(1)),
    );
    assert_eq!(methods(&told), ["mining.set_version_mask", "mining.notify"]);
    assert_eq!(told[0]["params"], json!(["00006000"]));
    assert_eq!(told[1]["params"][8], json!(true), "whose work it is changed");
    let told = sent(&session.handle(Input::Job(job(3, 1).into()), at(2)));
    assert_eq!(methods(&told), ["mining.set_version_mask", "mining.notify"]);
}

/// The eight that other pools were seen to pay for or to take.
#[test]
fn the_eight_that_others_get_wrong_are_refused() {
    let work = hard(0xab, 1);
    let mut session = Session::new([0xfa, 0xce], Rules::default(), at(0));
    session.handle(Input::Job(work.into()), at(0));
    say(
        &mut session,
        r#"{"id":0,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
    );
    for line in
        [SUBSCRIBE, r#"{"id":2,"method":"mining.authorize","params":["alice.rig1","d=0.0000000005"]}"#]
    {
        say(&mut session, line);
    }
    let line = |name: &str, extranonce2: &str, time: u32, nonce: &str, bits: Option<&str>| {
        let mut params =
            vec![json!(name), json!("ab"), json!(extranonce2), json!(format!("{time:08x}")), json!(nonce)];
        params.extend(bits.map(|bits| json!(bits)));
        json!({"id": 4, "method": "mining.submit", "params": params}).to_string()
    };
    let honest = |nonce: &str| line("alice.rig1", "0a0b0c0d", TIME, nonce, None);
    // A share whose nonce has letters in it.
    let nonce = (0xabcd_0000_u32..).map(|nonce| format!("{nonce:08x}"));
    let nonce =
        { nonce }.find(|nonce| say(&mut session, &honest(nonce))[0]["result"] == json!(true)).unwrap();
    let upper = nonce.to_uppercase();
    let month = TIME + 30 * 86_400;
    // (name, line, code)
    let cases = [
        ("the same again", honest(&nonce), 22),
        ("with an upper-case nonce", honest(&upper), 22),
        ("with an upper-case extranonce 2", line("alice.rig1", "0A0B0C0D", TIME, &nonce, None), 22),
        ("with zeros before the nonce", honest(&format!("00{nonce}")), 20),
        (
            "with version bits that say nothing new",
            line("alice.rig1", "0a0b0c0d", TIME, &nonce, Some("00000000")),
            22,
        ),
        ("thirty days ahead", line("alice.rig1", "0a0b0c0d", month, &nonce, None), 20),
        (
            "with version bits outside the mask",
            line("alice.rig1", "0a0b0c0d", TIME, &nonce, Some("e0000001")),
            20,
        ),
        ("under a name that was not authorised", line("mallory.rig1", "0a0b0c0e", TIME, &nonce, None), 24),
    ];
    for (name, line, code) in cases {
        let reply = &say(&mut session, &line)[0];
        assert_eq!((&reply["result"], &reply["error"][0]), (&Value::Null, &json!(code)), "{name}");
    }
}
