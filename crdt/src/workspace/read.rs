//! What people read in the workspace.

use super::sheet::{Items, Page};
use super::{EditVerdict, Workspace};
use crate::Height;
use crate::edit::{Edit, HEADS_MAX, Heads, Sheet, Text};
use crate::entry::{Entry, Payload};
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

    /// A draft as the author of one of its edits left it.
    #[must_use]
    pub fn draft_at(&self, id: EntryId, edit: EntryId) -> Option<Draft> {
        let page = self.pages.get(&Sheet::Draft(id))?;
        let at = Heads::from(edit);
        let (title, body) = (page.text(Text::Title, Some(&at))?, page.text(Text::Body, Some(&at))?);
        let before = self.before(edit);
        Some(Draft {
            id,
            title,
            body,
            items: page.items(Some(&at))?,
            authors: self.authors_of(before.iter().copied()),
            edits: before.len(),
            latest: at,
        })
    }

    fn read_draft(&self, id: EntryId, page: &Page) -> Draft {
        let latest = self.latest(Sheet::Draft(id));
        // Of more edits at once than the next can build on, only those are shown that it will: positions
        // count on what was read. The edit after it takes in more.
        let at = (page.tips().len() > HEADS_MAX).then_some(&latest);
        Draft {
            id,
            title: page.text(Text::Title, at).unwrap_or_default(),
            body: page.text(Text::Body, at).unwrap_or_default(),
            items: page.items(at).unwrap_or_default(),
            authors: self.authors_of(page.edits()),
            edits: page.edits().len(),
            latest,
        }
    }

    fn authors_of(&self, edits: impl Iterator<Item = EntryId>) -> Vec<MemberId> {
        let authors = edits.filter_map(|edit| Some(self.entry(edit)?.0.author));
        authors.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn entry(&self, edit: EntryId) -> Option<(&Entry, &Edit)> {
        let entry = self.edits.get(&edit)?.signed.entry();
        match &entry.payload {
            Payload::Edit(edit) => Some((entry, edit)),
            _ => None,
        }
    }

    /// An edit and all that it builds on.
    fn before(&self, edit: EntryId) -> BTreeSet<EntryId> {
        let (mut found, mut ahead) = (BTreeSet::new(), vec![edit]);
        while let Some(id) = ahead.pop() {
            if found.insert(id) {
                ahead.extend(self.entry(id).into_iter().flat_map(|(_, edit)| edit.after.as_slice()));
            }
        }
        found
    }

    /// How a draft came to be: its edits, each after those it builds on, else in order of claimed height and
    /// id.
    #[must_use]
    pub fn history(&self, draft: EntryId) -> Vec<Past> {
        let Some(page) = self.pages.get(&Sheet::Draft(draft)) else { return Vec::new() };
        let past = |id: EntryId| {
            let (entry, edit) = self.entry(id)?;
            Some(Past { id, author: entry.author, height: entry.height, edit: edit.clone() })
        };
        self.in_order(page).into_iter().filter_map(past).collect()
    }

    fn in_order(&self, page: &Page) -> Vec<EntryId> {
        let mut builders: BTreeMap<EntryId, Vec<EntryId>> = BTreeMap::new();
        let mut lacks: BTreeMap<EntryId, usize> = BTreeMap::new();
        let mut ready = BTreeSet::new();
        for id in page.edits() {
            let Some((entry, edit)) = self.entry(id) else { continue };
            let after = edit.after.as_slice();
            lacks.insert(id, after.len());
            after.iter().for_each(|before| builders.entry(*before).or_default().push(id));
            if after.is_empty() {
                ready.insert((entry.height, id));
            }
        }
        let mut order = Vec::new();
        while let Some((_, id)) = ready.pop_first() {
            order.push(id);
            for next in builders.remove(&id).unwrap_or_default() {
                let left = lacks.entry(next).or_default();
                *left = left.saturating_sub(1);
                if let (0, Some((entry, _))) = (*left, self.entry(next)) {
                    ready.insert((entry.height, next));
                }
            }
        }
        order
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
