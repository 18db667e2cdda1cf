//! What an epoch change decides: who is on the roll, by which rules, and who signs (§7, §10).
//!
//! Written as what changes, so that a roll of a thousand fits into one entry. A certificate for it is of
//! one epoch's key, so that what it changes is known.

use crate::amount::Weight;
use crate::bounded;
use crate::charter::ThresholdRule;
use crate::id::MemberId;
use crate::limits::{CO_SIGNERS_MAX, ENTRY_MAX};
use crate::rules::Rules;
use crate::text::Line;
use bitcoin::ScriptBuf;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A change of the guild itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochChange {
    /// Members who join, or whose name, weight or payout changes.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub put: Vec<RollEntry>,
    /// Members who leave.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub remove: Vec<MemberId>,
    /// How things are decided from then on, if that changes.
    pub rules: Option<Rules>,
    /// How many co-signers sign, if that changes.
    pub threshold: Option<ThresholdRule>,
    /// Who makes the next key together, in the order of their seats. Empty: the key and its holders stay.
    #[serde(deserialize_with = "bounded::list::<_, _, ENTRY_MAX>")]
    pub candidates: Vec<MemberId>,
    /// So many candidates suffice, if others do not show up.
    pub least: u16,
}

/// A member as the next roll has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollEntry {
    /// The key that signs all that this member says.
    pub key: MemberId,
    /// What the others call this member.
    pub name: Line,
    /// Voting weight.
    pub weight: Weight,
    /// Units with a claim on the treasury, but no vote.
    pub claim: Weight,
    /// Where distributions to this member go.
    pub payout: ScriptBuf,
    /// The key it takes the place of: a member who has a new one.
    pub replaces: Option<MemberId>,
}

/// Why an epoch change can never happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpochChangeError {
    /// Nothing would be different.
    #[error("an epoch change that changes nothing")]
    Nothing,
    /// One key in two places.
    #[error("{0:?} stands twice in the change")]
    Twice(MemberId),
    /// A key that nobody can sign with.
    #[error("{0:?} is not a usable key")]
    Key(MemberId),
    /// Too few or too many candidates, or more needed than there are.
    #[error(
        "{least} of {candidates} candidates: 2 to {CO_SIGNERS_MAX} are needed, and a least number of 2 or more"
    )]
    Candidates {
        /// How many there are.
        candidates: usize,
        /// How many suffice.
        least: u16,
    },
}

impl EpochChange {
    /// Check what can be checked without the epoch it changes.
    ///
    /// # Errors
    ///
    /// [`EpochChangeError`] names the first rule broken.
    pub fn check(&self) -> Result<(), EpochChangeError> {
        let Self { put, remove, rules, threshold, candidates, least } = self;
        let same_rules = rules.is_none() && threshold.is_none();
        if put.is_empty() && remove.is_empty() && same_rules && candidates.is_empty() {
            return Err(EpochChangeError::Nothing);
        }
        let mut seen = BTreeSet::new();
        let replaced = put.iter().filter_map(|member| member.replaces.as_ref());
        let named = put.iter().map(|member| &member.key).chain(remove).chain(replaced);
        if let Some(twice) = named.into_iter().find(|key| !seen.insert(**key)) {
            return Err(EpochChangeError::Twice(*twice));
        }
        let mut seats = BTreeSet::new();
        if let Some(twice) = candidates.iter().find(|key| !seats.insert(**key)) {
            return Err(EpochChangeError::Twice(*twice));
        }
        let unusable = put.iter().map(|member| member.key).find(|key| key.verifying_key().is_err());
        if let Some(key) = unusable {
            return Err(EpochChangeError::Key(key));
        }
        let number = candidates.len();
        let enough = (2..=CO_SIGNERS_MAX).contains(&number) && (2..=number).contains(&usize::from(*least));
        let stays = number == 0 && *least == 0;
        if enough || stays {
            Ok(())
        } else {
            Err(EpochChangeError::Candidates { candidates: number, least: *least })
        }
    }
}
