//! BDK's own building of a transaction that we built: what ours is measured beside.

use crate::policy::CheckedTx;
use crate::spend::SEQUENCE;
use crate::treasury::Treasury;
use bdk_wallet::chain::ChainPosition;
use bdk_wallet::coin_selection::DefaultCoinSelectionAlgorithm;
use bdk_wallet::descriptor::policy::Condition;
use bdk_wallet::{KeychainKind, LocalOutput, TxBuilder, TxOrdering, Wallet};
use bitcoin::Psbt;
use bitcoin::absolute::LockTime;

/// A transaction with the same inputs, outputs and fee as one of ours (its change comes last), ready to be
/// built by BDK: it has looked up every coin.
#[derive(Debug)]
pub struct Ready<'a> {
    builder: TxBuilder<'a, DefaultCoinSelectionAlgorithm>,
}

impl<'a> Ready<'a> {
    /// None if BDK does not know a coin.
    #[must_use]
    pub fn new(treasury: &'a mut Treasury, ours: &CheckedTx) -> Option<Self> {
        let wallet = treasury.bdk();
        let change = wallet.peek_address(KeychainKind::Internal, 0).address.script_pubkey();
        let mut builder = wallet.build_tx();
        let inputs: Vec<_> = ours.transaction().input.iter().map(|input| input.previous_output).collect();
        builder.add_utxos(&inputs).ok()?;
        builder.manually_selected_only().ordering(TxOrdering::Untouched).set_condition(Condition::default());
        for output in ours.transaction().output.iter().skip(1) {
            builder.add_recipient(output.script_pubkey.clone(), output.value);
        }
        let lock = LockTime::from_height(ours.transaction().lock_time.to_consensus_u32()).ok()?;
        builder.drain_to(change).fee_absolute(ours.fee()).nlocktime(lock).set_exact_sequence(SEQUENCE);
        Some(Self { builder })
    }

    /// Build it. None if BDK cannot.
    #[must_use]
    pub fn build(self) -> Option<Psbt> {
        self.builder.finish().ok()
    }
}

/// The PSBT of a transaction of ours, with all that BDK puts into its own: spent outputs, keys and where
/// they come from. None if a coin is no longer in the descriptor's range.
#[must_use]
pub fn psbt(treasury: &mut Treasury, ours: &CheckedTx) -> Option<Psbt> {
    let wallet: &Wallet = treasury.bdk();
    let mut psbt = Psbt::from_unsigned_tx(ours.transaction().clone()).ok()?;
    let inputs = psbt.inputs.iter_mut().zip(&ours.transaction().input).zip(ours.inputs());
    for ((written, input), key) in inputs {
        let [keychain, derivation_index] = key.path;
        let output = LocalOutput {
            outpoint: input.previous_output,
            txout: key.prevout.clone(),
            keychain: if keychain == 0 { KeychainKind::External } else { KeychainKind::Internal },
            is_spent: false,
            derivation_index,
            chain_position: ChainPosition::Unconfirmed { first_seen: None, last_seen: None },
        };
        *written = wallet.get_psbt_input(output, None, true).ok()?;
    }
    Some(psbt)
}
