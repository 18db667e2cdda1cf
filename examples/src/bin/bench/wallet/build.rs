//! A payment from 200 coins: built by the coordinator and checked by a signer, beside BDK building a
//! transaction with the same inputs, outputs and fee.

use crate::measure::timed;
use crate::report::{Row, note};
use anyhow::{Context as _, Result, ensure};
use bitcoin::{Amount, OutPoint};
use std::time::Duration;
use wallet::spend::{self, INPUTS_MAX};
use wallet::testkit::{Bench, bdk};
use wallet::{Params, policy};

/// Turns of each; the one that was disturbed least is taken.
const TURNS: usize = 15;
/// What each coin holds.
const COIN: u64 = 20_000;

pub(crate) fn row() -> Result<Row> {
    note("a payment from 200 coins");
    let mut bench = Bench::default();
    let coins: Vec<_> = (0..INPUTS_MAX).map(|_| bench.contribution([0, 1], Amount::from_sat(COIN))).collect();
    let anchor = OutPoint { txid: coins.first().context("coins")?.compute_txid(), vout: 0 };
    bench.confirm(coins);
    bench.mine(6);
    let decided = bench.decide(1, COIN * INPUTS_MAX as u64 - 40_000, anchor);
    let (view, params) = (bench.view(), Params { fee_rate: Some(2), ..bench.params() });
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let (checked, took) = timed(|| {
            let built = spend::build(&decided, &view, &params)?;
            policy::check(&built.transaction, &decided, &view, &params.cap).map_err(anyhow::Error::from)
        });
        let checked = checked?;
        ensure!(checked.inputs().len() == INPUTS_MAX, "{} inputs", checked.inputs().len());
        let (same, floor) = timed(|| bdk::same(&mut bench.treasury, &checked));
        ensure!(same.is_some_and(|count| count == INPUTS_MAX), "BDK builds another transaction");
        turns.push((took, floor));
    }
    let quietest: Option<(Duration, Duration)> = turns.into_iter().min_by_key(|(took, floor)| *took + *floor);
    let (took, floor) = quietest.context("there are turns")?;
    Ok(Row::above("build_check_200_inputs", took.as_secs_f64() * 1e3, "ms", floor.as_secs_f64() * 1e3))
}
