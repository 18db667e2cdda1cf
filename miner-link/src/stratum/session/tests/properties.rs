//! What holds whatever a miner sends.

use super::*;
use proptest::prelude::*;

fn line() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![
        Just("mining.subscribe"),
        Just("mining.authorize"),
        Just("mining.submit"),
        Just("mining.configure"),
        Just("mining.suggest_difficulty"),
        Just("mining.ping"),
        Just("mining.unheard_of"),
    ];
    let param = prop_oneof![
        Just(json!("alice.rig1")),
        Just(json!("1")),
        Just(json!("00000000")),
        Just(json!(format!("{TIME:08x}"))),
        Just(json!(null)),
        Just(json!({"version-rolling.mask": "ffffffff", "minimum-difficulty.value": 512})),
        Just(json!(["version-rolling", "minimum-difficulty"])),
        any::<f64>().prop_map(|number| json!(number)),
        any::<u32>().prop_map(|word| json!(format!("{word:08x}"))),
        ".{0,80}".prop_map(|text| json!(text)),
    ];
    let id = prop_oneof![Just(json!(1)), Just(json!("x")), Just(json!(null)), Just(json!([1]))];
    let request = (id, method, proptest::collection::vec(param, 0..7)).prop_map(|(id, method, params)| {
        json!({"id": id, "method": method, "params": params}).to_string().into_bytes()
    });
    prop_oneof![8 => request, 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}

#[derive(Debug, Clone)]
enum Step {
    Line(Vec<u8>),
    Job(u8),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => line().prop_map(Step::Line),
        2 => (1..4_u8).prop_map(Step::Job),
        1 => Just(Step::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Every line out is one JSON object in one line; work is given only to who subscribed and
    /// authorised; a reply has all three parts; and nothing panics.
    #[test]
    fn every_line_out_can_be_read(steps in proptest::collection::vec((step(), 0..20_u64), 1..60)) {
        let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
        let (mut now, mut jobs) = (0, 0);
        for (step, seconds) in steps {
            now += seconds;
            let effects = match &step {
                Step::Line(line) => session.handle(Input::Line(line), at(now)),
                Step::Tick => session.handle(Input::Tick, at(now)),
                Step::Job(tip) => {
                    jobs += 1;
                    session.handle(Input::Job(job(jobs, *tip).into()), at(now))
                }
            };
            for effect in &effects {
                let Effect::Send(line) = effect else { continue };
                prop_assert!(!line.contains('\n'));
                let line: Value = serde_json::from_str(line).unwrap();
                match line["method"].as_str() {
                    Some("mining.notify") => prop_assert!(session.ready()),
                    Some(_) => {}
                    None => prop_assert!(["id", "result", "error"].iter().all(|key| line.get(key).is_some())),
                }
            }
        }
    }

    /// The client reads whatever a pool sends without panicking, and never two endings at once.
    #[test]
    fn a_pool_may_say_anything(lines in proptest::collection::vec(line(), 1..60)) {
        use crate::upstream::{Account, Effect, Input, Session, Wants};
        let account = Account { host: "h".to_owned(), user: "u".to_owned(), password: "p".to_owned() };
        let (mut session, _) = Session::new(
            crate::job::Route { pool: 0, connection: 1 },
            account,
            Wants { difficulty: None, room: 4 },
            at(0),
        );
        for line in lines {
            let effects = session.handle(Input::Line(&line), at(1));
            prop_assert!(effects.iter().filter(|effect| matches!(effect, Effect::Close(_))).count() <= 1);
        }
    }
}
