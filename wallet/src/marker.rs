//! What a transaction says it is for (§9): an `OP_RETURN` output of value 0 that pushes one tagged hash.
//!
//! It makes "T pays D" a fact of the transaction itself, so that two payments of different decisions with
//! equal outputs are never mistaken for each other.

use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut};
use crdt::{Digest, EntryId, GuildId, ProposalId};
use std::sync::LazyLock;

/// The tag of the marker of a payment.
pub const PAYMENT_TAG: &str = "hashguild/marker/v1";
/// The tag of the marker of a closing move.
pub const CLOSE_TAG: &str = "hashguild/close/v1";

/// The tag of the first half of what a draw on a budget carries.
pub const DRAW_TAG: &str = "hashguild/draw/v1";
/// The tag of the marker of a distribution by work.
pub const WORK_TAG: &str = "hashguild/work/v1";

/// The first byte of an output that nobody can spend.
const OP_RETURN: u8 = bitcoin::opcodes::all::OP_RETURN.to_u8();

/// A hash that has taken its tag, as [`Digest::tagged`] does: there are many markers and few tags.
type Begun = LazyLock<sha256::HashEngine>;
static PAYMENT: Begun = LazyLock::new(|| begun(PAYMENT_TAG));
static CLOSE: Begun = LazyLock::new(|| begun(CLOSE_TAG));
static DRAW: Begun = LazyLock::new(|| begun(DRAW_TAG));
static WORK: Begun = LazyLock::new(|| begun(WORK_TAG));

fn begun(tag: &str) -> sha256::HashEngine {
    let tag = sha256::Hash::hash(tag.as_bytes());
    let mut engine = sha256::HashEngine::default();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine
}

fn tagged(begun: &Begun, parts: &[&[u8]]) -> [u8; 32] {
    let mut engine = sha256::HashEngine::clone(begun);
    parts.iter().for_each(|part| engine.input(part));
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// The marker of the payment of `decision`: a tagged hash of guild and decision.
#[must_use]
pub fn marker(guild: GuildId, decision: ProposalId) -> [u8; 32] {
    tagged(&PAYMENT, &[&guild.to_bytes(), &decision.to_bytes()])
}

/// The marker of the closing move that ends `decision` without paying it.
#[must_use]
pub fn closing(guild: GuildId, decision: ProposalId) -> [u8; 32] {
    tagged(&CLOSE, &[&guild.to_bytes(), &decision.to_bytes()])
}

/// The first half of what draw `number` of `budget` carries; the Disburse entry's id follows it.
#[must_use]
pub fn draw(guild: GuildId, budget: ProposalId, number: u32) -> [u8; 32] {
    tagged(&DRAW, &[&guild.to_bytes(), &budget.to_bytes(), &number.to_be_bytes()])
}

/// The marker of distribution by work number `number` of the guild.
#[must_use]
pub fn work(guild: GuildId, number: u32) -> [u8; 32] {
    tagged(&WORK, &[&guild.to_bytes(), &number.to_be_bytes()])
}

/// The output that a draw carries: which draw it is, and which entry asked for it.
#[must_use]
pub fn draw_output(marker: [u8; 32], disburse: EntryId) -> TxOut {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(&marker);
    second.copy_from_slice(&disburse.to_bytes());
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(bytes) }
}

/// The Disburse entry that `transaction` names, if it is the draw of `marker`.
#[must_use]
pub fn drawn(transaction: &Transaction, marker: [u8; 32]) -> Option<EntryId> {
    transaction.output.iter().find_map(|output| {
        let pushed = output.script_pubkey.as_bytes().strip_prefix(&[OP_RETURN, 64])?;
        let (first, second) = pushed.split_at_checked(32)?;
        let id = <[u8; 32]>::try_from(second).ok()?;
        (first == marker).then_some(EntryId(Digest(id)))
    })
}

/// The output that carries a marker: nothing is paid to it.
#[must_use]
pub fn output(marker: [u8; 32]) -> TxOut {
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(marker) }
}

/// Whether one of the outputs of `transaction` is `marker`'s.
#[must_use]
pub fn carries(transaction: &Transaction, marker: [u8; 32]) -> bool {
    transaction.output.iter().any(|output| pushed(output) == Some(marker))
}

/// The marker that an output carries, whatever it is of. What a draw carries is none: it is longer.
#[must_use]
pub fn pushed(output: &TxOut) -> Option<[u8; 32]> {
    output.script_pubkey.as_bytes().strip_prefix(&[OP_RETURN, 32])?.try_into().ok()
}

/// Whether `transaction` says anything at all: most do not, and need not be asked what.
pub(crate) fn says_something(transaction: &Transaction) -> bool {
    transaction.output.iter().any(|output| output.script_pubkey.is_op_return())
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
            draw(guild(1), decision(2), 1),
            draw(guild(1), decision(2), 2),
            work(guild(1), 1),
            work(guild(1), 2),
        ];
        let different: std::collections::BTreeSet<_> = markers.iter().collect();
        assert_eq!(different.len(), markers.len());
    }

    #[test]
    fn a_draw_names_its_entry_and_no_other_draw() {
        let (guild, budget) = (GuildId(Digest([1; 32])), ProposalId(Digest([2; 32])));
        let entry = EntryId(Digest([3; 32]));
        let output = draw_output(draw(guild, budget, 1), entry);
        assert_eq!(output.script_pubkey.len(), 66, "within what every node relays");
        let mut transaction =
            crate::testkit::transaction(bitcoin::OutPoint::null(), output.script_pubkey, Amount::ZERO);
        assert_eq!(drawn(&transaction, draw(guild, budget, 1)), Some(entry));
        assert_eq!(drawn(&transaction, draw(guild, budget, 2)), None);
        assert!(!carries(&transaction, draw(guild, budget, 1)), "a draw is no payment");
        transaction.output[0].script_pubkey = ScriptBuf::new_op_return(draw(guild, budget, 1));
        assert_eq!(drawn(&transaction, draw(guild, budget, 1)), None);
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
