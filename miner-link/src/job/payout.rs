//! Whom the coinbase of our own block pays.

use bitcoin::{Amount, Script, ScriptBuf, TxOut};
use crdt::mining::Split;

/// The scripts that get a block's value, in the coinbase's order, and the policy's split of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout(Way);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    One(ScriptBuf),
    Split { split: Split, treasury: ScriptBuf },
}

impl Payout {
    /// All of it to one script.
    #[must_use]
    pub const fn all_to(script: ScriptBuf) -> Self {
        Self(Way::One(script))
    }

    /// By this split, where the treasury's script is `treasury`.
    #[must_use]
    pub const fn of(split: Split, treasury: ScriptBuf) -> Self {
        Self(Way::Split { split, treasury })
    }

    /// The value outputs of a coinbase that has `value` to give, together exactly that (M4). A part that
    /// comes to nothing has no output.
    #[must_use]
    pub fn outputs(&self, value: Amount) -> Vec<TxOut> {
        let output = |value, script: &Script| TxOut { value, script_pubkey: script.to_owned() };
        match &self.0 {
            Way::One(script) => vec![output(value, script)],
            Way::Split { split, treasury } => {
                let parts = split.shares().iter().zip(split.divide(value));
                let worth = parts.filter(|(_, amount)| *amount > Amount::ZERO);
                worth.map(|(share, amount)| output(amount, share.payee.script(treasury))).collect()
            }
        }
    }
}
