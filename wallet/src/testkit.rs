//! A treasury on a chain of made-up blocks, and a group key whose secret one hand holds.

pub mod bdk;
pub mod histories;
pub mod long;

use crate::anchor::{Anchored as _, Line};
use crate::fee::BUMPS_MAX;
use crate::policy::{self, CheckedTx};
use crate::spend::{self, InputKey, Params};
use crate::treasury::{CHANGE, Treasury};
use crate::view::View;
use crate::{fee, finish};
use bdk_wallet::chain::BlockId;
use bitcoin::bip32::{ChildNumber, Xpriv};
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash as _;
use bitcoin::key::{Keypair, TapTweak as _};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::taproot::TapNodeHash;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, absolute, transaction,
};
use crdt::certificate::{Body, Certificate, Certified, Decidable};
use crdt::governance::{Output, Spend};
use crdt::treasury::GroupKey;
use crdt::{Charter, Digest, Height, ProposalId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a made-up block pays.
pub const REWARD: Amount = Amount::from_int_btc(50);

/// A group key that needs no group.
#[derive(Debug, Clone, Copy)]
pub struct Secret(SecretKey);

impl Secret {
    /// The secret of this seed, which is not 0.
    ///
    /// # Panics
    ///
    /// For 0.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        Self(SecretKey::from_slice(&[seed; 32]).expect("small and not zero"))
    }

    /// The group key.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn key(self) -> GroupKey {
        let bytes = self.0.public_key(&Secp256k1::new()).serialize().to_vec();
        GroupKey::try_from(bytes).expect("a public key")
    }

    /// The group's signature over `digest`.
    #[must_use]
    pub fn sign(self, digest: [u8; 32]) -> [u8; 64] {
        let secp = Secp256k1::new();
        let pair = Keypair::from_secret_key(&secp, &self.0);
        secp.sign_schnorr_no_aux_rand(&Message::from_digest(digest), &pair).serialize()
    }

    /// The key-path signature for `input` over `digest`.
    ///
    /// # Panics
    ///
    /// Never for paths of the treasury.
    #[must_use]
    pub fn sign_input(self, input: &InputKey, digest: [u8; 32]) -> [u8; 64] {
        let secp = Secp256k1::new();
        let public = self.key().xpub(bitcoin::Network::Regtest);
        let root = Xpriv {
            network: public.network,
            depth: 0,
            parent_fingerprint: public.parent_fingerprint,
            child_number: public.child_number,
            private_key: self.0,
            chain_code: public.chain_code,
        };
        let path = input.path.map(|index| ChildNumber::from_normal_idx(index).expect("not hardened"));
        let child = root.derive_priv(&secp, &path).expect("derivation of a few steps");
        let tree = TapNodeHash::from_byte_array(input.merkle_root);
        let pair = Keypair::from_secret_key(&secp, &child.private_key).tap_tweak(&secp, Some(tree));
        secp.sign_schnorr_no_aux_rand(&Message::from_digest(digest), &pair.to_keypair()).serialize()
    }

    /// Sign every input of `checked` and finish it.
    ///
    /// # Panics
    ///
    /// If it is not a payment under this key.
    #[must_use]
    pub fn complete(self, checked: &CheckedTx) -> Transaction {
        let hashes = finish::sighashes(checked).into_iter().zip(checked.inputs());
        let signatures: Vec<_> = hashes.map(|(hash, input)| self.sign_input(input, hash)).collect();
        finish::finish(checked, &signatures).expect("our own signatures")
    }

    /// Decide to pay `outputs` from `anchor`; the decision's id is 32 times `seed`.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn decide(
        self,
        charter: &Charter,
        seed: u8,
        outputs: Vec<Output>,
        anchor: OutPoint,
    ) -> Certified<Spend> {
        self.certify(charter, ProposalId(Digest([seed; 32])), Spend { outputs, anchor })
    }

    /// Certify `effect` as what `proposal` decided.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn certify<E: Decidable>(self, charter: &Charter, proposal: ProposalId, effect: E) -> Certified<E> {
        let (guild, effect_hash) = (charter.id(), effect.effect_hash());
        let body = Body { guild, epoch: 1, proposal, option: 0, effect: effect_hash, close: 0 };
        let certificate = Certificate { signature: self.sign(body.digest().0).into(), body };
        Certified::verify(effect, certificate, guild, self.key()).expect("signed just now")
    }
}

