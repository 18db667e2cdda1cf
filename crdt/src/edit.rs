//! Edits of the workspace: what members write together before it is proposed, and what they note about
//! coins, people and machines (§6). An edit is an entry like any other; what the edits of one sheet add
//! up to is worked out in `crdt::workspace` (feature `automerge`).

use crate::bounded::AtMost;
use crate::hash::Digest;
use crate::id::EntryId;
use crate::text::{Line, Note};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Edits that one edit may build on: the heads its author saw.
pub const HEADS_MAX: usize = 64;
/// Steps of one edit.
pub const STEPS_MAX: usize = 256;

/// A change to one sheet of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Which sheet.
    pub sheet: Sheet,
    /// The latest edits of that sheet its author had seen: positions in text count on them.
    pub after: Heads,
    /// What changes, in order.
    pub steps: Steps,
}

/// A sheet of the workspace: members write on it at once and nobody's words are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sheet {
    /// The draft of a proposal, begun by this very edit: the entry's id is its name from now on.
    NewDraft,
    /// The draft that the entry of this id began.
    Draft(EntryId),
    /// Names for transactions, addresses and coins (BIP329).
    Labels,
    /// The address book.
    Contacts,
    /// Sites and the machines in them.
    Sites,
    /// Anything else worth keeping.
    Notes,
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewDraft => f.write_str("a new draft"),
            Self::Draft(id) => write!(f, "draft {}", id.short()),
            Self::Labels => f.write_str("the labels"),
            Self::Contacts => f.write_str("the address book"),
            Self::Sites => f.write_str("the sites"),
            Self::Notes => f.write_str("the notes"),
        }
    }
}

/// One step of an edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// In one of the sheet's texts, at position `at`, take out `remove` characters and put in `insert`.
    /// Characters are Unicode scalar values.
    Splice {
        /// Which text.
        text: Text,
        /// Where, counted on what the edit builds on and its own earlier steps.
        at: u32,
        /// How many characters go.
        remove: u32,
        /// What comes.
        insert: Note,
    },
    /// Field `field` of item `item` is now `value`: of two at once, all nodes keep the same one.
    Set {
        /// Which item: an address, a transaction, a name.
        item: Line,
        /// Which of its fields.
        field: Line,
        /// What it says.
        value: Note,
    },
    /// Field `field` of item `item` is gone.
    Clear {
        /// Which item.
        item: Line,
        /// Which of its fields.
        field: Line,
    },
}

/// The texts of a sheet. Only drafts have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Text {
    /// One line for lists.
    Title,
    /// For people.
    Body,
}

/// The edits that an edit builds on: sorted, none twice, few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<EntryId>", into = "Vec<EntryId>")]
pub struct Heads(Vec<EntryId>);

/// What an edit does: at least one step, not too many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AtMost<Step, STEPS_MAX>", into = "Vec<Step>")]
pub struct Steps(Vec<Step>);

/// An edit that cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Out of order, twice the same, or more than [`HEADS_MAX`].
    #[error("an edit builds on at most {HEADS_MAX} edits, each named once and in order")]
    Heads,
    /// None, or more than [`STEPS_MAX`].
    #[error("an edit has 1 to {STEPS_MAX} steps, not {0}")]
    Steps(usize),
}

impl TryFrom<Vec<EntryId>> for Heads {
    type Error = EditError;
    fn try_from(heads: Vec<EntryId>) -> Result<Self, Self::Error> {
        let ordered = heads.is_sorted_by(|a, b| a < b);
        if ordered && heads.len() <= HEADS_MAX { Ok(Self(heads)) } else { Err(EditError::Heads) }
    }
}

impl From<EntryId> for Heads {
    fn from(head: EntryId) -> Self {
        Self(vec![head])
    }
}

impl From<Heads> for Vec<EntryId> {
    fn from(heads: Heads) -> Self {
        heads.0
    }
}

impl Heads {
    /// The edits.
    #[must_use]
    pub fn as_slice(&self) -> &[EntryId] {
        &self.0
    }
}

impl TryFrom<Vec<Step>> for Steps {
    type Error = EditError;
    fn try_from(steps: Vec<Step>) -> Result<Self, Self::Error> {
        let count = steps.len();
        if (1..=STEPS_MAX).contains(&count) { Ok(Self(steps)) } else { Err(EditError::Steps(count)) }
    }
}

impl TryFrom<AtMost<Step, STEPS_MAX>> for Steps {
    type Error = EditError;
    fn try_from(steps: AtMost<Step, STEPS_MAX>) -> Result<Self, Self::Error> {
        Self::try_from(steps.0)
    }
}

impl From<Steps> for Vec<Step> {
    fn from(steps: Steps) -> Self {
        steps.0
    }
}

impl Steps {
    /// The steps, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Step] {
        &self.0
    }
}

impl Edit {
    /// The sheet that the entry `id` with this edit writes on.
    #[must_use]
    pub const fn sheet_of(&self, id: EntryId) -> Sheet {
        match self.sheet {
            Sheet::NewDraft => Sheet::Draft(id),
            sheet => sheet,
        }
    }
}

/// The name of the Automerge actor that writes the edit `id`: one actor an edit, so that no author can make
/// two edits collide.
#[must_use]
pub fn actor(id: EntryId) -> [u8; 32] {
    Digest::tagged("hashguild/edit-actor/v1", &[&id.to_bytes()]).0
}
