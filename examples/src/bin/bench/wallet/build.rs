//! A payment from 200 coins: built by the coordinator and checked by a signer, beside BDK building a
//! transaction with the same inputs, outputs and fee.
//!
//! Both sides end with a PSBT that says of every input where its key comes from, which is nearly all of the
//! cost: deriving 200 keys and script trees. Ours is written by BDK's own function for one input. BDK has
//! looked up its coins before its time begins. What coordinator and
//! signers really do, without a PSBT, is a row of its own.

use crate::measure::timed;
use crate::report::{Row, note};
use anyhow::{Context as _, Result, ensure};
use bitcoin::{Amount, OutPoint, Psbt};
use std::time::Duration;
use wallet::spend::{self, INPUTS_MAX};
use wallet::testkit::{Bench, bdk};
use wallet::{Params, policy};

/// Turns of each; the one that was disturbed least is taken.
const TURNS: usize = 15;
/// What each coin holds.
const COIN: u64 = 20_000;

pub(crate) fn rows() -> Result<Vec<Row>> {
    note("a payment from 200 coins");
    let mut bench = Bench::default();
    let coins: Vec<_> = (0..INPUTS_MAX).map(|_| bench.contribution([0, 1], Amount::from_sat(COIN))).collect();
    let anchor = OutPoint { txid: coins.first().context("coins")?.compute_txid(), vout: 0 };
    bench.confirm(coins);
    bench.mine(6);
    let decided = bench.decide(1, COIN * INPUTS_MAX as u64 - 40_000, anchor);
    let params = Params { fee_rate: Some(2), ..bench.params() };
    let (mut decides, mut writes, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let (checked, took) = timed(|| {
            let view = bench.view();
            let built = spend::build(&decided, &view, &params)?;
            policy::check(&built.transaction, &decided, &view, &params.cap).map_err(anyhow::Error::from)
        });
        let checked = checked?;
        ensure!(checked.inputs().len() == INPUTS_MAX, "{} inputs", checked.inputs().len());
        decides.push(took);
        let (ours, writing) = timed(|| bdk::psbt(&mut bench.treasury, &checked));
        writes.push(took + writing);
        let ready = bdk::Ready::new(&mut bench.treasury, &checked).context("BDK does not know a coin")?;
        let (theirs, took) = timed(|| ready.build());
        floor.push(took);
        same(&ours.context("no PSBT")?, &theirs.context("BDK builds nothing")?)?;
    }
    let least = |turns: Vec<Duration>| turns.into_iter().min().unwrap_or_default().as_secs_f64() * 1e3;
    let floor = least(floor);
    Ok(vec![
        Row::above("build_check_200_inputs", least(writes), "ms", floor),
        Row::plain("decide_200_inputs", least(decides), "ms"),
    ])
}

/// Whether both are one transaction but for the order of outputs, with as much said of each input.
fn same(ours: &Psbt, theirs: &Psbt) -> Result<()> {
    let sorted = |psbt: &Psbt| {
        let mut outputs = psbt.unsigned_tx.output.clone();
        outputs.sort();
        outputs
    };
    ensure!(sorted(ours) == sorted(theirs), "BDK pays something else");
    ensure!(ours.inputs.len() == INPUTS_MAX && theirs.inputs.len() == INPUTS_MAX, "other inputs");
    for (ours, theirs) in ours.inputs.iter().zip(&theirs.inputs) {
        ensure!(ours.witness_utxo == theirs.witness_utxo, "another coin");
        ensure!(ours.tap_key_origins == theirs.tap_key_origins, "other keys");
        ensure!(ours.tap_merkle_root == theirs.tap_merkle_root, "another script tree");
    }
    Ok(())
}
