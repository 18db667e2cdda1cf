//! Step 4: a farm, a miner, a block.

use super::{AGREE_LIMIT, Facts};
use crate::guild::{Guild, address, number, text};
use crate::narrate::Narrator;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Blocks the software miner finds: two, so that no payment is tested with one coin alone.
const BLOCKS: u64 = 2;
/// Blocks on top, until a block reward can be spent.
const MATURITY: u64 = 100;

pub(super) fn into_treasury(guild: &mut Guild, narrator: &Narrator, facts: &mut Facts) -> Result<()> {
    let stratum = guild.start_farm("alice", narrator)?;
    let treasury = address(&guild.ok("alice", &["treasury", "address", "--mining"])?, "address")?;
    let policy = narrator.wait(AGREE_LIMIT, "the farm to obey a certified policy and have a job", || {
        let Ok(status) = guild.farm_status() else { return Ok(Err("no answer".to_owned())) };
        let policy = status.get("policy").cloned().unwrap_or_default();
        let solo = policy.get("state").and_then(Value::as_str) == Some("solo");
        let jobs = number(&status, "jobs").unwrap_or_default();
        Ok(if solo && jobs > 0 { Ok(policy) } else { Err(status.to_string()) })
    })?;
    if text(&policy, "address")? != treasury.to_string() {
        bail!("the farm mines for {policy}, the treasury is {treasury}");
    }
    narrator.detail(&format!("the farm verified the certificate itself and mines for {treasury}"));
    narrator.detail(&format!("a software miner hashes at stratum+tcp://{stratum}"));
    let before = guild.bitcoind.height()?;
    guild.mine(&stratum, "alice.rig1", BLOCKS)?;
    let (hash, paid) = coinbase(guild, before + 1)?;
    if paid != treasury.script_pubkey().to_hex_string() {
        bail!("block {hash} pays {paid}, not the treasury");
    }
    narrator.detail(&format!("block {hash} pays the treasury; {MATURITY} more make its reward spendable"));
    guild.bury(MATURITY)?;
    let balance = narrator.wait(AGREE_LIMIT, "a balance that can be spent", || {
        let balance = guild.ok("alice", &["treasury", "balance"])?;
        let spendable = number(&balance, "confirmed_sat")?;
        Ok(if spendable > 0 && number(&balance, "height")? == guild.bitcoind.height()? {
            Ok(spendable)
        } else {
            Err(balance.to_string())
        })
    })?;
    facts.insert("stratum".to_owned(), stratum.into());
    facts.insert("block".to_owned(), hash.into());
    facts.insert("coinbase_script".to_owned(), paid.into());
    facts.insert("spendable_sat".to_owned(), balance.into());
    Ok(())
}

/// The block at `height`, and the script its first output with a value pays.
fn coinbase(guild: &Guild, height: u64) -> Result<(String, String)> {
    let hash = guild.bitcoind.rpc("getblockhash", &[json!(height)])?;
    let hash = hash.as_str().context("a block hash")?.to_owned();
    let block = guild.bitcoind.rpc("getblock", &[json!(hash), json!(2)])?;
    let outputs = block.pointer("/tx/0/vout").and_then(Value::as_array).context("a coinbase")?;
    let valued = outputs.iter().filter(|output| output.get("value").and_then(Value::as_f64) > Some(0.0));
    let scripts: Vec<&str> =
        valued.filter_map(|output| output.pointer("/scriptPubKey/hex").and_then(Value::as_str)).collect();
    match scripts.as_slice() {
        [script] => Ok((hash, (*script).to_owned())),
        many => bail!("block {hash} pays {} scripts", many.len()),
    }
}
