//! A miner without hardware: speaks Stratum V1 and really hashes, on one thread.
//!
//! Enough for regtest and for trying out a farm. Never for earning anything.

#![expect(clippy::print_stdout, reason = "a program that people run talks to them")]

#[path = "software-miner/stratum_client.rs"]
mod stratum_client;
#[path = "software-miner/work.rs"]
mod work;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use serde_json::json;
use std::thread;
use std::time::Duration;
use stratum_client::{Event, StratumClient};
use work::{Search, Work};

/// Hashes between two looks at what the server says.
const BATCH: u32 = 1 << 15;
/// How long the server may take to answer, to subscribe for example.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait for the next job after a block before going on with the old one.
const NEXT_JOB_LIMIT: Duration = Duration::from_secs(5);

/// Hash for a Stratum server on one thread.
#[derive(Debug, Parser)]
#[command(name = "software-miner", version)]
struct Cli {
    /// The server: HOST:PORT, with or without stratum+tcp:// before it.
    #[arg(long)]
    url: String,
    /// Name of this worker, such as alice.rig1.
    #[arg(long)]
    user: String,
    /// Stop after so many accepted shares.
    #[arg(long, value_name = "N")]
    max_shares: Option<u64>,
    /// Stop after so many blocks whose share was accepted.
    #[arg(long, value_name = "N")]
    blocks: Option<u64>,
    /// Milliseconds to rest after every accepted share.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    throttle: u64,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    rejected: u64,
    blocks: u64,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let mut client = StratumClient::connect(&cli.url, &cli.user, ANSWER_LIMIT)
        .with_context(|| format!("cannot mine at {}", cli.url))?;
    let mut tally = Tally::default();
    let mut work = wait_for_job(&mut client, None)?;
    let mut extranonce2 = 0_u64;
    while !done(&cli, &tally) {
        if let Some(newer) = client.latest_work(Duration::ZERO)? {
            work = newer;
        }
        extranonce2 = extranonce2.wrapping_add(1);
        let mut search = Search::new(&work, extranonce2);
        while let Some(batch) = search.next_batch(BATCH) {
            if let Some(found) = batch {
                let accepted = submit(&mut client, &cli, &work, &found, &mut tally)?;
                if accepted && found.is_block {
                    // This job is over; its successor is on the way.
                    work = client.latest_work(NEXT_JOB_LIMIT)?.unwrap_or(work);
                    break;
                }
                if done(&cli, &tally) {
                    break;
                }
            }
            if let Some(newer) = client.latest_work(Duration::ZERO)? {
                work = newer;
                break;
            }
        }
    }
    Ok(())
}

fn done(cli: &Cli, tally: &Tally) -> bool {
    let reached = |limit: Option<u64>, count| limit.is_some_and(|limit| count >= limit);
    reached(cli.max_shares, tally.accepted) || reached(cli.blocks, tally.blocks)
}

/// However long it takes: a link without a certified policy has no job to give.
fn wait_for_job(client: &mut StratumClient, mut work: Option<Work>) -> Result<Work> {
    loop {
        if let Some(work) = work.take() {
            return Ok(work);
        }
        work = client.latest_work(ANSWER_LIMIT)?;
    }
}

fn submit(
    client: &mut StratumClient,
    cli: &Cli,
    work: &Work,
    found: &work::Found,
    tally: &mut Tally,
) -> Result<bool> {
    let (accepted, why) = match client.submit(&cli.user, work, found, ANSWER_LIMIT)? {
        Event::Accepted => (true, None),
        Event::Rejected(why) => (false, Some(why)),
        Event::Closed => bail!("the server hung up"),
    };
    tally.accepted += u64::from(accepted);
    tally.rejected += u64::from(!accepted);
    tally.blocks += u64::from(accepted && found.is_block);
    let hash = found.hash_hex();
    if cli.json {
        let Tally { accepted: shares, rejected, blocks } = *tally;
        println!(
            "{}",
            json!({
                "v": 1, "accepted": accepted, "why": why, "hash": hash, "block": found.is_block,
                "shares": shares, "rejected": rejected, "blocks": blocks,
            })
        );
    } else {
        let what = if found.is_block { "block" } else { "share" };
        match why {
            None => println!("{what} {hash} accepted ({} shares, {} blocks)", tally.accepted, tally.blocks),
            Some(why) => println!("{what} {hash} rejected: {why}"),
        }
    }
    if accepted && !done(cli, tally) {
        thread::sleep(Duration::from_millis(cli.throttle));
    }
    Ok(accepted)
}
