//! What one transaction is, and what it moved: a function of the transaction, what it builds on, and what
//! is known.

use super::account::{Account, Cost, Party};
use super::entry::{Entry, Kind, Posting};
use super::knowledge::{Knowledge, Marked, Markers};
use crate::anchor::{self, Lineage};
use crate::view::{Coin, Seen, View};
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use crdt::category::Category;

/// Everything that classifying looks at.
pub(super) struct Classifier<'a> {
    pub(super) view: &'a View,
    pub(super) knowledge: &'a Knowledge,
    pub(super) markers: &'a Markers,
}

/// The coins of the treasury that a transaction spends.
struct Spent {
    sum: Amount,
    /// Whether nothing else is spent: only then is the fee known.
    alone: bool,
    key_path: bool,
}

impl Classifier<'_> {
    pub(super) fn entry(&self, txid: Txid, seen: &Seen) -> Entry {
        let spent = self.spent(&seen.transaction);
        let kind = self.kind(txid, &seen.transaction, spent.as_ref());
        let (postings, corrections) = match &spent {
            Some(spent) => self.outgoing(txid, &seen.transaction, spent, kind),
            None => self.incoming(txid, &seen.transaction),
        };
        Entry { txid, height: seen.height, time: seen.time, kind, postings, corrections }
    }

    fn spent(&self, transaction: &Transaction) -> Option<Spent> {
        let inputs = transaction.input.iter();
        let coins: Vec<&Coin> = inputs.filter_map(|input| self.view.coin(&input.previous_output)).collect();
        let key_path = coins.iter().all(|coin| coin.spent.is_none_or(|spender| spender.key_path));
        let sum = coins.iter().map(|coin| coin.output.value).sum();
        (!coins.is_empty()).then_some(Spent { sum, alone: coins.len() == transaction.input.len(), key_path })
    }

    fn kind(&self, txid: Txid, transaction: &Transaction, spent: Option<&Spent>) -> Kind {
        match spent {
            None if transaction.is_coinbase() => Kind::BlockReward,
            None => Kind::Received,
            Some(Spent { key_path: false, .. }) => Kind::Recovery,
            Some(_) => self.decided(txid, transaction).unwrap_or_else(|| {
                let leaves = self.external(txid, transaction).next().is_some();
                if leaves { Kind::Undecided } else { Kind::Move }
            }),
        }
    }

    /// The decision whose lineage the transaction ends: a marker alone proves nothing.
    fn decided(&self, txid: Txid, transaction: &Transaction) -> Option<Kind> {
        let marked = transaction.output.iter().find_map(|output| self.marked(output))?;
        let (Marked::Payment(id) | Marked::Closing(id)) = marked;
        let anchor = self.knowledge.decisions.get(&id)?.anchor;
        match (marked, anchor::lineage(self.view, id, anchor, anchor::MEMPOOL)) {
            (Marked::Payment(_), Lineage::Paid(end)) if end.txid == txid => Some(Kind::Payment(id)),
            (Marked::Closing(_), Lineage::Closed(end)) if end.txid == txid => Some(Kind::Closing(id)),
            _ => None,
        }
    }

    fn marked(&self, output: &TxOut) -> Option<Marked> {
        // OP_RETURN, then a push of 32 bytes: what `marker::output` makes
        let bytes = output.script_pubkey.as_bytes().strip_prefix(&[0x6a, 0x20])?;
        self.markers.get(<&[u8; 32]>::try_from(bytes).ok()?).copied()
    }

    /// Outputs with a value that are not the treasury's.
    fn external<'t>(
        &self,
        txid: Txid,
        transaction: &'t Transaction,
    ) -> impl Iterator<Item = (u32, &'t TxOut)> {
        let outputs = (0..).zip(&transaction.output);
        outputs.filter(move |(vout, output)| {
            output.value > Amount::ZERO && self.view.coin(&OutPoint { txid, vout: *vout }).is_none()
        })
    }

    fn ours<'t>(
        &self,
        txid: Txid,
        transaction: &'t Transaction,
    ) -> impl Iterator<Item = (u32, &'t TxOut, u32)> {
        let outputs = (0..).zip(&transaction.output);
        outputs.filter_map(move |(vout, output)| {
            let [keychain, index] = self.view.coin(&OutPoint { txid, vout })?.path;
            Some((vout, output, if keychain == 0 { index } else { u32::MAX }))
        })
    }

    /// What somebody paid in: to whom the address belongs, else what its label says.
    fn incoming(&self, txid: Txid, transaction: &Transaction) -> (Vec<Posting>, Vec<Posting>) {
        let mut books = Books::default();
        for (vout, output, index) in self.ours(txid, transaction) {
            let party = if index == 0 { Party::Other } else { self.knowledge.depositor(index) };
            let by_rule = match index {
                0 if transaction.is_coinbase() => Some(Category::BlockReward),
                0 if self.knowledge.pools => Some(Category::PoolPayout),
                0 | u32::MAX => None,
                _ => Some(Category::Contribution),
            };
            let account = |category| Account::incoming(category, party);
            let choice = self.choose(OutPoint { txid, vout }, output, by_rule);
            books.put(choice, account, Account::OtherIncome, -sat(output.value), vout);
            books.treasury += sat(output.value);
        }
        books.close()
    }

    /// What the treasury paid: the fee, the outputs that are not its own, the rest back to itself.
    fn outgoing(
        &self,
        txid: Txid,
        transaction: &Transaction,
        spent: &Spent,
        kind: Kind,
    ) -> (Vec<Posting>, Vec<Posting>) {
        let mut books = Books::default();
        let received: Amount = self.ours(txid, transaction).map(|(_, output, _)| output.value).sum();
        books.treasury = sat(received) - sat(spent.sum);
        let default = match kind {
            Kind::Payment(_) => Account::OtherExpense,
            Kind::Recovery => Account::Recovery,
            _ => Account::Undecided,
        };
        if !spent.alone {
            // somebody else paid too, nobody can say what: it is one sum
            let account = if books.treasury > 0 { Account::OtherIncome } else { default };
            books.postings.push(Posting { account, sat: -books.treasury, vout: None });
            return books.close();
        }
        for (vout, output) in self.external(txid, transaction) {
            let party = self.knowledge.payee(&output.script_pubkey);
            let choice = self.choose(OutPoint { txid, vout }, output, self.category(kind));
            books.put(
                choice,
                |category| Account::outgoing(category, party),
                default,
                sat(output.value),
                vout,
            );
        }
        let all: Amount = transaction.output.iter().map(|output| output.value).sum();
        let fee = Account::Cost(Cost::NetworkFee);
        books.postings.push(Posting { account: fee, sat: sat(spent.sum) - sat(all), vout: None });
        books.close()
    }

    fn category(&self, kind: Kind) -> Option<Category> {
        let Kind::Payment(id) = kind else { return None };
        self.knowledge.decisions.get(&id)?.category
    }

    /// What an output is for, and what members say it is for instead.
    fn choose(&self, outpoint: OutPoint, output: &TxOut, by_rule: Option<Category>) -> Choice {
        let labelled = self.knowledge.labelled(outpoint);
        let default = || labelled.or_else(|| self.knowledge.of_address(&output.script_pubkey));
        let first = by_rule.or_else(default);
        Choice { first, instead: labelled.filter(|_| labelled != first) }
    }
}

