//! The workspace: drafts, labels, the address book, sites and notes that members write together, each sheet
//! an Automerge document derived from the edits in the [`Document`] (§6).
//!
//! Automerge never sees a byte that a peer made. An edit is checked, then made again here by Automerge's own
//! transaction on a document that holds exactly the edits it builds on, as one change whose actor is
//! [`actor`](crate::edit::actor) of the entry. So the change is a function of the edit and what it builds
//! on: equal sets of entries give equal heads on every node, whatever the order, and what is deleted is
//! rebuilt to the same. Merging what was written at once is Automerge's.
//!
//! **What the fields say.** A draft's outputs are items named by address with the field `amount_sat`. Labels
//! are items named `tx:TXID`, `addr:ADDRESS`, `pubkey:KEY`, `input:OUTPOINT`, `output:OUTPOINT` or
//! `xpub:KEY` with the fields `label`, `origin` and `spendable` (BIP329). Contacts are items named as
//! people call them, with `address`, `note` and more. Sites are named `site`, machines `site/machine`, with
//! free fields. Notes are items named by title with the field `text`.
//!
//! **What it may cost.** An edit on the latest of its sheet costs one small transaction. One on an older
//! place costs a copy of what it builds on, which grows with the sheet; so every author has a [`Share`] of
//! each sheet, counted along its chain, and nobody can make a sheet grow for ever. An edit beyond is
//! ignored, on every node the same.

mod diff;
mod read;
mod sheet;
mod verdict;

pub use diff::{WriteError, batches, rewrite};
pub use read::{Draft, Label, LabelKind, Past};
pub use sheet::Items;
pub use verdict::{EditIgnored, EditVerdict};

use crate::document::Document;
use crate::edit::{Edit, HEADS_MAX, Heads, Sheet, Step, Text};
use crate::entry::Payload;
use crate::hash::Digest;
use crate::id::{EntryId, MemberId};
use crate::signed::Signed;
use automerge::ChangeHash;
use sheet::Page;
use std::collections::BTreeMap;

/// Characters of a draft's body.
pub const TEXT_MAX: u64 = 64 * 1024;
/// Characters of a draft's title: as many as a [`Line`](crate::text::Line) has bytes.
pub const TITLE_MAX: u64 = 120;
/// Fields on one sheet, over all its items.
pub const FIELDS_MAX: usize = 64 * 1024;
/// Drafts that one author may begin.
pub const DRAFTS_MAX: usize = 1_024;
/// One author's share of one draft.
pub const DRAFT_SHARE: Share = Share { edits: 256, bytes: 256 * 1024 };
/// One author's share of each other sheet.
pub const SHEET_SHARE: Share = Share { edits: 2_048, bytes: 4 * 1024 * 1024 };

/// How much one author may write on one sheet, ignored edits included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Edits.
    pub edits: usize,
    /// Bytes of what they insert and name.
    pub bytes: usize,
}

/// All sheets, as far as the entries taken say.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    edits: BTreeMap<EntryId, Known>,
    pages: BTreeMap<Sheet, Page>,
    authors: BTreeMap<MemberId, Author>,
    /// Edits that wait, under what they wait for.
    waiting: BTreeMap<EntryId, Vec<EntryId>>,
}

#[derive(Debug, Clone)]
struct Known {
    signed: Signed,
    verdict: EditVerdict,
}

/// How far an author's chain was taken, and what of its shares is used.
#[derive(Debug, Clone, Default)]
struct Author {
    next: u32,
    /// Entries that came before their turn.
    early: BTreeMap<u32, Signed>,
    used: BTreeMap<Sheet, Share>,
    drafts: usize,
}

