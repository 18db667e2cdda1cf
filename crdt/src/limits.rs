//! Every bound of the document, by name (§2, §4).

use crate::Height;

/// Bytes of one signed entry at most.
pub const ENTRY_MAX: usize = 32 * 1024;
/// K: how deep a fact of the chain must be buried before the fold uses it. A block is 1 deep.
pub const DEPTH: Height = 6;
/// W: how long after its close a decision may still be certified or, once executable, paid.
pub const WINDOW: Height = 1_008;
/// An entry claiming a height this far above our tip is held, not yet valid.
pub const AHEAD: Height = 2;
/// Claimed blocks in one quota bucket.
pub const QUOTA_BLOCKS: Height = 144;
/// Entries per author and quota bucket.
pub const QUOTA_ENTRIES: u32 = 256;
/// Bytes per author and quota bucket.
pub const QUOTA_BYTES: usize = 1024 * 1024;
/// Claimed blocks in one quota bucket of proposals.
pub const PROPOSAL_BLOCKS: Height = 1_008;
/// Proposals per author and bucket of [`PROPOSAL_BLOCKS`].
pub const PROPOSALS: u32 = 8;
/// Entries of one author that may wait for an earlier one.
pub const HELD_PER_AUTHOR: usize = 64;
/// Entries that may wait in all.
pub const HELD: usize = 4_096;
/// Bytes that may wait in all.
pub const HELD_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a page of entries on the wire.
pub const PAGE_MAX: usize = 256 * 1024;
/// Entries of a page: none that is signed has fewer than 128 bytes.
pub const PAGE_ENTRIES: usize = PAGE_MAX / 128;
/// Proposals that one question asks for by id.
pub const WANTED_MAX: usize = 64;
/// Members on a roll.
pub const MEMBERS_MAX: usize = 1_000;
/// Co-signers of a treasury.
pub const CO_SIGNERS_MAX: usize = 100;
/// Blocks that a cut is announced ahead: time for everybody to hear of it.
pub const CUT_AHEAD: Height = 3;
/// Checkpoints of the next epoch that one author can say it holds.
pub const CHECKPOINTS_HELD: usize = 64;
/// Attempts at the key of an epoch: more than half a year of them.
pub const ATTEMPTS_MAX: u32 = 64;
/// Outputs that one decision may pay: 500 of the longest address type fill two thirds of an entry, and with
/// 200 inputs a third of what nodes relay.
pub const OUTPUTS_MAX: usize = 500;
/// Payees of a split: more do not fit the largest coinbase that any known device takes.
pub const SPLIT_MAX: usize = 300;
/// Blocks an invitation lasts at most.
pub const INVITE_MAX: Height = 4_320;
/// Addresses a node may announce.
pub const ADDRESSES_MAX: usize = 8;
/// Satoshis below which a coin of the treasury cannot serve as anchor or heir.
pub const LEAST_COIN_SAT: u64 = 10_000;
/// Addresses that one budget may name as payees.
pub const PAYEES_MAX: usize = 100;
/// Members who may draw one budget.
pub const DRAWERS_MAX: usize = 32;
/// Blocks of the longest period of anything: a year.
pub const PERIOD_MAX: Height = 52_560;
/// Entries that one [`CloseStatement`](crate::governance::CloseStatement) may be spread over.
pub const STATEMENT_PARTS: u16 = 64;
/// Entries that a coordinator names as what its judgement rests on.
pub const WITNESS_MAX: usize = 512;