struct Choice {
    first: Option<Category>,
    instead: Option<Category>,
}

/// The postings of one transaction as they are written.
#[derive(Default)]
struct Books {
    treasury: i64,
    postings: Vec<Posting>,
    corrections: Vec<Posting>,
}

impl Books {
    fn put(
        &mut self,
        choice: Choice,
        account: impl Fn(Category) -> Account,
        default: Account,
        sat: i64,
        vout: u32,
    ) {
        let first = choice.first.map_or(default, &account);
        self.postings.push(Posting { account: first, sat, vout: Some(vout) });
        if let Some(other) = choice.instead.map(account).filter(|other| *other != first) {
            self.corrections.push(Posting { account: other, sat, vout: Some(vout) });
            self.corrections.push(Posting { account: first, sat: -sat, vout: Some(vout) });
        }
    }

    fn close(mut self) -> (Vec<Posting>, Vec<Posting>) {
        let treasury = Posting { account: Account::Treasury, sat: self.treasury, vout: None };
        self.postings.insert(0, treasury);
        self.postings.retain(|posting| posting.sat != 0);
        self.postings.shrink_to_fit(); // there are many, and they stay
        (self.postings, self.corrections)
    }
}

/// Satoshis that can exist fit.
fn sat(amount: Amount) -> i64 {
    i64::try_from(amount.to_sat()).unwrap_or(i64::MAX)
}
