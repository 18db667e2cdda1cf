//! A guild that is old: the change sets of a long history, made at once, and what there is to compare with.

use super::{REWARD, Secret, stranger};
use crate::anchor::Line;
use crate::fee;
use crate::ledger::{Decision, Knowledge, Names, Payee};
use crate::marker;
use crate::treasury::{CHANGE, ChangeSet, LOOKAHEAD, Treasury};
use bdk_wallet::Wallet;
use bdk_wallet::chain::{BlockId, ConfirmationBlockTime};
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
    absolute, transaction,
};
use crdt::category::CATEGORIES;
use crdt::treasury::{GroupKey, descriptor};
use crdt::{Charter, Digest, Height, ProposalId};
use std::sync::Arc;

/// Transactions of one block.
const PER_BLOCK: u32 = 2;
/// Seconds between two blocks.
const SPACING: u64 = 600;
/// The time of the first block: 2022-01-01.
const BEGINNING: u64 = 1_640_995_200;
/// What a payment pays.
const PAID: Amount = Amount::from_sat(50_000);
/// Members with a deposit address.
const MEMBERS: u32 = 50;

/// A long history, and what is known of it.
#[derive(Debug)]
pub struct Long {
    /// The charter.
    pub charter: Charter,
    /// The group key.
    pub key: GroupKey,
    /// What a store would give.
    pub changes: ChangeSet,
    /// Decisions, names and labels.
    pub knowledge: Knowledge,
    scripts: Scripts,
    tip: BlockId,
    heir: OutPoint,
    held: Amount,
}

#[derive(Debug)]
struct Scripts {
    mining: ScriptBuf,
    change: ScriptBuf,
    deposits: Vec<ScriptBuf>,
}

impl Long {
    /// A history of `count` transactions: contributions, pool payouts, and payments that were decided.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let people = crdt::testkit::people(3);
        let charter = crdt::testkit::charter(&people);
        let key = Secret::new(1).key();
        let mut treasury = Treasury::create(&charter, key).expect("a fine charter");
        let script = |path| treasury.script(path).expect("watched");
        let deposits = (1..=MEMBERS).map(|index| script([0, index])).collect();
        let scripts = Scripts { mining: script([0, 0]), change: script(CHANGE), deposits };
        let tip = treasury.checkpoint().block_id();
        let names = (1..).zip(&people).map(|(place, person): (u32, _)| (place, person.id()));
        let knowledge = Knowledge {
            deposits: names.collect(),
            names: Names::of_members(people.iter().map(|person| (person.id(), "member"))),
            pools: true,
            ..Knowledge::default()
        };
        let changes = treasury.take_staged().unwrap_or_default();
        let (heir, held) = (OutPoint::null(), Amount::ZERO);
        let mut long = Self { charter, key, changes, knowledge, scripts, tip, heir, held };
        (0..count).for_each(|number| long.grow(number));
        long
    }

    fn grow(&mut self, number: u32) {
        if number.is_multiple_of(PER_BLOCK) {
            let height = self.tip.height + 1;
            let hash = BlockHash::from_byte_array(Digest::tagged("long", &[&height.to_be_bytes()]).0);
            self.tip = BlockId { height, hash };
            self.changes.wallet.local_chain.blocks.insert(height, Some(hash));
        }
        let transaction = self.make(number);
        let time = BEGINNING + SPACING * u64::from(self.tip.height);
        let anchor = ConfirmationBlockTime { block_id: self.tip, confirmation_time: time };
        self.changes.wallet.tx_graph.anchors.insert((anchor, transaction.compute_txid()));
        self.changes.wallet.tx_graph.txs.insert(Arc::new(transaction));
    }

    /// The transaction of this number, the next of the history.
    fn make(&mut self, number: u32) -> Transaction {
        let deposit = usize::try_from(number).map_or(0, |number| number % self.scripts.deposits.len());
        let to_deposit = self.scripts.deposits.get(deposit).cloned().unwrap_or_default();
        match number % 3 {
            _ if self.held < PAID * 2 => self.fund(number),
            0 => incoming(number, to_deposit, Amount::from_sat(100_000 + u64::from(number))),
            1 => incoming(number, self.scripts.mining.clone(), Amount::from_sat(25_000)),
            _ => self.pay(number),
        }
    }

    /// A block reward, from which payments are made until it is used up.
    fn fund(&mut self, number: u32) -> Transaction {
        let mut reward = super::transaction(OutPoint::null(), self.scripts.mining.clone(), REWARD);
        reward.lock_time = absolute::LockTime::from_consensus(number + 1);
        (self.heir, self.held) = (OutPoint { txid: reward.compute_txid(), vout: 0 }, REWARD);
        reward
    }

    fn pay(&mut self, number: u32) -> Transaction {
        let id = ProposalId(Digest::tagged("long", &[b"decision", &number.to_be_bytes()]));
        let index = usize::try_from(number).unwrap_or(0);
        let category = CATEGORIES.get(3 + index % 7).map(|(category, _)| *category);
        let (line, title) = (Line::Once { anchor: self.heir }, format!("invoice {number}"));
        self.knowledge.decisions.insert(id, Decision { line, title, category });
        let payee = Payee { name: "the host".to_owned(), member: None };
        self.knowledge.payees.entry(stranger()).or_insert(payee);
        let left = self.held - PAID - Amount::from_sat(1_000);
        let input = TxIn {
            previous_output: self.heir,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: fee::blank_witness(),
        };
        let outputs = vec![
            TxOut { value: left, script_pubkey: self.scripts.change.clone() },
            marker::output(marker::marker(self.charter.id(), id)),
            TxOut { value: PAID, script_pubkey: stranger() },
        ];
        let payment = Transaction {
            version: transaction::Version(3),
            lock_time: absolute::LockTime::from_consensus(self.tip.height),
            input: vec![input],
            output: outputs,
        };
        (self.heir, self.held) = (OutPoint { txid: payment.compute_txid(), vout: 0 }, left);
        payment
    }

    /// The block after the history, with one contribution.
    #[must_use]
    pub fn next_block(&self) -> (Block, Height, BlockId) {
        let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest).header;
        let height = self.tip.height + 1;
        let time = u32::try_from(BEGINNING + SPACING * u64::from(height)).unwrap_or(u32::MAX);
        let header = bitcoin::block::Header { prev_blockhash: self.tip.hash, time, ..genesis };
        let deposit = self.scripts.deposits.first().cloned().unwrap_or_default();
        let txdata = vec![incoming(u32::MAX, deposit, PAID)];
        (Block { header, txdata }, height, self.tip)
    }

    /// What BDK alone makes of the change sets: its wallet, loaded.
    ///
    /// # Panics
    ///
    /// If it is not a wallet of this treasury.
    #[must_use]
    pub fn load_bdk(&self, changes: ChangeSet) -> Wallet {
        let params = Wallet::load().two_path_descriptor(descriptor(&self.charter, self.key));
        let params = params.check_network(self.charter.network).lookahead(LOOKAHEAD);
        params.load_wallet_no_persist(changes.wallet).expect("of this treasury").expect("not empty")
    }
}

fn incoming(number: u32, script: ScriptBuf, value: Amount) -> Transaction {
    let digest = Digest::tagged("long", &[b"source", &number.to_be_bytes()]);
    let source = OutPoint { txid: Txid::from_byte_array(digest.0), vout: 0 };
    let mut transaction = super::transaction(source, script, value);
    transaction.input.iter_mut().for_each(|input| input.witness = Witness::from_slice(&[[1; 72], [2; 72]]));
    transaction
}
