//! The last step of a payment: signatures in, a transaction that the network takes out.

use crate::policy::CheckedTx;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Message, Secp256k1, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{ScriptBuf, Transaction, Witness, XOnlyPublicKey};

/// Why signatures do not complete a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// Not one signature for each input.
    #[error("{found} signatures for {expected} inputs")]
    Count {
        /// Inputs.
        expected: usize,
        /// Signatures.
        found: usize,
    },
    /// This input's signature is not the group's.
    #[error("the signature of input {0} does not verify")]
    Signature(usize),
}

/// Put the key-path signatures of `checked`'s inputs in their places, in order. Each is verified against
/// the output that it unlocks, independently of whoever made it.
///
/// # Errors
///
/// [`FinishError`] says which signature is missing or wrong.
pub fn finish(checked: &CheckedTx, signatures: &[[u8; 64]]) -> Result<Transaction, FinishError> {
    let (expected, found) = (checked.inputs().len(), signatures.len());
    if expected != found {
        return Err(FinishError::Count { expected, found });
    }
    let secp = Secp256k1::verification_only();
    for (index, (hash, signature)) in sighashes(checked).into_iter().zip(signatures).enumerate() {
        let refuse = FinishError::Signature(index);
        let script = checked.inputs().get(index).map(|input| &input.prevout.script_pubkey);
        let key = script.and_then(output_key).ok_or(refuse)?;
        let signature = schnorr::Signature::from_slice(signature).map_err(|_| refuse)?;
        secp.verify_schnorr(&signature, &Message::from_digest(hash), &key).map_err(|_| refuse)?;
    }
    let mut transaction = checked.transaction().clone();
    for (input, signature) in transaction.input.iter_mut().zip(signatures) {
        input.witness = Witness::from_slice(&[signature]);
    }
    Ok(transaction)
}

/// What the group signs for each input: BIP341, key path, all outputs and inputs.
#[must_use]
pub fn sighashes(checked: &CheckedTx) -> Vec<[u8; 32]> {
    let prevouts = checked.prevouts();
    let mut cache = SighashCache::new(checked.transaction());
    let hashes = (0..prevouts.len()).map(|index| {
        let prevouts = Prevouts::All(&prevouts);
        let hash = cache.taproot_key_spend_signature_hash(index, &prevouts, TapSighashType::Default);
        hash.expect("there is one prevout for each input").to_byte_array()
    });
    hashes.collect()
}

fn output_key(script: &ScriptBuf) -> Option<XOnlyPublicKey> {
    let bytes = script.is_p2tr().then(|| script.as_bytes().get(2..))??;
    XOnlyPublicKey::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests;
