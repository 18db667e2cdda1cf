//! The way out when fewer than t shares are left: the recovery leaf (§9). Coins that rested `delay` blocks
//! can be moved by k of the recovery keys, with no co-signer and no vote.
//!
//! One person builds a [`Psbt`] of all such coins, signs it with the own seed and hands it on; every other
//! signs the same transaction, here or on a hardware wallet. Nothing in a PSBT of somebody else is
//! believed: from it come a transaction, which is checked, and signatures, which are verified; everything
//! else is put in from our own chain.

use crate::treasury::Treasury;
use crate::view::{Coin, View};
use bdk_wallet::descriptor::policy::Condition;
use bdk_wallet::error::CreateTxError;
use bitcoin::bip32::Xpriv;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Message, Secp256k1};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Amount, FeeRate, OutPoint, Psbt, Script, ScriptBuf, Sequence, Transaction, TxOut, psbt};
use crdt::Height;

/// Inputs of one recovery: some 140 virtual bytes each with three of five keys, and more with more keys; a
/// transaction that nodes relay has 100,000.
pub const INPUTS_MAX: usize = 200;
/// Warnings come when the oldest coin has rested this much of the delay, in percent.
pub const WARN_AT: [u32; 3] = [50, 75, 90];

/// Why there is no recovery, or why a PSBT is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The treasury holds nothing.
    #[error("the treasury holds no confirmed coin: there is nothing to recover")]
    Empty,
    /// No coin has rested long enough.
    #[error("no coin has rested {delay} blocks yet: the first can be recovered in {blocks} blocks")]
    TooYoung {
        /// The charter's delay.
        delay: u16,
        /// Blocks until the first coin.
        blocks: Height,
    },
    /// The fee would eat everything.
    #[error("the coins hold {sat} sat, which does not pay for a fee of {fee_rate} sat/vB")]
    Fee {
        /// What they hold, in satoshis.
        sat: u64,
        /// The fee rate asked for.
        fee_rate: u64,
    },
    /// It cannot be built.
    #[error("the recovery cannot be built")]
    Build(#[from] CreateTxError),
    /// The PSBT spends something else.
    #[error(
        "input {input} of the PSBT, {outpoint}, is no coin of this treasury: it is of another guild or network"
    )]
    Foreign {
        /// Which input.
        input: usize,
        /// What it spends.
        outpoint: OutPoint,
    },
    /// The PSBT spends a coin that is gone, or that may not be recovered yet.
    #[error("input {input} of the PSBT, {outpoint}, {why}")]
    Coin {
        /// Which input.
        input: usize,
        /// What it spends.
        outpoint: OutPoint,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The PSBT pays somebody else, or differs from a recovery.
    #[error("the PSBT {0}")]
    Changed(String),
    /// Two PSBTs are of different transactions.
    #[error("the PSBTs are of different transactions, {0} and {1}: take those of one recovery")]
    Different(bitcoin::Txid, bitcoin::Txid),
    /// A signature in the PSBT is none.
    #[error("a signature for input {input} of the PSBT is not valid: ask its signer for a new one")]
    Signature {
        /// Which input.
        input: usize,
    },
    /// There is nothing that our key signs.
    #[error("there is nothing in this PSBT for this member's recovery key to sign")]
    NothingToSign,
    /// Not enough signatures.
    #[error("{have} of {needed} signatures are there")]
    Signatures {
        /// How many.
        have: usize,
        /// How many it takes.
        needed: usize,
    },
}

/// How old the coins are, measured against the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// 50, 75 or 90, the highest that the oldest coin passed; 100 when recovery keys can move it.
    pub percent: u32,
    /// Coins that passed it.
    pub coins: usize,
    /// What they hold.
    pub value: Amount,
    /// Blocks until recovery keys can move the oldest; 0 if they can.
    pub blocks: Height,
}

/// Whether coins approach the delay after which the recovery keys can move them.
#[must_use]
pub fn aging(view: &View, delay: u16) -> Option<Aging> {
    let rested = |coin: &Coin| coin.depth.saturating_mul(100) / Height::from(delay.max(1));
    let oldest = view.unspent().map(|coin| coin.depth).max()?;
    let passed = view.unspent().map(rested).max()?;
    let percent = WARN_AT.into_iter().chain([100]).rev().find(|percent| passed >= *percent)?;
    let (mut coins, mut value) = (0, Amount::ZERO);
    for coin in view.unspent().filter(|coin| rested(coin) >= percent) {
        coins += 1;
        value += coin.output.value;
    }
    Some(Aging { percent, coins, value, blocks: Height::from(delay).saturating_sub(oldest) })
}