impl Workspace {
    /// What the standing entries of `document` add up to, worked out from nothing.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let mut workspace = Self::default();
        workspace.follow(document);
        workspace
    }

    /// Take what is new in `document`. If a fork took entries away, everything is worked out again: Automerge
    /// forgets nothing.
    pub fn follow(&mut self, document: &Document) {
        let standing = |author: &MemberId| document.chain(author).map_or(0, |chain| chain.next_seq());
        if self.authors.iter().any(|(author, known)| standing(author) < known.next) {
            *self = Self::default();
        }
        for (author, chain) in document.chains() {
            let next = self.authors.get(author).map_or(0, |known| known.next);
            chain.since(next).take_while(|signed| signed.entry().seq < chain.next_seq()).for_each(|signed| {
                self.take(signed);
            });
        }
    }

    /// Take one standing entry of the document, of any kind: an author's share is counted along the chain,
    /// so an entry that comes before its turn is kept until then. Repeating one changes nothing.
    pub fn take(&mut self, signed: &Signed) {
        let author = signed.entry().author;
        let known = self.authors.entry(author).or_default();
        if signed.entry().seq < known.next {
            return;
        }
        known.early.insert(signed.entry().seq, signed.clone());
        while let Some(signed) = self.authors.get_mut(&author).and_then(Author::turn) {
            self.hear(signed);
        }
    }

    fn hear(&mut self, signed: Signed) {
        let Payload::Edit(edit) = &signed.entry().payload else { return };
        let (id, sheet) = (signed.id(), edit.sheet_of(signed.id()));
        let author = self.authors.entry(signed.entry().author).or_default();
        let refused = author.spend(sheet, edit).err();
        let verdict = refused.map_or(EditVerdict::Waits(id), EditVerdict::Ignored);
        self.edits.insert(id, Known { signed, verdict });
        self.settle(id, refused);
    }

    /// Decide on edit `id` and on all that waited for it. `refused`: already decided.
    fn settle(&mut self, id: EntryId, refused: Option<EditIgnored>) {
        let mut ready = match refused {
            Some(_) => self.waiting.remove(&id).unwrap_or_default(),
            None => vec![id],
        };
        while let Some(id) = ready.pop() {
            let Some(signed) = self.edits.get(&id).map(|known| known.signed.clone()) else { continue };
            let Payload::Edit(edit) = &signed.entry().payload else { continue };
            let verdict = match self.lacks(id, edit) {
                Some(before) => {
                    self.waiting.entry(before).or_default().push(id);
                    EditVerdict::Waits(before)
                }
                None => {
                    ready.extend(self.waiting.remove(&id).unwrap_or_default());
                    self.apply(id, edit).map_or_else(EditVerdict::Ignored, |()| EditVerdict::Applied)
                }
            };
            if let Some(known) = self.edits.get_mut(&id) {
                known.verdict = verdict;
            }
        }
    }

    /// An edit that must be decided before this one can be.
    fn lacks(&self, id: EntryId, edit: &Edit) -> Option<EntryId> {
        let draft = match edit.sheet_of(id) {
            Sheet::Draft(draft) if draft != id => Some(draft),
            _ => None,
        };
        let needed = edit.after.as_slice().iter().copied().chain(draft);
        let undecided = |edit: &EntryId| {
            self.edits.get(edit).is_none_or(|known| matches!(known.verdict, EditVerdict::Waits(_)))
        };
        needed.into_iter().find(undecided)
    }

    /// Apply an edit, all that it builds on being decided.
    fn apply(&mut self, id: EntryId, edit: &Edit) -> Result<(), EditIgnored> {
        let sheet = edit.sheet_of(id);
        self.fits(id, edit)?;
        if let Some(page) = self.pages.get_mut(&sheet) {
            return page.apply(id, edit);
        }
        let mut page = Page::new(sheet)?;
        page.apply(id, edit)?;
        self.pages.insert(sheet, page);
        Ok(())
    }

    /// Whether an edit is on a sheet that is there and builds on what it may build on.
    fn fits(&self, id: EntryId, edit: &Edit) -> Result<(), EditIgnored> {
        let new = edit.sheet == Sheet::NewDraft;
        let sheet = edit.sheet_of(id);
        if let Sheet::Draft(draft) = sheet {
            if !new && self.sheet_of(draft) != Some(Sheet::NewDraft) {
                return Err(EditIgnored::NoDraft(draft));
            }
            match (new, edit.after.as_slice().is_empty()) {
                (true, false) => return Err(EditIgnored::NotNew),
                (false, true) => return Err(EditIgnored::OnNothing),
                _ => {}
            }
        }
        edit.after.as_slice().iter().try_for_each(|before| self.builds_on(sheet, *before))
    }

    /// What would become of these edits of `author`, the first as it is, each other one building on the one
    /// before: for a node that asks before it signs.
    ///
    /// # Errors
    ///
    /// Why one of them would be ignored.
    pub fn rehearse(&self, author: MemberId, edits: &[Edit]) -> Result<(), EditIgnored> {
        let mut author = self.authors.get(&author).cloned().unwrap_or_default();
        let id = |number: usize| EntryId(Digest::tagged("hashguild/rehearsal/v1", &[&number.to_be_bytes()]));
        let Some(first) = edits.first() else { return Ok(()) };
        self.fits(id(0), first)?;
        let sheet = first.sheet_of(id(0));
        let mut page = self.pages.get(&sheet).cloned().map_or_else(|| Page::new(sheet), Ok)?;
        for (number, edit) in edits.iter().enumerate() {
            let edit = match number.checked_sub(1) {
                Some(before) => Edit { sheet, after: Heads::from(id(before)), ..edit.clone() },
                None => edit.clone(),
            };
            author.spend(sheet, &edit)?;
            page.apply(id(number), &edit)?;
        }
        Ok(())
    }

    fn builds_on(&self, sheet: Sheet, before: EntryId) -> Result<(), EditIgnored> {
        let Some(known) = self.edits.get(&before) else { return Err(EditIgnored::Refused) };
        let Payload::Edit(edit) = &known.signed.entry().payload else { return Err(EditIgnored::Refused) };
        let other = edit.sheet_of(before);
        if other != sheet {
            return Err(EditIgnored::OtherSheet(before, other));
        }
        match known.verdict {
            EditVerdict::Applied => Ok(()),
            EditVerdict::Waits(_) | EditVerdict::Ignored(_) => Err(EditIgnored::OnIgnored(before)),
        }
    }

    fn sheet_of(&self, id: EntryId) -> Option<Sheet> {
        match &self.edits.get(&id)?.signed.entry().payload {
            Payload::Edit(edit) => Some(edit.sheet),
            _ => None,
        }
    }

    /// What became of an edit. None: no edit that was taken.
    #[must_use]
    pub fn verdict(&self, id: EntryId) -> Option<&EditVerdict> {
        self.edits.get(&id).map(|known| &known.verdict)
    }

    /// The heads of a sheet as Automerge knows them, sorted. Empty if nobody wrote on it.
    #[must_use]
    pub fn heads(&self, sheet: Sheet) -> Vec<ChangeHash> {
        self.pages.get(&sheet).map(Page::heads).unwrap_or_default()
    }

    /// A sheet as an Automerge file, for reading with other tools.
    #[must_use]
    pub fn save(&self, sheet: Sheet) -> Option<Vec<u8>> {
        self.pages.get(&sheet).map(Page::save)
    }

    /// What the next edit of a sheet builds on: its latest edits, or the first [`HEADS_MAX`] of them.
    #[must_use]
    pub fn latest(&self, sheet: Sheet) -> Heads {
        let tips = self.pages.get(&sheet).into_iter().flat_map(|page| page.tips());
        Heads::try_from(tips.take(HEADS_MAX).copied().collect::<Vec<_>>()).expect("a set is sorted")
    }

    /// One hash over the heads of all sheets: equal on nodes that have the same edits.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut parts = Vec::new();
        for (sheet, page) in &self.pages {
            parts.extend(postcard::to_stdvec(sheet).expect("a sheet always encodes"));
            let heads = page.heads();
            parts.extend((heads.len() as u64).to_be_bytes());
            parts.extend(heads.iter().flat_map(|head| head.0));
        }
        Digest::tagged("hashguild/workspace/v1", &[&parts])
    }

    /// A text of a draft: as it is, or as it was to whoever saw `at`.
    #[must_use]
    pub fn text(&self, draft: EntryId, text: Text, at: Option<&Heads>) -> Option<String> {
        self.pages.get(&Sheet::Draft(draft))?.text(text, at)
    }

    /// The items of a sheet.
    #[must_use]
    pub fn items(&self, sheet: Sheet) -> Items {
        self.pages.get(&sheet).map(Page::items).unwrap_or_default()
    }
}

