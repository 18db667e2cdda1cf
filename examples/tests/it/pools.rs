//! A farm moves to a pool when the guild decided it, not before, and stays there when all nodes are away.

use crate::three::{found, wait};
use crate::{folder, programs};
use examples::guild::{Guild, number, text};
use examples::narrate::Narrator;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// How long a farm may take to hear of a decision: it asks its node every few seconds.
const HEAR: Duration = Duration::from_secs(60);

fn policy(guild: &Guild, narrator: &Narrator, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let told = narrator.wait(HEAR, what, || {
        let status = guild.farm_status().unwrap_or_default();
        let jobs = number(&status, "jobs").unwrap_or_default();
        Ok(if wanted(&status["policy"]) && jobs > 0 {
            Ok(status["policy"].clone())
        } else {
            Err(status.to_string())
        })
    });
    told.unwrap()
}

/// A connection to the pool, if somebody called it.
fn call(pool: &TcpListener) -> Option<TcpStream> {
    pool.set_nonblocking(true).unwrap();
    match pool.accept() {
        Ok((stream, _)) => Some(stream),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_farm_moves_to_a_pool_when_the_guild_decided_it_and_not_before() {
    let (folder, narrator) = (folder(), Narrator::new(0));
    let mut guild = Guild::new(folder.path(), programs(), &narrator).unwrap();
    guild.bury(1).unwrap();
    found(&mut guild, &narrator, &[]);
    let pool = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings =
        format!("[[pool]]\nurl = \"stratum+tcp://{}\"\nuser = \"farm.link\"\n", pool.local_addr().unwrap());
    std::fs::create_dir_all(guild.home("farm")).unwrap();
    std::fs::write(guild.home("farm").join("miner-link.toml"), settings).unwrap();
    let stratum = guild.start_farm("alice", &narrator).unwrap();
    policy(&guild, &narrator, "the founding policy", |policy| policy["state"] == "solo");

    let proposal =
        guild.ok("alice", &["proposal", "new", "--title", "Use the pool", "--mining", "pool"]).unwrap();
    let id = text(&proposal, "id").unwrap();
    let closes = number(&proposal, "close").unwrap();
    for name in ["alice", "bob"] {
        narrator
            .wait(HEAR, "the proposal", || {
                let voted = guild.run(name, &["proposal", "vote", &id, "yes", "--final"])?;
                Ok(if voted.exit == 0 { Ok(()) } else { Err(voted.message) })
            })
            .unwrap();
    }
    // Two of three have said it for good, but a setting waits for its close.
    guild.bury(closes - guild.bitcoind.height().unwrap() - 1).unwrap();
    wait(&guild, &narrator, "the block before the close", |status| status["height"] == closes - 1);
    policy(&guild, &narrator, "the founding policy still", |policy| policy["state"] == "solo");
    assert!(call(&pool).is_none(), "no hash rate moves without a certificate (M1)");

    guild.bury(1).unwrap();
    let moved = policy(&guild, &narrator, "the certified policy", |policy| policy["state"] == "pool");
    assert_eq!((text(&moved, "decision").unwrap(), number(&moved, "close").unwrap()), (id.clone(), closes));
    let called = narrator.wait(HEAR, "a call of the pool", || Ok(call(&pool).ok_or_else(String::new)));
    let stream = called.unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(line.contains("\"mining."), "it speaks Stratum: {line}");

    // All nodes are gone, and the pool gives no work: blocks of our own, by the policy that was obeyed last.
    for name in ["alice", "bob", "carol"] {
        guild.kill(name).unwrap();
    }
    let before = guild.bitcoind.height().unwrap();
    guild.mine(&stratum, "alice.rig1", 1).unwrap();
    let height = || guild.bitcoind.height().unwrap();
    // The miner hears of its share as soon as the block is on the disk.
    let goes_on = narrator.wait(HEAR, "a block without nodes (M3)", || {
        Ok(if height() > before { Ok(()) } else { Err(format!("height {before}")) })
    });
    goes_on.unwrap();
    let stays = policy(&guild, &narrator, "the policy", |policy| policy["state"] == "pool");
    assert_eq!(text(&stays, "decision").unwrap(), id);
}
