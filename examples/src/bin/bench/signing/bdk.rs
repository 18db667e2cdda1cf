//! One build of the transaction by BDK, as a wallet of one's own would do it.

use crate::measure::{median, timed};
use anyhow::{Context as _, Result};
use bdk_wallet::chain::{BlockId, ConfirmationBlockTime};
use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, BlockHash, FeeRate, Network, OutPoint, Transaction, TxIn, TxOut, absolute, transaction,
};
use std::time::Duration;

/// A taproot descriptor of BIP86's test key. The guild's own has a recovery leaf beside: the floor does without.
const DESCRIPTOR: &str = "tr([73c5da0a/86'/1'/0']tpubDDfvzhdVV4unsoKt5aE6dcsNsfeWbTgmLZPi8LQDYU2xixrYemMfWJ3BaVneH3u7DBQePdTwhpybaKRU95pi6PMUtLPBJLVQRpzEnjfjZzX/<0;1>/*)";
const TURNS: usize = 3;

/// How long BDK takes for a payment of `inputs` coins.
pub(super) fn build(inputs: usize) -> Result<Duration> {
    let params = Wallet::create_from_two_path_descriptor(DESCRIPTOR).network(Network::Regtest);
    let mut wallet = params.create_wallet_no_persist()?;
    let coins: Vec<OutPoint> = (0..inputs).map(|_| receive(&mut wallet)).collect::<Result<_>>()?;
    let payee = crdt::testkit::payee(9);
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let (built, time) = timed(|| -> Result<()> {
            let mut builder = wallet.build_tx();
            builder.add_utxos(&coins)?.manually_selected_only();
            builder.add_recipient(payee.clone(), Amount::from_sat(10_000));
            builder.fee_rate(FeeRate::from_sat_per_vb(2).context("a rate")?);
            builder.finish()?;
            Ok(())
        });
        built?;
        took.push(time);
    }
    Ok(median(took))
}

/// A confirmed coin.
fn receive(wallet: &mut Wallet) -> Result<OutPoint> {
    let address = wallet.reveal_next_address(KeychainKind::External);
    let output = TxOut { value: Amount::from_sat(100_000), script_pubkey: address.script_pubkey() };
    let transaction = Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::from_consensus(address.index),
        input: vec![TxIn::default()],
        output: vec![output],
    };
    let txid = transaction.compute_txid();
    let block = BlockId { height: 1, hash: BlockHash::from_byte_array([1; 32]) };
    let mut update = bdk_wallet::Update::default();
    update.tx_update.txs.push(std::sync::Arc::new(transaction));
    update.tx_update.anchors.insert((ConfirmationBlockTime { block_id: block, confirmation_time: 1 }, txid));
    update.chain = Some(wallet.latest_checkpoint().insert(block));
    wallet.apply_update(update)?;
    Ok(OutPoint { txid, vout: 0 })
}
