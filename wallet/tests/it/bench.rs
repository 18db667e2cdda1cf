//! A real bitcoind, and a treasury that follows it.

use bitcoin::{Address, Amount, OutPoint, Transaction, TxIn, TxOut};
use crdt::Charter;
use crdt::certificate::Certified;
use crdt::governance::{Output, Spend};
use regtest::{Keeper, Options, Provide, provide, to_stderr};
use serde_json::json;
use std::collections::BTreeSet;
use wallet::chain::{Bitcoind, Follow};
use wallet::testkit::Secret;
use wallet::{Params, Treasury, View, policy, spend};

pub(crate) struct Bench {
    pub(crate) node: regtest::Bitcoind,
    pub(crate) chain: Bitcoind,
    pub(crate) follow: Follow,
    pub(crate) charter: Charter,
    pub(crate) secret: Secret,
    pub(crate) treasury: Treasury,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments for bitcoind.
    pub(crate) fn start_with(extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binaries = provide(&Provide { install: false, progress: &to_stderr }).unwrap();
        let keeper = Keeper::find().unwrap();
        let mut options = Options::new(folder.path());
        options.extra_args = extra.iter().map(|argument| (*argument).to_owned()).collect();
        let node = regtest::Bitcoind::start(&keeper, &binaries.bitcoind, &options).unwrap();
        let charter = crdt::testkit::charter(&crdt::testkit::people(3));
        let secret = Secret::new(1);
        let treasury = Treasury::create(&charter, secret.key()).unwrap();
        let chain = Bitcoind::connect(&node.rpc_url(), node.cookie_file()).unwrap();
        chain.check_network(charter.network).unwrap();
        let follow = chain.follow(treasury.checkpoint(), treasury.birth(), treasury.unconfirmed());
        Self { node, chain, follow, charter, secret, treasury, _folder: folder }
    }

    /// Go to the tip, as a node does.
    pub(crate) fn sync(&mut self) -> View {
        while let Some(new) = self.follow.next_block().unwrap() {
            self.treasury.apply_block(&new.block, new.height, new.connected_to).unwrap();
        }
        let mempool = self.follow.mempool().unwrap();
        self.treasury.apply_mempool(mempool.seen, mempool.evicted);
        self.treasury.view()
    }

    pub(crate) fn mine(&mut self, count: u64) -> View {
        self.mine_to(0xee, count)
    }

    /// Mine for somebody: blocks that replace others must not come out the same.
    pub(crate) fn mine_to(&mut self, seed: u8, count: u64) -> View {
        let address = Address::from_script(&crdt::testkit::payee(seed), self.charter.network).unwrap();
        self.node.generate_to(&address, count).unwrap();
        self.sync()
    }

    /// Mine for the treasury.
    pub(crate) fn reward(&mut self, index: u32, count: u64) -> View {
        let address = self.treasury.address(index).unwrap();
        self.node.generate_to(&address, count).unwrap();
        self.sync()
    }

    /// Two rewards to two addresses, both mature.
    pub(crate) fn funded() -> Self {
        Self::funded_with(&[])
    }

    pub(crate) fn funded_with(extra: &[&str]) -> Self {
        let mut bench = Self::start_with(extra);
        bench.fund();
        bench
    }

    pub(crate) fn fund(&mut self) {
        self.reward(0, 2);
        self.reward(1, 1);
        self.mine(100);
    }

    /// Mine a block that pays the treasury twice, the larger id first.
    pub(crate) fn two_in_one_block(&mut self) {
        let anyone = "raw(51)"; // OP_TRUE: no signature
        let rpc = |method: &str, params: &[serde_json::Value]| self.node.rpc(method, params).unwrap();
        let mined = rpc("generatetodescriptor", &[json!(101), json!(anyone)]);
        let spend = |place: usize, index: u32| {
            let block = rpc("getblock", &[mined.get(place).unwrap().clone(), json!(1)]);
            let txid = block.pointer("/tx/0").unwrap().as_str().unwrap().parse().unwrap();
            let output = TxOut {
                value: Amount::from_sat(4_000_000_000),
                script_pubkey: self.treasury.script([0, index]).unwrap(),
            };
            Transaction {
                version: bitcoin::transaction::Version::TWO,
                lock_time: bitcoin::absolute::LockTime::ZERO,
                input: vec![TxIn { previous_output: OutPoint { txid, vout: 0 }, ..TxIn::default() }],
                output: vec![output],
            }
        };
        let mut both = [spend(0, 1), spend(1, 2)];
        both.sort_by_key(|transaction| std::cmp::Reverse(transaction.compute_txid()));
        let hex = both.each_ref().map(bitcoin::consensus::encode::serialize_hex);
        rpc("generateblock", &[json!(anyone), json!(hex)]);
        self.sync();
    }

    pub(crate) fn decide(&self, seed: u8, sat: u64, anchor: bitcoin::OutPoint) -> Certified<Spend> {
        let output = Output { script: crdt::testkit::payee(seed), amount: Amount::from_sat(sat) };
        self.secret.decide(&self.charter, seed, vec![output], anchor)
    }

    pub(crate) fn params(&self, bump: u32) -> Params {
        let fee_rate = self.chain.estimate_fee(6).unwrap();
        let (lock_height, _) = self.treasury.tip();
        Params {
            lock_height,
            fee_rate,
            cap: self.charter.fee_cap.clone(),
            bump,
            avoid: BTreeSet::new(),
            apart: BTreeSet::new(),
        }
    }

    pub(crate) fn pay(&self, decided: &Certified<Spend>, bump: u32) -> Transaction {
        let (view, params) = (self.treasury.view(), self.params(bump));
        let built = spend::build(decided, &view, &params).unwrap();
        let checked = policy::check(&built.transaction, decided, &view, &params.cap).unwrap();
        self.secret.complete(&checked)
    }
}
