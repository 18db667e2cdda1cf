//! Building payments: a pure function of a decision and a view. No randomness, no clock.
//!
//! ```text
//! in  0   tip(D): what makes every payment of D conflict with every other
//! in  1…  as many more coins as it takes, the largest first
//! out 0   the heir: change to 1/0, at least 10,000 sat, inherits other lineages
//! out 1   OP_RETURN marker(D)
//! out 2…  D's outputs, as they were decided
//! ```

use crate::Path;
use crate::anchor::{self, AnchorError, Lineage};
use crate::view::{Coin, View};
use crate::{fee, marker};
use bitcoin::absolute::LockTime;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid};
use crdt::certificate::Certified;
use crdt::charter::FeeCap;
use crdt::governance::{Spend, SpendError};
use crdt::limits::LEAST_COIN_SAT;
use crdt::{GuildId, Height, ProposalId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Inputs of one payment at most: one signing ceremony carries no more.
pub const INPUTS_MAX: usize = 200;
/// The sequence of every input: replaceable, lock time in force, no relative lock.
pub const SEQUENCE: Sequence = Sequence::ENABLE_RBF_NO_LOCKTIME;

/// What a coordinator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// The lock time: a height, at most the tip's.
    pub lock_height: Height,
    /// Satoshis per virtual byte; [`fee::DEFAULT_RATE`] when nobody knows.
    pub fee_rate: Option<u64>,
    /// What the charter lets a payment cost.
    pub cap: FeeCap,
    /// 0 for the first version of a payment, then how often it has been replaced.
    pub bump: u32,
    /// Coins to leave alone where that is avoidable: [`anchor::tips`] of the other open decisions.
    pub avoid: BTreeSet<OutPoint>,
}

/// The coin that an input spends, and how its key follows from the group key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputKey {
    /// The spent output, as our own view has it.
    pub prevout: TxOut,
    /// Keychain and index.
    pub path: Path,
    /// Root of the script tree.
    pub merkle_root: [u8; 32],
}

impl From<&Coin> for InputKey {
    fn from(coin: &Coin) -> Self {
        Self { prevout: coin.output.clone(), path: coin.path, merkle_root: coin.merkle_root }
    }
}

/// A payment without signatures. Not trusted by anybody: see [`crate::policy::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// The decision it pays.
    pub decision: ProposalId,
    /// The transaction, without witnesses.
    pub transaction: Transaction,
    /// One for each input, in order.
    pub inputs: Vec<InputKey>,
    /// What it costs.
    pub fee: Amount,
}

/// Why a payment cannot be built now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Decided by another guild.
    #[error("decided by guild {0}, which this treasury is not of")]
    Guild(GuildId),
    /// What was decided cannot be paid.
    #[error(transparent)]
    Spend(#[from] SpendError),
    /// The anchor does not carry a lineage, maybe not yet.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// Paid, closed or lost already.
    #[error("the decision's lineage has ended: {0:?}")]
    Ended(Lineage),
    /// The tip is spent in the mempool: by a payment of this decision, which only a bump replaces, or by
    /// something else, which has to confirm first.
    #[error("{txid} in the mempool spends the coin that a payment has to spend")]
    InFlight {
        /// The transaction in the mempool.
        txid: Txid,
    },
    /// The tip is in no block, or a block reward that is not mature.
    #[error("{0}, which a payment has to spend, cannot be spent yet")]
    Tip(OutPoint),
    /// Not enough coins.
    #[error("{needed} needed with fee and change, {available} available, {immature} not mature yet")]
    Funds {
        /// Outputs, fee and the least change.
        needed: Amount,
        /// What can be spent now.
        available: Amount,
        /// Block rewards still to mature.
        immature: Amount,
    },
    /// More than [`INPUTS_MAX`] coins, or too heavy.
    #[error("the treasury's coins are too small: a payment takes more than {INPUTS_MAX} of them")]
    TooManyCoins,
    /// The cap is below what relays, or below what replaces the version in the mempool.
    #[error("a fee of {needed} sat is needed, the charter allows {cap}")]
    FeeCap {
        /// The least fee, in satoshis.
        needed: u64,
        /// The most that is allowed, in satoshis.
        cap: u64,
    },
    /// Replaced often enough.
    #[error("a payment is replaced at most {} times", fee::BUMPS_MAX)]
    Bumps,
    /// The lock time lies ahead.
    #[error("lock time {lock_height} is above the tip {tip}")]
    LockTime {
        /// What was asked.
        lock_height: Height,
        /// The view's tip.
        tip: Height,
    },
}

