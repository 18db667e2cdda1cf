//! The whole of a real guild in one file, verified with no node and no network; and the other proofs that
//! stand alone.

use crate::three::{found, wait};
use crate::{folder, programs};
use bitcoin::Address;
use examples::guild::{Guild, number, outsider, text};
use examples::narrate::Narrator;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long nodes may take to hear of each other's words, and to sign.
const HEAR: Duration = Duration::from_secs(120);
/// What the guild decides to pay, in satoshis.
const BILL: u64 = 42_000_000;

fn until(narrator: &Narrator, what: &str, done: impl Fn() -> Result<Value, String>) -> Value {
    narrator.wait(HEAR, what, || Ok(done())).unwrap()
}

/// A block reward comes in, and a bill is decided and paid from it.
fn pay_a_bill(guild: &Guild, narrator: &Narrator) -> String {
    let mining = guild.ok("bob", &["treasury", "address", "--mining"]).unwrap();
    let mining = text(&mining, "address").unwrap().parse::<Address<_>>().unwrap().assume_checked();
    guild.bitcoind.generate_to(&mining, 1).unwrap();
    guild.bury(110).unwrap();
    let tip = guild.bitcoind.height().unwrap();
    wait(guild, narrator, "the reward to be mature", |status| status["height"] == tip);
    let pay = format!("{}={BILL}", outsider(b"the host").unwrap());
    let id = until(narrator, "a coin to pay from", || {
        let new = guild.run("alice", &["proposal", "new", "--title", "Pay the host", "--pay", &pay]).unwrap();
        if new.exit == 0 { Ok(new.json["id"].clone()) } else { Err(new.message) }
    });
    let id = id.as_str().unwrap().to_owned();
    forecast(guild, &id);
    for name in ["alice", "bob"] {
        until(narrator, "the proposal", || {
            let voted = guild.run(name, &["proposal", "vote", &id, "yes", "--final"]).unwrap();
            if voted.exit == 0 { Ok(voted.json) } else { Err(voted.message) }
        });
    }
    until(narrator, "the payment", || {
        let shown = guild.ok("carol", &["proposal", "show", &id]).unwrap();
        if shown["payment"].is_object() { Ok(shown) } else { Err(shown["next"].to_string()) }
    });
    guild.bury(6).unwrap();
    until(narrator, "six blocks over it", || {
        let shown = guild.ok("alice", &["proposal", "show", &id]).unwrap();
        if shown["status"] == "final" { Ok(shown) } else { Err(shown.to_string()) }
    });
    id
}

fn forecast(guild: &Guild, id: &str) {
    let explained = guild.ok("alice", &["proposal", "explain", id]).unwrap();
    let forecast = &explained["forecast"];
    let (before, after) = (number(forecast, "before_sat").unwrap(), number(forecast, "after_sat").unwrap());
    assert_eq!(before - after, BILL, "{forecast}");
    assert_eq!(forecast["runway_before"], Value::Null, "nothing left it yet");
}

/// The certificate in a file is verified where there is no node.
fn a_certificate(guild: &Guild, root: &Path, id: &str) {
    let file = root.join("certificate.json");
    let shown = guild.ok("carol", &["certificate", "show", id]).unwrap();
    fs::write(&file, shown.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let verified = guild.ok("nobody", &["certificate", "verify", file]).unwrap();
    assert_eq!((verified["decision"].as_str(), verified["title"].as_str()), (Some(id), Some("Pay the host")));
}

/// One stops its own signing, and the others see it.
fn a_pause(guild: &Guild, narrator: &Narrator, id: &str) {
    for (verb, paused) in [("pause", true), ("resume", false)] {
        guild.ok("bob", &[verb]).unwrap();
        until(narrator, verb, || {
            let explained = guild.ok("carol", &["proposal", "explain", id]).unwrap();
            let mut all = explained["co_signers"].as_array().unwrap().iter();
            let bob = all.find(|one| one["member"] == "bob").unwrap().clone();
            if bob["paused"] == paused { Ok(bob) } else { Err(bob.to_string()) }
        });
    }
}

#[test]
fn a_real_guild_fits_into_a_file_that_is_verified_without_a_node() {
    let (root, narrator) = (folder(), Narrator::new(0));
    let mut guild = Guild::new(root.path(), programs(), &narrator).unwrap();
    guild.bury(1).unwrap();
    found(&mut guild, &narrator, &["--claim", "bob=2"]);
    let id = pay_a_bill(&guild, &narrator);
    a_certificate(&guild, root.path(), &id);
    a_pause(&guild, &narrator, &id);
    let txid = guild.ok("alice", &["proposal", "show", &id]).unwrap()["payment"]["txid"].clone();
    guild.ok("alice", &["label", "add", "tx", txid.as_str().unwrap(), "power of May"]).unwrap();

    let file = root.path().join("guild.audit");
    let path = file.to_str().unwrap();
    let written = guild.ok("alice", &["audit", "export", "--out", path]).unwrap();
    let height = number(&written, "height").unwrap();
    until(&narrator, "one state on all nodes", || {
        let all = ["alice", "bob", "carol"].map(|name| guild.ok(name, &["status"]).unwrap());
        let alike =
            |status: &Value| status["height"] == height && status["state_hash"] == written["state_hash"];
        if all.iter().all(alike) { Ok(Value::Null) } else { Err(format!("{written} {}", all[2])) }
    });
    for name in ["alice", "bob", "carol"] {
        guild.kill(name).unwrap();
    }
    let audited = guild.ok("nobody", &["audit", "verify", path]).unwrap();
    assert_eq!(audited["state_hash"], written["state_hash"]);
    let decided = audited["decisions"].as_array().unwrap();
    assert_eq!((decided.len(), &decided[0]["status"], &decided[0]["txid"]), (1, &"paid".into(), &txid));
    assert_eq!((&audited["labels"], &audited["transactions"]), (&1.into(), &2.into()));

    let text = fs::read_to_string(&file).unwrap();
    for (from, to, line) in [
        ("power of May", "power of June", "labels: expected"),
        ("\"treasury_sat\":", "\"treasury_sat\":1", "summary, treasury_sat: expected"),
        ("\"position\":1", "\"position\":2", "transaction 2 of the block"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let refused = guild.run("nobody", &["audit", "verify", path]).unwrap();
        assert_ne!(refused.exit, 0);
        assert!(refused.message.contains(line) && !refused.message.contains('\n'), "{}", refused.message);
    }
}
