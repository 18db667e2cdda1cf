//! Ballots (§7).

use crate::id::ProposalId;
use crate::text::Note;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// On what.
    pub proposal: ProposalId,
    /// Which way.
    pub choice: Choice,
    /// Never to change again. By the absolute rule only final YES votes count.
    pub last: bool,
    /// Why.
    pub reason: Note,
}

/// Which way a ballot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither.
    Abstain,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Abstain => "abstain",
        })
    }
}
