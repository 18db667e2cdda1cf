//! Filling in an outline: further coins, the fee, the change. Equal views and parameters give equal bytes.

use super::{
    BuildError, DrawError, INPUTS_MAX, InputKey, Outline, Params, Price, Purpose, SEQUENCE, Unsigned,
};
use crate::fee;
use crate::marker;
use crate::view::{Coin, View};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxIn};
use crdt::Digest;
use crdt::limits::LEAST_COIN_SAT;
use std::cmp::Reverse;

/// Among how many coins, each enough alone, a transaction picks by its own order: so that decisions that
/// are paid at the same time seldom want the same coin.
const SPREAD: usize = 8;

/// Fill in `outline` with coins of `view`.
///
/// # Errors
///
/// [`BuildError`] says what is in the way; most of it passes with time or money.
pub fn fund(outline: &Outline, view: &View, params: &Params) -> Result<Unsigned, BuildError> {
    let replaces = check(outline, view, params)?;
    let mut plan = Plan::new(outline, params, replaces);
    let mut rest = if outline.more { Candidates::of(outline, view, params) } else { Candidates::default() };
    loop {
        let cost = plan.cost()?;
        if plan.total >= cost.needed {
            return Ok(plan.finish(&cost));
        }
        let one_more = u64::from(fee::INPUT_WEIGHT.div_ceil(4)).saturating_mul(plan.rate);
        let missing = (cost.needed - plan.total) + Amount::from_sat(one_more);
        match rest.take(outline.purpose, missing) {
            Some(_) if plan.inputs.len() >= INPUTS_MAX => return Err(BuildError::TooManyCoins),
            Some(coin) => plan.add(coin.outpoint, coin.into()),
            None => {
                let (available, immature) = (plan.total, view.balance().immature);
                return Err(BuildError::Funds { needed: cost.needed, available, immature });
            }
        }
    }
}

/// What the parameters allow, and the version in the mempool that is to be replaced.
fn check(outline: &Outline, view: &View, params: &Params) -> Result<Option<Price>, BuildError> {
    let (lock_height, tip) = (params.lock_height, view.tip());
    if params.bump > fee::BUMPS_MAX {
        return Err(BuildError::Bumps);
    }
    if !outline.lock.takes(lock_height, tip) {
        return Err(BuildError::LockTime { lock_height, tip });
    }
    if let Some(frozen) = outline.first().find(|first| view.frozen().contains(first)) {
        return Err(BuildError::Frozen(frozen));
    }
    if outline.first.len() > INPUTS_MAX {
        return Err(BuildError::TooManyCoins);
    }
    match Price::in_the_way(view, outline) {
        None => Ok(None),
        Some((txid, price)) if replaceable(outline, view, params, txid) => Ok(Some(price)),
        Some((txid, _)) => Err(BuildError::InFlight { txid }),
    }
}

/// A bump replaces versions of the same; a closing move also the payment that it ends.
fn replaceable(outline: &Outline, view: &View, params: &Params, txid: bitcoin::Txid) -> bool {
    let Some(seen) = view.transaction(&txid) else { return false };
    let same = outline.is_form_of(&seen.transaction);
    let ended = matches!(outline.purpose, Purpose::Closing(id)
        if marker::carries(&seen.transaction, marker::marker(view.guild(), id)));
    (params.bump > 0 && same) || ended
}

/// Coins that may be added: those that other lineages need come last.
#[derive(Default)]
struct Candidates<'a> {
    /// By value, the largest first.
    free: Vec<&'a Coin>,
    /// Likewise.
    avoided: Vec<&'a Coin>,
}

impl<'a> Candidates<'a> {
    fn of(outline: &Outline, view: &'a View, params: &Params) -> Self {
        let rate = params.fee_rate.unwrap_or(fee::DEFAULT_RATE);
        let worth = u64::from(fee::INPUT_WEIGHT.div_ceil(4)).saturating_mul(rate);
        let fit = |coin: &&Coin| {
            coin.depth > 0
                && coin.mature()
                && !coin.gone()
                && coin.output.value.to_sat() > worth
                && !view.frozen().contains(&coin.outpoint)
                && !params.apart.contains(&coin.outpoint)
                && outline.first().all(|first| first != coin.outpoint)
        };
        let mut coins: Vec<_> = view.coins.values().filter(fit).collect();
        coins.sort_by_key(|coin| (Reverse(coin.output.value), coin.outpoint));
        let (avoided, free) = coins.into_iter().partition(|coin| params.avoid.contains(&coin.outpoint));
        Self { free, avoided }
    }

