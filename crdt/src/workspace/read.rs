//! What people read in the workspace.

use super::sheet::{Items, Page};
use super::{EditVerdict, Workspace};
use crate::Height;
use crate::edit::{Edit, Heads, Sheet, Text};
use crate::entry::Payload;
use crate::id::{EntryId, MemberId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// A draft as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The edit that began it: its name.
    pub id: EntryId,
    /// One line for lists.
    pub title: String,
    /// For people.
    pub body: String,
    /// What it would pay, by address.
    pub items: Items,
    /// Who wrote on it, in order of their keys.
    pub authors: Vec<MemberId>,
    /// How many edits it is made of.
    pub edits: usize,
    /// The latest edits: what the next one builds on.
    pub latest: Heads,
}

/// One edit in the history of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The edit.
    pub id: EntryId,
    /// Who made it.
    pub author: MemberId,
    /// The author's tip then, as claimed.
    pub height: Height,
    /// What it did.
    pub edit: Edit,
    /// The title as its author left it.
    pub title: String,
    /// The body as its author left it.
    pub body: String,
}

/// What a label is on: the types of BIP329.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// A transaction, by id.
    Tx,
    /// An address.
    Addr,
    /// A public key.
    Pubkey,
    /// An input: transaction id and index.
    Input,
    /// An output: transaction id and index.
    Output,
    /// An extended public key.
    Xpub,
}

/// A label as BIP329 writes it: one line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// On what kind of thing.
    #[serde(rename = "type")]
    pub kind: LabelKind,
    /// On which.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which keys made it: an abbreviated descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether wallets may spend this output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spendable: Option<bool>,
}

/// A word that is no type of BIP329.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of tx, addr, pubkey, input, output, xpub")]
pub struct NotALabelKind(String);

const KINDS: [(LabelKind, &str); 6] = [
    (LabelKind::Tx, "tx"),
    (LabelKind::Addr, "addr"),
    (LabelKind::Pubkey, "pubkey"),
    (LabelKind::Input, "input"),
    (LabelKind::Output, "output"),
    (LabelKind::Xpub, "xpub"),
];

impl fmt::Display for LabelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for LabelKind {
    type Err = NotALabelKind;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = KINDS.iter().find(|(_, name)| *name == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| NotALabelKind(word.chars().take(80).collect()))
    }
}

impl Label {
    /// The item that a label on this thing is.
    #[must_use]
    pub fn item(kind: LabelKind, reference: &str) -> String {
        format!("{kind}:{reference}")
    }

    /// None: an item that is no label of BIP329.
    fn read(item: &str, mut fields: BTreeMap<String, String>) -> Option<Self> {
        let (kind, reference) = item.split_once(':')?;
        Some(Self {
            kind: kind.parse().ok()?,
            reference: reference.to_owned(),
            label: fields.remove("label"),
            origin: fields.remove("origin"),
            spendable: fields.remove("spendable").and_then(|word| word.parse().ok()),
        })
    }
}

impl Workspace {
    /// Every draft, in order of its id.
    pub fn drafts(&self) -> impl Iterator<Item = Draft> {
        self.pages.iter().filter_map(|(sheet, page)| match sheet {
            Sheet::Draft(id) => Some(self.read_draft(*id, page)),
            _ => None,
        })
    }

    /// One draft.
    #[must_use]
    pub fn draft(&self, id: EntryId) -> Option<Draft> {
        Some(self.read_draft(id, self.pages.get(&Sheet::Draft(id))?))
    }

    fn read_draft(&self, id: EntryId, page: &Page) -> Draft {
        let authors: BTreeSet<MemberId> =
            page.edits().filter_map(|edit| Some(self.edits.get(&edit)?.signed.entry().author)).collect();
        Draft {
            id,
            title: page.text(Text::Title, None).unwrap_or_default(),
            body: page.text(Text::Body, None).unwrap_or_default(),
            items: page.items(),
            authors: authors.into_iter().collect(),
            edits: page.edits().len(),
            latest: self.latest(Sheet::Draft(id)),
        }
    }

    /// How a draft came to be: its edits, each after those it builds on, else in order of claimed height and
    /// id. Costs one reading of the text an edit: meant for people, one draft at a time.
    #[must_use]
    pub fn history(&self, draft: EntryId) -> Vec<Past> {
        let Some(page) = self.pages.get(&Sheet::Draft(draft)) else { return Vec::new() };
        let edit = |id| match &self.edits.get(&id)?.signed.entry().payload {
            Payload::Edit(edit) => Some((self.edits.get(&id)?.signed.entry(), edit)),
            _ => None,
        };
        let mut children: BTreeMap<EntryId, Vec<EntryId>> = BTreeMap::new();
        let mut missing: BTreeMap<EntryId, usize> = BTreeMap::new();
        let mut ready = BTreeSet::new();
        for id in page.edits() {
            let Some((entry, edit)) = edit(id) else { continue };
            missing.insert(id, edit.after.as_slice().len());
            edit.after.as_slice().iter().for_each(|before| children.entry(*before).or_default().push(id));
            if edit.after.as_slice().is_empty() {
                ready.insert((entry.height, id));
            }
        }
        let mut history = Vec::new();
        while let Some((_, id)) = ready.pop_first() {
            let Some((entry, edit_of)) = edit(id) else { continue };
            let at = Heads::from(id);
            history.push(Past {
                id,
                author: entry.author,
                height: entry.height,
                edit: edit_of.clone(),
                title: page.text(Text::Title, Some(&at)).unwrap_or_default(),
                body: page.text(Text::Body, Some(&at)).unwrap_or_default(),
            });
            for child in children.remove(&id).unwrap_or_default() {
                let left = missing.entry(child).or_default();
                *left = left.saturating_sub(1);
                if let (0, Some((entry, _))) = (*left, edit(child)) {
                    ready.insert((entry.height, child));
                }
            }
        }
        history
    }

    /// Every label, as BIP329 orders its fields.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        let items = self.items(Sheet::Labels).into_iter();
        items.filter_map(|(item, fields)| Label::read(&item, fields)).collect()
    }

    /// Every edit that was taken, with its verdict, in order of its id.
    pub fn verdicts(&self) -> impl Iterator<Item = (EntryId, &EditVerdict)> {
        self.edits.iter().map(|(id, known)| (*id, &known.verdict))
    }
}
