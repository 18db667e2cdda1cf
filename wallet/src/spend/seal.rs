//! Seals (§10): the one transaction that changes the epoch. Which checkpoint is right is not decided here.
//!
//! ```text
//! in  0   the seal
//! in  1…  coins for the fee, if any
//! out 0   2/0 of the next key, with the seal's value (less, down to 10,000 sat, without coins for the fee)
//! out 1   OP_RETURN H(checkpoint)
//! out 2   change to 1/0 of the next key, with coins for the fee only
//! out 3…  hooks: 330 sat each to 1/0 of the old key, one for each sweep
//! ```

use super::outline::open;
use super::sweep::HOOK_SAT;
use super::{Given, Lock, Outline, Purpose};
use bitcoin::{Amount, ScriptBuf, TxOut};

/// Where a seal goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// 2/0 of the next key.
    pub seal: ScriptBuf,
    /// 1/0 of the next key.
    pub change: ScriptBuf,
    /// 1/0 of the old key.
    pub hook: ScriptBuf,
    /// The hash of the checkpoint.
    pub checkpoint: [u8; 32],
    /// How many sweeps there are.
    pub sweeps: usize,
}

/// What the transaction that spends `seal` has to be. `fee_inputs`: other coins pay for it. A renewal of
/// the seal is one to the same key.
#[must_use]
pub fn seal(seal: Given, next: &Succession, fee_inputs: bool) -> Outline {
    let kept = TxOut { value: seal.key.prevout.value, script_pubkey: next.seal.clone() };
    let mark = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(next.checkpoint) };
    let hook = TxOut { value: Amount::from_sat(HOOK_SAT), script_pubkey: next.hook.clone() };
    let hooks = std::iter::repeat_n(hook, next.sweeps);
    let (head, change) = if fee_inputs {
        (vec![kept, mark, open(next.change.clone())], 2)
    } else {
        (vec![open(next.seal.clone()), mark], 0)
    };
    Outline {
        purpose: Purpose::Seal(next.checkpoint),
        first: vec![seal],
        more: fee_inputs,
        outputs: head.into_iter().chain(hooks).collect(),
        change,
        lock: Lock::Reached,
        most: None,
    }
}
