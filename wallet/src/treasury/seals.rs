//! Seals (§10): coins at 2/0 of the key, and what spends them. They are in no view, so that nothing chooses
//! one for a payment; here they are told apart.
//!
//! Who pays a seal first, or spends one, need not touch any other coin of ours: BDK would not keep such a
//! transaction, so it is told to.

use super::{Treasury, TreasuryError};
use crate::spend::{Given, InputKey};
use crate::view::COINBASE_DEPTH;
use bdk_wallet::chain::tx_graph::TxNode;
use bdk_wallet::chain::{BlockId, CheckPoint, ConfirmationBlockTime, TxUpdate};
use bdk_wallet::miniscript::{Descriptor, DescriptorPublicKey};
use bdk_wallet::{ChangeSet, Update};
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use crdt::limits::LEAST_COIN_SAT;
use crdt::treasury::{GroupKey, seal_descriptor};
use crdt::{Charter, Height};
use std::str::FromStr as _;
use std::sync::Arc;

/// Where the seal's key lies below the group key.
pub const SEAL: crate::Path = [2, 0];

/// What a seal is locked to.
#[derive(Debug, Clone)]
pub(super) struct SealKey {
    pub(super) script: ScriptBuf,
    merkle_root: [u8; 32],
}

impl SealKey {
    pub(super) fn of(charter: &Charter, key: GroupKey) -> Result<Self, TreasuryError> {
        let fail = |error: bdk_wallet::miniscript::Error| TreasuryError::Descriptor(error.into());
        let descriptor =
            Descriptor::<DescriptorPublicKey>::from_str(&seal_descriptor(charter, key)).map_err(fail)?;
        let derived = descriptor.derived_descriptor(&Secp256k1::verification_only(), 0);
        let derived =
            derived.map_err(|_| fail(bdk_wallet::miniscript::Error::Unexpected("seal".to_owned())))?;
        let script = derived.script_pubkey();
        let merkle_root = match &derived {
            Descriptor::Tr(tree) => tree.spend_info().merkle_root().map(|root| root.to_byte_array()),
            _ => None,
        };
        Ok(Self { script, merkle_root: merkle_root.unwrap_or_default() })
    }
}

/// A coin at the seal's script.
#[derive(Debug, Clone)]
pub struct SealCoin {
    /// Its name.
    pub outpoint: OutPoint,
    /// Value and script.
    pub output: TxOut,
    /// The block it was made in; none while it is in the mempool.
    pub height: Option<Height>,
    /// How many blocks it is deep; 0 in the mempool.
    pub depth: Height,
    /// Whether it is a block reward.
    pub coinbase: bool,
    /// The root of its script tree.
    pub merkle_root: [u8; 32],
    /// What spends it.
    pub spent: Option<SealSpend>,
}

/// What spends a seal.
#[derive(Debug, Clone)]
pub struct SealSpend {
    /// All of it.
    pub transaction: Arc<Transaction>,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// How many blocks it is deep; 0 in the mempool.
    pub depth: Height,
}

impl SealCoin {
    /// Whether Bitcoin lets it be spent in the next block.
    #[must_use]
    pub const fn mature(&self) -> bool {
        !self.coinbase || self.depth >= COINBASE_DEPTH
    }

    /// It as the first input of what spends it.
    #[must_use]
    pub fn given(&self) -> Given {
        let key = InputKey { prevout: self.output.clone(), path: SEAL, merkle_root: self.merkle_root };
        Given { outpoint: self.outpoint, key }
    }
}

impl SealSpend {
    /// The hash of the checkpoint that it commits to, if it is a seal: output 1 has it.
    #[must_use]
    pub fn checkpoint(&self) -> Option<[u8; 32]> {
        let mark = self.transaction.output.get(1)?;
        let bytes: [u8; 34] = mark.script_pubkey.as_bytes().try_into().ok()?;
        match bytes {
            [0x6a, 0x20, hash @ ..] => Some(hash),
            _ => None,
        }
    }

    /// The seal that it makes, if it does.
    #[must_use]
    pub fn next(&self) -> OutPoint {
        OutPoint { txid: self.transaction.compute_txid(), vout: 0 }
    }
}

