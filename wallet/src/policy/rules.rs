//! The rules, one function each, in the order they are tried. P1, P5, P9 and what was decided itself are
//! judged where an outline is derived ([`crate::spend`]): without one there is nothing to check.

use super::{Case, Violation};
use crate::fee;
use crate::spend::{INPUTS_MAX, Price, SEQUENCE};
use bitcoin::{Amount, TxOut};
use crdt::limits::LEAST_COIN_SAT;
use std::collections::BTreeSet;

/// One rule.
pub(super) type Rule = fn(&Case<'_>) -> Result<(), Violation>;

/// All of them. Later ones rely on earlier ones.
pub(super) const RULES: &[Rule] = &[
    first,
    few_inputs,
    weight,
    ours,
    apart,
    distinct,
    unsigned,
    sequences,
    lock_time,
    version,
    heir,
    mark,
    payee,
    fee_low,
    fee_high,
    replacement,
    budget,
];

/// P5: the first inputs spend what they have to: the tip of the lineage, the seal, the hook.
fn first(case: &Case<'_>) -> Result<(), Violation> {
    for (index, expected) in case.outline.first().enumerate() {
        let found = case.transaction.input.get(index).map(|input| input.previous_output);
        if found != Some(expected) {
            return Err(Violation::Tip { index, expected, found });
        }
    }
    Ok(())
}

/// A ceremony carries them all, and a kind that takes no other coins has none.
fn few_inputs(case: &Case<'_>) -> Result<(), Violation> {
    let expected = if case.outline.more { INPUTS_MAX } else { case.outline.first.len() };
    let found = case.transaction.input.len();
    if found <= expected { Ok(()) } else { Err(Violation::Inputs { expected, found }) }
}

/// Nodes relay it.
fn weight(case: &Case<'_>) -> Result<(), Violation> {
    let found = fee::signed_weight(case.transaction);
    if found <= fee::WEIGHT_MAX { Ok(()) } else { Err(Violation::Weight(found)) }
}

/// P4: every input spends a coin of our own view, in a block, unspent in any block, mature. Hooks and
/// seals are in no view; the outline has them from the signer itself.
fn ours(case: &Case<'_>) -> Result<(), Violation> {
    for (index, input) in case.transaction.input.iter().enumerate().skip(case.outline.first.len()) {
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

/// P12: no seal and no hook is among the coins that were added, and nothing that the guild froze at all.
fn apart(case: &Case<'_>) -> Result<(), Violation> {
    let first = case.outline.first.len();
    let mut named = case.transaction.input.iter().map(|input| input.previous_output).enumerate();
    let kept = |(index, outpoint): &(usize, bitcoin::OutPoint)| {
        case.view.frozen().contains(outpoint) || *index >= first && case.terms.apart.contains(outpoint)
    };
    named.find(kept).map_or(Ok(()), |(index, found)| Err(Violation::Apart { index, found }))
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

/// P6: it can be in the next block, and a draw has the date that it was judged by.
fn lock_time(case: &Case<'_>) -> Result<(), Violation> {
    let (expected, found) = (case.view.tip(), case.transaction.lock_time);
    let taken = found.is_block_height() && case.outline.lock.takes(found.to_consensus_u32(), expected);
    if taken { Ok(()) } else { Err(Violation::LockTime { expected, found }) }
}

/// P6: version 3 as long as its size allows.
fn version(case: &Case<'_>) -> Result<(), Violation> {
    let (expected, found) = (fee::version(case.vsize), case.transaction.version);
    if found == expected { Ok(()) } else { Err(Violation::Version { expected, found }) }
}

/// P2: the heir is where it has to be.
fn heir(case: &Case<'_>) -> Result<(), Violation> {
    let index = case.outline.change;
    let found = case.transaction.output.get(index);
    let script = case.outline.outputs.get(index).map(|output| &output.script_pubkey);
    let stands = |heir: &TxOut| Some(&heir.script_pubkey) == script && heir.value.to_sat() >= LEAST_COIN_SAT;
    if found.is_some_and(stands) { Ok(()) } else { Err(Violation::Heir { found: found.cloned() }) }
}

/// P2: the second output, of whatever has a marker, says what this is.
fn mark(case: &Case<'_>) -> Result<(), Violation> {
    let Some(expected) = case.outline.outputs.get(1).filter(|output| output.script_pubkey.is_op_return())
    else {
        return Ok(());
    };
    let found = case.transaction.output.get(1);
    if found == Some(expected) {
        Ok(())
    } else {
        Err(Violation::Marker { expected: expected.clone(), found: found.cloned() })
    }
}

/// P2: all other outputs are what was decided, in order, and there is nothing else.
fn payee(case: &Case<'_>) -> Result<(), Violation> {
    let count = case.outline.outputs.len().max(case.transaction.output.len());
    for index in (0..count).filter(|index| *index != case.outline.change) {
        let (expected, found) = (case.outline.outputs.get(index), case.transaction.output.get(index));
        if expected != found {
            return Err(Violation::Payee { index, expected: expected.cloned(), found: found.cloned() });
        }
    }
    Ok(())
}

/// P3: the fee is at least what relays, and a part of what we ourselves would pay.
fn fee_low(case: &Case<'_>) -> Result<(), Violation> {
    let found = case.fee().ok_or(Violation::Overspent)?;
    let expected = Amount::from_sat(case.terms.fee.least(case.vsize));
    if found >= expected { Ok(()) } else { Err(Violation::FeeLow { expected, found }) }
}

/// P3: the fee is within both caps of the charter, and no multiple of what we ourselves would pay.
fn fee_high(case: &Case<'_>) -> Result<(), Violation> {
    let found = case.fee().ok_or(Violation::Overspent)?;
    let expected = Amount::from_sat(case.terms.fee.most(case.vsize));
    if found <= expected { Ok(()) } else { Err(Violation::FeeHigh { expected, found }) }
}

/// P7: it pays enough more than the version in our mempool that it replaces. The same bytes again are no
/// replacement (P8).
fn replacement(case: &Case<'_>) -> Result<(), Violation> {
    let Some((txid, old)) = Price::in_the_way(case.view, case.outline) else { return Ok(()) };
    if txid == case.transaction.compute_txid() {
        return Ok(());
    }
    let found = case.fee().ok_or(Violation::Overspent)?;
    let expected = Amount::from_sat(old.replacement(case.vsize));
    if found >= expected { Ok(()) } else { Err(Violation::Replacement { txid, expected, found }) }
}

/// S7: outputs and fee of a draw are within what the budget's period has left.
fn budget(case: &Case<'_>) -> Result<(), Violation> {
    let Some(left) = case.outline.most else { return Ok(()) };
    let fee = case.fee().ok_or(Violation::Overspent)?;
    let wanted = case.outline.paid().checked_add(fee).unwrap_or(Amount::MAX);
    if wanted <= left { Ok(()) } else { Err(Violation::Budget { left, wanted }) }
}
