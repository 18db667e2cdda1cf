//! The coinbase of our own blocks.

use crate::job::{JobId, Marks, Payout, ROOM, SCRIPT_SIG_MAX};
use crate::template::{Cost, Template};
use bitcoin::absolute::LockTime;
use bitcoin::script::{Builder, PushBytes, PushBytesBuf};
use bitcoin::{
    Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, transaction,
};

/// Text that everybody can read in the blocks of guilds.
const SIGNATURE: &[u8] = b"/hashguild/";
/// Bytes before a coinbase's scriptSig: version 4, input count 1, outpoint 36, script length 1 (≤ 100).
pub(crate) const BEFORE_SCRIPT_SIG: usize = 4 + 1 + 36 + 1;
/// How much heavier a signature check in an output is than one in a witness.
const SIGOP_COST: usize = 4;

/// A coinbase without its witness, whose room is all zero.
pub(super) fn coinbase(template: &Template, id: JobId, marks: &Marks, payout: &Payout) -> Transaction {
    let commitment = template.commitment.clone();
    let commitment = commitment.map(|script_pubkey| TxOut { value: Amount::ZERO, script_pubkey });
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: script_sig(template, id, marks),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: payout.outputs(template.value).into_iter().chain(commitment).collect(),
    }
}

/// What commits a coinbase to the witnesses of its block.
pub(super) fn witness() -> Witness {
    Witness::from_slice(&[[0_u8; 32]])
}

/// What a coinbase takes of a block's limits, its witness included.
pub(super) fn cost(coinbase: &Transaction) -> Cost {
    let mut whole = coinbase.clone();
    whole.input.iter_mut().for_each(|input| input.witness = witness());
    let sigops: usize =
        coinbase.output.iter().map(|output| output.script_pubkey.count_sigops_legacy() * SIGOP_COST).sum();
    Cost { weight: whole.weight().to_wu(), sigops: u64::try_from(sigops).unwrap_or(u64::MAX) }
}

/// Height (BIP34), a number that no other job has, the signature, the guild's tag, and last the room
/// for both extranonces. The number makes coinbases differ even when a miner restarts its count.
fn script_sig(template: &Template, id: JobId, marks: &Marks) -> ScriptBuf {
    let mut unique = [0; 8];
    let numbers = marks.process.to_be_bytes().into_iter().chain(id.0.to_be_bytes());
    unique.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
    let signature = PushBytesBuf::try_from(SIGNATURE.to_vec()).expect("a short text");
    let room: &PushBytes = (&[0; ROOM]).into();
    let script = Builder::new()
        .push_int(i64::from(template.height))
        .push_slice(unique)
        .push_slice(signature)
        .push_slice(marks.tag)
        .push_slice(room)
        .into_script();
    debug_assert!(script.len() <= SCRIPT_SIG_MAX, "{} bytes of scriptSig", script.len());
    script
}

/// What a block at `height` may create.
pub(crate) fn subsidy(height: u32, network: Network) -> Amount {
    let interval =
        if network == Network::Regtest { 150 } else { bitcoin::constants::SUBSIDY_HALVING_INTERVAL };
    let first = Amount::from_int_btc(50).to_sat();
    Amount::from_sat(first.checked_shr(height / interval).unwrap_or(0))
}
