//! A real bitcoind, and a treasury that follows it.

use bitcoin::{Address, Amount, Transaction};
use crdt::Charter;
use crdt::certificate::Certified;
use crdt::governance::{Output, Spend};
use regtest::{Keeper, Options, Provide, provide, to_stderr};
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
        bench.reward(0, 2);
        bench.reward(1, 1);
        bench.mine(100);
        bench
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