impl Treasury {
    /// An empty treasury that goes on where another stands, but no higher than `height`: nothing of this key
    /// is older.
    ///
    /// # Errors
    ///
    /// As [`Treasury::create`].
    pub fn create_from(
        charter: &Charter,
        key: GroupKey,
        chain: &CheckPoint,
        height: Height,
    ) -> Result<Self, TreasuryError> {
        let mut treasury = Self::create(charter, key)?;
        if let Some(from) = chain.iter().find(|block| block.height() <= height) {
            treasury.wallet.apply_update(Update { chain: Some(from), ..Update::default() })?;
            treasury.follow();
        }
        Ok(treasury)
    }

    /// The group key that its coins are locked to.
    #[must_use]
    pub const fn key(&self) -> GroupKey {
        self.key
    }

    /// The script of seals: whoever pays it first, [`LEAST_COIN_SAT`] or more, makes the guild's first seal.
    #[must_use]
    pub const fn seal_script(&self) -> &ScriptBuf {
        &self.seal.script
    }

    /// The coins at the seal's script that count, large enough for a seal: in blocks first, by height, then by
    /// id.
    #[must_use]
    pub fn seals(&self) -> Vec<SealCoin> {
        let mut seals: Vec<SealCoin> =
            self.seal_coins.iter().filter_map(|outpoint| self.seal_coin(*outpoint)).collect();
        seals.sort_by_key(|seal| (seal.height.is_none(), seal.height, seal.outpoint));
        seals
    }

    fn seal_coin(&self, outpoint: OutPoint) -> Option<SealCoin> {
        let graph = self.wallet.tx_graph();
        let place = self.canonical.place(graph, outpoint.txid)?;
        let output = graph.get_txout(outpoint)?.clone();
        if output.value < Amount::from_sat(LEAST_COIN_SAT) {
            return None;
        }
        let spenders = graph.outspends(outpoint).iter();
        let spent = spenders.filter_map(|txid| {
            let place = self.canonical.place(graph, *txid)?;
            let transaction = graph.get_tx(*txid)?;
            Some(SealSpend { transaction, height: place.height, depth: self.view.depth(place.height) })
        });
        Some(SealCoin {
            outpoint,
            output,
            height: place.height,
            depth: self.view.depth(place.height),
            coinbase: graph.get_tx(outpoint.txid).is_some_and(|transaction| transaction.is_coinbase()),
            merkle_root: self.seal.merkle_root,
            spent: spent.max_by_key(|spend| spend.depth),
        })
    }

    /// Whether `transaction` makes or spends a seal.
    fn is_about_seals(&self, transaction: &Transaction) -> bool {
        let pays = transaction.output.iter().any(|output| output.script_pubkey == self.seal.script);
        pays || transaction.input.iter().any(|input| self.seal_coins.contains(&input.previous_output))
    }

    /// Keep what a block says of seals.
    pub(super) fn keep_seals(&mut self, block: &Block, height: Height) {
        let anchor = ConfirmationBlockTime {
            block_id: BlockId { height, hash: block.block_hash() },
            confirmation_time: block.header.time.into(),
        };
        for transaction in &block.txdata {
            if !self.is_about_seals(transaction) {
                continue;
            }
            let mut update = TxUpdate::default();
            update.anchors.insert((anchor, transaction.compute_txid()));
            update.txs.push(Arc::new(transaction.clone()));
            self.keep(update);
        }
    }

    /// Keep what the mempool says of seals.
    pub(super) fn keep_waiting_seals(&mut self, seen: &[(Arc<Transaction>, u64)]) {
        for (transaction, at) in seen {
            if self.is_about_seals(transaction) {
                let mut update = TxUpdate::default();
                update.seen_ats.insert((transaction.compute_txid(), *at));
                update.txs.push(Arc::clone(transaction));
                self.keep(update);
            }
        }
    }

    fn keep(&mut self, tx_update: TxUpdate<ConfirmationBlockTime>) {
        self.note_seals(tx_update.txs.iter());
        let update = Update { tx_update, ..Update::default() };
        self.wallet.apply_update(update).expect("the chain, which might not connect, does not change");
    }

