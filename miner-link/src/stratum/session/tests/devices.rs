//! Coinbases of many outputs, and devices that would cut them short.

use super::*;
use crate::job::{JobId, Offer, Payout};
use crdt::mining::{Payee, Share, Small, Split};
use crdt::testkit::payee;

/// A job that pays `payees` beside the treasury, for all that can take it, and the treasury alone for the
/// others if there is `small` work.
fn offer(payees: u16, small: bool) -> Offer {
    let script = |number: u16| {
        let program = [number.to_be_bytes().as_slice(), &[7; 30]].concat();
        bitcoin::ScriptBuf::from_bytes([vec![0x51, 0x20], program].concat())
    };
    let share = |number| Share { payee: Payee::Script(script(number)), weight: 1 };
    let split = Split::new((1..=payees).map(share).collect(), Small::Treasury).unwrap();
    let make = |id, payout: &Payout| {
        let template = Arc::new(crate::testkit::template(120, 3, 1));
        Arc::new(Job::new(JobId(id), template, payout, &crate::testkit::MARKS, true).unwrap())
    };
    let alone = make(2, &Payout::all_to(payee(9)));
    Offer::new(make(1, &Payout::of(split, payee(9))), small.then_some(alone))
}

/// What a device of this name is given, by the name of the job, and whether it is let go.
fn given(agent: &str, offer: Offer) -> (Option<String>, Option<End>) {
    let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
    session.handle(Input::Job(offer), at(0));
    let subscribe = json!({"id": 1, "method": "mining.subscribe", "params": [agent]}).to_string();
    say(&mut session, &subscribe);
    let effects = session.handle(Input::Line(AUTHORIZE.as_bytes()), at(1));
    let notify = sent(&effects).into_iter().find(|line| line["method"] == json!("mining.notify"));
    let end = effects.iter().find_map(|effect| match effect {
        Effect::Close(end) => Some(*end),
        _ => None,
    });
    if end.is_some() {
        let told = sent(&effects).into_iter().any(|line| line["method"] == json!("client.show_message"));
        assert!(told, "{agent}: it is told why");
    }
    (notify.map(|line| line["params"][0].as_str().unwrap().to_owned()), end)
}

/// (device, the most outputs of 43 bytes that it takes beside the commitment to witnesses)
const MOST: [(&str, u16); 12] = [
    ("NiceHash/1.0.0", 7),
    ("bitaxe/BM1370/v2.12.2", 7),
    ("NerdMinerV2/1.8.3", 10),
    ("", 13),
    ("cgminer/4.9.0", 13),
    ("Antminer S19/cgminer 4.11.1", 13),
    ("Antminer S21/v1", 48),
    ("bosminer-plus-tuner/1.0", 48),
    ("whatsminer/v1", 147),
    ("PowerPlay-BM/2", 300),
    ("xminer-1.2.6", 300),
    ("miner-link/0.1.0", 300),
];

#[test]
fn no_device_is_sent_a_coinbase_that_it_would_cut() {
    for (agent, most) in MOST {
        assert_eq!(given(agent, offer(most, true)), (Some("1".to_owned()), None), "{agent}");
        if most == 300 {
            continue;
        }
        let more = offer(most + 1, true);
        assert_eq!(given(agent, more), (Some("2".to_owned()), None), "{agent}: the treasury's");
        let more = offer(most + 1, false);
        assert_eq!(given(agent, more), (None, Some(End::Coinbase)), "{agent}: no work for it");
    }
}

#[test]
fn a_pool_with_a_long_coinbase_gets_no_device_that_would_cut_it() {
    let ours = offer(20, false).job().clone();
    let work = crate::job::Work {
        route: crate::job::Route { pool: 0, connection: 1 },
        name: "x".to_owned(),
        head: ours.head,
        coinbase_start: vec![0; 60],
        room: 8,
        coinbase_end: vec![0; 900],
        branch: Vec::new(),
        share_target: Level::new(-30).target(),
        version_mask: 0,
        clean: false,
    };
    let pooled = Offer::from(Arc::new(Job::of_pool(JobId(2), Arc::new(work), false)));
    assert_eq!(given("bitaxe/BM1370/v2.12.2", pooled.clone()), (None, Some(End::Coinbase)));
    assert_eq!(given("whatsminer/v1", pooled), (Some("2".to_owned()), None));
}

/// What a device finds is a block that pays whom its own job paid.
#[test]
fn shares_are_judged_by_the_coinbase_that_was_sent() {
    let offer = offer(40, true);
    for (agent, outputs) in [("whatsminer/v1", 41), ("bitaxe/v2", 2)] {
        let mut session = Session::new(EXTRANONCE, Rules::default(), at(0));
        session.handle(Input::Job(offer.clone()), at(0));
        let subscribe = json!({"id": 1, "method": "mining.subscribe", "params": [agent]}).to_string();
        say(&mut session, &subscribe);
        let told = say(&mut session, AUTHORIZE);
        let id = told.last().unwrap()["params"][0].as_str().unwrap().to_owned();
        let job = offer.jobs().find(|job| job.id.to_string() == id).unwrap();
        let nonce = mine(job, EXTRANONCE, true);
        let effects = session.handle(Input::Line(submit(&id, nonce, "alice.rig1").as_bytes()), at(2));
        let Effect::Found { block, .. } = &effects[0] else { panic!("{agent}: {effects:?}") };
        assert_eq!(block.txdata[0].output.len(), outputs, "{agent}");
        assert!(block.check_merkle_root() && block.check_witness_commitment());
        // The other's job is none of this device's.
        let other = offer.jobs().find(|job| job.id.to_string() != id).unwrap().id.to_string();
        assert_eq!(say(&mut session, &submit(&other, nonce, "alice.rig1"))[0]["error"][0], json!(21));
    }
}

#[test]
fn with_small_pools_a_miner_counts_through_two_bytes() {
    let rules = Rules { extranonce2: 2, ..Rules::default() };
    let mut session = Session::new(EXTRANONCE, rules, at(0));
    let work = job(1, 1);
    session.handle(Input::Job(work.clone().into()), at(0));
    assert_eq!(say(&mut session, SUBSCRIBE)[0]["result"][2], json!(2));
    say(&mut session, AUTHORIZE);
    let line = |extranonce2: &str| {
        submit("1", 0, "alice.rig1").replacen("\"00000000\"", &format!("{extranonce2:?}"), 1)
    };
    for wrong in ["00", "000000", "00000000"] {
        assert_eq!(say(&mut session, &line(wrong))[0]["error"][0], json!(20), "{wrong}");
    }
    assert_ne!(say(&mut session, &line("0a0b"))[0]["error"][0], json!(20));
    // In our own coinbase the rest of the room is sent as a part of the first piece.
    assert!(work.notify_params(2, true)[2].as_str().unwrap().ends_with("00000000"));
}
