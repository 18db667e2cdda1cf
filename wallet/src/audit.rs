//! The audit file: all that a guild said, decided and paid, in one file that anybody can check with no node
//! and no network.
//!
//! ```text
//! charter ──id──> entries ──signatures──> document ──fold──> state ──hash──> summary
//!    └──birth──> headers ──work──> blocks ──branches──> transactions ──lineages──┘
//! ```
//!
//! [`File::of`] writes one, [`verify()`] works everything out again and names the first part that does not
//! fit. Both are pure. What a file leaves out altogether (the last entries of a member, a deposit that no
//! decision needs) it cannot betray by itself: the state hash at the named height is there to be compared
//! with another member's.
//!
//! The format is one JSON object; bytes are lower-case hexadecimal. Section 14 of `docs/PROTOCOL.md` has it.

mod proof;
mod verify;
mod write;

pub use verify::{Audited, Decided, verify};
pub use write::{Material, WriteError};

use crdt::{Height, ProposalId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the field `format` says.
pub const FORMAT: &str = "hashguild-audit";
/// The version this code writes and reads.
pub const VERSION: u16 = 1;

/// An audit file, read but not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u16,
    /// The charter's canonical bytes: the guild's id is their hash.
    pub charter: String,
    /// Every entry of the document: signature and canonical bytes.
    pub entries: Vec<String>,
    /// The certificate of each decision.
    pub certificates: Vec<CertificateLine>,
    /// The best chain's headers from the guild's birth to its tip, 80 bytes each.
    pub headers: Vec<String>,
    /// The blocks that touch the treasury, in order.
    pub blocks: Vec<BlockPart>,
    /// What each member showed of its farms' work.
    pub receipts: Vec<ReceiptsLine>,
    /// Names that members gave to transactions, addresses and coins.
    pub labels: Vec<LabelLine>,
    /// What it all adds up to.
    pub summary: Summary,
}

/// The certificate of one decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateLine {
    /// What was decided: a proposal, an exit, or the guild's own id for its founding policy.
    pub decision: String,
    /// The epoch whose key signed.
    pub epoch: u32,
    /// Which option, counted from 0.
    pub option: u16,
    /// The hash of what takes effect.
    pub effect: String,
    /// The height at which voting closed.
    pub close: Height,
    /// The group's BIP340 signature.
    pub signature: String,
}

/// What is needed of a block to prove some of its transactions, witnesses included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockPart {
    /// Its height: its header is among [`File::headers`].
    pub height: Height,
    /// Its first transaction: it commits to all witnesses.
    pub coinbase: String,
    /// From the first transaction to the merkle root.
    pub branch: Vec<String>,
    /// Those that touch the treasury, the first one apart.
    pub transactions: Vec<TransactionPart>,
}

/// A transaction and its two merkle branches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionPart {
    /// Its place in the block, from 1.
    pub position: u32,
    /// All of it.
    pub transaction: String,
    /// From its txid to the merkle root.
    pub branch: Vec<String>,
    /// From its wtxid to the root that the first transaction commits to; none if that commits to nothing.
    pub witness_branch: Vec<String>,
}

/// What a member showed of its farms' work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsLine {
    /// Whose.
    pub member: String,
    /// How many receipts.
    pub count: u64,
    /// Their difficulties together.
    pub work: u64,
}

/// A label in the manner of BIP329.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelLine {
    /// tx, addr, output…
    #[serde(rename = "type")]
    pub kind: String,
    /// On which.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it is called.
    pub label: String,
}

/// What a file adds up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The height of the tip.
    pub height: Height,
    /// The block there.
    pub block_hash: String,
    /// The hash of all frontiers: how many entries each member has, and the last of them.
    pub frontier: String,
    /// The replicated state's hash at that height: what every honest node with these entries has.
    pub state_hash: String,
    /// The group key; none before there is one.
    pub group_key: Option<String>,
    /// What the treasury holds in blocks, in satoshis.
    pub treasury_sat: u64,
}

