//! What kind of lineage a decision has: one payment, a place in the sequence of distributions by work, or
//! a budget's draws.

use super::{Lineage, draws, lineage, walk};
use crate::marker;
use crate::view::View;
use bitcoin::{OutPoint, Transaction, TxOut};
use crdt::governance::{Budget, Distribute, Effect, Options, Output, Spend};
use crdt::{Digest, Document, Height, Payload, ProposalId};
use std::cell::LazyCell;
use std::collections::BTreeMap;

/// Where a decision's lineage begins, and what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// One payment with the decision's own marker.
    Once {
        /// Where it begins.
        anchor: OutPoint,
    },
    /// A distribution by work: whatever pays this number ends it, and pays it if the outputs are its own.
    Work {
        /// The guild anchor.
        anchor: OutPoint,
        /// Its place in the sequence, from 1.
        number: u32,
        /// [`outputs_hash`] of what was decided.
        outputs: Digest,
    },
    /// A budget: draws move it on, nothing pays it.
    Budget {
        /// Where it begins.
        anchor: OutPoint,
    },
}

/// A decision that has a lineage.
pub trait Anchored {
    /// Which.
    fn line(&self) -> Line;
}

impl Anchored for Line {
    fn line(&self) -> Line {
        *self
    }
}

impl Anchored for Spend {
    fn line(&self) -> Line {
        Line::Once { anchor: self.anchor }
    }
}

impl Anchored for Distribute {
    fn line(&self) -> Line {
        let anchor = self.anchor;
        self.work().map_or(Line::Once { anchor }, |work| Line::Work {
            anchor,
            number: work.number,
            outputs: outputs_hash(self.outputs.iter().map(txout)),
        })
    }
}

impl Anchored for Budget {
    fn line(&self) -> Line {
        Line::Budget { anchor: self.anchor }
    }
}

/// The lineages of all that was ever proposed to be paid: what the facts that a state goes by are about.
#[must_use]
pub fn lines(document: &Document) -> BTreeMap<ProposalId, Line> {
    let standing = document.chains().flat_map(|(_, chain)| chain.entries()).chain(document.adopted());
    let proposed = standing.filter_map(|signed| match &signed.entry().payload {
        Payload::Propose(proposal) => Some((ProposalId::from(signed.id()), Line::of(&proposal.effect)?)),
        _ => None,
    });
    proposed.collect()
}

impl Line {
    /// The lineage of what an effect decides to pay, if it does.
    #[must_use]
    pub fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Spend(spend) => Some(spend.line()),
            Effect::Distribute(distribute) => Some(distribute.line()),
            Effect::Budget(budget) => Some(budget.line()),
            // All options name one coin.
            Effect::Choose(Options::Spend(all)) => all.first().map(Anchored::line),
            _ => None,
        }
    }

    /// Where it begins.
    #[must_use]
    pub const fn anchor(&self) -> OutPoint {
        match self {
            Self::Once { anchor } | Self::Work { anchor, .. } | Self::Budget { anchor } => *anchor,
        }
    }

    /// Where the lineage of decision `id` stands, over spends at least `least` deep.
    #[must_use]
    pub fn follow(&self, view: &View, id: ProposalId, least: Height) -> Lineage {
        match self {
            Self::Once { anchor } => lineage(view, id, *anchor, least),
            Self::Work { anchor, number, outputs } => work(view, id, *anchor, (*number, *outputs), least).0,
            Self::Budget { anchor } => draws(view, id, *anchor, least).lineage,
        }
    }

    /// The number of the next distribution by work, if this is one.
    pub(crate) fn next_work(&self, view: &View, id: ProposalId, least: Height) -> Option<u32> {
        match self {
            Self::Work { anchor, number, outputs } => {
                Some(work(view, id, *anchor, (*number, *outputs), least).1)
            }
            Self::Once { .. } | Self::Budget { .. } => None,
        }
    }
}

/// Follow the sequence up to `number`: where it stands, and the number that is paid next.
fn work(
    view: &View,
    id: ProposalId,
    anchor: OutPoint,
    (number, outputs): (u32, Digest),
    least: Height,
) -> (Lineage, u32) {
    let (guild, mut next) = (view.guild(), 1_u32);
    let closed = LazyCell::new(|| marker::closing(guild, id));
    let lineage = walk(view, anchor, least, |transaction, end| {
        if marker::carries(transaction, *closed) {
            return Some(Lineage::Closed(end));
        }
        if !marker::carries(transaction, marker::work(guild, next)) {
            return None;
        }
        next += 1;
        let own = outputs_hash(transaction.output.iter().skip(2).cloned()) == outputs;
        (next > number).then_some(if own { Lineage::Paid(end) } else { Lineage::Closed(end) })
    });
    (lineage, next)
}

/// A hash of outputs in their order.
#[must_use]
pub fn outputs_hash(outputs: impl Iterator<Item = TxOut>) -> Digest {
    let all = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: Vec::new(),
        output: outputs.collect(),
    };
    Digest::tagged("hashguild/outputs/v1", &[&bitcoin::consensus::serialize(&all.output)])
}

pub(crate) fn txout(output: &Output) -> TxOut {
    TxOut { value: output.amount, script_pubkey: output.script.clone() }
}
