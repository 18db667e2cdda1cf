//! The rules, one function each, in the order they are tried.

use super::{Case, Violation};
use crate::anchor::{self, Lineage};
use crate::spend::{INPUTS_MAX, SEQUENCE, payees};
use crate::{fee, marker};
use bitcoin::{Amount, TxOut};
use crdt::limits::LEAST_COIN_SAT;
use std::collections::BTreeSet;

/// One rule.
pub(super) type Rule = fn(&Case<'_>) -> Result<(), Violation>;

/// All of them. Later ones rely on earlier ones.
pub(super) const RULES: &[Rule] = &[
    guild, decision, lineage, few_inputs, weight, ours, distinct, unsigned, sequences, lock_time, version,
    heir, mark, payee, fee_low, fee_high,
];

/// The decision is this guild's.
fn guild(case: &Case<'_>) -> Result<(), Violation> {
    let (expected, found) = (case.view.guild(), case.decided.certificate().body.guild);
    if expected == found { Ok(()) } else { Err(Violation::Guild { expected, found }) }
}

/// What was decided can be paid: standard scripts, nothing below dust.
fn decision(case: &Case<'_>) -> Result<(), Violation> {
    Ok(case.decided.effect().check()?)
}

/// P1, P5: the decision is neither paid nor closed nor lost, and input 0 spends the tip of its lineage.
fn lineage(case: &Case<'_>) -> Result<(), Violation> {
    let (id, anchor) = (case.decided.decision(), case.decided.effect().anchor);
    anchor::check_anchor(case.view, anchor)?;
    let expected = match anchor::lineage(case.view, id, anchor, anchor::CONFIRMED) {
        Lineage::Open { tip } => tip,
        ended => return Err(Violation::Ended(ended)),
    };
    let found = case.transaction.input.first().map(|input| input.previous_output);
    if found == Some(expected) { Ok(()) } else { Err(Violation::Tip { expected, found }) }
}

/// A ceremony carries them all.
fn few_inputs(case: &Case<'_>) -> Result<(), Violation> {
    let (expected, found) = (INPUTS_MAX, case.transaction.input.len());
    if found <= expected { Ok(()) } else { Err(Violation::Inputs { expected, found }) }
}

/// Nodes relay it.
fn weight(case: &Case<'_>) -> Result<(), Violation> {
    let found = fee::signed_weight(case.transaction);
    if found <= fee::WEIGHT_MAX { Ok(()) } else { Err(Violation::Weight(found)) }
}

/// P4: every input spends a coin of our own view, in a block, unspent in any block, mature.
fn ours(case: &Case<'_>) -> Result<(), Violation> {
    for (index, input) in case.transaction.input.iter().enumerate() {
        let found = input.previous_output;
        match case.view.coin(&found) {
            None => return Err(Violation::NotOurs { index, found }),
            Some(coin) if coin.gone() => return Err(Violation::Spent { index, found }),
            Some(coin) if coin.depth == 0 => return Err(Violation::Unconfirmed { index, found }),
            Some(coin) if !coin.mature() => return Err(Violation::Immature { index, depth: coin.depth }),
            Some(_) => {}
        }
    }
    Ok(())
}

/// No coin is spent twice.
fn distinct(case: &Case<'_>) -> Result<(), Violation> {
    let mut seen = BTreeSet::new();
    let mut spent = case.transaction.input.iter().map(|input| input.previous_output);
    spent.find(|outpoint| !seen.insert(*outpoint)).map_or(Ok(()), |twice| Err(Violation::Twice(twice)))
}

/// Nothing but our signatures will unlock it.
fn unsigned(case: &Case<'_>) -> Result<(), Violation> {
    let mut inputs = case.transaction.input.iter();
    let signed = inputs.position(|input| !input.script_sig.is_empty() || !input.witness.is_empty());
    signed.map_or(Ok(()), |index| Err(Violation::Signed(index)))
}

/// P6: replaceable, lock time in force, no relative lock.
fn sequences(case: &Case<'_>) -> Result<(), Violation> {
    let mut inputs = case.transaction.input.iter().enumerate();
    let other = inputs.find(|(_, input)| input.sequence != SEQUENCE);
    other.map_or(Ok(()), |(index, input)| {
        Err(Violation::Sequence { index, expected: SEQUENCE, found: input.sequence })
    })
}

/// P6: it can be in the next block.
fn lock_time(case: &Case<'_>) -> Result<(), Violation> {
    let (expected, found) = (case.view.tip(), case.transaction.lock_time);
    let reached = found.is_block_height() && found.to_consensus_u32() <= expected;
    if reached { Ok(()) } else { Err(Violation::LockTime { expected, found }) }
}

/// P6: version 3 as long as its size allows.
fn version(case: &Case<'_>) -> Result<(), Violation> {
    let expected = fee::version(fee::signed_vsize(case.transaction));
    let found = case.transaction.version;
    if found == expected { Ok(()) } else { Err(Violation::Version { expected, found }) }
}

/// P2: output 0 is the heir.
fn heir(case: &Case<'_>) -> Result<(), Violation> {
    let found = case.transaction.output.first();
    let stands = |heir: &TxOut| {
        heir.script_pubkey == *case.view.change_script() && heir.value.to_sat() >= LEAST_COIN_SAT
    };
    if found.is_some_and(stands) { Ok(()) } else { Err(Violation::Heir { found: found.cloned() }) }
}

/// P2: output 1 says which decision this pays.
fn mark(case: &Case<'_>) -> Result<(), Violation> {
    let expected = marker::output(marker::marker(case.view.guild(), case.decided.decision()));
    let found = case.transaction.output.get(1).cloned();
    if found.as_ref() == Some(&expected) { Ok(()) } else { Err(Violation::Marker { expected, found }) }
}

/// P2: from output 2 on, what was decided, all of it, in order, and nothing else.
fn payee(case: &Case<'_>) -> Result<(), Violation> {
    let mut expected = payees(case.decided.effect());
    let mut found = case.transaction.output.iter().skip(2).cloned();
    for index in 2.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (expected, found) if expected == found => {}
            (expected, found) => return Err(Violation::Payee { index, expected, found }),
        }
    }
    Ok(())
}

/// P3: the fee is at least what relays.
fn fee_low(case: &Case<'_>) -> Result<(), Violation> {
    let found = case.fee().ok_or(Violation::Overspent)?;
    let expected = Amount::from_sat(fee::signed_vsize(case.transaction) * fee::LEAST_RATE);
    if found >= expected { Ok(()) } else { Err(Violation::FeeLow { expected, found }) }
}

/// P3: the fee is within both caps of the charter.
fn fee_high(case: &Case<'_>) -> Result<(), Violation> {
    let found = case.fee().ok_or(Violation::Overspent)?;
    let expected = Amount::from_sat(fee::ceiling(case.cap, fee::signed_vsize(case.transaction)));
    if found <= expected { Ok(()) } else { Err(Violation::FeeHigh { expected, found }) }
}