impl Author {
    /// The next entry of the chain, if it is here.
    fn turn(&mut self) -> Option<Signed> {
        let signed = self.early.remove(&self.next)?;
        self.next = self.next.saturating_add(1);
        Some(signed)
    }

    /// Count an edit against the author's share of its sheet.
    fn spend(&mut self, sheet: Sheet, edit: &Edit) -> Result<(), EditIgnored> {
        if edit.sheet == Sheet::NewDraft {
            self.drafts = self.drafts.saturating_add(1);
            if self.drafts > DRAFTS_MAX {
                return Err(EditIgnored::TooManyDrafts);
            }
        }
        let share = if matches!(sheet, Sheet::Draft(_)) { DRAFT_SHARE } else { SHEET_SHARE };
        let used = self.used.entry(sheet).or_default();
        used.edits = used.edits.saturating_add(1);
        used.bytes = used.bytes.saturating_add(edit.steps.as_slice().iter().map(bytes).sum());
        if used.edits > share.edits || used.bytes > share.bytes {
            return Err(EditIgnored::TooMuch(share));
        }
        Ok(())
    }
}

fn bytes(step: &Step) -> usize {
    match step {
        Step::Splice { insert, .. } => insert.as_str().len(),
        Step::Set { item, field, value } => item.as_str().len() + field.as_str().len() + value.as_str().len(),
        Step::Clear { item, field } => item.as_str().len() + field.as_str().len(),
    }
}
