//! One transaction in the books.

use super::account::Account;
use crate::price::{day_of, days_since_1970, parse_day, unix_day};
use bitcoin::Txid;
use crdt::{Height, ProposalId};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use time::Date;

/// A transaction of the treasury: what it is, and what it moved between which accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub txid: Txid,
    /// Its block; none while it is in the mempool.
    pub height: Option<Height>,
    /// The time in its block's header, or when it was first seen, in Unix seconds.
    pub time: u64,
    /// What it is.
    pub kind: Kind,
    /// Satoshis that it added to the treasury, or took from it if negative: one of its postings, for the sums
    /// that go over all entries.
    pub treasury: i64,
    /// What it moved. Sums to zero.
    pub postings: Vec<Posting>,
    /// What members moved from one account to another afterwards, by a label. Sums to zero.
    pub corrections: Vec<Posting>,
}

/// An amount that went to an account or, negative, came from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// Satoshis.
    pub sat: i64,
    /// The output it stands for, if it is one.
    pub vout: Option<u32>,
}

/// What a transaction of the treasury is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A block that the guild mined.
    BlockReward,
    /// Somebody paid in.
    Received,
    /// Pays this decision.
    Payment(ProposalId),
    /// Draws on this budget.
    Draw(ProposalId),
    /// Ends this decision without paying it.
    Closing(ProposalId),
    /// Moves coins within the treasury.
    Move,
    /// Takes coins through the recovery leaf.
    Recovery,
    /// Spends coins for no decision that is known here.
    Undecided,
}

impl Kind {
    /// The decision it is about.
    #[must_use]
    pub const fn decision(self) -> Option<ProposalId> {
        match self {
            Self::Payment(id) | Self::Draw(id) | Self::Closing(id) => Some(id),
            Self::BlockReward | Self::Received | Self::Move | Self::Recovery | Self::Undecided => None,
        }
    }
}

impl Entry {
    /// The day (UTC) of its block.
    #[must_use]
    pub fn day(&self) -> Date {
        day_of(self.time)
    }

    /// What it added to an account.
    #[must_use]
    pub fn change(&self, account: Account) -> i64 {
        let all = self.postings.iter().chain(&self.corrections);
        all.filter(|posting| posting.account == account).map(|posting| posting.sat).sum()
    }
}

/// A time that a report is about: both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    /// The beginning; none: of everything.
    pub from: Option<Bound>,
    /// The end; none: now.
    pub to: Option<Bound>,
}

/// One end of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A block.
    Height(Height),
    /// A day in UTC, by the time in the block's header.
    Day(Date),
}

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the period.
    Before,
    /// In it.
    Within,
    /// After it, or in no block yet.
    After,
}

impl Period {
    /// Where `entry` lies.
    #[must_use]
    pub fn when(&self, entry: &Entry) -> When {
        let Some(height) = entry.height else { return When::After };
        let order = |bound: Bound| match bound {
            Bound::Height(other) => height.cmp(&other),
            Bound::Day(other) => unix_day(entry.time).cmp(&days_since_1970(other)),
        };
        if self.from.is_some_and(|from| order(from) == Ordering::Less) {
            When::Before
        } else if self.to.is_some_and(|to| order(to) == Ordering::Greater) {
            When::After
        } else {
            When::Within
        }
    }
}

/// What is no end of a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither a day (YYYY-MM-DD) nor a height")]
pub struct NotABound(String);

impl FromStr for Bound {
    type Err = NotABound;
    fn from_str(text: &str) -> Result<Self, NotABound> {
        let height = text.parse().ok().map(Self::Height);
        let bound = height.or_else(|| parse_day(text).ok().map(Self::Day));
        bound.ok_or_else(|| NotABound(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Height(height) => height.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}