/// A part of an audit file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Name and version of the format.
    Format,
    /// The charter.
    Charter,
    /// An entry, by its place in the list.
    Entry(usize),
    /// All entries.
    Entries,
    /// The certificate of a decision.
    Certificate(String),
    /// All certificates.
    Certificates,
    /// The header at a height.
    Header(Height),
    /// All headers.
    Headers,
    /// What proves transactions of the block at a height.
    Block(Height),
    /// A transaction, by its place in the block at a height.
    Transaction(Height, u32),
    /// The receipts.
    Receipts,
    /// The labels.
    Labels,
    /// A field of the summary.
    Summary(&'static str),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("format"),
            Self::Charter => f.write_str("charter"),
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Entries => f.write_str("entries"),
            Self::Certificate(decision) => write!(f, "certificate of {decision}"),
            Self::Certificates => f.write_str("certificates"),
            Self::Header(height) => write!(f, "header at height {height}"),
            Self::Headers => f.write_str("headers"),
            Self::Block(height) => write!(f, "block at height {height}"),
            Self::Transaction(height, position) => {
                write!(f, "transaction {position} of the block at height {height}")
            }
            Self::Receipts => f.write_str("receipts"),
            Self::Labels => f.write_str("labels"),
            Self::Summary(field) => write!(f, "summary, {field}"),
        }
    }
}

/// The first part of a file that does not stand, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: expected {expected}, found {found}")]
pub struct Fault {
    /// Which part.
    pub part: Part,
    /// What would have stood.
    pub expected: String,
    /// What there is.
    pub found: String,
}

impl Fault {
    fn new(part: Part, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { part, expected: expected.to_string(), found: found.to_string() }
    }

    /// That `theirs` is what follows from the entries.
    pub(crate) fn unequal<T: PartialEq>(
        part: Part,
        what: &str,
        ours: &[T],
        theirs: &[T],
    ) -> Result<(), Self> {
        if ours == theirs {
            return Ok(());
        }
        let first = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
        let expected = format!("the {} {what} that follow from the entries", ours.len());
        Err(Self::new(part, expected, format!("{}, of which number {first} differs", theirs.len())))
    }
}

/// The certificates that `state` holds, in one order.
fn certificates(state: &crdt::State) -> Vec<CertificateLine> {
    let founding = state.key.as_ref().and_then(|key| key.founding());
    let proposals = state.proposals.values().filter_map(|proposal| proposal.certificate());
    let exits = state.exits.values().flat_map(|exit| exit.certificates.values());
    let all = founding.into_iter().chain(proposals).chain(exits);
    let mut lines: Vec<CertificateLine> = all.map(CertificateLine::from).collect();
    lines.sort();
    lines.dedup();
    lines
}

impl From<&crdt::Certificate> for CertificateLine {
    fn from(certificate: &crdt::Certificate) -> Self {
        let body = &certificate.body;
        Self {
            decision: body.proposal.to_string(),
            epoch: body.epoch,
            option: body.option,
            effect: body.effect.to_string(),
            close: body.close,
            signature: format!("{:?}", certificate.signature),
        }
    }
}

/// What members showed of their farms' work, as far as it proves what it says.
fn receipts(document: &crdt::Document) -> Vec<ReceiptsLine> {
    let guild = document.guild();
    let of = |(member, chain): (&crdt::MemberId, &crdt::chain::Chain)| {
        let shown = chain.entries().iter().filter_map(|signed| match &signed.entry().payload {
            crdt::Payload::Receipt(receipt) => receipt.check(guild, *member).ok(),
            _ => None,
        });
        let different: std::collections::BTreeMap<_, _> =
            shown.map(|work| (work.hash, work.difficulty)).collect();
        let work = different.values().fold(0_u64, |sum, one| sum.saturating_add(*one));
        let count = u64::try_from(different.len()).unwrap_or(u64::MAX);
        (count > 0).then(|| ReceiptsLine { member: member.to_string(), count, work })
    };
    document.chains().filter_map(of).collect()
}

/// The beginning of an id, for people.
fn short(decision: &str) -> String {
    decision.parse::<ProposalId>().map_or_else(|_| decision.chars().take(8).collect(), |id| id.short())
}

#[cfg(test)]
mod tests;