/// The coins that recovery keys can move in the next block, oldest first.
#[must_use]
pub fn recoverable(view: &View, delay: u16) -> Vec<&Coin> {
    let rested = view.unspent().filter(|coin| coin.mature() && coin.depth >= Height::from(delay));
    let mut coins: Vec<&Coin> = rested.collect();
    coins.sort_by_key(|coin| (coin.height, coin.outpoint));
    coins
}

impl Treasury {
    /// The unsigned recovery of all coins that rested `delay` blocks, at most [`INPUTS_MAX`] of them, to
    /// `to`, at `fee_rate` satoshis per virtual byte.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`] if there is no such coin, or the fee is more than they hold.
    pub fn recovery(&mut self, delay: u16, to: &Script, fee_rate: u64) -> Result<Psbt, RecoveryError> {
        let view = self.view();
        let coins = recoverable(&view, delay);
        let chosen: Vec<OutPoint> = coins.iter().take(INPUTS_MAX).map(|coin| coin.outpoint).collect();
        if chosen.is_empty() {
            return Err(none_yet(&view, delay));
        }
        let sat = coins.iter().take(INPUTS_MAX).map(|coin| coin.output.value.to_sat()).sum();
        let too_little = || RecoveryError::Fee { sat, fee_rate };
        let rate = FeeRate::from_sat_per_vb(fee_rate).ok_or_else(too_little)?;
        let csv = Some(Sequence::from_height(delay));
        let mut builder = self.wallet.build_tx();
        builder.add_utxos(&chosen).map_err(|_| RecoveryError::Empty)?;
        builder
            .manually_selected_only()
            .drain_to(to.to_owned())
            .fee_rate(rate)
            .ordering(bdk_wallet::TxOrdering::Untouched)
            .set_condition(Condition { csv, timelock: None });
        builder.finish().map_err(|error| match error {
            CreateTxError::CoinSelection(_) | CreateTxError::OutputBelowDustLimit(_) => too_little(),
            other => other.into(),
        })
    }

    /// The recovery in a PSBT of somebody else, with everything but its valid signatures put in from our
    /// own chain. With `to`, it must pay exactly there.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`] if it is not a recovery of this treasury, or a signature in it is not valid.
    pub fn adopt(&self, given: &Psbt, delay: u16, to: Option<&Script>) -> Result<Psbt, RecoveryError> {
        let transaction = &given.unsigned_tx;
        self.check_inputs(transaction, delay)?;
        check_outputs(transaction, to)?;
        let changed = |why: &str| RecoveryError::Changed(why.to_owned());
        let mut ours = Psbt::from_unsigned_tx(transaction.clone())
            .map_err(|_| changed("is signed outside its fields"))?;
        for (input, slot) in transaction.input.iter().zip(&mut ours.inputs) {
            let coin = self.wallet.get_utxo(input.previous_output);
            *slot = self.wallet.get_psbt_input(
                coin.ok_or_else(|| changed("spends a spent coin"))?,
                None,
                true,
            )?;
        }
        for (input, theirs) in given.inputs.iter().enumerate() {
            take_signatures(&mut ours, input, theirs)?;
        }
        Ok(ours)
    }

    fn check_inputs(&self, transaction: &Transaction, delay: u16) -> Result<(), RecoveryError> {
        let view = self.view();
        for (input, spent) in transaction.input.iter().enumerate() {
            let outpoint = spent.previous_output;
            let coin = view.coin(&outpoint).ok_or(RecoveryError::Foreign { input, outpoint })?;
            let why = if coin.spent.is_some() {
                "is spent already"
            } else if !coin.mature() || coin.depth < Height::from(delay) {
                "has not rested long enough"
            } else if spent.sequence != Sequence::from_height(delay) {
                "does not wait for the recovery delay"
            } else {
                continue;
            };
            return Err(RecoveryError::Coin { input, outpoint, why });
        }
        if transaction.input.is_empty() { Err(RecoveryError::NothingToSign) } else { Ok(()) }
    }

    /// The transaction, once `needed` signatures are there for every input.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::Signatures`] says how many are there.
    pub fn complete(&self, psbt: &Psbt, needed: usize) -> Result<Transaction, RecoveryError> {
        let have = signatures(psbt);
        let missing = || RecoveryError::Signatures { have, needed };
        if have < needed {
            return Err(missing());
        }
        let mut psbt = psbt.clone();
        let outcome = self.wallet.try_finalize_psbt(&mut psbt).map_err(|_| missing())?;
        if !outcome.is_finalized() {
            return Err(missing());
        }
        Ok(psbt.extract_tx_unchecked_fee_rate())
    }
}

