//! Steps 5 to 7: a spend that was voted, one that was not, and one with a dead co-signer.

use super::{AGREE_LIMIT, Facts, one_state};
use crate::guild::{Guild, NAMES, outsider, text};
use crate::narrate::Narrator;
use anyhow::{Context as _, Result, bail};
use node::error::Code;
use serde_json::Value;
use std::time::Duration;

/// What the first spend pays, in satoshis.
const AMOUNT: u64 = 42_000_000;
/// Blocks until a payment is final.
const FINAL: u64 = 6;
/// How soon a silent co-signer must be named.
const NAMED_LIMIT: Duration = Duration::from_secs(30);

fn propose(
    guild: &Guild,
    who: &str,
    title: &str,
    payee: &[u8],
    sat: u64,
) -> Result<(String, bitcoin::Address)> {
    let payee = outsider(payee)?;
    let pay = format!("{payee}={sat}");
    let shown = guild.ok(who, &["proposal", "new", "--title", title, "--pay", &pay])?;
    Ok((text(&shown, "id")?, payee))
}

fn show(guild: &Guild, name: &str, id: &str) -> Result<Value> {
    guild.ok(name, &["proposal", "show", id])
}

/// Ballots of these members, each at its own node once that has heard of the proposal.
fn vote(guild: &Guild, narrator: &Narrator, id: &str, voters: &[&str]) -> Result<()> {
    for name in voters {
        narrator.wait(AGREE_LIMIT, &format!("{name} to hear of the proposal"), || {
            let answer = guild.run(name, &["proposal", "vote", id, "yes", "--final"])?;
            Ok(if answer.exit == 0 { Ok(()) } else { Err(answer.message) })
        })?;
        narrator.detail(&format!("{name} votes yes, final"));
    }
    Ok(())
}

/// Wait until `name` sees the payment, and say why it takes what it takes.
fn paid(guild: &Guild, narrator: &Narrator, name: &str, id: &str) -> Result<String> {
    narrator.wait(AGREE_LIMIT, "the payment", || {
        let shown = show(guild, name, id)?;
        let txid = shown.pointer("/payment/txid").and_then(Value::as_str);
        Ok(txid.map(str::to_owned).ok_or_else(|| text(&shown, "next").unwrap_or_default()))
    })
}

/// A block with the payment in it, as all nodes see it.
fn confirm(guild: &Guild, narrator: &Narrator, id: &str, txid: &str) -> Result<()> {
    narrator.wait(AGREE_LIMIT, "the payment in bitcoind's mempool", || {
        let mempool = guild.bitcoind.rpc("getrawmempool", &[])?;
        let there = mempool.as_array().is_some_and(|all| all.iter().any(|entry| entry == txid));
        Ok(if there { Ok(()) } else { Err(txid.to_owned()) })
    })?;
    guild.bury(1)?;
    narrator.wait(AGREE_LIMIT, "the payment in a block", || {
        let shown = show(guild, "alice", id)?;
        let depth = shown.pointer("/payment/depth").and_then(Value::as_u64);
        Ok(if depth >= Some(1) { Ok(()) } else { Err(text(&shown, "next")?) })
    })
}

pub(super) fn voted(guild: &Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    let (id, payee) = propose(guild, "alice", "Pay the host, November", b"the host", AMOUNT)?;
    let before = guild.bitcoind.scan_script(&payee.script_pubkey())?.to_sat();
    let shown = show(guild, "alice", &id)?;
    narrator.detail(&format!("alice proposes {}: {}", id.get(..8).unwrap_or(&id), text(&shown, "next")?));
    vote(guild, narrator, &id, &["alice", "bob", "carol"])?;
    let txid = paid(guild, narrator, "alice", &id)?;
    confirm(guild, narrator, &id, &txid)?;
    let got = guild.bitcoind.scan_script(&payee.script_pubkey())?.to_sat() - before;
    facts.insert("proposal".to_owned(), id.as_str().into());
    facts.insert("txid".to_owned(), txid.as_str().into());
    facts.insert("payee".to_owned(), payee.to_string().into());
    facts.insert("payee_got_sat".to_owned(), got.into());
    if got != AMOUNT {
        bail!("{payee} got {got} sat instead of {AMOUNT}");
    }
    guild.bury(FINAL - 1)?;
    narrator.detail(&format!("{txid} confirmed: the host got exactly {got} sat"));
    Ok(())
}

