//! The way out when no share is left: coins that rested the delay move by the recovery keys of two members,
//! with no daemon running.

use crate::three::{THREE, found, wait};
use crate::{folder, programs};
use bitcoin::Amount;
use examples::guild::{Guild, outsider, text};
use examples::narrate::Narrator;
use serde_json::json;
use std::fs;

/// The shortest delay that a charter can have.
const DELAY: u64 = 144;

fn address_of(guild: &Guild, args: &[&str]) -> String {
    let args = [&["treasury", "address"], args].concat();
    text(&guild.ok("bob", &args).unwrap(), "address").unwrap()
}

/// Everybody has an own deposit address, equal on all nodes, and anybody can watch.
fn addresses_and_descriptor(guild: &Guild) {
    let all: Vec<String> = THREE.iter().map(|name| address_of(guild, &["--member", name])).collect();
    for (name, expected) in THREE.iter().zip(&all) {
        let own = text(&guild.ok(name, &["treasury", "address"]).unwrap(), "address").unwrap();
        assert_eq!(own, *expected, "bob and {name} derive one address");
    }
    let mining = address_of(guild, &["--mining"]);
    assert!(!all.contains(&mining) && all[0] != all[1] && all[1] != all[2]);
    let descriptor = text(&guild.ok("carol", &["treasury", "descriptor"]).unwrap(), "descriptor").unwrap();
    let known = guild.bitcoind.rpc("getdescriptorinfo", &[json!(descriptor)]).unwrap();
    assert_eq!(known["hasprivatekeys"], false, "with its checksum, and no secret in it");
    let receiving = descriptor.split('#').next().unwrap().replace("<0;1>", "0");
    let checked = guild.bitcoind.rpc("getdescriptorinfo", &[json!(receiving)]).unwrap();
    let derived =
        guild.bitcoind.rpc("deriveaddresses", &[checked["descriptor"].clone(), json!([0, 3])]).unwrap();
    let expected: Vec<String> = [vec![mining], all].concat();
    assert_eq!(derived, json!(expected), "Bitcoin Core derives the same");
}

fn links_and_codes(guild: &Guild) {
    let svg = guild.home("alice").join("code.svg");
    let asked = guild
        .ok("alice", &["treasury", "address", "--amount", "150000", "--qr", "--svg", svg.to_str().unwrap()])
        .unwrap();
    let uri = text(&asked, "uri").unwrap();
    assert_eq!(uri, format!("bitcoin:{}?amount=0.0015", text(&asked, "address").unwrap()));
    assert!(fs::read_to_string(svg).unwrap().contains("<svg"));
    assert_eq!(guild.run("alice", &["treasury", "address", "--member", "mallory"]).unwrap().exit, 3);
}

fn coins(guild: &Guild) {
    let coins = guild.ok("alice", &["treasury", "coins"]).unwrap();
    let coins = coins["coins"].as_array().unwrap().clone();
    assert_eq!(coins.len(), 3);
    let outpoint = text(&coins[0], "outpoint").unwrap();
    let frozen = guild.ok("alice", &["treasury", "freeze", &outpoint]).unwrap();
    assert_eq!(frozen["frozen"], true);
    let again = guild.ok("alice", &["treasury", "coins"]).unwrap();
    assert_eq!(again["coins"][0]["frozen"], true);
    assert_eq!(guild.ok("bob", &["treasury", "coins"]).unwrap()["coins"][0]["frozen"], false);
    let nothing = format!("{}:0", "ab".repeat(32));
    assert_eq!(guild.run("alice", &["treasury", "freeze", &nothing]).unwrap().exit, 3);
    assert_eq!(guild.run("alice", &["treasury", "freeze", "ab"]).unwrap().exit, 2);
}

fn paid_in(guild: &Guild, narrator: &Narrator) {
    for args in [&["--mining"][..], &["--member", "alice"], &["--member", "carol"]] {
        let address = address_of(guild, args).parse::<bitcoin::Address<_>>().unwrap().assume_checked();
        guild.bitcoind.generate_to(&address, 1).unwrap();
    }
    guild.bury(DELAY / 2 + 1).unwrap();
    wait(guild, narrator, "a warning at half the delay", |status| {
        status["waits"].to_string().contains("rested 50 % of 144 blocks")
    });
}

#[test]
fn with_no_share_left_two_seeds_recover_the_treasury_after_the_delay() {
    let (root, narrator) = (folder(), Narrator::new(0));
    let mut guild = Guild::new(root.path(), programs(), &narrator).unwrap();
    found(&mut guild, &narrator, &["--recovery-delay", "144"]);
    addresses_and_descriptor(&guild);
    links_and_codes(&guild);
    paid_in(&guild, &narrator);
    coins(&guild);
    crate::reports::tell_what_came_in(&guild);
    for name in THREE {
        guild.kill(name).unwrap();
    }
    fs::remove_dir_all(guild.home("carol")).unwrap();
    for name in ["alice", "bob"] {
        fs::remove_file(guild.home(name).join("keys/share-1.sealed")).unwrap();
    }
    fs::remove_dir_all(guild.home("bob").join("db")).unwrap();
    let to = outsider(b"a safe place").unwrap();
    let (address, one) = (to.to_string(), root.path().join("one.psbt"));
    let file = one.to_str().unwrap();
    let begin = ["treasury", "recover", "--to", &address, "--export", file, "--fee-rate", "5"];
    let early = guild.run("alice", &begin).unwrap();
    assert_eq!(early.exit, 75, "{}", early.message);
    assert!(early.message.contains("the first can be recovered in"), "{}", early.message);

    guild.bury(DELAY / 2).unwrap();
    let begun = guild.ok("alice", &begin).unwrap();
    assert_eq!((begun["signatures"].clone(), begun["needed"].clone()), (json!(1), json!(2)));
    assert_eq!((begun["coins"].clone(), begun["sent"].clone()), (json!(3), json!(false)));
    let elsewhere = outsider(b"somewhere else").unwrap().to_string();
    for (to, import, words) in [
        (elsewhere.as_str(), file, "does not pay the address given with --to"),
        (address.as_str(), "/dev/null", "is no PSBT"),
    ] {
        let refused = guild.run("bob", &["treasury", "recover", "--to", to, "--import", import]).unwrap();
        assert!(refused.exit != 0 && refused.message.contains(words), "{}", refused.message);
    }
    let sent =
        guild.ok("bob", &["treasury", "recover", "--to", &address, "--import", file, "--yes"]).unwrap();
    assert_eq!(sent["sent"], true);
    guild.bury(1).unwrap();
    let arrived = guild.bitcoind.scan_script(&to.script_pubkey()).unwrap();
    assert_eq!(json!(arrived.to_sat()), sent["amount_sat"]);
    assert_eq!(arrived + Amount::from_sat(sent["fee_sat"].as_u64().unwrap()), Amount::from_int_btc(150));
    let empty = guild.run("alice", &begin).unwrap();
    assert_eq!(empty.exit, 8, "{}", empty.message);
}