/// A treasury on a chain of made-up blocks.
#[derive(Debug)]
pub struct Bench {
    /// The charter of three people.
    pub charter: Charter,
    /// The group key's secret.
    pub secret: Secret,
    /// The treasury.
    pub treasury: Treasury,
    blocks: Vec<BlockId>,
    /// What is in the blocks after the genesis block.
    mined: Vec<Block>,
    made: u32,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Bench {
    /// A treasury under the key of `seed`, at the genesis block.
    ///
    /// # Panics
    ///
    /// For 0.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        Self::of(crdt::testkit::charter(&crdt::testkit::people(3)), seed)
    }

    /// A treasury of `charter` under the key of `seed`, at the genesis block.
    ///
    /// # Panics
    ///
    /// For 0.
    #[must_use]
    pub fn of(charter: Charter, seed: u8) -> Self {
        let secret = Secret::new(seed);
        let treasury = Treasury::create(&charter, secret.key()).expect("a fine charter");
        let blocks = vec![treasury.checkpoint().block_id()];
        Self { charter, secret, treasury, blocks, mined: Vec::new(), made: 0 }
    }

    /// A treasury with two mature rewards, one fresh reward, and contributions of 1 and 2 bitcoin to
    /// 0/1 and 0/2: [`Bench::funded`]'s coins all differ in kind. The contributions are returned.
    #[must_use]
    pub fn funded() -> (Self, [OutPoint; 2]) {
        let mut bench = Self::default();
        bench.reward(2);
        bench.mine(100);
        let coins =
            [bench.receive([0, 1], Amount::from_int_btc(1)), bench.receive([0, 2], Amount::from_int_btc(2))];
        bench.mine(6);
        bench.reward(1);
        (bench, coins)
    }

    /// Everything, at the tip.
    #[must_use]
    pub fn view(&self) -> View {
        self.treasury.view()
    }

    /// The treasury's script at `path`.
    ///
    /// # Panics
    ///
    /// Beyond what is watched.
    #[must_use]
    pub fn script(&self, path: crate::Path) -> ScriptBuf {
        self.treasury.script(path).expect("watched")
    }

    /// Mine `count` blocks for somebody else.
    pub fn mine(&mut self, count: u32) {
        (0..count).for_each(|_| self.block(stranger(), Vec::new()));
    }

    /// Mine `count` blocks for the treasury.
    pub fn reward(&mut self, count: u32) {
        let script = self.script([0, 0]);
        (0..count).for_each(|_| self.block(script.clone(), Vec::new()));
    }

    /// Mine a block with `transactions`.
    pub fn confirm(&mut self, transactions: Vec<Transaction>) {
        self.block(stranger(), transactions);
    }

    /// Let `transaction` be in the mempool.
    pub fn broadcast(&mut self, transaction: &Transaction) {
        let seen = u64::from(self.made) + 1;
        self.treasury.apply_mempool([(Arc::new(transaction.clone()), seen)], []);
    }

    /// A contribution, in a block of its own.
    pub fn receive(&mut self, path: crate::Path, value: Amount) -> OutPoint {
        let transaction = self.contribution(path, value);
        self.confirm(vec![transaction.clone()]);
        OutPoint { txid: transaction.compute_txid(), vout: 0 }
    }

    /// A contribution that is nowhere yet.
    pub fn contribution(&mut self, path: crate::Path, value: Amount) -> Transaction {
        self.made += 1;
        let mut txid = [0xcc; 32];
        txid[..4].copy_from_slice(&self.made.to_be_bytes());
        let source = OutPoint { txid: Txid::from_byte_array(txid), vout: 0 };
        transaction(source, self.script(path), value)
    }

