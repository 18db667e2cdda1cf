//! The books: kept only once somebody asked for them, and then by what changed.

use super::Node;
use super::money::line;
use crate::error::Outcome;
use bitcoin::{Address, OutPoint, Txid};
use crdt::category::Category;
use crdt::governance::Effect;
use crdt::mining::Mode;
use crdt::state::ProposalState;
use crdt::workspace::LabelKind;
use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;
use wallet::Treasury;
use wallet::ledger::{Book, Decision, Knowledge, Labels, Ledger, Names, Payee};

/// The books, and whether entries came since they were written.
#[derive(Debug, Default)]
pub(super) struct Books {
    ledger: Option<Box<Ledger>>,
    stale: bool,
}

impl Books {
    /// Members said something: decisions, labels or names may be others.
    pub(super) const fn age(&mut self) {
        self.stale = true;
    }
}

impl Node {
    /// The books as they are now.
    pub(super) fn books(&mut self) -> Outcome<&Ledger> {
        let view = self.view()?;
        let touched = self.treasury.as_mut().map(Treasury::take_touched).unwrap_or_default();
        let ledger = match self.books.ledger.take() {
            Some(mut ledger) => {
                ledger.follow(&view, &touched);
                if self.books.stale {
                    ledger.learn(&view, Arc::new(self.knowledge()));
                }
                ledger
            }
            None => Box::new(Ledger::of(&view, Arc::new(self.knowledge()))),
        };
        self.books.stale = false;
        Ok(self.books.ledger.insert(ledger))
    }

    /// The books and the view they follow, to make a report from.
    pub(super) fn book(&mut self) -> Outcome<Book> {
        let view = (*self.view()?).clone();
        Ok(self.books()?.at(view))
    }

    /// What the books know besides the chain.
    fn knowledge(&mut self) -> Knowledge {
        self.workspace.follow(&self.document);
        let proposals = self.state().proposals.iter();
        let members = self.state().members.iter();
        Knowledge {
            decisions: proposals
                .filter_map(|(id, state)| Some((*id, decision(state)?)))
                .chain(self.exit_decisions())
                .collect(),
            labels: self.book_labels(),
            deposits: (1..).zip(self.charter.founders.iter().map(|founder| founder.key)).collect(),
            payees: self.payees(),
            names: Names::of_members(members.map(|(id, member)| (*id, member.name.as_str()))),
            pools: self.charter.mining.mode == Mode::Pool,
        }
    }

    fn book_labels(&self) -> Labels {
        let mut labels = Labels::default();
        for record in self.workspace.labels() {
            let Some(label) = record.label else { continue };
            let reference = record.reference.as_str();
            match record.kind {
                LabelKind::Tx => labels.transactions.extend(Txid::from_str(reference).map(|id| (id, label))),
                LabelKind::Output => {
                    labels.outputs.extend(OutPoint::from_str(reference).map(|at| (at, label)))
                }
                LabelKind::Addr => labels.addresses.extend(self.script_of(reference).map(|to| (to, label))),
                LabelKind::Pubkey | LabelKind::Input | LabelKind::Xpub => {}
            }
        }
        labels
    }

    fn script_of(&self, address: &str) -> Option<bitcoin::ScriptBuf> {
        let address = Address::from_str(address).ok()?.require_network(self.charter.network).ok()?;
        Some(address.script_pubkey())
    }

    /// The address book, and members by their payout scripts.
    fn payees(&self) -> BTreeMap<bitcoin::ScriptBuf, Payee> {
        let contacts = self.workspace.items(crdt::edit::Sheet::Contacts).into_iter();
        let contacts = contacts.filter_map(|(name, fields)| {
            Some((self.script_of(fields.get("address")?)?, Payee { name, member: None }))
        });
        let members = self.state().members.iter().map(|(id, member)| {
            (member.payout.clone(), Payee { name: member.name.to_string(), member: Some(*id) })
        });
        contacts.chain(members).collect() // a member's own name goes before what others call it
    }
}

/// A proposal as a decision to pay, if it is one: whether and when it was paid, the chain says.
fn decision(state: &ProposalState) -> Option<Decision> {
    let proposal = &state.proposal;
    let said = Category::of_label(proposal.text.as_str());
    let category = match &proposal.effect {
        Effect::Distribute(_) => said.or(Some(Category::Distribution)),
        Effect::Budget(budget) => said.or_else(|| Category::of_label(budget.purpose.as_str())),
        _ => said,
    };
    Some(Decision { line: line(&proposal.effect)?, title: proposal.title.to_string(), category })
}