pub(super) fn unvoted(guild: &Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    narrator.wait(AGREE_LIMIT, "all five nodes to agree", || one_state(guild))?;
    let (id, _) = propose(guild, "erin", "Pay mallory", b"mallory", AMOUNT)?;
    narrator.wait(AGREE_LIMIT, "all five to hear of it", || {
        let missing = NAMES.iter().find(
            |name| !matches!(guild.run(name, &["proposal", "show", &id]), Ok(answer) if answer.exit == 0),
        );
        Ok(missing.map_or(Ok(()), |name| Err((*name).to_owned())))
    })?;
    let answer = guild.run("alice", &["proposal", "execute", &id])?;
    let refusals = answer.json.get("refusals").and_then(Value::as_array).cloned().unwrap_or_default();
    let signed = answer.json.get("signed").and_then(Value::as_u64);
    for refusal in &refusals {
        let part = |field| text(refusal, field).unwrap_or_default();
        let (rule, expected, found) = (part("rule"), part("expected"), part("found"));
        narrator.detail(&format!("{}: no — {rule}: expected {expected}, found {found}", part("member")));
        if [rule, expected, found].iter().any(String::is_empty) {
            bail!("a refusal without rule, expected and found: {refusal}");
        }
    }
    facts.insert("proposal".to_owned(), id.into());
    facts.insert("signed".to_owned(), signed.into());
    facts.insert("refusals".to_owned(), refusals.clone().into());
    let refused = i32::from(Code::Refused.exit());
    if signed != Some(0) || refusals.len() != NAMES.len() || answer.exit != refused {
        bail!(
            "expected 0 signatures, 5 refusals and exit {refused}, got {} with exit {}",
            answer.json,
            answer.exit
        );
    }
    Ok(())
}

/// Who will sign next, as alice sees it: the coordinator, and a seat that is neither it nor alice.
fn victim(shown: &Value) -> Result<(String, &'static str)> {
    let signing = shown.get("signing").context("no signing in the proposal")?;
    let coordinator = text(signing, "coordinator")?;
    let seats = signing.get("seats").and_then(Value::as_array).context("no seats")?;
    let seated = |name: &&&str| seats.iter().any(|seat| seat == **name);
    let spare = NAMES.iter().filter(seated).find(|name| **name != "alice" && **name != coordinator);
    spare.map(|name| (coordinator.clone(), *name)).context("no co-signer to spare")
}

pub(super) fn without_one(guild: &mut Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    let (id, _) = propose(guild, "alice", "Repair fan 3", b"the workshop", AMOUNT / 2)?;
    let (coordinator, victim) = victim(&show(guild, "alice", &id)?)?;
    guild.pause(victim)?;
    narrator.detail(&format!("{victim} holds a seat and hangs (SIGSTOP); {coordinator} coordinates"));
    let voters: Vec<&str> = NAMES.into_iter().filter(|name| *name != victim).take(3).collect();
    vote(guild, narrator, &id, &voters)?;
    let line = narrator.wait(NAMED_LIMIT, &format!("{coordinator} to wait for {victim} by name"), || {
        let shown = show(guild, &coordinator, &id)?;
        let waits =
            shown.pointer("/signing/waiting_for").and_then(Value::as_array).cloned().unwrap_or_default();
        let named = waits.iter().any(|waiting| waiting.get("member").and_then(Value::as_str) == Some(victim));
        let next = text(&shown, "next")?;
        Ok(if named { Ok(next) } else { Err(next) })
    })?;
    narrator.detail(&format!("proposal show: {line}"));
    guild.kill(victim)?;
    narrator.detail(&format!("{victim} is killed (SIGKILL)"));
    let txid = paid(guild, narrator, "alice", &id)?;
    confirm(guild, narrator, &id, &txid)?;
    narrator.detail(&format!("{txid} confirmed without {victim}"));
    guild.start(victim, narrator)?;
    narrator.wait(AGREE_LIMIT, &format!("{victim} to catch up"), || one_state(guild))?;
    narrator.detail(&format!("{victim} is back and caught up"));
    facts.insert("proposal".to_owned(), id.into());
    facts.insert("txid".to_owned(), txid.into());
    facts.insert("stopped".to_owned(), victim.into());
    facts.insert("coordinator".to_owned(), coordinator.into());
    facts.insert("waited".to_owned(), line.into());
    Ok(())
}
