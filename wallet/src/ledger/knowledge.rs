//! What the books know besides the chain: what was decided, what members labelled, who is who.

use super::account::{Names, Party};
use crate::anchor::Line;
use crate::marker;
use bitcoin::{OutPoint, ScriptBuf, Txid};
use crdt::category::Category;
use crdt::{GuildId, MemberId, ProposalId};
use std::collections::{BTreeMap, BTreeSet};

/// All of it. Equal knowledge and equal views give equal books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// Decisions to pay, and proposals of such: the chain says which were paid.
    pub decisions: BTreeMap<ProposalId, Decision>,
    /// What members wrote on transactions, outputs and addresses.
    pub labels: Labels,
    /// Whose deposit address has which index. Index 0 is mining's.
    pub deposits: BTreeMap<u32, MemberId>,
    /// Whom payments to a script are to.
    pub payees: BTreeMap<ScriptBuf, Payee>,
    /// What members' accounts are called.
    pub names: Names,
    /// Whether the farms mine for pools: then what comes to mining's address is a pool's payout.
    pub pools: bool,
}

/// A decision to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where its lineage begins, and what ends it.
    pub line: Line,
    /// One line for people.
    pub title: String,
    /// What it is for, if it says so.
    pub category: Option<Category>,
}

/// Somebody who is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// What people call them.
    pub name: String,
    /// The member it is, if it is one.
    pub member: Option<MemberId>,
}

/// Labels as BIP329 has them, as far as books go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// On transactions.
    pub transactions: BTreeMap<Txid, String>,
    /// On outputs.
    pub outputs: BTreeMap<OutPoint, String>,
    /// On addresses.
    pub addresses: BTreeMap<ScriptBuf, String>,
}

/// The decisions by their markers, of payment and of closing. Those of a budget's draws are not here: they
/// count on and on.
pub(super) type Markers = BTreeMap<[u8; 32], Vec<ProposalId>>;

impl Knowledge {
    pub(super) fn markers(&self, guild: GuildId) -> Markers {
        let mut markers = Markers::new();
        for (id, decision) in &self.decisions {
            let pays = match decision.line {
                Line::Once { .. } => Some(marker::marker(guild, *id)),
                Line::Work { number, .. } => Some(marker::work(guild, number)),
                Line::Budget { .. } => None,
            };
            for marker in [marker::closing(guild, *id)].into_iter().chain(pays) {
                markers.entry(marker).or_default().push(*id);
            }
        }
        markers
    }

    pub(super) fn budgets(&self) -> impl Iterator<Item = &ProposalId> {
        let budgets = self.decisions.iter().filter(|(_, known)| matches!(known.line, Line::Budget { .. }));
        budgets.map(|(id, _)| id)
    }

    pub(super) fn payee(&self, script: &ScriptBuf) -> Party {
        let member = self.payees.get(script).and_then(|payee| payee.member);
        member.map_or(Party::Other, Party::Member)
    }

    pub(super) fn depositor(&self, index: u32) -> Party {
        self.deposits.get(&index).map_or(Party::Deposit(index), |member| Party::Member(*member))
    }

    /// The category that members gave one output: the most particular label that names one.
    pub(super) fn labelled(&self, outpoint: OutPoint) -> Option<Category> {
        let output = self.labels.outputs.get(&outpoint).and_then(|label| Category::of_label(label));
        let whole = || self.labels.transactions.get(&outpoint.txid);
        output.or_else(|| whole().and_then(|label| Category::of_label(label)))
    }

    /// The category that members gave an address.
    pub(super) fn of_address(&self, script: &ScriptBuf) -> Option<Category> {
        self.labels.addresses.get(script).and_then(|label| Category::of_label(label))
    }

    /// The transactions that other knowledge puts differently, as far as it names them. None: all may be.
    pub(super) fn differs(&self, other: &Self) -> Option<(BTreeSet<Txid>, BTreeSet<ProposalId>)> {
        let general = |knowledge: &Self| {
            (knowledge.labels.addresses.clone(), knowledge.deposits.clone(), knowledge.pools)
        };
        if general(self) != general(other) || self.payees != other.payees {
            return None;
        }
        let (mine, theirs) = (&self.labels, &other.labels);
        let transactions = differing(&mine.transactions, &theirs.transactions);
        let outputs = differing(&mine.outputs, &theirs.outputs).into_iter().map(|outpoint| outpoint.txid);
        let labelled = transactions.into_iter().chain(outputs).collect();
        Some((labelled, differing(&self.decisions, &other.decisions)))
    }
}

/// The keys that two maps have different values for.
fn differing<K: Ord + Copy, V: PartialEq>(one: &BTreeMap<K, V>, two: &BTreeMap<K, V>) -> BTreeSet<K> {
    let changed = one.iter().filter(|(key, value)| two.get(*key) != Some(*value));
    let new = two.keys().filter(|key| !one.contains_key(*key));
    changed.map(|(key, _)| *key).chain(new.copied()).collect()
}
