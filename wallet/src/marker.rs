//! What a transaction says it is for (§9): an `OP_RETURN` output of value 0 that pushes one tagged hash.
//!
//! It makes "T pays D" a fact of the transaction itself, so that two payments of different decisions with
//! equal outputs are never mistaken for each other.

use bitcoin::{Amount, ScriptBuf, Transaction, TxOut};
use crdt::{Digest, GuildId, ProposalId};

/// The tag of the marker of a payment.
pub const PAYMENT_TAG: &str = "hashguild/marker/v1";
/// The tag of the marker of a closing move.
pub const CLOSE_TAG: &str = "hashguild/close/v1";

/// The marker of the payment of `decision`: a tagged hash of guild and decision.
#[must_use]
pub fn marker(guild: GuildId, decision: ProposalId) -> [u8; 32] {
    Digest::tagged(PAYMENT_TAG, &[&guild.to_bytes(), &decision.to_bytes()]).0
}

/// The marker of the closing move that ends `decision` without paying it.
#[must_use]
pub fn closing(guild: GuildId, decision: ProposalId) -> [u8; 32] {
    Digest::tagged(CLOSE_TAG, &[&guild.to_bytes(), &decision.to_bytes()]).0
}

/// The output that carries a marker: nothing is paid to it.
#[must_use]
pub fn output(marker: [u8; 32]) -> TxOut {
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(marker) }
}

/// Whether one of the outputs of `transaction` is `marker`'s.
#[must_use]
pub fn carries(transaction: &Transaction, marker: [u8; 32]) -> bool {
    let script = ScriptBuf::new_op_return(marker);
    transaction.output.iter().any(|output| output.script_pubkey == script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_guild_decision_and_purpose() {
        let guild = |seed| GuildId(Digest([seed; 32]));
        let decision = |seed| ProposalId(Digest([seed; 32]));
        let markers = [
            marker(guild(1), decision(2)),
            marker(guild(2), decision(1)),
            marker(guild(1), decision(3)),
            closing(guild(1), decision(2)),
        ];
        let different: std::collections::BTreeSet<_> = markers.iter().collect();
        assert_eq!(different.len(), markers.len());
    }

    #[test]
    fn the_bytes_of_a_marker_are_for_ever() {
        let bytes = marker(GuildId(Digest([1; 32])), ProposalId(Digest([2; 32])));
        let output = output(bytes);
        assert_eq!(output.script_pubkey.len(), 34);
        assert!(output.script_pubkey.as_bytes().starts_with(&[0x6a, 0x20]));
        let expected = Digest::tagged(PAYMENT_TAG, &[&[1; 32], &[2; 32]]).0;
        assert_eq!(bytes, expected);
    }
}