    /// The next coin: one that is `missing` or more alone, else the largest.
    fn take(&mut self, purpose: Purpose, missing: Amount) -> Option<&'a Coin> {
        let pile = if self.free.is_empty() { &mut self.avoided } else { &mut self.free };
        let enough = pile.partition_point(|coin| coin.output.value >= missing);
        let few = enough.saturating_sub(SPREAD)..enough;
        let chosen = few.min_by_key(|index| pile.get(*index).map(|coin| order(purpose, coin.outpoint)));
        let index = chosen.unwrap_or(0);
        (index < pile.len()).then(|| pile.remove(index))
    }
}

/// Where a coin stands in the order of a transaction's own.
fn order(purpose: Purpose, coin: OutPoint) -> Digest {
    let vout = coin.vout.to_be_bytes();
    Digest::tagged("hashguild/coin/v1", &[&purpose.subject(), coin.txid.as_byte_array(), &vout])
}

/// A transaction while coins are added to it.
struct Plan<'a> {
    outline: &'a Outline,
    params: &'a Params,
    inputs: Vec<(OutPoint, InputKey)>,
    total: Amount,
    paid: Amount,
    rate: u64,
    replaces: Option<Price>,
    /// Weight of all but the inputs.
    frame: u64,
}

/// What a plan costs with the inputs it has.
struct Cost {
    fee: Amount,
    needed: Amount,
    vsize: u64,
}

impl<'a> Plan<'a> {
    fn new(outline: &'a Outline, params: &'a Params, replaces: Option<Price>) -> Self {
        let mut plan = Self {
            outline,
            params,
            inputs: Vec::new(),
            total: Amount::ZERO,
            paid: outline.paid(),
            rate: params.fee_rate.unwrap_or(fee::DEFAULT_RATE).max(fee::LEAST_RATE),
            replaces,
            frame: fee::frame_weight(&outline.outputs),
        };
        for given in &outline.first {
            plan.add(given.outpoint, given.key.clone());
        }
        plan
    }

    fn add(&mut self, outpoint: OutPoint, key: InputKey) {
        self.total += key.prevout.value;
        self.inputs.push((outpoint, key));
    }

    fn cost(&self) -> Result<Cost, BuildError> {
        let inputs = self.inputs.len() as u64 * u64::from(fee::INPUT_WEIGHT);
        let weight = self.frame + inputs;
        if weight > fee::WEIGHT_MAX {
            return Err(BuildError::TooManyCoins);
        }
        let vsize = weight.div_ceil(4);
        let relay = vsize * fee::LEAST_RATE;
        let least = self.replaces.as_ref().map_or(relay, |old| old.replacement(vsize));
        let cap = fee::ceiling(&self.params.cap, vsize);
        if least > cap {
            return Err(BuildError::FeeCap { needed: least, cap });
        }
        let fee = Amount::from_sat(vsize.saturating_mul(self.rate).clamp(least, cap));
        let wanted = self.paid.checked_add(fee).unwrap_or(Amount::MAX);
        if let Some(left) = self.outline.most.filter(|left| wanted > *left) {
            return Err(DrawError::Over { wanted, left }.into());
        }
        let needed = wanted.checked_add(Amount::from_sat(LEAST_COIN_SAT)).unwrap_or(Amount::MAX);
        Ok(Cost { fee, needed, vsize })
    }

    fn finish(self, cost: &Cost) -> Unsigned {
        let mut output = self.outline.outputs.clone();
        if let Some(change) = output.get_mut(self.outline.change) {
            change.value = self.total - self.paid - cost.fee;
        }
        let spend = |(previous_output, _): &(OutPoint, InputKey)| TxIn {
            previous_output: *previous_output,
            script_sig: ScriptBuf::new(),
            sequence: SEQUENCE,
            witness: bitcoin::Witness::new(),
        };
        let transaction = Transaction {
            version: fee::version(cost.vsize),
            lock_time: LockTime::from_height(self.params.lock_height).unwrap_or(LockTime::ZERO),
            input: self.inputs.iter().map(spend).collect(),
            output,
        };
        let inputs = self.inputs.into_iter().map(|(_, key)| key).collect();
        Unsigned { purpose: self.outline.purpose, transaction, inputs, fee: cost.fee }
    }
}
