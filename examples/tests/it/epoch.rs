//! A guild changes itself, with real processes on a real chain: one joins and one who is down leaves; then one of
//! the others is destroyed for good, and those who remain make a key without it.

use crate::three::found;
use crate::{folder, programs};
use examples::guild::{Guild, address, number, text};
use examples::narrate::Narrator;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// How long one step of a change may take on a busy machine.
const STEP: Duration = Duration::from_secs(180);
/// Blocks in which a change reaches its seal: the cut, and some that come while it is signed.
const BLOCKS: u32 = 20;

fn epoch(guild: &Guild, name: &str) -> Value {
    guild.ok(name, &["epoch"]).unwrap_or_default()
}

/// Wait until `name` sees what is wanted of the epoch.
fn wait(guild: &Guild, narrator: &Narrator, (name, what): (&str, &str), done: impl Fn(&Value) -> bool) {
    let waited = narrator.wait(STEP, what, || {
        let seen = epoch(guild, name);
        Ok(if done(&seen) { Ok(()) } else { Err(format!("{name}: {seen}")) })
    });
    waited.unwrap();
}

/// Propose a change and pass it with the final yes of `voters`.
fn decide(guild: &Guild, narrator: &Narrator, args: &[&str], voters: [&str; 2]) {
    let all = [&["proposal", "new", "--title", "Another guild", "--epoch"], args].concat();
    let id = text(&guild.ok(voters[0], &all).unwrap(), "id").unwrap();
    for voter in voters {
        let voted = narrator.wait(STEP, &format!("{voter}'s vote"), || {
            let answer = guild.run(voter, &["proposal", "vote", &id, "yes", "--final"])?;
            Ok(if answer.exit == 0 { Ok(()) } else { Err(answer.message) })
        });
        voted.unwrap();
    }
}

/// From a decision to the epoch it begins: blocks come while the nodes work.
fn carry_out(guild: &Guild, narrator: &Narrator, number_of: u64, members: &[&str]) {
    let leader = members[0];
    let cut = |seen: &Value| {
        let next = seen["changes"].to_string();
        next.contains("cut at height") || !seen["seal"]["spent_by"].is_null()
    };
    wait(guild, narrator, (leader, "a key and a cut"), cut);
    for _ in 0..BLOCKS {
        let before = narrator.wait(Duration::from_secs(25), "a seal", || {
            let sealed = !epoch(guild, leader)["seal"]["spent_by"].is_null();
            Ok(if sealed { Ok(()) } else { Err("not yet".to_owned()) })
        });
        if before.is_ok() {
            break;
        }
        guild.bury(1).unwrap();
    }
    guild.bury(1).unwrap();
    wait(guild, narrator, (leader, "the seal in a block"), |seen| seen["seal"]["spent_depth"] == 1);
    // the sweeps follow their seal
    let coins = || guild.ok(leader, &["treasury", "coins"]).unwrap()["coins"].as_array().unwrap().clone();
    let swept = narrator.wait(STEP, "the sweeps", || {
        let waiting = guild.bitcoind.rpc("getrawmempool", &[])?;
        Ok(if waiting.as_array().is_some_and(|all| !all.is_empty()) {
            Ok(())
        } else {
            Err(waiting.to_string())
        })
    });
    swept.unwrap();
    guild.bury(6).unwrap();
    for name in members {
        wait(guild, narrator, (name, "the next epoch"), |seen| seen["epoch"] == number_of);
    }
    assert!(
        coins().iter().all(|coin| coin["keychain"] == 1),
        "all coins are under the new key: {:?}",
        coins()
    );
}

#[test]
fn a_guild_changes_its_members_with_one_down_and_again_with_one_destroyed() {
    let (root, narrator) = (folder(), Narrator::new(0));
    let mut guild = Guild::new(root.path(), programs(), &narrator).unwrap();
    found(&mut guild, &narrator, &[]);
    let card = text(&guild.init("dave").unwrap(), "card").unwrap();
    let invitation = text(&guild.ok("alice", &["invite", &card]).unwrap(), "invitation").unwrap();
    guild.ok("dave", &["join", &invitation, "--yes"]).unwrap();
    guild.start("dave", &narrator).unwrap();
    // two coins and a seal; block rewards rest a hundred blocks
    let mining =
        address(&guild.ok("alice", &["treasury", "address", "--mining"]).unwrap(), "address").unwrap();
    let seal = address(&epoch(&guild, "alice")["seal"], "address").unwrap();
    guild.bitcoind.generate_to(&mining, 2).unwrap();
    guild.bitcoind.generate_to(&seal, 1).unwrap();
    guild.bury(101).unwrap();
    wait(&guild, &narrator, ("alice", "the seal"), |seen| seen["seal"]["depth"].as_u64() > Some(100));
    guild.kill("carol").unwrap();
    let add = format!("{card}=1");
    let candidates = ["--candidate", "alice", "--candidate", "bob", "--candidate", "dave"];
    let change = [&["--add", &add, "--remove", "carol"][..], &candidates].concat();
    decide(&guild, &narrator, &change, ["alice", "bob"]);
    carry_out(&guild, &narrator, 2, &["alice", "bob", "dave"]);
    let hashes = ["alice", "bob", "dave"].map(|name| {
        let status = guild.ok(name, &["status"]).unwrap();
        (number(&status, "height").unwrap(), text(&status, "state_hash").unwrap())
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    // n − t of three: bob is gone for good
    guild.kill("bob").unwrap();
    fs::remove_dir_all(guild.home("bob")).unwrap();
    let change = ["--remove", "bob", "--candidate", "alice", "--candidate", "dave"];
    decide(&guild, &narrator, &change, ["dave", "alice"]);
    carry_out(&guild, &narrator, 3, &["dave", "alice"]);
    let now = epoch(&guild, "alice");
    assert_eq!((now["members"].as_u64(), now["signers_needed"].as_u64()), (Some(2), Some(2)));
}
