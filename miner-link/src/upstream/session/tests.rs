use super::*;
use crate::job::{Extranonce2, Job, JobId};
use crate::stratum::{Effect as ToMiner, Input as FromMiner, Rules, Session as Server};
use crate::testkit::{TIME, job};
use bitcoin::hashes::{Hash as _, sha256d};

const ROUTE: Route = Route { pool: 0, connection: 7 };
/// Two bytes that tell connections apart, and two that miners count through.
const WANTS: Wants = Wants { difficulty: None, room: 4 };

fn at(seconds: u64) -> Now {
    Now { since_start: Duration::from_secs(seconds), unix: TIME + u32::try_from(seconds).unwrap() }
}

fn account() -> Account {
    Account { host: "pool.example".to_owned(), user: "farm".to_owned(), password: "x".to_owned() }
}

fn start() -> Session {
    Session::new(ROUTE, account(), WANTS, at(0)).0
}

fn say(session: &mut Session, line: &Value) -> Vec<Effect> {
    session.handle(Input::Line(line.to_string().as_bytes()), at(1))
}

/// What a pool answers to a subscription: its extranonce 1, and how many bytes are left to us.
fn subscribed(extranonce1: &str, size: u64) -> Value {
    json!({"id": SUBSCRIBE, "result": [[["mining.notify", "s"]], extranonce1, size], "error": null})
}

fn authorised() -> Value {
    json!({"id": AUTHORIZE, "result": true, "error": null})
}

/// The example of [`crate::testkit`], as a pool with an extranonce 1 of 4 bytes and `size` left would say it.
fn notify(size: usize) -> Value {
    let ours = job(1, 1);
    let mut params = ours.notify_params(4, true);
    // Eight bytes of room and two of padding end our own piece; the pool's pieces leave 4 + `size`.
    let start = params[2].as_str().unwrap();
    let script_length = usize::from_str_radix(&start[82..84], 16).unwrap();
    let start =
        format!("{}{:02x}{}", &start[..82], script_length - 8 + 4 + size, &start[84..start.len() - 4]);
    params[2] = json!(start);
    json!({"id": null, "method": "mining.notify", "params": params})
}

