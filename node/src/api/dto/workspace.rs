//! What the API takes and gives of the workspace: drafts, labels, contacts, sites and notes.

use super::OutputDto;
use crdt::workspace::{Items, Label};
use serde::{Deserialize, Serialize};

/// Something a person asks of the workspace.
#[derive(Debug)]
pub enum WorkspaceCommand {
    /// All drafts.
    Drafts,
    /// One draft, by its id or the beginning of it.
    Draft(String),
    /// How a draft came to be.
    History(String),
    /// Begin a draft.
    Begin(NewDraft),
    /// Change a draft.
    Edit(String, DraftEdit),
    /// Freeze a draft to a proposal.
    Propose(String),
    /// All labels.
    Labels,
    /// What one of the registers holds.
    Items(Register),
    /// Change fields of a register.
    Change(Register, FieldChanges),
}

/// The answer to a [`WorkspaceCommand`]; a proposed draft is answered as a proposal.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum WorkspaceAnswer {
    /// See [`WorkspaceCommand::Drafts`].
    Drafts(Drafts),
    /// See [`WorkspaceCommand::Draft`].
    Draft(DraftDto),
    /// See [`WorkspaceCommand::History`].
    History(DraftHistory),
    /// See [`WorkspaceCommand::Labels`].
    Labels(Labels),
    /// See [`WorkspaceCommand::Items`].
    Items(ItemsDto),
}

/// The sheets that hold items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// Names for transactions, addresses and coins.
    Labels,
    /// The address book.
    Contacts,
    /// Sites and machines.
    Sites,
    /// Anything else.
    Notes,
}

/// A new draft.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDraft {
    /// One line.
    pub title: String,
    /// More words.
    #[serde(default)]
    pub body: String,
    /// Who would get how much.
    #[serde(default)]
    pub outputs: Vec<OutputDto>,
}

/// What a person made of a draft. What others wrote since `base` stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftEdit {
    /// The `base` of the draft as it was read: the edits that the new words count on.
    pub base: Vec<String>,
    /// The new title, if it changes.
    #[serde(default)]
    pub title: Option<String>,
    /// The new body, if it changes.
    #[serde(default)]
    pub body: Option<String>,
    /// Whom to pay how much from now on.
    #[serde(default)]
    pub pay: Vec<OutputDto>,
    /// Addresses to pay no more.
    #[serde(default)]
    pub unpay: Vec<String>,
}

/// Changes of fields, all or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChanges {
    /// In order.
    pub changes: Vec<FieldChange>,
}

/// A field is now this, or gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChange {
    /// Of which item.
    pub item: String,
    /// Which field; without one, all fields of the item go.
    #[serde(default)]
    pub field: Option<String>,
    /// What it says; without, it goes.
    #[serde(default)]
    pub value: Option<String>,
}

/// All drafts, by id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drafts {
    /// [`V`](super::V).
    pub v: u32,
    /// The drafts.
    pub drafts: Vec<DraftDto>,
}

/// A draft as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftDto {
    /// [`V`](super::V).
    pub v: u32,
    /// Its name.
    pub id: String,
    /// One line.
    pub title: String,
    /// More words.
    pub body: String,
    /// Whom it would pay.
    pub outputs: Vec<OutputDto>,
    /// Who wrote on it.
    pub authors: Vec<String>,
    /// How many edits it is made of.
    pub edits: usize,
    /// The latest edits: what the next edit says it was read at.
    pub base: Vec<String>,
    /// Automerge heads: equal on all nodes that have the same edits.
    pub heads: Vec<String>,
}

/// How a draft came to be, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DraftHistory {
    /// [`V`](super::V).
    pub v: u32,
    /// The draft.
    pub id: String,
    /// Its edits.
    pub edits: Vec<PastEdit>,
}

/// One edit of a draft.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PastEdit {
    /// The entry.
    pub id: String,
    /// Who made it.
    pub author: String,
    /// Their tip then, as claimed.
    pub height: u32,
    /// What it did, a line a step.
    pub did: Vec<String>,
    /// The title as its author left it.
    pub title: String,
    /// The body as its author left it.
    pub body: String,
}

/// All labels, as BIP329 writes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Labels {
    /// [`V`](super::V).
    pub v: u32,
    /// The labels.
    pub labels: Vec<Label>,
}

/// What a register holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ItemsDto {
    /// [`V`](super::V).
    pub v: u32,
    /// Fields by name, of items by name.
    pub items: Items,
    /// Automerge heads: equal on all nodes that have the same edits.
    pub heads: Vec<String>,
}
