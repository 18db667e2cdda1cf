//! The whole story: five members found a guild, make a key together, mine a block into their treasury,
//! vote, and pay; an unvoted spend is refused, and a dead co-signer is replaced.

mod found;
mod mine;
mod spend;

use crate::build::Programs;
use crate::guild::{Guild, NAMES, number, text};
use crate::narrate::Narrator;
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// Steps of the story.
pub const STEPS: usize = 8;
/// How long nodes may take to agree on something they all have heard of.
const AGREE_LIMIT: Duration = Duration::from_secs(60);

/// What a step found out.
type Facts = Map<String, Value>;

/// Tell the story below `root`; a guild that lives there already goes on.
///
/// # Errors
///
/// The first step that fails. What was told so far is in the narrator.
pub fn run(root: &Path, programs: Programs, narrator: &mut Narrator) -> Result<Guild> {
    let mut slot = None;
    narrator.step("a real bitcoind on regtest", |narrator, facts| {
        let guild = slot.insert(Guild::new(root, programs, narrator)?);
        if guild.bitcoind.height()? == 0 {
            guild.bury(1)?; // a chain without a block counts as not synced
        }
        facts.insert("height".to_owned(), guild.bitcoind.height()?.into());
        Ok(())
    })?;
    let mut guild = slot.context("bitcoind runs")?;
    narrator.step("five members found a guild; every node reaches every other", |narrator, facts| {
        found::charter(&mut guild, narrator, facts)
    })?;
    narrator.step("they make a key together, 3 of 5: nobody holds it", |narrator, facts| {
        found::key(&guild, narrator, facts)
    })?;
    narrator.step("a farm obeys the certified policy and mines into the treasury", |narrator, facts| {
        mine::into_treasury(&mut guild, narrator, facts)
    })?;
    narrator.step("alice proposes, the members vote, the treasury pays", |narrator, facts| {
        spend::voted(&guild, narrator, facts)
    })?;
    narrator.step("a spend nobody voted on: every co-signer refuses", |narrator, facts| {
        spend::unvoted(&guild, narrator, facts)
    })?;
    narrator
        .step("a co-signer dies in the middle of signing; another takes the seat", |narrator, facts| {
            spend::without_one(&mut guild, narrator, facts)
        })?;
    narrator
        .step("five nodes, one state; the balance stands up to an independent scan", |narrator, facts| {
            agree(&guild, narrator, facts)
        })?;
    Ok(guild)
}

/// All five status objects, if they are at one height with one state.
fn one_state(guild: &Guild) -> Result<Result<Vec<Value>, String>> {
    let mut all = Vec::new();
    for name in NAMES {
        all.push(guild.ok(name, &["status"])?);
    }
    let at =
        |status: &Value| Ok::<_, anyhow::Error>((number(status, "height")?, text(status, "state_hash")?));
    let states = all.iter().map(at).collect::<Result<Vec<_>>>()?;
    let height = guild.bitcoind.height()?;
    let first = states.first().cloned();
    if states.iter().all(|state| Some(state) == first.as_ref() && state.0 == height) {
        return Ok(Ok(all));
    }
    let lines = NAMES.iter().zip(&states).map(|(name, (height, hash))| {
        format!("{name} {height} {}", hash.chars().take(8).collect::<String>())
    });
    Ok(Err(format!("one state at height {height}: {}", lines.collect::<Vec<_>>().join(", "))))
}

fn agree(guild: &Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    let all = narrator.wait(AGREE_LIMIT, "all five nodes to agree", || one_state(guild))?;
    let hashes = NAMES
        .iter()
        .zip(&all)
        .map(|(name, status)| Ok((name.to_string(), text(status, "state_hash")?.into())));
    let hashes: Map<String, Value> = hashes.collect::<Result<_>>()?;
    let hash = hashes.values().next().cloned().unwrap_or_default();
    let balance = guild.ok("alice", &["treasury", "balance"])?;
    let ours = number(&balance, "confirmed_sat")? + number(&balance, "immature_sat")?;
    let descriptor = text(&guild.ok("alice", &["treasury", "descriptor"])?, "descriptor")?;
    let descriptor = descriptor.split('#').next().unwrap_or_default();
    let both = [descriptor.replace("<0;1>", "0"), descriptor.replace("<0;1>", "1")];
    let scanned = guild.bitcoind.scan_balance(&both)?.to_sat();
    facts.insert("state_hashes".to_owned(), hashes.into());
    facts.insert("balance_sat".to_owned(), ours.into());
    facts.insert("scanned_sat".to_owned(), scanned.into());
    narrator
        .detail(&format!("state {hash} on all five; balance {ours} sat, scantxoutset says {scanned} sat"));
    if ours != scanned {
        bail!("the nodes count {ours} sat, an independent scan {scanned} sat");
    }
    Ok(())
}

/// The summary that `--json` prints.
#[must_use]
pub fn summary(narrator: &Narrator) -> Value {
    json!({ "steps": narrator.steps() })
}

/// Lines to look around with, each as it would be typed.
#[must_use]
pub fn look_around(guild: &Guild) -> Vec<String> {
    vec![
        guild.command_line("alice", "status"),
        guild.command_line("bob", "proposal list"),
        guild.command_line("carol", "treasury balance"),
        guild.command_line("dave", "treasury history"),
        guild.command_line("erin", "document export --format json"),
        guild.farm_command_line("status"),
    ]
}