fn working(size: usize) -> (Session, Arc<Work>) {
    let mut session = start();
    say(
        &mut session,
        &json!({"id": CONFIGURE, "error": null,
        "result": {"version-rolling": true, "version-rolling.mask": "1fffe000"}}),
    );
    say(&mut session, &subscribed("aabbccdd", size.try_into().unwrap()));
    say(&mut session, &authorised());
    say(&mut session, &json!({"id": null, "method": "mining.set_difficulty", "params": [1e-10]}));
    match say(&mut session, &notify(size)).as_slice() {
        [Effect::Work(work)] => (session, work.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_handshake_is_three_lines_at_once() {
    let (_, words) = Session::new(ROUTE, account(), Wants { difficulty: Some(4_096), ..WANTS }, at(0));
    let methods: Vec<Value> = words
        .iter()
        .map(|effect| match effect {
            Effect::Send(line) => serde_json::from_str::<Value>(line).unwrap()["method"].clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let wish = "mining.suggest_difficulty";
    assert_eq!(methods, ["mining.configure", "mining.subscribe", "mining.authorize", wish]);
}

#[test]
fn work_waits_until_all_is_known_in_any_order() {
    let lines = [subscribed("aabbccdd", 8), authorised(), notify(8)];
    for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [2, 0, 1], [1, 2, 0], [1, 0, 2]] {
        let mut session = start();
        let effects: Vec<Effect> = order.iter().flat_map(|place| say(&mut session, &lines[*place])).collect();
        assert!(matches!(effects.as_slice(), [Effect::Work(_)]), "{order:?}: {effects:?}");
    }
}

/// A pool's extranonce 1 and what is left of its extranonce 2 are a part of what miners are sent; what
/// they fill the rest with is what the pool hashes.
#[test]
fn a_share_for_the_pool_is_what_the_miner_hashed() {
    let (two, four) = (Extranonce2::from([3, 4]), Extranonce2::from([3, 4, 5, 6]));
    // (bytes that the pool leaves, what the miner counted)
    for (size, extranonce2) in [(4, two), (5, two), (6, four), (7, four), (8, two), (8, four), (12, four)] {
        let (mut session, work) = working(size);
        assert!(work.coinbase_start.ends_with(&[0xaa, 0xbb, 0xcc, 0xdd]));
        let pooled = Job::of_pool(JobId(9), work.clone(), true);
        let solution = crate::job::Solution {
            extranonce1: [1, 2],
            extranonce2,
            version: 0x2000_2000,
            time: TIME,
            nonce: 5,
        };
        let header = pooled.header(&solution);
        // The pool's own arithmetic.
        let share = pooled.forward(&solution, header.block_hash()).expect("any hash will do here");
        let filled = [&[1, 2], extranonce2.as_slice()].concat();
        let expected = [vec![0; size - filled.len()], filled].concat();
        assert_eq!(share.extranonce2, expected, "{size}");
        let coinbase = [work.coinbase_start.as_slice(), &share.extranonce2, &work.coinbase_end].concat();
        let txid = sha256d::Hash::hash(&coinbase).to_byte_array();
        let root = work
            .branch
            .iter()
            .fold(txid, |left, right| sha256d::Hash::hash(&[left, *right].concat()).to_byte_array());
        assert_eq!(header.merkle_root.to_byte_array(), root, "{size}");
        // And it is told so.
        let told = session.handle(Input::Share(&share), at(2));
        let [Effect::Send(line)] = told.as_slice() else { panic!("{told:?}") };
        let line: Value = serde_json::from_str(line).unwrap();
        let (time, all) = (format!("{TIME:08x}"), expected.to_lower_hex_string());
        assert_eq!(line["params"], json!(["farm", work.name, all, time, "00000005", "00002000"]), "{size}");
        let answer = say(&mut session, &json!({"id": line["id"], "result": true, "error": null}));
        assert_eq!(answer, [Effect::Answered { refused: None, target: work.share_target }]);
    }
}

/// Two links and a pool's job: the room is divided twice, and the block is whole.
#[test]
fn a_link_mines_through_another_link() {
    let ours = job(1, 1);
    let mut upper = Server::new([0x0a, 0x0b], Rules::default(), at(0));
    upper.handle(FromMiner::Job(ours.into()), at(0));
    let (mut lower, words) = Session::new(ROUTE, account(), WANTS, at(0));
    let mut work = None;
    for word in words {
        let Effect::Send(line) = word else { panic!("{word:?}") };
        for reply in upper.handle(FromMiner::Line(line.as_bytes()), at(0)) {
            let ToMiner::Send(line) = reply else { continue };
            let heard = lower.handle(Input::Line(line.as_bytes()), at(0));
            work = heard
                .into_iter()
                .find_map(|effect| match effect {
                    Effect::Work(work) => Some(work),
                    _ => None,
                })
                .or(work);
        }
    }
    let work = work.expect("a link gives work to a link");
    assert_eq!(work.room, 6);
    let pooled = Arc::new(Job::of_pool(JobId(5), work, true));
    let mut miner = Server::new([0x0c, 0x0d], Rules::default(), at(0));
    miner.handle(FromMiner::Job(pooled.clone().into()), at(0));
    for line in [
        r#"{"id":1,"method":"mining.subscribe","params":["cpuminer/2.5.1"]}"#,
        r#"{"id":2,"method":"mining.authorize","params":["a.b"]}"#,
    ] {
        miner.handle(FromMiner::Line(line.as_bytes()), at(0));
    }
    let nonce = crate::testkit::mine(&pooled, [0x0c, 0x0d], true);
    let submit = json!({"id": 3, "method": "mining.submit",
        "params": ["a.b", "5", "00000000", format!("{TIME:08x}"), format!("{nonce:08x}")]});
    let effects = miner.handle(FromMiner::Line(submit.to_string().as_bytes()), at(1));
    let [ToMiner::Forward(share), ToMiner::Send(_), ToMiner::Share { outcome: Ok(_), pool: Some(0), .. }] =
        effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    let told = lower.handle(Input::Share(share), at(1));
    let [Effect::Send(line)] = told.as_slice() else { panic!("{told:?}") };
    let found = upper.handle(FromMiner::Line(line.as_bytes()), at(1));
    let ToMiner::Found { block, .. } = &found[0] else { panic!("{found:?}") };
    assert!(block.check_merkle_root() && block.check_witness_commitment());
    assert!(block.txdata[0].input[0].script_sig.as_bytes().ends_with(&[0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0]));
}

fn closes(effects: &[Effect]) -> Option<&End> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close(end) => Some(end),
        _ => None,
    })
}

#[test]
fn work_that_is_of_no_use_is_not_mined_on() {
    let with = |index: usize, value: Value| {
        let mut line = notify(8);
        line["params"][index] = value;
        line
    };
    let text = |index: usize| notify(8)["params"][index].as_str().unwrap().to_owned();
    let far = format!("{:08x}", TIME + 7_300);
    let hash = json!("00".repeat(32));
    // (name, line, why)
    let cases = [
        ("no parameters", json!({"method": "mining.notify", "params": []}), WorkError::Field("parameters")),
        ("an object", json!({"method": "mining.notify", "params": {"a": 1}}), WorkError::Field("parameters")),
        ("a name of 65 bytes", with(0, json!("x".repeat(65))), WorkError::Field("job")),
        ("a name with a line end", with(0, json!("a\nb")), WorkError::Field("job")),
        ("a number for a name", with(0, json!(5)), WorkError::Field("job")),
        ("a short previous hash", with(1, json!("00")), WorkError::Field("previous hash")),
        ("odd digits", with(2, json!(format!("{}0", text(2)))), WorkError::Field("first coinbase part")),
        ("no transaction", with(2, json!("00")), WorkError::Coinbase),
        ("a byte too many", with(3, json!(format!("{}00", text(3)))), WorkError::Coinbase),
        ("not a coinbase", with(2, json!(text(2).replacen("0000", "0001", 5))), WorkError::Coinbase),
        ("25 hashes of branch", with(4, json!(vec![hash; 25])), WorkError::Field("branch")),
        ("a short hash", with(4, json!(["00"])), WorkError::Field("branch")),
        ("no bits", with(6, json!("00000000")), WorkError::Bits),
        ("negative bits", with(6, json!("1d80ffff")), WorkError::Bits),
        ("bits beyond any hash", with(6, json!("ff7fffff")), WorkError::Bits),
        ("a time far ahead", with(7, json!(far)), WorkError::Time),
        ("a version of 2012", with(5, json!("00000001")), WorkError::Version),
        ("no flag", with(8, json!("true")), WorkError::Field("clean flag")),
    ];
    for (name, line, why) in cases {
        let (mut session, _) = working(8);
        assert_eq!(closes(&say(&mut session, &line)), Some(&End::Work(why)), "{name}");
    }
    for size in [0, 1, 3] {
        let mut session = start();
        say(&mut session, &subscribed("aabbccdd", size.try_into().unwrap()));
        say(&mut session, &authorised());
        let end = closes(&say(&mut session, &notify(size))).cloned();
        assert_eq!(end, Some(End::Work(WorkError::Room { given: size, needed: 4 })), "{size} bytes");
    }
}

#[test]
fn a_pool_leads_us_nowhere_else() {
    let reconnect = |params: Value| json!({"id": null, "method": "client.reconnect", "params": params});
    // (name, parameters, whether we go and come again)
    let cases = [
        ("the thief of 2014", json!(["pool.evil.example", 3333, 0]), false),
        ("one that looks alike", json!(["pool.example.evil", 3333, 0]), false),
        ("a parent", json!(["example", 3333, 0]), false),
        ("itself", json!(["POOL.example", 3333, 0]), true),
        ("nowhere", json!([]), true),
        ("a number", json!([5]), true),
    ];
    for (name, params, again) in cases {
        let (mut session, _) = working(8);
        let effects = say(&mut session, &reconnect(params));
        assert_eq!(closes(&effects) == Some(&End::Again), again, "{name}: {effects:?}");
        assert_eq!(matches!(effects.as_slice(), [Effect::Note(_)]), !again, "{name}: {effects:?}");
    }
    let (mut session, _) = working(8);
    let message = "\u{1b}[31mpay\nme".to_owned() + &"x".repeat(500);
    let shown = say(&mut session, &json!({"id": null, "method": "client.show_message", "params": [message]}));
    let [Effect::Note(note)] = shown.as_slice() else { panic!("{shown:?}") };
    assert!(note.starts_with("[31mpayme") && note.len() <= 120, "{note}");
}

#[test]
fn a_pool_that_is_of_no_use_is_left() {
    let line = |line: Value| move |session: &mut Session| say(session, &line);
    let no = json!({"id": AUTHORIZE, "result": false, "error": [24, "unknown account", null]});
    type Act = Box<dyn Fn(&mut Session) -> Vec<Effect>>;
    let cases: [(&str, Act, End); 6] = [
        ("no account", Box::new(line(no)), End::Account("unknown account".to_owned())),
        ("no extranonce", Box::new(line(json!({"id": SUBSCRIBE, "result": true}))), End::Subscription),
        ("a huge extranonce", Box::new(line(subscribed(&"00".repeat(33), 8))), End::Subscription),
        ("silence", Box::new(|session| session.handle(Input::Tick, at(16))), End::Handshake),
        ("a long line", Box::new(|session| session.handle(Input::LongLine, at(1))), End::LongLine),
        (
            "noise",
            Box::new(|session| (0..100).flat_map(|_| session.handle(Input::Line(b"?"), at(1))).collect()),
            End::Malformed,
        ),
    ];
    for (name, act, end) in cases {
        assert_eq!(closes(&act(&mut start())), Some(&end), "{name}");
    }
    let (mut session, work) = working(8);
    assert_eq!(session.handle(Input::Tick, at(300)), [], "work came");
    assert_eq!(session.handle(Input::Tick, at(302)), [Effect::Close(End::Silent)]);
    let solution = crate::job::Solution {
        extranonce1: [0; 2],
        extranonce2: [0; 4].into(),
        version: 0x2000_0000,
        time: TIME,
        nonce: 0,
    };
    let pooled = Job::of_pool(JobId(1), work, true);
    let share = pooled.forward(&solution, pooled.header(&solution).block_hash()).unwrap();
    assert_eq!(
        session.handle(
            Input::Share(&Forward { route: Route { connection: 6, ..ROUTE }, ..share.clone() }),
            at(2)
        ),
        [Effect::Late]
    );
    for round in 1..=100_u64 {
        session.handle(Input::Share(&share), at(2));
        let refusal = json!({"id": FIRST_SUBMIT + round - 1, "result": null, "error": [23, "low", null]});
        let effects = say(&mut session, &refusal);
        let refused = Effect::Answered { refused: Some("low".to_owned()), target: share.target };
        assert_eq!(effects[0], refused);
        assert_eq!(closes(&effects).is_some(), round == 100, "{round}");
    }
    session.handle(Input::Share(&share), at(10));
    assert_eq!(closes(&session.handle(Input::Tick, at(71))), Some(&End::Unanswering));
}

#[test]
fn a_pool_that_lets_no_bits_be_rolled_hears_of_none() {
    let mut session = start();
    for line in [subscribed("aabbccdd", 8), authorised()] {
        say(&mut session, &line);
    }
    say(&mut session, &json!({"id": null, "method": "mining.set_difficulty", "params": [1e-10]}));
    let effects = say(&mut session, &notify(8));
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    let pooled = Job::of_pool(JobId(1), work.clone(), true);
    assert_eq!(pooled.version_mask(), 0);
    // Later it does, from the next work on, and only what BIP320 sets aside.
    say(&mut session, &json!({"id": null, "method": "mining.set_version_mask", "params": ["ffffffff"]}));
    let effects = say(&mut session, &notify(8));
    let [Effect::Work(work)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(work.version_mask, 0x1fff_e000);
}
