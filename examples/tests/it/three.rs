//! A guild of three, with real processes.

use examples::guild::{Guild, text};
use examples::narrate::Narrator;
use serde_json::Value;
use std::time::Duration;

pub(crate) const THREE: [&str; 3] = ["alice", "bob", "carol"];
/// How long three nodes may take to make a key on a busy machine.
const KEY_LIMIT: Duration = Duration::from_secs(180);

/// Three members found a guild by `guild found ARGS` and make its key.
pub(crate) fn found(guild: &mut Guild, narrator: &Narrator, args: &[&str]) {
    let cards: Vec<String> =
        THREE.iter().map(|name| text(&guild.init(name).unwrap(), "card").unwrap()).collect();
    guild.ok("alice", &[&["found", &cards[1], &cards[2]], args].concat()).unwrap();
    guild.start("alice", narrator).unwrap();
    let invitation = text(&guild.ok("alice", &["invite"]).unwrap(), "invitation").unwrap();
    for name in ["bob", "carol"] {
        guild.ok(name, &["join", &invitation, "--yes"]).unwrap();
        guild.start(name, narrator).unwrap();
    }
    let early = guild.run("alice", &["treasury", "address"]).unwrap();
    assert!(early.exit == 75 || early.exit == 0, "no address before the key is usable: {}", early.message);
    wait(guild, narrator, "the key", |status| status["key_usable"] == true);
}

/// Wait until all three say of themselves what is wanted.
pub(crate) fn wait(guild: &Guild, narrator: &Narrator, what: &str, done: impl Fn(&Value) -> bool) {
    let waited = narrator.wait(KEY_LIMIT, what, || {
        let all = THREE.map(|name| guild.ok(name, &["status"]).unwrap_or_default());
        Ok(if all.iter().all(&done) { Ok(()) } else { Err(all[0]["waits"].to_string()) })
    });
    waited.unwrap();
}
