//! What one transaction is, and what it moved: a function of the transaction, what it builds on, and what
//! is known.

use super::account::{Account, Cost, Party};
use super::entry::{Entry, Kind, Posting};
use super::knowledge::Knowledge;
use crate::view::{Coin, Seen, View};
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use crdt::category::Category;

/// Everything that classifying looks at.
pub(super) struct Classifier<'a> {
    pub(super) view: &'a View,
    pub(super) knowledge: &'a Knowledge,
    /// The decision that a transaction pays or ends.
    pub(super) decided: &'a dyn Fn(Txid, &Transaction) -> Option<Kind>,
}

/// A transaction by what is the treasury's of it.
struct Parts<'a> {
    txid: Txid,
    transaction: &'a Transaction,
    /// The coins it spends.
    spent: Vec<&'a Coin>,
    /// The outputs to the treasury.
    ours: Vec<&'a Coin>,
    /// Outputs with a value to others.
    external: Vec<(u32, &'a TxOut)>,
}

impl<'a> Parts<'a> {
    /// `ours`: the coins that it makes, in the order of its outputs.
    fn new(view: &'a View, txid: Txid, transaction: &'a Transaction, ours: Vec<&'a Coin>) -> Self {
        let spent = transaction.input.iter().filter_map(|input| view.coin(&input.previous_output)).collect();
        let mut made = ours.iter().peekable();
        let external = (0..).zip(&transaction.output).filter(|(vout, output)| {
            made.next_if(|coin| coin.outpoint.vout == *vout).is_none() && output.value > Amount::ZERO
        });
        let external = external.collect();
        Self { txid, transaction, spent, ours, external }
    }

    /// Whether nothing else is spent: only then is the fee known.
    fn alone(&self) -> bool {
        self.spent.len() == self.transaction.input.len()
    }

    fn by_leaf(&self) -> bool {
        self.spent.iter().any(|coin| coin.spent.is_some_and(|spender| !spender.key_path))
    }
}

impl Classifier<'_> {
    /// The entry of a transaction that makes these coins.
    pub(super) fn entry(&self, txid: Txid, seen: &Seen, made: Vec<&Coin>) -> Entry {
        let parts = Parts::new(self.view, txid, &seen.transaction, made);
        let kind = self.kind(&parts);
        let (postings, corrections) =
            if parts.spent.is_empty() { self.incoming(&parts) } else { self.outgoing(&parts, kind) };
        let first = postings.first().filter(|posting| posting.account == Account::Treasury);
        let treasury = first.map_or(0, |posting| posting.sat);
        Entry { txid, height: seen.height, time: seen.time, kind, treasury, postings, corrections }
    }

    fn kind(&self, parts: &Parts<'_>) -> Kind {
        if parts.spent.is_empty() {
            return if parts.transaction.is_coinbase() { Kind::BlockReward } else { Kind::Received };
        }
        if parts.by_leaf() {
            return Kind::Recovery;
        }
        (self.decided)(parts.txid, parts.transaction).unwrap_or(if parts.external.is_empty() {
            Kind::Move
        } else {
            Kind::Undecided
        })
    }

    /// What somebody paid in: to whom the address belongs, else what its label says.
    fn incoming(&self, parts: &Parts<'_>) -> (Vec<Posting>, Vec<Posting>) {
        let mut books = Books::default();
        for coin in &parts.ours {
            let by_rule = match coin.path {
                [0, 0] if coin.coinbase => Some(Category::BlockReward),
                [0, 0] if self.knowledge.pools => Some(Category::PoolPayout),
                [0, index] if index > 0 => Some(Category::Contribution),
                _ => None,
            };
            let party = match coin.path {
                [0, index] if index > 0 => self.knowledge.depositor(index),
                _ => Party::Other,
            };
            let account = |category| Account::incoming(category, party);
            let choice = self.choose(coin.outpoint, &coin.output, by_rule);
            books.put(choice, account, Account::OtherIncome, -sat(coin.output.value), coin.outpoint.vout);
            books.treasury += sat(coin.output.value);
        }
        books.close()
    }

    /// What the treasury paid: the fee, the outputs that are not its own, the rest back to itself.
    fn outgoing(&self, parts: &Parts<'_>, kind: Kind) -> (Vec<Posting>, Vec<Posting>) {
        let mut books = Books::default();
        let sum = |coins: &[&Coin]| sat(coins.iter().map(|coin| coin.output.value).sum());
        let (received, sent) = (sum(&parts.ours), sum(&parts.spent));
        books.treasury = received - sent;
        let default = match kind {
            Kind::Payment(_) | Kind::Draw(_) => Account::OtherExpense,
            Kind::Recovery => Account::Recovery,
            _ => Account::Undecided,
        };
        if !parts.alone() {
            // somebody else paid too, nobody can say what: it is one sum
            let account = if books.treasury > 0 { Account::OtherIncome } else { default };
            books.postings.push(Posting { account, sat: -books.treasury, vout: None });
            return books.close();
        }
        for (vout, output) in &parts.external {
            let party = self.knowledge.payee(&output.script_pubkey);
            let outpoint = OutPoint { txid: parts.txid, vout: *vout };
            let choice = self.choose(outpoint, output, self.category(kind));
            books.put(
                choice,
                |category| Account::outgoing(category, party),
                default,
                sat(output.value),
                *vout,
            );
        }
        let paid: Amount = parts.external.iter().map(|(_, output)| output.value).sum();
        let fee = Account::Cost(Cost::NetworkFee);
        books.postings.push(Posting { account: fee, sat: sent - received - sat(paid), vout: None });
        books.close()
    }

    fn category(&self, kind: Kind) -> Option<Category> {
        self.knowledge.decisions.get(&kind.decision()?)?.category
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
