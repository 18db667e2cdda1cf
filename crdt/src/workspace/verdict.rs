//! What became of an edit, and why: the same on every node that has the same entries.

use super::{DRAFTS_MAX, FIELDS_MAX, Share, TEXT_MAX, TITLE_MAX};
use crate::edit::Sheet;
use crate::id::EntryId;
use std::fmt;

/// What the workspace did with an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditVerdict {
    /// It is part of its sheet.
    Applied,
    /// It builds on this edit, which is not here or waits itself.
    Waits(EntryId),
    /// It changes nothing.
    Ignored(EditIgnored),
}

impl fmt::Display for EditVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied => f.write_str("applied"),
            Self::Waits(edit) => write!(f, "waits for edit {}", edit.short()),
            Self::Ignored(why) => write!(f, "ignored: {why}"),
        }
    }
}

/// Why an edit changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditIgnored {
    /// A new draft begins from nothing.
    #[error("a new draft builds on no other edit")]
    NotNew,
    /// No draft has this name.
    #[error("{0:?} began no draft")]
    NoDraft(EntryId),
    /// It names no edit of the draft: positions would count on nothing.
    #[error("names no edit of the draft that it builds on")]
    OnNothing,
    /// It builds on an edit of another sheet.
    #[error("builds on {0:?}, an edit of {1}")]
    OtherSheet(EntryId, Sheet),
    /// It builds on an edit that changes nothing.
    #[error("builds on {0:?}, which is ignored")]
    OnIgnored(EntryId),
    /// Only drafts have texts.
    #[error("splices a text, and only drafts have texts")]
    NoTexts,
    /// A splice reaches beyond the end of the text.
    #[error("splices up to character {0} of a text of {1}")]
    BeyondTheEnd(u64, u64),
    /// The text would grow beyond its bound.
    #[error("makes a text of {0} characters: a title has at most {TITLE_MAX}, a body {TEXT_MAX}")]
    TextTooLong(u64),
    /// A title is one line.
    #[error("breaks the line of a title")]
    TitleLines,
    /// Items and fields are called something.
    #[error("writes to an item or field without a name")]
    Nameless,
    /// The sheet would have too many fields.
    #[error("writes more than {FIELDS_MAX} fields on one sheet")]
    TooManyFields,
    /// Its author has used up this sheet.
    #[error("is beyond the {} edits or {} bytes of one author on one sheet", .0.edits, .0.bytes)]
    TooMuch(Share),
    /// Its author began too many drafts.
    #[error("is beyond the {DRAFTS_MAX} drafts of one author")]
    TooManyDrafts,
    /// Automerge refused what passed our checks: a mistake of ours, the same on all nodes.
    #[error("could not be written")]
    Refused,
}
