//! A pool's `mining.notify`, read and checked for itself.

use crate::job::{BEFORE_SCRIPT_SIG, Head, Route, SCRIPT_SIG_MAX, Work, swap_words};
use crate::upstream::limits::{BRANCH_MAX, COINBASE_MAX, JOB_NAME_MAX, TIME_AHEAD};
use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, CompactTarget, Target, Transaction};
use hex::FromHex as _;
use serde_json::Value;

/// Work that no miner should be sent: it could not be hashed for anything, or would leave devices idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// A parameter that is missing or not of its kind.
    #[error("its {0} cannot be read")]
    Field(&'static str),
    /// The pieces are no transaction, or not a coinbase.
    #[error("its coinbase is none")]
    Coinbase,
    /// The room does not lie in the coinbase's scriptSig, or is not all there.
    #[error("its extranonces are not in the coinbase's scriptSig")]
    Place,
    /// Too little room for a connection's extranonces.
    #[error("it leaves {given} bytes of extranonce 2, and {needed} are needed")]
    Room {
        /// What the pool leaves.
        given: usize,
        /// What a connection fills.
        needed: usize,
    },
    /// No network is that easy or that hard.
    #[error("its bits are no target")]
    Bits,
    /// A header that no node would take.
    #[error("its time is far ahead")]
    Time,
    /// A header that no node would take.
    #[error("its version is below 4")]
    Version,
}

/// What a notification is read with.
#[derive(Debug, Clone)]
pub(super) struct Context<'a> {
    pub(super) route: Route,
    pub(super) extranonce1: &'a [u8],
    pub(super) room: usize,
    /// Bytes of room without which the work is of no use.
    pub(super) needed: usize,
    pub(super) share_target: Target,
    pub(super) version_mask: u32,
    pub(super) unix: u32,
}

pub(super) fn read(params: &[Value], context: &Context<'_>) -> Result<Work, WorkError> {
    let [name, previous, start, end, branch, version, bits, time, clean, ..] = params else {
        return Err(WorkError::Field("parameters"));
    };
    let name = name.as_str().filter(|name| is_plain(name)).ok_or(WorkError::Field("job"))?;
    let previous = text(previous, "previous hash", <[u8; 32]>::from_hex)?;
    let mut coinbase_start = text(start, "first coinbase part", Vec::from_hex)?;
    let coinbase_end = text(end, "second coinbase part", Vec::from_hex)?;
    coinbase_start.extend_from_slice(context.extranonce1);
    let (given, needed) = (context.room, context.needed);
    if given < needed {
        return Err(WorkError::Room { given, needed });
    }
    check_coinbase(&coinbase_start, given, &coinbase_end)?;
    let head = Head {
        version: word(version, "version")?,
        previous: BlockHash::from_byte_array(swap_words(previous)),
        bits: CompactTarget::from_consensus(word(bits, "bits")?),
        target: Target::ZERO,
        time: word(time, "time")?,
        least_time: 0,
    };
    Ok(Work {
        route: context.route,
        name: name.to_owned(),
        head: checked(head, context.unix)?,
        coinbase_start,
        room: context.room,
        coinbase_end,
        branch: read_branch(branch)?,
        share_target: context.share_target,
        version_mask: context.version_mask,
        clean: clean.as_bool().ok_or(WorkError::Field("clean flag"))?,
    })
}

fn is_plain(name: &str) -> bool {
    (1..=JOB_NAME_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn text<T, E>(
    value: &Value,
    field: &'static str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, WorkError> {
    let text = value.as_str().filter(|text| text.len() <= 2 * COINBASE_MAX);
    text.and_then(|text| read(text).ok()).ok_or(WorkError::Field(field))
}

fn word(value: &Value, field: &'static str) -> Result<u32, WorkError> {
    text(value, field, <[u8; 4]>::from_hex).map(u32::from_be_bytes)
}

fn checked(mut head: Head, unix: u32) -> Result<Head, WorkError> {
    head.target = Target::from_compact(head.bits);
    // A negative or overflowing number of the compact form comes out as none, or not as it went in.
    if head.target == Target::ZERO || head.target.to_compact_lossy() != head.bits {
        return Err(WorkError::Bits);
    }
    if head.time > unix.saturating_add(TIME_AHEAD) {
        return Err(WorkError::Time);
    }
    let version = i32::from_ne_bytes(head.version.to_ne_bytes());
    if version < 4 { Err(WorkError::Version) } else { Ok(head) }
}

/// The pieces, with a room of zeros between them, must be one coinbase whose scriptSig holds the room.
fn check_coinbase(start: &[u8], room: usize, end: &[u8]) -> Result<(), WorkError> {
    if start.len() + room + end.len() > COINBASE_MAX {
        return Err(WorkError::Coinbase);
    }
    let bytes = [start, &vec![0; room], end].concat();
    let coinbase: Transaction = deserialize(&bytes).map_err(|_| WorkError::Coinbase)?;
    let [input] = coinbase.input.as_slice() else { return Err(WorkError::Coinbase) };
    if !coinbase.is_coinbase() || coinbase.output.is_empty() {
        return Err(WorkError::Coinbase);
    }
    // Miners hash the coinbase without its witness, so there must be none among the pieces.
    if !input.witness.is_empty() || !(2..=SCRIPT_SIG_MAX).contains(&input.script_sig.len()) {
        return Err(WorkError::Coinbase);
    }
    let script = BEFORE_SCRIPT_SIG..BEFORE_SCRIPT_SIG + input.script_sig.len();
    let inside = script.contains(&start.len()) && start.len() + room <= script.end;
    if inside { Ok(()) } else { Err(WorkError::Place) }
}

fn read_branch(value: &Value) -> Result<Vec<[u8; 32]>, WorkError> {
    let hashes = value.as_array().filter(|hashes| hashes.len() <= BRANCH_MAX);
    let hashes = hashes.ok_or(WorkError::Field("branch"))?;
    hashes.iter().map(|hash| text(hash, "branch", <[u8; 32]>::from_hex)).collect()
}
