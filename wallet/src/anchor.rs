//! Anchors and lineages: how a decision is paid at most once in any history of Bitcoin (§9).
//!
//! A decision names a coin, its anchor. The *tip* is the anchor, or, once that is spent by something
//! else, the heir of the transaction that spent it, and so on. Only a transaction that spends the tip and
//! carries the decision's marker pays it; two such transactions spend the same coin, so that no history
//! contains both. Nothing here is remembered: every answer follows from a [`View`].

mod budget;
mod guild;
mod line;

pub use budget::{Drawn, Draws, draws};
pub use guild::guild;
pub(crate) use line::txout;
pub use line::{Anchored, Line, lines, outputs_hash};

use crate::marker;
use crate::view::{Coin, Seen, Spender, View};
use bitcoin::{OutPoint, Transaction, Txid};
use crdt::limits::{DEPTH, LEAST_COIN_SAT};
use crdt::state::{How, Settled};
use crdt::{ChainFacts, Height, ProposalId};
use std::cell::LazyCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The output of a treasury transaction that inherits the lineages of the coins it spends.
pub const HEIR: u32 = 0;

/// The output of a seal that does: its first is the next seal (§10).
pub const SEAL_HEIR: u32 = 2;

/// Count spends in the mempool too: what is likely, for display and for building.
pub const MEMPOOL: Height = 0;
/// Count spends in any block: what a signer goes by.
pub const CONFIRMED: Height = 1;
/// Count spends that are buried: what the replicated state goes by.
pub const BURIED: Height = DEPTH;

/// Where a decision's lineage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// The anchor is no coin of the treasury, as far as this view goes, or too small for one.
    NoAnchor,
    /// Not ended: a payment spends this coin.
    Open {
        /// The anchor or the last heir.
        tip: OutPoint,
    },
    /// Paid.
    Paid(End),
    /// Ended without payment, by a closing move.
    Closed(End),
    /// Gone: the tip left by the recovery leaf, or its spender has no heir.
    Lost(End),
}

/// The transaction that ended a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its id.
    pub txid: Txid,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// How deep it is; 0 in the mempool.
    pub depth: Height,
}

/// Why a coin cannot be an anchor, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// Not a coin of this treasury in this view.
    #[error("{0} is no coin of the treasury")]
    Unknown(OutPoint),
    /// Smaller than an anchor must be.
    #[error("{outpoint} holds {sat} sat, an anchor at least {LEAST_COIN_SAT}")]
    Small {
        /// The coin.
        outpoint: OutPoint,
        /// What it holds, in satoshis.
        sat: u64,
    },
    /// Not buried yet.
    #[error("{outpoint} is {depth} blocks deep, an anchor at least {DEPTH}")]
    Shallow {
        /// The coin.
        outpoint: OutPoint,
        /// How deep it is.
        depth: Height,
    },
    /// A block reward that cannot be spent yet.
    #[error("{0} is a block reward that is not mature")]
    Immature(OutPoint),
    /// Spent already, in a block or in the mempool.
    #[error("{outpoint} is spent by {by}")]
    Spent {
        /// The coin.
        outpoint: OutPoint,
        /// The transaction that spends it.
        by: Txid,
    },
    /// The treasury has no coin that can be one.
    #[error("no coin of the treasury can be an anchor: it takes {LEAST_COIN_SAT} sat, {DEPTH} deep, mature")]
    None,
}

/// Choose the anchor of a new proposal: the largest coin that no lineage of `open` decisions stands on and
/// that is not to be left alone, or, if there is none, the largest that one does, or any. Never a frozen
/// one. Equal views choose equally.
///
/// # Errors
///
/// [`AnchorError::None`] if no coin is fit.
pub fn choose(view: &View, open: &BTreeMap<ProposalId, Line>) -> Result<OutPoint, AnchorError> {
    let taken = tips(view, open);
    let fit =
        view.unspent().filter(|coin| fit(view, coin).is_ok() && !view.frozen().contains(&coin.outpoint));
    let rank = |coin: &&Coin| {
        let alone = view.left_alone().contains(&coin.outpoint);
        (alone, taken.contains(&coin.outpoint), Reverse(coin.output.value), coin.outpoint)
    };
    fit.min_by_key(rank).map(|coin| coin.outpoint).ok_or(AnchorError::None)
}

/// Check that a new proposal may name `anchor`.
///
/// # Errors
///
/// [`AnchorError`] says why not.
pub fn check_new(view: &View, anchor: OutPoint) -> Result<(), AnchorError> {
    let coin = check_anchor(view, anchor)?;
    match coin.spent {
        Some(spender) => Err(AnchorError::Spent { outpoint: anchor, by: spender.txid }),
        None => Ok(()),
    }
}

/// Check that `anchor` can carry a lineage, spent or not: ours, at least [`LEAST_COIN_SAT`], [`DEPTH`]
/// deep, mature.
///
/// # Errors
///
/// [`AnchorError`] says why not.
pub fn check_anchor(view: &View, anchor: OutPoint) -> Result<&Coin, AnchorError> {
    fit(view, view.coin(&anchor).ok_or(AnchorError::Unknown(anchor))?)
}