fn none_yet(view: &View, delay: u16) -> RecoveryError {
    let oldest = view.unspent().map(|coin| coin.depth).filter(|depth| *depth > 0).max();
    match oldest {
        None => RecoveryError::Empty,
        // a reward that is not mature is younger than any delay
        Some(oldest) => RecoveryError::TooYoung { delay, blocks: Height::from(delay).saturating_sub(oldest) },
    }
}

/// One output, to the address that was named.
fn check_outputs(transaction: &Transaction, to: Option<&Script>) -> Result<(), RecoveryError> {
    let [output] = transaction.output.as_slice() else {
        let why = format!("has {} outputs, a recovery has one", transaction.output.len());
        return Err(RecoveryError::Changed(why));
    };
    match to {
        Some(to) if output.script_pubkey != *to => {
            Err(RecoveryError::Changed("does not pay the address given with --to".to_owned()))
        }
        _ => Ok(()),
    }
}

fn prevouts(psbt: &Psbt) -> Vec<TxOut> {
    psbt.inputs.iter().filter_map(|input| input.witness_utxo.clone()).collect()
}

/// Put the signatures of `theirs` into ours, if they are valid.
fn take_signatures(ours: &mut Psbt, input: usize, theirs: &psbt::Input) -> Result<(), RecoveryError> {
    let wrong = || RecoveryError::Signature { input };
    let (secp, prevouts) = (Secp256k1::verification_only(), prevouts(ours));
    for ((key, leaf), signature) in &theirs.tap_script_sigs {
        let mut cache = SighashCache::new(&ours.unsigned_tx);
        let all = Prevouts::All(&prevouts);
        let digest = cache.taproot_script_spend_signature_hash(input, &all, *leaf, TapSighashType::Default);
        let message = Message::from_digest(digest.map_err(|_| wrong())?.to_byte_array());
        let slot = ours.inputs.get_mut(input).ok_or_else(wrong)?;
        let known = slot.tap_key_origins.get(key).is_some_and(|(leaves, _)| leaves.contains(leaf));
        let valid = signature.sighash_type == TapSighashType::Default
            && secp.verify_schnorr(&signature.signature, &message, key).is_ok();
        if !known || !valid {
            return Err(wrong());
        }
        slot.tap_script_sigs.insert((*key, *leaf), *signature);
    }
    Ok(())
}

/// Put in the signatures of another PSBT of the same transaction; both come from [`Treasury::adopt`].
///
/// # Errors
///
/// [`RecoveryError::Different`].
pub fn combine(psbt: &mut Psbt, other: &Psbt) -> Result<(), RecoveryError> {
    let (txid, others) = (psbt.unsigned_tx.compute_txid(), other.unsigned_tx.compute_txid());
    if txid != others {
        return Err(RecoveryError::Different(txid, others));
    }
    for (slot, theirs) in psbt.inputs.iter_mut().zip(&other.inputs) {
        slot.tap_script_sigs.extend(theirs.tap_script_sigs.clone());
    }
    Ok(())
}

/// Signatures that every input has.
#[must_use]
pub fn signatures(psbt: &Psbt) -> usize {
    psbt.inputs.iter().map(|input| input.tap_script_sigs.len()).min().unwrap_or(0)
}

/// Sign all inputs with a member's recovery key, the account key that the charter's is the public half of.
///
/// # Errors
///
/// [`RecoveryError::NothingToSign`] if it is the key of no input.
pub fn sign(psbt: &mut Psbt, key: &Xpriv) -> Result<(), RecoveryError> {
    // what cannot be signed with this key is not an error of the others': the count tells
    drop(psbt.sign(key, &Secp256k1::new()));
    let (secp, mut signed) = (Secp256k1::new(), true);
    let fingerprint = key.fingerprint(&secp);
    for input in &psbt.inputs {
        let mut ours = input.tap_key_origins.iter().filter(|(_, (_, (print, _)))| *print == fingerprint);
        signed &= ours.any(|(public, _)| input.tap_script_sigs.keys().any(|(signer, _)| signer == public));
    }
    if signed && !psbt.inputs.is_empty() { Ok(()) } else { Err(RecoveryError::NothingToSign) }
}

/// What a recovery pays, and the fee.
#[must_use]
pub fn amounts(psbt: &Psbt) -> (Amount, Amount) {
    let held: Amount = prevouts(psbt).iter().map(|output| output.value).sum();
    let paid: Amount = psbt.unsigned_tx.output.iter().map(|output| output.value).sum();
    (paid, held.checked_sub(paid).unwrap_or(Amount::ZERO))
}

/// Where a recovery pays.
#[must_use]
pub fn destination(psbt: &Psbt) -> Option<ScriptBuf> {
    psbt.unsigned_tx.output.first().map(|output| output.script_pubkey.clone())
}

#[cfg(test)]
mod tests;