/// Build the payment of a decision.
///
/// # Errors
///
/// [`BuildError`] says what is in the way; most of it passes with time or money.
pub fn build(decided: &Certified<Spend>, view: &View, params: &Params) -> Result<Unsigned, BuildError> {
    check_params(decided, view, params)?;
    let (tip, replaced) = payable_tip(decided, view, params.bump)?;
    let mut plan = Plan::new(decided, view, params);
    plan.replaces = replaced.map(|txid| price(view, txid));
    let mut more = candidates(view, params, tip.outpoint, replaced).into_iter();
    plan.add(tip);
    loop {
        let cost = plan.cost()?;
        if plan.total >= cost.needed {
            return Ok(plan.finish(decided.decision(), cost));
        }
        match more.next() {
            Some(_) if plan.inputs.len() == INPUTS_MAX => return Err(BuildError::TooManyCoins),
            Some(coin) => plan.add(coin),
            None => {
                let (available, immature) = (plan.total, view.balance().immature);
                return Err(BuildError::Funds { needed: cost.needed, available, immature });
            }
        }
    }
}

fn check_params(decided: &Certified<Spend>, view: &View, params: &Params) -> Result<(), BuildError> {
    let (lock_height, tip) = (params.lock_height, view.tip());
    let guild = decided.certificate().body.guild;
    if guild != view.guild() {
        return Err(BuildError::Guild(guild));
    }
    if params.bump > fee::BUMPS_MAX {
        return Err(BuildError::Bumps);
    }
    if lock_height > tip {
        return Err(BuildError::LockTime { lock_height, tip });
    }
    Ok(decided.effect().check()?)
}

/// The coin to spend first, and the version in the mempool that this payment replaces.
fn payable_tip<'a>(
    decided: &Certified<Spend>,
    view: &'a View,
    bump: u32,
) -> Result<(&'a Coin, Option<Txid>), BuildError> {
    let (id, anchor) = (decided.decision(), decided.effect().anchor);
    anchor::check_anchor(view, anchor)?;
    let tip = match anchor::lineage(view, id, anchor, anchor::CONFIRMED) {
        Lineage::Open { tip } => tip,
        ended => return Err(BuildError::Ended(ended)),
    };
    let coin = view.coin(&tip).ok_or(AnchorError::Unknown(tip))?;
    if coin.depth == 0 || !coin.mature() {
        return Err(BuildError::Tip(tip));
    }
    match (coin.spent, anchor::lineage(view, id, anchor, anchor::MEMPOOL)) {
        (None, _) => Ok((coin, None)),
        (Some(spender), Lineage::Paid(end)) if bump > 0 && end.txid == spender.txid => {
            Ok((coin, Some(end.txid)))
        }
        (Some(spender), _) => Err(BuildError::InFlight { txid: spender.txid }),
    }
}

/// Coins besides the tip, in the order they are taken.
fn candidates<'a>(view: &'a View, params: &Params, tip: OutPoint, replaced: Option<Txid>) -> Vec<&'a Coin> {
    let free = |coin: &&Coin| coin.spent.is_none_or(|by| Some(by.txid) == replaced);
    let ready = view.coins.values().filter(|coin| coin.depth > 0 && coin.mature() && coin.outpoint != tip);
    let mut coins: Vec<_> = ready.filter(free).collect();
    coins.sort_by_key(|coin| {
        (params.avoid.contains(&coin.outpoint), Reverse(coin.output.value), coin.outpoint)
    });
    coins
}

