//! An old guild's books: what a report, a start, a block and the memory cost after 100,000 transactions.

use crate::measure::{median, spent, timed};
use crate::report::{Row, note};
use anyhow::{Context as _, Result, ensure};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use wallet::Treasury;
use wallet::ledger::report::Terms;
use wallet::ledger::{Book, Ledger, Period};
use wallet::price::PriceFile;
use wallet::testkit::long::Long;

/// Transactions of the history.
const COUNT: u32 = 100_000;
/// Turns of what is timed.
const TURNS: usize = 5;
/// The period of the reports: one month.
const MONTH: [&str; 2] = ["2022-06-01", "2022-06-30"];

/// All rows.
pub(super) fn rows() -> Result<Vec<Row>> {
    note("making a history of 100,000 transactions");
    let long = Long::new(COUNT);
    let cold = cold(&long)?;
    let (mut treasury, mut ledger) = start(&long)?;
    let query = query(&ledger.at(treasury.view()))?;
    let block = block(&long, &mut treasury, &mut ledger)?;
    drop((treasury, ledger, long));
    Ok(vec![query, cold, block, memory()?])
}

/// A treasury as it was stored, and its books, ready to answer.
fn start(long: &Long) -> Result<(Treasury, Ledger)> {
    let treasury = Treasury::load(&long.charter, long.key, long.changes.clone())?;
    let ledger = Ledger::of(&treasury.view(), Arc::new(long.knowledge.clone()));
    ensure!(ledger.entries().count() == usize::try_from(COUNT)?, "an entry for each transaction");
    Ok((treasury, ledger))
}

/// The dearest of the four reports over a month.
fn query(book: &Book) -> Result<Row> {
    let period = Period { from: Some(MONTH[0].parse()?), to: Some(MONTH[1].parse()?) };
    let days = (1..=30).map(|day| format!("2022-06-{day:02},EUR,28123.45\n"));
    let prices = PriceFile::parse(&format!("date,currency,price\n{}", days.collect::<String>()))?;
    let network = bitcoin::Network::Regtest;
    let terms = Terms { period, network, money: Some(("EUR".parse()?, &prices)) };
    let reports: [&dyn Fn(); 4] = [
        &|| drop(black_box(book.pnl(&terms))),
        &|| drop(black_box(book.journal(&terms))),
        &|| drop(black_box(book.payouts(&terms))),
        &|| drop(black_box(book.contributions(&terms))),
    ];
    let cost = |report: &dyn Fn()| median((0..TURNS).map(|_| timed(report).1).collect());
    let dearest = reports.into_iter().map(cost).max().unwrap_or_default();
    ensure!(!book.journal(&terms).entries.is_empty(), "a month in which nothing happened");
    Ok(Row::plain("ledger_query_100k", millis(dearest), "ms"))
}

/// Ours until the books answer, beside BDK's wallet from the same change sets.
fn cold(long: &Long) -> Result<Row> {
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        let changes = long.changes.clone();
        let (wallet, took) = spent(|| long.load_bdk(changes));
        theirs = theirs.min(took);
        drop(black_box(wallet));
        let (changes, knowledge) = (long.changes.clone(), Arc::new(long.knowledge.clone()));
        let (ready, took) = spent(|| {
            let treasury = Treasury::load(&long.charter, long.key, changes)?;
            let ledger = Ledger::of(&treasury.view(), knowledge);
            anyhow::Ok((treasury, ledger))
        });
        ours = ours.min(took);
        drop(black_box(ready?));
    }
    Ok(Row::above("cold_start_100k", millis(ours), "ms", millis(theirs)))
}

/// One more block: taken, looked at, and in the books.
fn block(long: &Long, treasury: &mut Treasury, ledger: &mut Ledger) -> Result<Row> {
    let (block, height, before) = long.next_block();
    treasury.take_touched();
    *ledger = Ledger::of(&treasury.view(), Arc::new(long.knowledge.clone()));
    let (taken, took) = timed(|| {
        treasury.apply_block(&block, height, before)?;
        treasury.apply_mempool([], []);
        ledger.follow(&treasury.view(), &treasury.take_touched());
        anyhow::Ok(())
    });
    taken?;
    ensure!(ledger.entries().count() == usize::try_from(COUNT)? + 1, "one entry more");
    Ok(Row::plain("block_100k", millis(took), "ms"))
}

/// How much a process of its own grows.
fn memory() -> Result<Row> {
    note("keeping the books in a process of its own");
    let output = Command::new(std::env::current_exe()?)
        .args(["wallet", "--child"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the child")?
        .wait_with_output()?;
    ensure!(output.status.success(), "the child failed");
    let grown: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Row::plain("memory_100k", grown / 1_000_000.0, "MB"))
}

/// The child: say how many bytes the process grew. What making the history leaves behind counts too.
#[expect(clippy::print_stdout, reason = "the parent reads it there")]
pub(super) fn child() -> Result<()> {
    let before = crate::document::memory::resident()?;
    let Long { charter, key, changes, knowledge, .. } = Long::new(COUNT);
    let treasury = Treasury::load(&charter, key, changes)?;
    let ledger = Ledger::of(&treasury.view(), Arc::new(knowledge));
    let after = crate::document::memory::resident()?;
    ensure!(ledger.entries().count() == usize::try_from(COUNT)?, "an entry for each transaction");
    println!("{}", after.saturating_sub(before));
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