    /// Replace the last `depth` blocks by one more, empty ones.
    pub fn reorganize(&mut self, depth: usize) {
        self.blocks.truncate(self.blocks.len() - depth);
        self.mined.truncate(self.mined.len() - depth);
        self.mine(u32::try_from(depth + 1).expect("small"));
    }

    fn block(&mut self, reward: ScriptBuf, transactions: Vec<Transaction>) {
        self.made += 1;
        let before = *self.blocks.last().expect("there is always the genesis block");
        let height = before.height + 1;
        let header = Header {
            version: Version::ONE,
            prev_blockhash: before.hash,
            merkle_root: TxMerkleNode::all_zeros(),
            time: self.made,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let mut coinbase = transaction(OutPoint::null(), reward, REWARD);
        coinbase.lock_time = absolute::LockTime::from_consensus(self.made);
        let txdata = [coinbase].into_iter().chain(transactions).collect();
        let block = Block { header, txdata };
        self.treasury.apply_block(&block, height, before).expect("the next block");
        self.blocks.push(BlockId { height, hash: block.block_hash() });
        self.mined.push(block);
    }

    /// The best chain's blocks after the genesis block, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.mined
    }

    /// The block at the tip.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn tip(&self) -> (Height, BlockHash) {
        self.blocks.last().map(|block| (block.height, block.hash)).expect("there is always the genesis block")
    }

    /// Decide to pay `sat` to [`crdt::testkit::payee`] number `seed`, which also names the decision.
    #[must_use]
    pub fn decide(&self, seed: u8, sat: u64, anchor: OutPoint) -> Certified<Spend> {
        let output = Output { script: crdt::testkit::payee(seed), amount: Amount::from_sat(sat) };
        self.secret.decide(&self.charter, seed, vec![output], anchor)
    }

    /// Parameters of a first version at the tip.
    #[must_use]
    pub fn params(&self) -> Params {
        let cap = self.charter.fee_cap.clone();
        Params {
            lock_height: self.tip().0,
            fee_rate: None,
            cap,
            bump: 0,
            avoid: BTreeSet::new(),
            apart: BTreeSet::new(),
        }
    }

    /// Build, check, sign and finish the payment of `decided`.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn pay(&self, decided: &Certified<Spend>, bump: u32) -> Transaction {
        assert!(bump <= BUMPS_MAX, "too many bumps");
        let (view, params) = (self.view(), Params { bump, ..self.params() });
        let unsigned = spend::build(decided, &view, &params).expect("can be built");
        let checked =
            policy::check(&unsigned.transaction, decided, &view, &params.cap).expect("keeps all rules");
        assert_eq!(checked.fee(), unsigned.fee, "builder and signer agree on the fee");
        self.secret.complete(&checked)
    }

    /// A treasury transaction that pays nothing decided: `coin` to the heir, and `outputs` after it.
    #[must_use]
    pub fn move_coin(&self, coin: OutPoint, outputs: Vec<TxOut>) -> Transaction {
        let value = self.view().coin(&coin).map_or(Amount::ZERO, |coin| coin.output.value);
        let mut moved = transaction(coin, self.script(CHANGE), value - Amount::from_sat(1_000));
        moved.output.extend(outputs);
        moved.input.iter_mut().for_each(|input| input.witness = fee::blank_witness());
        moved
    }
}

/// The decisions by id, as the lineage functions take them.
#[must_use]
pub fn decisions<'a>(all: impl IntoIterator<Item = &'a Certified<Spend>>) -> BTreeMap<ProposalId, Line> {
    all.into_iter().map(|decided| (decided.decision(), decided.effect().line())).collect()
}

/// The script of somebody else.
#[must_use]
pub fn stranger() -> ScriptBuf {
    crdt::testkit::payee(0xee)
}

/// A transaction with one input and one output.
#[must_use]
pub fn transaction(source: OutPoint, script_pubkey: ScriptBuf, value: Amount) -> Transaction {
    let input = TxIn {
        previous_output: source,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![input],
        output: vec![TxOut { value, script_pubkey }],
    }
}
