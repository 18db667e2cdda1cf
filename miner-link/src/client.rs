//! Asks a running link about itself, for `miner-link status`, `workers` and `pools`.

use crate::contract::{LinkStatus, PolicyStatus, PoolStatus, SourceStatus, WorkerStatus};
use crate::error::Error;
use crate::home::addresses;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;

/// What a link on the same machine may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// What the link of `data_dir` does, as text or as JSON.
///
/// # Errors
///
/// [`Error::NotRunning`] and [`Error::Unreachable`].
pub fn status(data_dir: &Path, json: bool) -> Result<String, Error> {
    let status: LinkStatus = ask(data_dir, "status")?;
    Ok(if json { to_json(&status) } else { describe(&status) })
}

/// The miners of the link of `data_dir`, as text or as JSON.
///
/// # Errors
///
/// [`Error::NotRunning`] and [`Error::Unreachable`].
pub fn workers(data_dir: &Path, json: bool) -> Result<String, Error> {
    let workers: Vec<WorkerStatus> = ask(data_dir, "workers")?;
    if json {
        return Ok(to_json(&serde_json::json!({"v": 1, "workers": workers})));
    }
    let line = |worker: &WorkerStatus| {
        let WorkerStatus { name, connections, shares_accepted, shares_rejected, blocks_found, .. } = worker;
        let state = if *connections > 0 { "working" } else { "away" };
        format!(
            "{name}  {state}  {shares_accepted} shares, {shares_rejected} rejected, {blocks_found} blocks"
        )
    };
    if workers.is_empty() {
        return Ok("no worker has connected yet".to_owned());
    }
    Ok(workers.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The pools of the link of `data_dir`, as text or as JSON.
///
/// # Errors
///
/// [`Error::NotRunning`] and [`Error::Unreachable`].
pub fn pools(data_dir: &Path, json: bool) -> Result<String, Error> {
    let pools: Vec<PoolStatus> = ask(data_dir, "pools")?;
    if json {
        return Ok(to_json(&serde_json::json!({"v": 1, "pools": pools})));
    }
    let line = |pool: &PoolStatus| {
        let PoolStatus { name, user, state, shares_accepted, shares_refused, shares_late, .. } = pool;
        let trouble = pool.trouble.as_ref().map_or_else(String::new, |why| format!("  ({why})"));
        format!(
            "{name}  {user}  {state}  {shares_accepted} shares taken, {shares_refused} refused, {shares_late} late{trouble}"
        )
    };
    if pools.is_empty() {
        return Ok("no pool is configured".to_owned());
    }
    Ok(pools.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn ask<T: DeserializeOwned>(data_dir: &Path, what: &str) -> Result<T, Error> {
    let api = addresses(data_dir)?.api;
    let agent = Agent::config_builder().timeout_global(Some(CALL)).proxy(None).build().new_agent();
    let unreachable = |error: ureq::Error| Error::Unreachable {
        what: format!("miner-link at {api}"),
        why: error.to_string(),
    };
    let mut response = agent.get(format!("http://{api}/{what}")).call().map_err(unreachable)?;
    response.body_mut().read_json().map_err(unreachable)
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data always encodes")
}

/// Whom a block of ours pays.
fn whom(payees: usize, treasury: &str) -> String {
    match payees {
        1 => format!("all to the treasury {treasury}"),
        payees => format!("split among {payees}, where the treasury is {treasury}"),
    }
}

fn describe(status: &LinkStatus) -> String {
    let mut lines = Vec::new();
    lines.push(match &status.policy {
        PolicyStatus::Nothing { why } => format!("policy    none obeyed: {why}"),
        PolicyStatus::Solo { address, payees, epoch, .. } => {
            format!("policy    solo, {} (epoch {epoch})", whom(*payees, address))
        }
        PolicyStatus::Pool { address, payees, epoch, .. } => {
            format!("policy    pools, else solo, {} (epoch {epoch})", whom(*payees, address))
        }
    });
    lines.extend(status.policy_refused.as_ref().map(|why| format!("refused   {why}")));
    let height = status.height.map_or_else(|| "unknown".to_owned(), |height| height.to_string());
    lines.push(format!("height    {height}, {} jobs made", status.jobs));
    lines.extend(status.job_trouble.as_ref().map(|why| format!("trouble   {why}")));
    lines.push(format!("workers   {} at {}", status.workers, status.stratum));
    lines.push(format!("shares    {} accepted, {} rejected", status.shares_accepted, status.shares_rejected));
    lines.extend(status.sources.iter().map(|source| {
        let SourceStatus { source, shares_accepted, shares_rejected, hashes } = source;
        format!("  {source}: {shares_accepted} accepted, {shares_rejected} rejected, {hashes} hashes")
    }));
    let LinkStatus { blocks_found, blocks_accepted, blocks_pending, .. } = status;
    lines.push(format!(
        "blocks    {blocks_found} found, {blocks_accepted} accepted, {blocks_pending} waiting"
    ));
    let answers = |reachable: bool| if reachable { "answers" } else { "does not answer" };
    let (bitcoind, node) = (answers(status.bitcoind_reachable), answers(status.node_reachable));
    lines.push(format!("bitcoind  {bitcoind}; member's node {node}"));
    lines.join("\n")
}
