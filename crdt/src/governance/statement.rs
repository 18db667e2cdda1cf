//! What a co-signer saw in time: the only thing that makes a vote by the relative rule certain (§7).

use crate::Height;
use crate::bounded;
use crate::id::{EntryId, MemberId, ProposalId};
use crate::limits::ENTRY_MAX;
use serde::{Deserialize, Serialize};

/// What its author held, while its own tip was below c + G and it was fresh, of all proposals that close at
/// c. Written once, when the author's tip first reached c + G, and never again. Empty if it was not fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseStatement {
    /// c.
    pub close: Height,
    /// Which part of the statement this is, from 0: one that is too long for an entry has several.
    pub part: u16,
    /// How many parts there are. It counts once all are there.
    pub parts: u16,
    /// Proposals with a ballot in time; of the others there is nothing to say.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub seen: Vec<Seen>,
}

/// What a co-signer saw of one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Of which.
    pub proposal: ProposalId,
    /// Whether the author had the proposal ≥ period − G blocks before c.
    pub in_time: bool,
    /// The last ballot in time of each voter.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub ballots: Vec<(MemberId, EntryId)>,
}
