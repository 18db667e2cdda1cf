//! Ballots (§7).

use super::options::OPTIONS_MAX;
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
    /// Against it; of several options, against all.
    No,
    /// Neither.
    Abstain,
    /// For these of its options.
    Approve(Approvals),
}

/// Options that a voter would have, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Approvals(u16);

const _: () = assert!(OPTIONS_MAX == u16::BITS as usize, "one bit for every option");

impl Approvals {
    /// These options, counted from 0; what no proposal can have is left out.
    #[must_use]
    pub fn of(options: impl IntoIterator<Item = u16>) -> Self {
        let bits = options.into_iter().filter_map(|option| 1u16.checked_shl(u32::from(option)));
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// Whether `option` is among them.
    #[must_use]
    pub fn has(self, option: u16) -> bool {
        1u16.checked_shl(u32::from(option)).is_some_and(|bit| self.0 & bit != 0)
    }

    /// The options.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        (0..16).filter(move |option| self.has(*option))
    }
}

impl Choice {
    /// Whether it is for `option`.
    #[must_use]
    pub fn supports(self, option: u16) -> bool {
        match self {
            Self::Yes => option == 0,
            Self::Approve(approvals) => approvals.has(option),
            Self::No | Self::Abstain => false,
        }
    }

    /// Whether it is for anything.
    #[must_use]
    pub const fn is_for(self) -> bool {
        matches!(self, Self::Yes | Self::Approve(_))
    }

    /// Whether it can be said of a proposal with `options`; none: the proposal is one effect.
    #[must_use]
    pub fn fits(self, options: Option<usize>) -> bool {
        match (self, options) {
            (Self::Approve(approvals), Some(options)) => {
                approvals.0 != 0 && approvals.iter().all(|option| usize::from(option) < options)
            }
            (Self::Approve(_), None) | (Self::Yes, Some(_)) => false,
            (Self::Yes, None) | (Self::No | Self::Abstain, _) => true,
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.pad("yes"),
            Self::No => f.pad("no"),
            Self::Abstain => f.pad("abstain"),
            Self::Approve(approvals) => {
                // People count from 1.
                let options: Vec<String> = approvals.iter().map(|option| (option + 1).to_string()).collect();
                f.pad(&format!("option {}", options.join(", ")))
            }
        }
    }
}