/// What a version in the mempool pays.
struct Price {
    fee: Amount,
    vsize: u64,
}

impl Price {
    /// What a replacement of `vsize` virtual bytes must pay at least (BIP125): more in all, by the relay
    /// fee of its own size, and more for each byte.
    fn replacement(&self, vsize: u64) -> u64 {
        let fee = self.fee.to_sat();
        let in_all = fee.saturating_add(vsize * fee::LEAST_RATE);
        let rate = fee / self.vsize.max(1) + fee::LEAST_RATE;
        in_all.max(rate.saturating_mul(vsize))
    }
}

fn price(view: &View, txid: Txid) -> Price {
    let Some(seen) = view.transaction(&txid) else { return Price { fee: Amount::ZERO, vsize: 1 } };
    let spent = seen.transaction.input.iter().filter_map(|input| view.coin(&input.previous_output));
    let inputs: Amount = spent.map(|coin| coin.output.value).sum();
    let outputs: Amount = seen.transaction.output.iter().map(|output| output.value).sum();
    let fee = inputs.checked_sub(outputs).unwrap_or(Amount::ZERO);
    Price { fee, vsize: fee::signed_vsize(&seen.transaction) }
}

/// A payment while coins are added to it.
struct Plan<'a> {
    params: &'a Params,
    transaction: Transaction,
    inputs: Vec<InputKey>,
    total: Amount,
    paid: Amount,
    rate: u64,
    replaces: Option<Price>,
}

/// What a plan costs with the inputs it has.
struct Cost {
    fee: Amount,
    needed: Amount,
    vsize: u64,
}

impl<'a> Plan<'a> {
    fn new(decided: &Certified<Spend>, view: &View, params: &'a Params) -> Self {
        let spend = decided.effect();
        let heir =
            TxOut { value: Amount::from_sat(LEAST_COIN_SAT), script_pubkey: view.change_script().clone() };
        let mark = marker::output(marker::marker(view.guild(), decided.decision()));
        let transaction = Transaction {
            version: fee::version(0),
            lock_time: LockTime::from_height(params.lock_height).unwrap_or(LockTime::ZERO),
            input: Vec::new(),
            output: [heir, mark].into_iter().chain(payees(spend)).collect(),
        };
        Self {
            params,
            transaction,
            inputs: Vec::new(),
            total: Amount::ZERO,
            paid: spend.total().unwrap_or(Amount::MAX_MONEY),
            rate: fee::bumped(params.fee_rate.unwrap_or(fee::DEFAULT_RATE), params.bump),
            replaces: None,
        }
    }

    fn add(&mut self, coin: &Coin) {
        self.transaction.input.push(TxIn {
            previous_output: coin.outpoint,
            script_sig: ScriptBuf::new(),
            sequence: SEQUENCE,
            witness: fee::blank_witness(),
        });
        self.inputs.push(InputKey::from(coin));
        self.total += coin.output.value;
    }

    fn cost(&self) -> Result<Cost, BuildError> {
        let weight = self.transaction.weight().to_wu();
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
        let needed = self.paid + fee + Amount::from_sat(LEAST_COIN_SAT);
        Ok(Cost { fee, needed, vsize })
    }

    fn finish(mut self, decision: ProposalId, cost: Cost) -> Unsigned {
        for input in &mut self.transaction.input {
            input.witness.clear();
        }
        if let Some(heir) = self.transaction.output.first_mut() {
            heir.value = self.total - self.paid - cost.fee;
        }
        self.transaction.version = fee::version(cost.vsize);
        Unsigned { decision, transaction: self.transaction, inputs: self.inputs, fee: cost.fee }
    }
}

/// The outputs of a decision as a transaction has them.
pub(crate) fn payees(spend: &Spend) -> impl Iterator<Item = TxOut> + '_ {
    let payee = |output: &crdt::governance::Output| TxOut {
        value: output.amount,
        script_pubkey: output.script.clone(),
    };
    spend.outputs.iter().map(payee)
}

#[cfg(test)]
mod tests;
