//! Steps 2 and 3: a charter, a mesh, a key.

use super::{AGREE_LIMIT, Facts};
use crate::guild::{Guild, NAMES, number, text};
use crate::narrate::Narrator;
use anyhow::{Result, bail};
use serde_json::Value;

/// Found the guild, or wake it up if it lives here already.
pub(super) fn charter(guild: &mut Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    let mut cards = Vec::new();
    for name in NAMES {
        if !guild.home(name).join("config.toml").exists() {
            guild.init(name)?;
        }
        cards.push(std::fs::read_to_string(guild.home(name).join("card"))?);
    }
    if guild.home("alice").join("charter").exists() {
        narrator.detail("the guild lives here already: waking it up");
    } else {
        narrator.detail("five member cards; alice writes the charter");
        let mut args = vec!["found", "--name", "Demo guild", "--threshold", "3"];
        args.extend(cards.iter().skip(1).map(String::as_str));
        guild.ok("alice", &args)?;
    }
    guild.start("alice", narrator)?;
    let invitation = text(&guild.ok("alice", &["invite"])?, "invitation")?;
    for name in NAMES.into_iter().skip(1) {
        if !guild.home(name).join("charter").exists() {
            guild.ok(name, &["join", &invitation, "--yes"])?;
            narrator.detail(&format!("{name} fetched the charter from alice, saw its rules, signed"));
        }
        guild.start(name, narrator)?;
    }
    mesh(guild, narrator, facts)
}

fn mesh(guild: &Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    narrator.wait(AGREE_LIMIT, "five signatures and a complete mesh", || {
        for name in NAMES {
            let status = guild.ok(name, &["status"])?;
            let peers = status.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
            let away = peers.iter().filter(|peer| peer.get("connected") != Some(&Value::Bool(true)));
            let away: Vec<&str> = away.filter_map(|peer| peer.get("name").and_then(Value::as_str)).collect();
            if !away.is_empty() {
                return Ok(Err(format!("{name} does not reach {}", away.join(", "))));
            }
            if status.get("founded") != Some(&Value::Bool(true)) {
                let waits = status.get("waits").cloned().unwrap_or_default();
                return Ok(Err(format!("{name} has not all signatures and waits for {waits}")));
            }
            facts.insert("guild".to_owned(), text(&status, "guild")?.into());
        }
        Ok(Ok(()))
    })
}

/// Wait for the key and compare what all five derive from it.
pub(super) fn key(guild: &Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    narrator.wait(AGREE_LIMIT, "the key generation", || {
        for name in NAMES {
            let status = guild.ok(name, &["status"])?;
            if status.get("key_usable") != Some(&Value::Bool(true)) {
                let (ready, of) = (number(&status, "key_ready")?, number(&status, "co_signers")?);
                return Ok(Err(format!(
                    "{name} sees {ready} of {of} key shares stored, and no two test signatures"
                )));
            }
        }
        Ok(Ok(()))
    })?;
    let mut addresses = Vec::new();
    for name in NAMES {
        let address = narrator.wait(AGREE_LIMIT, &format!("{name}'s address"), || {
            let answer = guild.run(name, &["treasury", "address", "--mining"])?;
            Ok(if answer.exit == 0 {
                text(&answer.json, "address").map_err(|e| e.to_string())
            } else {
                Err(answer.message)
            })
        })?;
        addresses.push(address);
    }
    let Some(first) = addresses.first() else { bail!("no address") };
    if addresses.iter().any(|address| address != first) {
        bail!("the nodes derive different addresses: {}", addresses.join(", "));
    }
    let status = guild.ok("alice", &["status"])?;
    facts.insert("group_key".to_owned(), text(&status, "group_key")?.into());
    facts.insert("address".to_owned(), first.as_str().into());
    facts.insert("key_ready".to_owned(), number(&status, "key_ready")?.into());
    narrator.detail(&format!("five KeyReady, two test signatures; all derive {first}"));
    Ok(())
}