    /// Note which of what the wallet learnt makes seals.
    pub(super) fn note_new_seals(&mut self, change: &ChangeSet) {
        self.note_seals(change.tx_graph.txs.iter());
    }

    /// Note all of them.
    pub(super) fn note_all_seals(&mut self) {
        let all = self.wallet.tx_graph().full_txs().map(|node: TxNode<'_, _, _>| node.tx);
        self.seal_coins.extend(all.flat_map(|transaction| made_at(&self.seal.script, &transaction)));
    }

    fn note_seals<'a>(&mut self, transactions: impl Iterator<Item = &'a Arc<Transaction>>) {
        let made = transactions.flat_map(|transaction| made_at(&self.seal.script, transaction));
        self.seal_coins.extend(made);
    }
}

/// The coins that a transaction makes at `script`.
fn made_at(script: &ScriptBuf, transaction: &Transaction) -> Vec<OutPoint> {
    let pays = |(_, output): &(u32, &TxOut)| output.script_pubkey == *script;
    let outputs = (0..).zip(&transaction.output).filter(pays).map(|(vout, _)| vout);
    let txid: Option<Txid> = outputs.clone().next().map(|_| transaction.compute_txid());
    outputs.filter_map(|vout| Some(OutPoint { txid: txid?, vout })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Bench, stranger, transaction};

    fn coin(seed: u8) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array([seed; 32]), vout: 0 }
    }

    fn pay(bench: &Bench, seed: u8, sat: u64) -> Transaction {
        transaction(coin(seed), bench.treasury.seal_script().clone(), Amount::from_sat(sat))
    }

    #[test]
    fn the_seal_script_is_the_key_at_two_zero_with_its_leaf() {
        let bench = Bench::default();
        let secp = Secp256k1::new();
        let xpub = bench.secret.key().xpub(bitcoin::Network::Regtest);
        let steps = SEAL.map(|index| bitcoin::bip32::ChildNumber::from_normal_idx(index).unwrap());
        let internal = xpub.derive_pub(&secp, &steps).unwrap().public_key.x_only_public_key().0;
        let root = bitcoin::TapNodeHash::from_byte_array(bench.treasury.seal.merkle_root);
        assert_eq!(&ScriptBuf::new_p2tr(&secp, internal, Some(root)), bench.treasury.seal_script());
    }

    #[test]
    fn seals_are_seen_spent_and_unseen_with_their_blocks_and_are_no_coins() {
        let mut bench = Bench::default();
        let (small, first, second) = (pay(&bench, 1, 9_999), pay(&bench, 2, 20_000), pay(&bench, 3, 30_000));
        bench.broadcast(&first);
        assert_eq!(bench.treasury.seals()[0].height, None, "it waits");
        bench.confirm(vec![small, first.clone()]);
        bench.confirm(vec![second]);
        let seals = bench.treasury.seals();
        assert_eq!(seals.iter().map(|seal| seal.depth).collect::<Vec<_>>(), [2, 1], "the first first");
        assert_eq!(seals[0].outpoint.txid, first.compute_txid());
        assert_eq!(bench.view().balance().confirmed, Amount::ZERO, "a seal is in no balance");
        let mut spend = transaction(seals[0].outpoint, stranger(), Amount::from_sat(15_000));
        spend.output.push(TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return([7; 32]) });
        bench.confirm(vec![spend.clone()]);
        let spent = bench.treasury.seals()[0].spent.clone().expect("spent");
        assert_eq!((spent.depth, spent.checkpoint()), (1, Some([7; 32])));
        bench.reorganize(1);
        let back = bench.treasury.seals()[0].spent.clone();
        assert!(back.is_none_or(|spend| spend.height.is_none()), "thrown out with its block");
        // another one that starts late, and what was stored, see the same
        let stored = bench.treasury.take_staged().expect("something changed");
        let loaded = Treasury::load(&bench.charter, bench.secret.key(), stored).unwrap();
        assert_eq!(loaded.seals().len(), 2);
        let late = Treasury::create_from(&bench.charter, bench.secret.key(), &bench.treasury.checkpoint(), 1);
        assert_eq!(late.unwrap().tip().0, 1);
    }
}