fn fit<'a>(view: &View, coin: &'a Coin) -> Result<&'a Coin, AnchorError> {
    let (outpoint, sat) = (coin.outpoint, coin.output.value.to_sat());
    let depth = view.depth(coin.height);
    if sat < LEAST_COIN_SAT {
        Err(AnchorError::Small { outpoint, sat })
    } else if depth < DEPTH {
        Err(AnchorError::Shallow { outpoint, depth })
    } else if !coin.mature() {
        Err(AnchorError::Immature(outpoint))
    } else {
        Ok(coin)
    }
}

/// Follow the lineage of `decision` from `anchor` over spends that are at least `least` deep:
/// [`MEMPOOL`], [`CONFIRMED`] or [`BURIED`].
#[must_use]
pub fn lineage(view: &View, decision: ProposalId, anchor: OutPoint, least: Height) -> Lineage {
    let paid = LazyCell::new(|| marker::marker(view.guild(), decision));
    let closed = LazyCell::new(|| marker::closing(view.guild(), decision));
    walk(view, anchor, least, |transaction, end| {
        if marker::carries(transaction, *paid) {
            Some(Lineage::Paid(end))
        } else {
            marker::carries(transaction, *closed).then_some(Lineage::Closed(end))
        }
    })
}

/// Go from `anchor` from heir to heir until `ends` says that a transaction ends the lineage, or it leaves
/// the treasury, or nothing spends the tip. Transactions that carry no marker are not asked about.
fn walk(
    view: &View,
    anchor: OutPoint,
    least: Height,
    mut ends: impl FnMut(&Transaction, End) -> Option<Lineage>,
) -> Lineage {
    if !view.coin(&anchor).is_some_and(heritable) {
        return Lineage::NoAnchor;
    }
    let mut tip = anchor;
    // ends: a transaction spends only what was there before it
    while let Some((spender, seen)) = spend_of(view, tip, least) {
        let depth = view.depth(spender.height);
        let end = End { txid: spender.txid, height: spender.height, depth };
        if !spender.key_path {
            return Lineage::Lost(end);
        }
        let marked = marker::says_something(&seen.transaction);
        if let Some(ended) = marked.then(|| ends(&seen.transaction, end)).flatten() {
            return ended;
        }
        match heir(view, spender.txid) {
            Some(heir) => tip = heir,
            None => return Lineage::Lost(end), // no honest co-signer leaves out the heir
        }
    }
    Lineage::Open { tip }
}

/// The heir of a transaction: output 0 of the treasury; of a seal, whose first outputs are none of it,
/// output 2.
fn heir(view: &View, txid: Txid) -> Option<OutPoint> {
    let heirs = [HEIR, SEAL_HEIR].map(|vout| OutPoint { txid, vout });
    let transaction = &view.transaction(&txid)?.transaction;
    let second = transaction.output.get(1).is_some_and(|output| output.script_pubkey.is_op_return());
    let [first, third] = heirs;
    let of_a_seal = || second && view.coin(&first).is_none() && view.coin(&third).is_some_and(heritable);
    if view.coin(&first).is_some_and(heritable) { Some(first) } else { of_a_seal().then_some(third) }
}

fn heritable(coin: &Coin) -> bool {
    coin.output.value.to_sat() >= LEAST_COIN_SAT
}

fn spend_of(view: &View, tip: OutPoint, least: Height) -> Option<(Spender, &Seen)> {
    let spender = view.coin(&tip)?.spent?;
    let deep = view.depth(spender.height) >= least;
    Some((spender, view.transaction(&spender.txid)?)).filter(|_| deep)
}

/// The coins that the open lineages among `decisions` stand on, with the mempool and without it: not to
/// be spent for another decision where that is avoidable.
#[must_use]
pub fn tips(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> BTreeSet<OutPoint> {
    let mut tips = confirmed_tips(view, decisions);
    tips.extend(tips_at(view, decisions, MEMPOOL));
    tips
}

/// The same without the mempool: what builders of transactions go by, which must not depend on it.
#[must_use]
pub fn confirmed_tips(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> BTreeSet<OutPoint> {
    tips_at(view, decisions, CONFIRMED).collect()
}

fn tips_at<'a>(
    view: &'a View,
    decisions: &'a BTreeMap<ProposalId, Line>,
    least: Height,
) -> impl Iterator<Item = OutPoint> + 'a {
    let lineages = decisions.iter().map(move |(id, decision)| decision.follow(view, *id, least));
    lineages.filter_map(|lineage| match lineage {
        Lineage::Open { tip } => Some(tip),
        _ => None,
    })
}

/// How the lineages of `decisions` ended, as far as it is buried [`DEPTH`] deep: the same on every node
/// that has the same decisions and the same best block.
#[must_use]
pub fn settled(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> BTreeMap<ProposalId, Settled> {
    let ended = decisions.iter().filter_map(|(id, decision)| {
        let (how, end) = match decision.follow(view, *id, BURIED) {
            Lineage::Paid(end) => (How::Paid, end),
            Lineage::Closed(end) => (How::Closed, end),
            Lineage::Lost(end) => (How::Lost, end),
            Lineage::Open { .. } | Lineage::NoAnchor => return None,
        };
        Some((*id, Settled { how, txid: end.txid, height: end.height? }))
    });
    ended.collect()
}

/// All that the fold knows of the chain at the view's best block.
#[must_use]
pub fn facts(view: &View, decisions: &BTreeMap<ProposalId, Line>) -> ChainFacts {
    let settled = settled(view, decisions);
    ChainFacts { height: view.tip(), block_hash: view.tip_hash(), settled, epochs: Vec::new() }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
