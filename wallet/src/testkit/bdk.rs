//! BDK's own building of a transaction that we built: what ours is measured beside.

use crate::policy::CheckedTx;
use crate::spend::SEQUENCE;
use crate::treasury::Treasury;
use bdk_wallet::{KeychainKind, TxOrdering};
use bitcoin::absolute::LockTime;

/// Let BDK build a transaction with the same inputs, outputs and fee (its change comes last); how many
/// inputs it has. None if it cannot, or it is not the same.
#[must_use]
pub fn same(treasury: &mut Treasury, ours: &CheckedTx) -> Option<usize> {
    let wallet = treasury.bdk();
    let change = wallet.peek_address(KeychainKind::Internal, 0).address.script_pubkey();
    let mut builder = wallet.build_tx();
    let inputs: Vec<_> = ours.transaction().input.iter().map(|input| input.previous_output).collect();
    builder.add_utxos(&inputs).ok()?;
    builder.manually_selected_only().ordering(TxOrdering::Untouched);
    builder.set_condition(bdk_wallet::descriptor::policy::Condition::default());
    for output in ours.transaction().output.iter().skip(1) {
        builder.add_recipient(output.script_pubkey.clone(), output.value);
    }
    let lock = LockTime::from_height(ours.transaction().lock_time.to_consensus_u32()).ok()?;
    builder.drain_to(change).fee_absolute(ours.fee()).nlocktime(lock).set_exact_sequence(SEQUENCE);
    let built = builder.finish().ok()?.unsigned_tx;
    let same = built.output.last() == ours.transaction().output.first();
    same.then_some(built.input.len())
}
